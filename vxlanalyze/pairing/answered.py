"""Packets missing from a capture although the other end answered them: lost by the capture, not the network.

An acknowledgement of data, an echo reply, or a DNS response with the same identifier proves that a packet
arrived, unless another packet with the same content did (a retransmission).

Sources: Zeek, policy/misc/capture-loss; RFC 9293 section 3.4; RFC 792; RFC 1035 section 4.1.1.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.arrays import I32, I64, U16, U32, Bools
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.model import Direction, Outcome, Point, wire_payload
from vxlanalyze.pairing.numbered import NO_TUPLE, Tuples
from vxlanalyze.pairing.rows import rows_of
from vxlanalyze.pairing.sequence_numbers import after
from vxlanalyze.pairing.sorting import present
from vxlanalyze.wire.numbers import ACK, DNS_PORTS, ECHO_REQUEST, ECHO_REQUEST_V6
from vxlanalyze.wire.protocols import ICMP, ICMPV6, TCP, UDP


class _Ranges(NamedTuple):
    """Ranges of octets of TCP data in order of tuple and start, shape ``(k,)``."""

    tuple_of: I32
    start: I64
    length: I64


def answered(direction: Direction, tuples: Tuples) -> NDArray[np.bool_]:
    """Packets marked as lost whose arrival is proved by an answer in either capture, shape ``(m,)``.

    Where no packet of a direction was seen to arrive but some were answered, the receiver's capture does not
    record arrivals (tcpdump's ``-Q out``), so a packet missing there does not count as lost.
    """
    result = np.zeros(len(direction), dtype=np.bool_)
    lost = np.flatnonzero(direction.outcome == Outcome.LOST)
    if not len(lost):
        return result
    sender = direction.sender
    flow = sender.index.flow[direction.sent_row[lost]]
    protocol = sender.flows.protocol[flow]
    tcp = protocol == TCP
    result[lost[~tcp]] = _requests(direction, tuples, lost[~tcp])
    result[lost[tcp]] = _data(direction, tuples, lost[tcp])
    if result.any() and not direction.delivered.any():
        result[lost] = True
    return result


def _requests(direction: Direction, tuples: Tuples, lost: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Echo requests and DNS queries that are marked as lost but were answered."""
    sender = direction.sender
    index, flows, of_flow = sender.index, sender.flows, tuples.of_flow[sender.capture]
    echo = np.isin(flows.protocol, (ICMP, ICMPV6)) & np.isin(flows.sport, (ECHO_REQUEST, ECHO_REQUEST_V6))
    dns = (flows.protocol == UDP) & np.isin(flows.dport, DNS_PORTS)

    def of_flows(rows: NDArray[np.int32]) -> NDArray[np.int64]:
        flow = index.flow[rows]
        number = np.where(echo[flow], index.seq[rows], index.seq[rows] >> np.uint32(16))
        return np.where(echo[flow] | dns[flow], of_flow[flow].astype(np.int64) << 32 | number, -1)

    wanted = of_flows(direction.sent_row[lost])
    open_ = wanted >= 0
    if not open_.any():
        return open_
    alike = np.zeros(len(tuples), np.bool_)
    alike[wanted[open_] >> 32] = True
    concerned = alike[of_flow] & (echo | dns)
    arrived = np.flatnonzero(direction.delivered & concerned[direction.flow])
    open_ &= ~np.isin(wanted, of_flows(direction.sent_row[arrived]))
    if not open_.any():
        return open_
    # The answers are in either capture, under the tuples of the opposite direction.
    opposite = tuples.answer[wanted[open_] >> 32].astype(np.int64)
    reply = np.where(opposite != NO_TUPLE, opposite << 32 | wanted[open_] & 0xFFFFFFFF, -1)
    answers = [_answers(point, tuples.of_flow[point.capture], opposite) for point in _ends(direction)]
    open_[open_] = np.isin(reply, np.concatenate(answers))
    return open_


def _ends(direction: Direction) -> tuple[Point, ...]:
    """Where the answers may be seen; once, where both points are of one capture."""
    sender, receiver = direction.sender, direction.receiver
    return (sender,) if sender.capture == receiver.capture else (sender, receiver)


def _answers(point: Point, of_flow: NDArray[np.int32], tuples: NDArray[np.int64]) -> NDArray[np.int64]:
    """Tuples and numbers of the echo replies and DNS responses in some tuples."""
    index, flows = point.index, point.flows
    rows = rows_of(index.flow, np.isin(of_flow, tuples))
    is_dns = flows.protocol[index.flow[rows]] == UDP
    number = np.where(is_dns, index.seq[rows] >> np.uint32(16), index.seq[rows])
    return of_flow[index.flow[rows]].astype(np.int64) << 32 | number


def _data(direction: Direction, tuples: Tuples, lost: NDArray[np.int64]) -> NDArray[np.bool_]:
    """TCP data that is marked as lost and was never retransmitted successfully, but was acknowledged."""
    result = np.zeros(len(lost), dtype=np.bool_)
    payload = wire_payload(direction.sender, direction.sent_row[lost], direction.segment[lost])
    data = np.flatnonzero(payload > 0)
    if not len(data):
        return result
    of_flow = tuples.of_flow[direction.sender.capture]
    mine, payload, seq = of_flow[direction.flow[lost[data]]], payload[data], direction.seq_of(lost[data])
    base = np.zeros(len(tuples), dtype=np.uint32)  # sequence numbers wrap: count from one of each tuple
    base[mine] = seq
    acknowledged = _acknowledged(direction, tuples, present(mine), base)
    start = _after(seq, base[mine])
    claimed = start + payload <= acknowledged[mine]
    if not claimed.any():
        return result
    data, mine, start, payload = data[claimed], mine[claimed], start[claimed], payload[claimed]
    suspect = np.zeros(len(tuples), dtype=np.bool_)
    suspect[mine] = True
    have = np.flatnonzero(direction.delivered & suspect[of_flow][direction.flow])
    have_payload = wire_payload(direction.sender, direction.sent_row[have], direction.segment[have])
    have, have_payload = have[have_payload > 0], have_payload[have_payload > 0]
    tuple_of = of_flow[direction.flow[have]]
    have_start = _after(direction.seq_of(have), base[tuple_of])
    in_order = np.lexsort((have_start, tuple_of))
    wanted = np.lexsort((start, mine))
    in_ranges = np.empty(len(data), dtype=np.bool_)
    _covered(
        _Ranges(mine[wanted], start[wanted], payload[wanted].astype(np.int64)),
        _Ranges(tuple_of[in_order], have_start[in_order], have_payload[in_order].astype(np.int64)),
        in_ranges,
    )
    result[data[wanted]] = ~in_ranges
    return result


def _acknowledged(
    direction: Direction, tuples: Tuples, requested: NDArray[np.int32], base: NDArray[np.uint32]
) -> NDArray[np.int64]:
    """Highest acknowledgement of each tuple's data in either capture, after `base`; shape ``(t,)``."""
    requested = requested[tuples.answer[requested] != NO_TUPLE]
    acknowledges = np.full(len(tuples), NO_TUPLE, dtype=np.int32)
    acknowledges[tuples.answer[requested]] = requested
    result = np.full(len(tuples), np.iinfo(np.int64).min, dtype=np.int64)
    for point in _ends(direction):
        index, wanted = point.index, acknowledges[tuples.of_flow[point.capture]]
        _find_highest((index.flow, index.tcp_flags, index.ack), wanted, base, result)
    return result


@compiled("(i4[] u2[] u4[]) i4[] u4[] i8[]")
def _find_highest(columns: tuple[I32, U16, U32], wanted: I32, base: U32, highest: I64) -> None:
    """Record the highest acknowledgement of each tuple that some flows acknowledge."""
    flow_of, flags_of, ack_of = columns
    for row in range(len(flow_of)):
        this = wanted[flow_of[row]] if flow_of[row] >= 0 else NO_TUPLE
        if this != NO_TUPLE and flags_of[row] & ACK:
            highest[this] = max(highest[this], after(np.int64(ack_of[row]), np.int64(base[this])))


def _after(seq: NDArray[np.uint32], base: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Sequence numbers relative to nearby ones; they wrap at 2**32."""
    return (seq - base).astype(np.int32).astype(np.int64)


@compiled("_Ranges(i4[] i8[] i8[]) _Ranges(i4[] i8[] i8[]) b1[]")
def _covered(wanted: _Ranges, have: _Ranges, result: Bools) -> None:
    """Mark the ranges of which the available ones, joined to stretches without a gap, have every octet."""
    j = 0
    of, begin, end = np.int32(-1), np.int64(0), np.int64(0)  # the stretch, and its tuple
    for i in range(len(wanted.start)):
        this, first, last = wanted.tuple_of[i], wanted.start[i], wanted.start[i] + wanted.length[i]
        while j < len(have.start) and (
            have.tuple_of[j] < this or (have.tuple_of[j] == this and have.start[j] < last)
        ):
            if have.tuple_of[j] != of or have.start[j] > end:
                if of == this and begin <= first and end >= last:
                    break  # this stretch covers it, and the next one begins after it
                of, begin, end = have.tuple_of[j], have.start[j], have.start[j]
            end = max(end, have.start[j] + have.length[j])
            j += 1
        result[i] = of == this and begin <= first and end >= last
