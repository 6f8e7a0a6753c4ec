"""Super-packets taken apart: how many wire packets each captured frame stands for.

A sender's capture shows what it hands to its NIC (TSO, GSO, UDP GSO), a receiver's may show what GRO
merged: frames of up to 64 KB that were several packets on the wire. All segments but the last have
the same size. It is told, in this order of trust, from a frame at another point that starts at the
same sequence number and is smaller; from the MSS that the handshake allowed; from IP IDs that
count on by more than one.

Sources: RFC 9293 section 3.7.1 (MSS), Linux Documentation/networking/segmentation-offloads.rst.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.compiled import compiled
from vxlanalyze.pairing.tuples import NO_TUPLE, Tuples
from vxlanalyze.wire.model import NO_FLOW, UNKNOWN_LENGTH, Anomaly, Decoded

TCP = 6
UDP = 17
MAX_SEGMENTS = 128  # 64 KB of 512-byte segments; the kernel's GSO limit is 64 KB of payload

_IPV4_AND_TCP_BYTES = 40
_IPV6_AND_TCP_BYTES = 60
_ONE_LINK_BYTES = 1460  # more payload than a 1500-byte link carries: worth a look at the IP IDs
_SEQUENCE_NUMBERS = 1 << 32
_NOT_SEEN = np.iinfo(np.int64).max
_NOTHING = np.zeros(0, dtype=np.int64)


def complete_lengths(decoded: Decoded) -> Decoded:
    """Fill in payload lengths where the snap length cut the TCP header.

    Two packets of a flow that follow each other tell the headers' length: the first one's IP length less
    the step of the sequence number. The most frequent value of all flows is taken.
    """
    index, flows = decoded.index, decoded.flows
    cut = index.payload_length == UNKNOWN_LENGTH
    if not cut.any():
        return decoded
    rows = np.flatnonzero(cut & (index.flow != NO_FLOW))
    rows = rows[flows.protocol[index.flow[rows]] == TCP]
    filled = index.payload_length.copy()
    filled[cut] = 0
    for family, shortest in ((4, _IPV4_AND_TCP_BYTES), (6, _IPV6_AND_TCP_BYTES)):
        mine = rows[flows.family[index.flow[rows]] == family]
        headers = _header_bytes(index.flow[mine], index.seq[mine], index.length[mine], shortest)
        filled[mine] = np.maximum(index.length[mine].astype(np.int64) - headers, 0).astype(np.uint32)
    return replace(decoded, index=replace(index, payload_length=filled))


def _header_bytes(
    flow: NDArray[np.int32], seq: NDArray[np.uint32], length: NDArray[np.uint32], shortest: int
) -> int:
    order = np.argsort(flow, kind="stable")
    step = np.diff(seq[order]).astype(np.int32).astype(np.int64)
    headers = length[order][:-1].astype(np.int64) - step
    longest = shortest + 40  # TCP options: a data offset of 15 words
    possible = (np.diff(flow[order]) == 0) & (step > 0) & (headers >= shortest) & (headers <= longest)
    if not possible.any():
        return shortest
    return int(np.bincount(headers[possible]).argmax())


def segment_sizes(captures: Sequence[Decoded], tuples: Tuples) -> list[NDArray[np.uint16]]:
    """L4 payload of each wire packet in a super-packet, for the frames of several captures.

    Parameters
    ----------
    captures : Sequence[Decoded]
        In path order.
    tuples : Tuples
        Their 5-tuples.

    Returns
    -------
    list of NDArray[np.uint16]
        For each capture, shape ``(n,)``: 0 where the frame is one wire packet.
    """
    largest = [_largest_payload(c, t, len(tuples)) for c, t in zip(captures, tuples.of_flow, strict=True)]
    limit = _handshake_limit(captures, tuples)
    size = np.zeros(len(tuples), dtype=np.int64)
    second = np.zeros(len(tuples), dtype=np.int64)
    for here, capture in enumerate(captures):
        others = [(c, t) for i, (c, t) in enumerate(zip(captures, tuples.of_flow, strict=True)) if i != here]
        seen = [np.where(most == 0, _NOT_SEEN, most) for i, most in enumerate(largest) if i != here]
        elsewhere = np.min([*seen, np.full(len(tuples), _NOT_SEEN)], axis=0)
        suspect = (largest[here] > elsewhere) | (largest[here] > _ONE_LINK_BYTES)
        suspect |= (limit > 0) & (largest[here] > limit)
        suspect &= size == 0
        for protocol, decide in ((TCP, _tcp_sizes), (UDP, _udp_sizes)):
            rows = _Rows.of(capture, tuples.of_flow[here], suspect, protocol)
            if len(rows.row):
                there = [_Rows.of(c, t, suspect, protocol) for c, t in others]
                told, also = decide(rows, there, limit, elsewhere)
                asked = np.unique(rows.tuple)
                size[asked], second[asked] = told[asked], also[asked]
    return [_by_row(captures, tuples, here, size, second) for here in range(len(captures))]


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of the tuples in question at one capture, by tuple and then in file order; shape ``(k,)``."""

    row: NDArray[np.int64]
    tuple: NDArray[np.int64]
    payload: NDArray[np.int64]
    seq: NDArray[np.int64]
    ip_ids: NDArray[np.int64]  # outer and inner IP ID together; 0 where either is
    options: NDArray[np.int64]  # TCP option bytes
    id_step: NDArray[np.int64]  # IP IDs counted on until the next row of the tuple; 0 where unknown

    @classmethod
    def of(
        cls, capture: Decoded, of_flow: NDArray[np.int32], wanted: NDArray[np.bool_], protocol: int
    ) -> "_Rows":
        index, flows = capture.index, capture.flows
        wanted_flow = np.append(wanted[of_flow] & (flows.protocol == protocol), False)  # the last for NO_FLOW
        # The first fragment of a packet that was not put together does not show how long its payload is.
        whole = index.anomalies & np.uint32(Anomaly.FIRST_FRAGMENT) == 0
        row = np.flatnonzero(wanted_flow[index.flow] & whole)
        tuple_of_row = of_flow[index.flow[row]].astype(np.int64)
        order = np.argsort(tuple_of_row, kind="stable")
        row, tuple_of_row = row[order], tuple_of_row[order]
        payload, seq = index.payload_length[row].astype(np.int64), index.seq[row].astype(np.int64)
        family = flows.family[index.flow[row]]
        fixed = np.where(family == 4, _IPV4_AND_TCP_BYTES, _IPV6_AND_TCP_BYTES)
        id_step = np.zeros(len(row), dtype=np.int64)
        step = np.diff(index.ip_id[row]).astype(np.int64)
        follows = (np.diff(tuple_of_row) == 0) & (family[:-1] == 4)
        if protocol == TCP:  # nothing is missing in between
            follows &= (np.diff(seq) - payload[:-1]) % _SEQUENCE_NUMBERS == 0
        id_step[:-1] = np.where(follows, step, 0)
        id_step[id_step > MAX_SEGMENTS] = 0
        id_step[~_counting(tuple_of_row, family, id_step)] = 0
        return cls(
            row,
            tuple_of_row,
            payload,
            seq,
            _both_ids(index.outer_ip_id[row], index.ip_id[row]),
            np.maximum(index.length[row].astype(np.int64) - payload - fixed, 0),
            id_step,
        )


