"""Segment super-packets: how many wire packets each captured frame represents.

A sender's capture shows what it hands to its NIC (TSO, GSO, UDP GSO), a receiver's may show what GRO merged:
frames of up to 64 KB that were several packets on the wire. All segments but the last have the same size,
which `segment_sizes` finds.

Source: Linux Documentation/networking/segmentation-offloads.rst.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.numbered import NO_TUPLE, Tuples
from vxlanalyze.pairing.segment_sizes import (
    MAX_SEGMENTS,
    NOT_SEEN,
    TupleRows,
    same_start,
    segments_in,
    tcp_sizes,
    udp_sizes,
)
from vxlanalyze.pairing.sorting import present
from vxlanalyze.wire import hashing
from vxlanalyze.wire.model import NO_FLOW, UNKNOWN_LENGTH, Anomaly, Decoded
from vxlanalyze.wire.protocols import TCP, UDP

_IP_BYTES = {4: 20, 6: 40}
_UDP_BYTES = 8
_TCP_BYTES = 20
_ONE_LINK_BYTES = 1460  # more payload than a 1500-byte link carries: check the IP IDs


def complete_lengths(decoded: Decoded) -> Decoded:
    """Fill in payload lengths where the snap length cut the TCP or UDP header.

    A UDP header always has the same length. That of TCP follows from two consecutive packets of a flow: the
    first one's IP length minus the step of the sequence number. The most frequent value over all flows is
    taken.
    """
    index, flows = decoded.index, decoded.flows
    cut = index.payload_length == UNKNOWN_LENGTH
    if not cut.any():
        return decoded
    rows = np.flatnonzero(cut & (index.flow != NO_FLOW))
    protocol, family = flows.protocol[index.flow[rows]], flows.family[index.flow[rows]]
    filled = index.payload_length.copy()
    filled[cut] = 0
    for version, ip in _IP_BYTES.items():
        for number in (TCP, UDP):
            mine = rows[(family == version) & (protocol == number)]
            headers = ip + _UDP_BYTES
            if number == TCP:
                shortest = ip + _TCP_BYTES
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
        seen = [np.where(most == 0, NOT_SEEN, most) for i, most in enumerate(largest) if i != here]
        elsewhere = np.min([*seen, np.full(len(tuples), NOT_SEEN)], axis=0)
        suspect = (largest[here] > elsewhere) | (largest[here] > _ONE_LINK_BYTES)
        suspect |= (limit > 0) & (largest[here] > limit)
        suspect &= size == 0
        if not suspect.any():
            continue
        for protocol, decide in ((TCP, tcp_sizes), (UDP, udp_sizes)):
            rows = TupleRows.of(capture, tuples.of_flow[here], suspect, protocol)
            if len(rows.row):
                there = [TupleRows.of(c, t, suspect, protocol) for c, t in others]
                decided, also = decide(rows, there, limit, elsewhere)
                chosen = present(rows.tuple)
                size[chosen], second[chosen] = decided[chosen], also[chosen]
    return [_by_row(captures, tuples, here, size, second) for here in range(len(captures))]


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

    It follows from the first segment at another point, or from the step of the IP IDs where the first size
    does not explain it.
    """
    both = (size > 0) & (second > 0)
    every = [TupleRows.of(c, t, both, TCP) for c, t in zip(captures, tuples.of_flow, strict=True)]
    rows, start = every[here], every[here].tuple << 32 | every[here].seq
    first, also = size[rows.tuple], second[rows.tuple]
    chosen, certain = _by_step(rows, size, second)
    for n, other in enumerate(every):
        if n == here:
            continue
        match, smaller = same_start(rows.payload, start, other, other.tuple << 32 | other.seq)
        for sizes, wanted in ((also, True), (first, False)):
            shown = match[smaller == sizes[match]]
            chosen[shown], certain[shown] = wanted, True
        # A frame that both points show identically must be split identically.
        theirs = _by_step(other, size, second)[0]
        alike = np.isin(_frame_key(rows), _frame_key(other)[theirs])
        chosen |= alike & ~certain
    return rows.row[chosen], also[chosen]


def _by_step(
    rows: TupleRows, size: NDArray[np.int64], second: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows whose IP ID step only the second size explains, and rows whose step is usable at all."""
    counts = np.bincount(rows.tuple, rows.id_step > 1, len(size))[rows.tuple] > 0  # else one for all segments
    certain = counts & (rows.id_step > 0)
    other = rows.id_step != segments_in(rows.payload, size[rows.tuple])
    return certain & other & (rows.id_step == segments_in(rows.payload, second[rows.tuple])), certain


def _frame_key(rows: TupleRows) -> NDArray[np.uint64]:
    """Tuple, sequence number and length of each row in one number."""
    place = (rows.tuple << 32 | rows.seq).astype(np.uint64)
    return place * hashing.GOLDEN ^ rows.payload.astype(np.uint64)


def units(
    rows: NDArray[np.int32], point_segment_bytes: NDArray[np.uint16], payload_length: NDArray[np.uint32]
) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
    """Wire packets of some rows: each row repeated per segment, and the position of each, shape ``(k,)``."""
    if not point_segment_bytes.any():
        return rows, np.zeros(len(rows), dtype=np.uint16)
    size = point_segment_bytes[rows].astype(np.int64)
    count = np.where(size > 0, -(-payload_length[rows].astype(np.int64) // np.maximum(size, 1)), 1)
    first = np.cumsum(count) - count
    place = np.arange(count.sum()) - np.repeat(first, count)
    return np.repeat(rows, count), place.astype(np.uint16)


def _largest_payload(capture: Decoded, tuple_of_flow: NDArray[np.int32], tuples: int) -> NDArray[np.int64]:
    by_flow = np.zeros(len(capture.flows), dtype=np.int64)
    index = capture.index
    cut = index.anomalies & np.uint32(Anomaly.FIRST_FRAGMENT) != 0  # these do not show their whole payload
    lengths = np.where(cut, np.uint32(0), index.payload_length) if cut.any() else index.payload_length
    _maximum_by(index.flow, lengths, by_flow)
    result = np.zeros(tuples, dtype=np.int64)
    np.maximum.at(result, tuple_of_flow, by_flow)
    return result


@compiled("i4[] u4[] i8[]")
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
