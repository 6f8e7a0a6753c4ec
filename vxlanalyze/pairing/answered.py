"""Packets that a capture lacks though the other end answered them: lost by the capture, not the network.

An acknowledgement of data, an echo reply, or a DNS response with the same identifier proves that a packet
arrived, unless another packet with the same content did (a retransmission).

Sources: Zeek, policy/misc/capture-loss; RFC 9293 section 3.4; RFC 792; RFC 1035 section 4.1.1.
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import Direction, Outcome
from vxlanalyze.pairing.tuples import NO_TUPLE, Tuples

TCP = 6
UDP = 17
ACK = 0x10


def answered(direction: Direction, tuples: Tuples) -> NDArray[np.bool_]:
    """Packets marked lost whose arrival the sender's own capture proves, shape ``(m,)``."""
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
    return result


def _requests(direction: Direction, tuples: Tuples, lost: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Echo requests and DNS queries that were lost, and yet answered."""
    sender = direction.sender
    index, flows, of_flow = sender.index, sender.flows, tuples.of_flow[sender.capture]
    echo = np.isin(flows.protocol, (1, 58)) & np.isin(flows.sport, (8 << 8, 128 << 8))
    dns = (flows.protocol == UDP) & np.isin(flows.dport, (53, 5353))

    def asked(rows: NDArray[np.int32]) -> NDArray[np.int64]:
        flow = index.flow[rows]
        number = np.where(echo[flow], index.seq[rows], index.seq[rows] >> np.uint32(16))
        return np.where(echo[flow] | dns[flow], of_flow[flow].astype(np.int64) << 32 | number, -1)

    wanted = asked(direction.sent_row[lost])
    arrived = asked(direction.sent_row[direction.delivered])
    open_ = (wanted >= 0) & ~np.isin(wanted, arrived)
    if not open_.any():
        return open_
    # The answers stand in the same capture, in the tuples of the opposite way.
    opposite = tuples.answer[wanted[open_] >> 32].astype(np.int64)
    reply = np.where(opposite != NO_TUPLE, opposite << 32 | wanted[open_] & 0xFFFFFFFF, -1)
    flow_of_reply = np.isin(of_flow, opposite)
    rows = np.flatnonzero(np.append(flow_of_reply, False)[index.flow])
    is_dns = flows.protocol[index.flow[rows]] == UDP
    seen = of_flow[index.flow[rows]].astype(np.int64) << 32
    seen |= np.where(is_dns, index.seq[rows] >> np.uint32(16), index.seq[rows])
    open_[open_] = np.isin(reply, seen)
    return open_


def _data(direction: Direction, tuples: Tuples, lost: NDArray[np.int64]) -> NDArray[np.bool_]:
    """TCP data that was lost, never sent again successfully, and yet acknowledged."""
    result = np.zeros(len(lost), dtype=np.bool_)
    sender = direction.sender
    index, of_flow = sender.index, tuples.of_flow[sender.capture]
    seq, payload = direction.seq, direction.payload_length
    tuple_of = of_flow[direction.flow]
    with_data = np.flatnonzero(payload[lost] > 0)
    suspects = np.unique(tuple_of[lost[with_data]])
    delivered = np.flatnonzero(direction.delivered & np.isin(tuple_of, suspects))
    back = np.flatnonzero(np.append(np.isin(of_flow, tuples.answer[suspects]), False)[index.flow])
    back = back[index.tcp_flags[back] & ACK != 0]
    lost_of = _Groups(with_data, tuple_of[lost[with_data]])
    delivered_of = _Groups(delivered, tuple_of[delivered])
    back_of = _Groups(back, of_flow[index.flow[back]])
    for t in suspects:
        mine, acknowledging = lost_of[t], back_of[tuples.answer[t]]
        if tuples.answer[t] == NO_TUPLE or not len(acknowledging):
            continue
        base = seq[lost[mine[0]]]
        start = _after(seq[lost[mine]], base)
        end = start + payload[lost[mine]]
        acknowledged = _after(index.ack[acknowledging], base).max()
        have = delivered_of[t]
        result[mine] = (end <= acknowledged) & ~_covered(
            start, end, _after(seq[have], base), payload[have].astype(np.int64)
        )
    return result


class _Groups:
    """Values by the number of their group, each found by bisection; the order within a group stays."""

    def __init__(self, values: NDArray[np.int64], group: NDArray[np.int32]) -> None:
        order = np.argsort(group, kind="stable")
        self._values, self._group = values[order], group[order]

    def __getitem__(self, group: int) -> NDArray[np.int64]:
        low, high = np.searchsorted(self._group, group, "left"), np.searchsorted(self._group, group, "right")
        return self._values[low:high]


def _after(seq: NDArray[np.uint32], base: np.uint32) -> NDArray[np.int64]:
    """Sequence numbers relative to one nearby; they wrap at 2**32."""
    return (seq - base).astype(np.int32).astype(np.int64)


def _covered(
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    have_start: NDArray[np.int64],
    have_bytes: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Whether every byte of each range stands in one of the ranges at hand; both are short of overlaps."""
    order = np.argsort(have_start, kind="stable")
    begin, finish = have_start[order], np.maximum.accumulate((have_start + have_bytes)[order])
    if not len(begin):
        return np.zeros(len(start), dtype=np.bool_)
    # Merge neighbours that touch: the covered stretches.
    new = np.r_[True, begin[1:] > finish[:-1]]
    stretch_begin = begin[new]
    stretch_end = np.r_[finish[:-1][new[1:]], finish[-1]]
    at = np.searchsorted(stretch_begin, start, side="right") - 1
    inside = at >= 0
    return inside & (stretch_end[np.maximum(at, 0)] >= end)