def _both_ids(outer: NDArray[np.uint16], inner: NDArray[np.uint16]) -> NDArray[np.int64]:
    both = outer.astype(np.int64) << 16 | inner
    return np.where((outer > 0) & (inner > 0), both, 0)


def _counting(
    group: NDArray[np.int64], family: NDArray[np.uint8], id_step: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Rows of tuples whose IP IDs count on at all: most steps are small, as random ones hardly are."""
    groups = int(group.max()) + 1 if len(group) else 0
    asked = np.bincount(group, np.append(np.diff(group) == 0, False) & (family == 4), groups)
    small = np.bincount(group, id_step > 0, groups)
    return ((small >= asked / 2) & (small > 0))[group]


def _tcp_sizes(
    rows: _Rows, others: list[_Rows], limit: NDArray[np.int64], elsewhere: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Segment size by tuple, 0 where its frames are wire packets or nothing tells; shape ``(t,)``.

    And a second one, which some of its frames may have: a path that turns out narrow changes the size.
    """
    tuples = len(limit)
    options = np.zeros(tuples, dtype=np.int64)
    np.maximum.at(options, rows.tuple, np.where(rows.payload > 0, rows.options, 0))
    allowed = np.where(limit > 0, limit - options, _NOT_SEEN)
    handshake = np.where(limit > 0, allowed, 0)
    starts = [r.tuple << 32 | r.seq for r in (rows, *others)]
    # What fits one segment and took one IP ID may be small packets sent again as one.
    merged = (limit[rows.tuple] == 0) | (rows.payload > allowed[rows.tuple]) | (rows.id_step > 1)
    starts[0] = np.where(merged, starts[0], -1)
    row_tuple, smaller = _smaller_elsewhere(rows, others, starts, allowed)
    seen_there = _mode_by(row_tuple, smaller, tuples)
    rest = smaller % np.maximum(seen_there[row_tuple], 1) != 0  # several segments in one are no new size
    seen_too = _mode_by(row_tuple[rest], smaller[rest], tuples)
    by_id = _size_by_id(rows, tuples)
    told = np.where(seen_there > 0, seen_there, handshake)
    better = _share_of_id_steps(rows, by_id) > _share_of_id_steps(rows, told)
    told = np.where((told == 0) | (better & (by_id > 0) & (by_id < told)), by_id, told)
    second = np.zeros(tuples, dtype=np.int64)
    for other in (handshake, seen_too, seen_there):
        second = np.where((other > 0) & (other != told), other, second)
    return told, second


def _smaller_elsewhere(
    rows: _Rows, others: list[_Rows], starts: list[NDArray[np.int64]], allowed: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Smaller frames at another point that start with the same packet: tuple and length of each.

    `starts` names that packet for the rows at hand and for those of each other point; negative where
    nothing names it.
    """
    found_tuple, found_size = [], []
    for other, other_start in zip(others, starts[1:], strict=True):
        match, smaller = _same_start(rows.payload, starts[0], other, other_start)
        keep = smaller <= allowed[rows.tuple[match]]
        found_tuple.append(rows.tuple[match][keep])
        found_size.append(smaller[keep])
    return np.concatenate([*found_tuple, _NOTHING]), np.concatenate([*found_size, _NOTHING])


def _same_start(
    payload: NDArray[np.int64], start: NDArray[np.int64], other: _Rows, other_start: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of frames that another point has a smaller one of, and the length of that."""
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
    """Most frequent value of each group, the larger of equals; 0 where a group has none."""
    result = np.zeros(groups, dtype=np.int64)
    pair, count = np.unique(group << 32 | value, return_counts=True)
    order = np.lexsort((pair & 0xFFFFFFFF, count))
    result[pair[order] >> 32] = pair[order] & 0xFFFFFFFF  # of several writes the last stays
    return result


def _size_by_id(rows: _Rows, tuples: int) -> NDArray[np.int64]:
    """Size that the steps of the IP ID ask for: the largest of payload / step, rounded up.

    Where packets overtook each other that is nonsense; then the most frequent is taken.
    """
    result = np.zeros(tuples, dtype=np.int64)
    told = (rows.id_step > 0) & (rows.payload > 0)
    size = -(-rows.payload[told] // rows.id_step[told])
    np.maximum.at(result, rows.tuple[told], size)
    most = _mode_by(rows.tuple[told], size, tuples)
    return np.where(_share_of_id_steps(rows, result) >= 0.5, result, most)


def _share_of_id_steps(
    rows: _Rows, size: NDArray[np.int64], asked: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Share of the frames asked, by tuple, whose IP ID step is the number of segments `size` gives (0: one)."""
    told = (rows.id_step > 0) & (rows.payload > 0 if asked is None else asked)
    right = told & (_segments(rows.payload, size[rows.tuple]) == rows.id_step)
    count = np.bincount(rows.tuple[told], minlength=len(size))
    return np.bincount(rows.tuple[right], minlength=len(size)) / np.maximum(count, 1)


def _segments(payload: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many segments of a size a payload is; one where the size is 0."""
    return np.where(size > 0, -(-payload // np.maximum(size, 1)), 1)


def _udp_sizes(
    rows: _Rows, others: list[_Rows], limit: NDArray[np.int64], elsewhere: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Datagram size of UDP GSO by tuple, and no second one; shape ``(t,)``.

    The first datagram has both IP IDs of the super-packet. Where these are 0, the largest size seen elsewhere
    is taken if IP IDs count on by the number of datagrams that it gives, or as many arrived: large
    datagrams may be lost where small ones pass.
    """
    starts = [r.tuple << 32 | r.ip_ids for r in (rows, *others)]
    named = [np.where(r.ip_ids > 0, start, -1) for r, start in zip((rows, *others), starts, strict=True)]
    seen_there = _mode_by(
        *_smaller_elsewhere(rows, others, named, np.full(len(limit), _NOT_SEEN)), len(limit)
    )
    size = np.where(elsewhere == _NOT_SEEN, 0, elsewhere)
    tried = np.maximum(size, 1)
    large = rows.payload > tried[rows.tuple]
    by_id = _share_of_id_steps(rows, tried, large) >= 0.5
    single = np.bincount(rows.tuple[rows.payload == tried[rows.tuple]], minlength=len(size))
    expected = np.bincount(rows.tuple[large], _segments(rows.payload, tried[rows.tuple])[large], len(size))
    arrived = sum(np.bincount(o.tuple[o.payload == tried[o.tuple]], minlength=len(size)) for o in others)
    silent = _size_by_id(rows, len(size)) == 0
    guessed = np.where((size > 0) & (by_id | (silent & (arrived - single >= expected / 2))), size, 0)
    return np.where(seen_there > 0, seen_there, guessed), np.zeros_like(limit)


def _by_row(
    captures: Sequence[Decoded],
    tuples: Tuples,
    here: int,
    size: NDArray[np.int64],
    second: NDArray[np.int64],
) -> NDArray[np.uint16]:
    capture, of_flow = captures[here], tuples.of_flow[here]
    index = capture.index
    result = np.zeros(len(index), dtype=np.uint16)
    if size.any():
        by_flow = np.append(np.where(np.isin(capture.flows.protocol, (TCP, UDP)), size[of_flow], 0), 0)
        by_row = by_flow[index.flow]
        if second.any():
            rows, of_second = _of_second_size(captures, tuples, here, size, second)
            by_row[rows] = of_second
        split = (
            (by_row > 0) & (index.payload_length > by_row) & (index.payload_length <= MAX_SEGMENTS * by_row)
        )
        result[split] = by_row[split]
    return result


def _of_second_size(
    captures: Sequence[Decoded],
    tuples: Tuples,
    here: int,
    size: NDArray[np.int64],
    second: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of a capture whose segments are of their tuple's second size, and that size.

    The first segment shows it at another point, or the step of the IP IDs does where the first size does not
    explain it.
    """
    both = (size > 0) & (second > 0)
    every = [_Rows.of(c, t, both, TCP) for c, t in zip(captures, tuples.of_flow, strict=True)]
    rows, start = every[here], every[here].tuple << 32 | every[here].seq
    first, also = size[rows.tuple], second[rows.tuple]
    chosen, certain = _by_step(rows, size, second)
    for n, other in enumerate(every):
        if n == here:
            continue
        match, smaller = _same_start(rows.payload, start, other, other.tuple << 32 | other.seq)
        for told, wanted in ((also, True), (first, False)):
            shown = match[smaller == told[match]]
            chosen[shown], certain[shown] = wanted, True
        # A frame seen alike at both points must be taken apart alike.
        theirs = _by_step(other, size, second)[0]
        alike = np.isin(_frame_key(rows), _frame_key(other)[theirs])
        chosen |= alike & ~certain
    return rows.row[chosen], also[chosen]


def _by_step(
    rows: _Rows, size: NDArray[np.int64], second: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows whose IP ID step only the second size explains, and those whose step tells anything."""
    counts = np.bincount(rows.tuple, rows.id_step > 1, len(size))[rows.tuple] > 0  # else one for all segments
    certain = counts & (rows.id_step > 0)
    other = rows.id_step != _segments(rows.payload, size[rows.tuple])
    return certain & other & (rows.id_step == _segments(rows.payload, second[rows.tuple])), certain


def _frame_key(rows: _Rows) -> NDArray[np.uint64]:
    """Tuple, sequence number and length of each row in one number."""
    place = (rows.tuple << 32 | rows.seq).astype(np.uint64)
    return place * np.uint64(0x9E3779B97F4A7C15) ^ rows.payload.astype(np.uint64)


def units(
    rows: NDArray[np.int32], point_segment_bytes: NDArray[np.uint16], payload_length: NDArray[np.uint32]
) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
    """Wire packets of some rows: each row repeated by its segments, and the place of each, shape ``(k,)``."""
    size = point_segment_bytes[rows].astype(np.int64)
    if not size.any():
        return rows, np.zeros(len(rows), dtype=np.uint16)
    count = np.where(size > 0, -(-payload_length[rows].astype(np.int64) // np.maximum(size, 1)), 1)
    first = np.cumsum(count) - count
    place = np.arange(count.sum()) - np.repeat(first, count)
    return np.repeat(rows, count), place.astype(np.uint16)


def _largest_payload(capture: Decoded, tuple_of_flow: NDArray[np.int32], tuples: int) -> NDArray[np.int64]:
    by_flow = np.zeros(len(capture.flows), dtype=np.int64)
    _maximum_by(capture.index.flow, capture.index.payload_length, by_flow)
    result = np.zeros(tuples, dtype=np.int64)
    np.maximum.at(result, tuple_of_flow, by_flow)
    return result


@compiled
def _maximum_by(flow: NDArray[np.int32], values: NDArray[np.uint32], result: NDArray[np.int64]) -> None:
    for i in range(len(flow)):
        f = flow[i]
        if f >= 0 and values[i] > result[f]:
            result[f] = values[i]


def _handshake_limit(captures: Sequence[Decoded], tuples: Tuples) -> NDArray[np.int64]:
    """Most TCP payload and options in one segment, by tuple; 0 where no SYN was seen."""
    offered = np.zeros(len(tuples), dtype=np.int64)
    for capture, of_flow in zip(captures, tuples.of_flow, strict=True):
        np.maximum.at(offered, of_flow, capture.flows.mss.astype(np.int64))
    answered = np.where(tuples.answer == NO_TUPLE, 0, offered[tuples.answer])
    both = np.minimum(offered, answered)
    return np.where(both > 0, both, np.maximum(offered, answered))
