"""Determine the size of the segments of a flow's super-packets.

The sources, in order of trust: a smaller frame at another point that starts at the same sequence number; the
MSS allowed by the handshake; IP IDs that advance by more than one.

Sources: RFC 9293 section 3.7.1 (MSS), Linux Documentation/networking/segmentation-offloads.rst.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.rows import rows_of
from vxlanalyze.wire.model import Anomaly, Decoded
from vxlanalyze.wire.protocols import TCP

MAX_SEGMENTS = 128  # 64 KB of 512-byte segments; the kernel's GSO limit is 64 KB of payload
NOT_SEEN = np.iinfo(np.int64).max

_IPV4_AND_TCP_BYTES = 40
_IPV6_AND_TCP_BYTES = 60
_SEQUENCE_NUMBERS = 1 << 32
_NOTHING = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class TupleRows:
    """Rows of some tuples at one capture, by tuple and then in file order; shape ``(k,)``."""

    row: NDArray[np.int64]
    tuple: NDArray[np.int64]
    payload: NDArray[np.int64]
    seq: NDArray[np.int64]
    ip_ids: NDArray[np.int64]  # outer and inner IP ID combined; 0 where either is 0
    options: NDArray[np.int64]  # TCP option bytes
    id_step: NDArray[np.int64]  # advance of the IP ID until the next row of the tuple; 0 where unknown

    @classmethod
    def of(
        cls, capture: Decoded, of_flow: NDArray[np.int32], wanted: NDArray[np.bool_], protocol: int
    ) -> "TupleRows":
        """Choose the frames of wanted tuples and a protocol, in the order of tuple and capture."""
        index, flows = capture.index, capture.flows
        row = rows_of(index.flow, wanted[of_flow] & (flows.protocol == protocol))
        # The first fragment of a packet that was not reassembled does not show its payload's length.
        row = row[index.anomalies[row] & np.uint32(Anomaly.FIRST_FRAGMENT) == 0]
        tuple_of_row = of_flow[index.flow[row]].astype(np.int64)
        order = np.argsort(tuple_of_row, kind="stable")
        row, tuple_of_row = row[order], tuple_of_row[order]
        payload, seq = index.payload_length[row].astype(np.int64), index.seq[row].astype(np.int64)
        family = flows.family[index.flow[row]]
        fixed = np.where(family == 4, _IPV4_AND_TCP_BYTES, _IPV6_AND_TCP_BYTES)
        id_step = np.zeros(len(row), dtype=np.int64)
        step = np.diff(index.ip_id[row]).astype(np.int64)
        follows = (np.diff(tuple_of_row) == 0) & (family[:-1] == 4)
        if protocol == TCP:  # nothing missing in between
            follows &= (np.diff(seq) - payload[:-1]) % _SEQUENCE_NUMBERS == 0
        id_step[:-1] = np.where(follows, step, 0)
        id_step[id_step > MAX_SEGMENTS] = 0
        id_step[~_counting(tuple_of_row, family, id_step)] = 0
        options = np.maximum(index.length[row].astype(np.int64) - payload - fixed, 0)
        options[index.anomalies[row] & np.uint32(Anomaly.HEADER_CUT) != 0] = 0  # the payload is a guess
        return cls(
            row,
            tuple_of_row,
            payload,
            seq,
            _both_ids(index.outer_ip_id[row], index.ip_id[row]),
            options,
            id_step,
        )


def _both_ids(outer: NDArray[np.uint16], inner: NDArray[np.uint16]) -> NDArray[np.int64]:
    both = outer.astype(np.int64) << 16 | inner
    return np.where((outer > 0) & (inner > 0), both, 0)


def _counting(
    group: NDArray[np.int64], family: NDArray[np.uint8], id_step: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Rows of tuples whose IP IDs are sequential: most steps are small, which random IDs rarely are."""
    groups = int(group.max()) + 1 if len(group) else 0
    counting = np.bincount(group, np.append(np.diff(group) == 0, False) & (family == 4), groups)
    small = np.bincount(group, id_step > 0, groups)
    return ((small >= counting / 2) & (small > 0))[group]


def tcp_sizes(
    rows: TupleRows, others: list[TupleRows], limit: NDArray[np.int64], elsewhere: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Segment size by tuple, 0 where its frames are wire packets or it is unknown; shape ``(t,)``.

    And a second size that some frames may have: discovery of a smaller path MTU changes the size.
    """
    tuples = len(limit)
    options = np.zeros(tuples, dtype=np.int64)
    np.maximum.at(options, rows.tuple, np.where(rows.payload > 0, rows.options, 0))
    allowed = np.where(limit > 0, limit - options, NOT_SEEN)
    handshake = np.where(limit > 0, allowed, 0)
    starts = [r.tuple << 32 | r.seq for r in (rows, *others)]
    # A payload that fits one segment and took one IP ID may be small packets retransmitted as one.
    merged = (limit[rows.tuple] == 0) | (rows.payload > allowed[rows.tuple]) | (rows.id_step > 1)
    starts[0] = np.where(merged, starts[0], -1)
    row_tuple, smaller = _smaller_elsewhere(rows, others, starts, allowed)
    seen_there = _mode_by(row_tuple, smaller, tuples)
    rest = smaller % np.maximum(seen_there[row_tuple], 1) != 0  # merged segments are not a new size
    seen_too = _mode_by(row_tuple[rest], smaller[rest], tuples)
    by_id = _size_by_id(rows, tuples)
    size = np.where(seen_there > 0, seen_there, handshake)
    better = _share_of_id_steps(rows, by_id) > _share_of_id_steps(rows, size)
    size = np.where((size == 0) | (better & (by_id > 0) & (by_id < size)), by_id, size)
    second = np.zeros(tuples, dtype=np.int64)
    for other in (handshake, seen_too, seen_there):
        second = np.where((other > 0) & (other != size), other, second)
    return size, second


def _smaller_elsewhere(
    rows: TupleRows, others: list[TupleRows], starts: list[NDArray[np.int64]], allowed: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Smaller frames at another point that start with the same packet: tuple and length of each.

    `starts` identifies that packet for these rows and for those of each other point; negative where unknown.
    """
    found_tuple, found_size = [], []
    for other, other_start in zip(others, starts[1:], strict=True):
        match, smaller = same_start(rows.payload, starts[0], other, other_start)
        keep = smaller <= allowed[rows.tuple[match]]
        found_tuple.append(rows.tuple[match][keep])
        found_size.append(smaller[keep])
    return np.concatenate([*found_tuple, _NOTHING]), np.concatenate([*found_size, _NOTHING])


def same_start(
    payload: NDArray[np.int64], start: NDArray[np.int64], other: TupleRows, other_start: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of frames that have a smaller counterpart at another point, and its length."""
    some = (other.payload > 0) & (other_start >= 0)
    other_key, other_payload = other_start[some], other.payload[some]
    order = np.argsort(other_key, kind="stable")
    other_key, other_payload = other_key[order], other_payload[order]
    at = np.searchsorted(other_key, start)
    inside = at < len(other_key)
    match = np.flatnonzero(inside)[other_key[at[inside]] == start[inside]]
    smaller = other_payload[at[match]]
    keep = smaller < payload[match]
    return match[keep], smaller[keep]


def _mode_by(group: NDArray[np.int64], value: NDArray[np.int64], groups: int) -> NDArray[np.int64]:
    """Most frequent value of each group, the larger one in a tie; 0 where a group has none."""
    result = np.zeros(groups, dtype=np.int64)
    pair, count = np.unique(group << 32 | value, return_counts=True)
    order = np.lexsort((pair & 0xFFFFFFFF, count))
    result[pair[order] >> 32] = pair[order] & 0xFFFFFFFF  # the last of several writes wins
    return result


def _size_by_id(rows: TupleRows, tuples: int) -> NDArray[np.int64]:
    """Size implied by the steps of the IP ID: the largest of payload / step, rounded up.

    Reordered packets make that meaningless; then the most frequent value is taken.
    """
    result = np.zeros(tuples, dtype=np.int64)
    known = (rows.id_step > 0) & (rows.payload > 0)
    size = -(-rows.payload[known] // rows.id_step[known])
    np.maximum.at(result, rows.tuple[known], size)
    most = _mode_by(rows.tuple[known], size, tuples)
    return np.where(_share_of_id_steps(rows, result) >= 0.5, result, most)


def _share_of_id_steps(
    rows: TupleRows, size: NDArray[np.int64], chosen: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Share of the given frames, by tuple, whose IP ID step equals the segment count for `size` (0: one)."""
    known = (rows.id_step > 0) & (rows.payload > 0 if chosen is None else chosen)
    right = known & (segments_in(rows.payload, size[rows.tuple]) == rows.id_step)
    count = np.bincount(rows.tuple[known], minlength=len(size))
    return np.bincount(rows.tuple[right], minlength=len(size)) / np.maximum(count, 1)


def segments_in(payload: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of segments of a size in a payload; one where the size is 0."""
    return np.where(size > 0, -(-payload // np.maximum(size, 1)), 1)


def udp_sizes(
    rows: TupleRows, others: list[TupleRows], limit: NDArray[np.int64], elsewhere: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Datagram size of UDP GSO by tuple, and no second one; shape ``(t,)``.

    The first datagram has both IP IDs of the super-packet. Where these are 0, the largest size seen elsewhere
    is taken if IP IDs advance by the number of datagrams that it implies, or if that many arrived: large
    datagrams may be lost where small ones pass.
    """
    starts = [r.tuple << 32 | r.ip_ids for r in (rows, *others)]
    named = [np.where(r.ip_ids > 0, start, -1) for r, start in zip((rows, *others), starts, strict=True)]
    seen_there = _mode_by(*_smaller_elsewhere(rows, others, named, np.full(len(limit), NOT_SEEN)), len(limit))
    size = np.where(elsewhere == NOT_SEEN, 0, elsewhere)
    tried = np.maximum(size, 1)
    large = rows.payload > tried[rows.tuple]
    by_id = _share_of_id_steps(rows, tried, large) >= 0.5
    single = np.bincount(rows.tuple[rows.payload == tried[rows.tuple]], minlength=len(size))
    expected = np.bincount(rows.tuple[large], segments_in(rows.payload, tried[rows.tuple])[large], len(size))
    arrived = sum(np.bincount(o.tuple[o.payload == tried[o.tuple]], minlength=len(size)) for o in others)
    silent = _size_by_id(rows, len(size)) == 0
    guessed = np.where((size > 0) & (by_id | (silent & (arrived - single >= expected / 2))), size, 0)
    return np.where(seen_there > 0, seen_there, guessed), np.zeros_like(limit)
