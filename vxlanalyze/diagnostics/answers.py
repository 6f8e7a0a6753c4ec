"""What a direction asks of the other side, and which of its flows were answered there.

A *request* is a packet that a working receiver answers: an ICMP echo request, a DNS query, a TCP packet
that occupies sequence numbers (RFC 9293 section 3.4: SYN, FIN and data are acknowledged, a pure
acknowledgement is not). A plain UDP stream asks nothing; it counts as answered where packets come back
after it began, and never as unanswered.

An answer is looked for in both captures of the hop, the receiver's first: one that leaves the receiver and
is lost on its way back is an answer too. So is one that an `any` capture shows inside the node only.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.diagnostics.once import once
from vxlanalyze.pairing import tuples
from vxlanalyze.pairing.model import NO_ROW, Comparison, Direction, Hop, Point
from vxlanalyze.wire.model import Anomaly, Flows, Index

ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
DNS_PORT = 53
_FIN, _SYN, _RST, _ACK = 0x01, 0x02, 0x04, 0x10
_DNS_RESPONSE = 0x8000  # QR bit, RFC 1035 section 4.1.1
_ECHO_REQUESTS = ((ICMP, 8 << 8), (ICMPV6, 128 << 8))

# A node of which one request in fifty stays unanswered is an incident of its own; so this bounds from
# above how often a working one is silent.
SILENT_RATIO = 0.02

# Within a cluster an echo, a SYN or a cached name is answered in a few milliseconds; what arrived later
# than this before the receiver's capture ended has not been refused an answer.
PATIENCE_NS = 100_000_000


@dataclass(frozen=True, slots=True)
class Answers:
    """Requests of a direction of `m` packets and `f` flows (those of its sender's capture).

    Parameters
    ----------
    request : NDArray[np.bool_]
        Shape ``(m,)``: packets that expect an answer.
    sent : NDArray[np.bool_]
        Shape ``(m,)``: requests sent early enough for an answer to be in the sender's capture.
    arrived : NDArray[np.bool_]
        Shape ``(m,)``: requests seen at the receiver, early enough for an answer to be in its capture.
    answered : NDArray[np.bool_]
        Shape ``(f,)``: flows to which anything came back, whether they asked or not.
    used : NDArray[np.bool_]
        Shape ``(f,)``: flows that have packets in this direction.
    flow : NDArray[np.int32]
        Shape ``(m,)``: flow of each packet.
    """

    request: NDArray[np.bool_]
    sent: NDArray[np.bool_]
    arrived: NDArray[np.bool_]
    answered: NDArray[np.bool_]
    used: NDArray[np.bool_]
    flow: NDArray[np.int32]

    def unanswered(self, flows: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
        """Arrived requests of flows without an answer, shape ``(m,)``; of chosen flows, shape ``(f,)``."""
        silent = ~self.answered if flows is None else ~self.answered & flows
        return self.arrived & silent[self.flow]

    def silent(self, chance: float, flows: NDArray[np.bool_] | None = None) -> bool:
        """Whether nothing came back to (chosen) flows, and asked often enough that chance cannot do it."""
        used = self.used if flows is None else self.used & flows
        asked = int(np.count_nonzero(self.arrived & used[self.flow]))
        return not (self.answered & used).any() and conclusive(asked, chance)


def conclusive(requests: int, chance: float) -> bool:
    """Whether so many requests do not all stay unanswered by a working node, but with a given chance."""
    return bool(SILENT_RATIO**requests < chance)


def requests_needed(chance: float) -> int:
    """How many unanswered requests are conclusive."""
    return int(np.floor(np.log(chance) / np.log(SILENT_RATIO))) + 1


def hop_of(pair: Comparison, direction: Direction) -> Hop:
    """Find the hop that a direction belongs to."""
    return next(h for h in (*pair.hops, *pair.inside) if direction is h.forward or direction is h.backward)


def opposite(pair: Comparison, direction: Direction) -> Direction:
    """Give the direction from a direction's receiver back to its sender."""
    hop = hop_of(pair, direction)
    return hop.backward if direction is hop.forward else hop.forward


@once
def numbered_flows(direction: Direction) -> tuples.Tuples:
    """Number the 5-tuples of sender and receiver; done once, and kept as long as the direction."""
    return tuples.number([direction.sender.flows, direction.receiver.flows])


@once
def of(direction: Direction) -> Answers:
    """Find the requests of a direction and which of its flows were answered.

    Done once, and kept as long as the direction.
    """
    sender, receiver = direction.sender, direction.receiver
    flow, kinds = direction.flow, _Kinds.of(sender.flows)
    request = _requests(direction, flow, kinds)
    numbered = numbered_flows(direction)
    tuple_of, at_receiver = numbered.of_flow
    sides = ((sender, tuple_of), (receiver, at_receiver))
    back = numbered.answer[tuple_of]
    came_back = _seen(len(numbered), sides)[back]
    answered = came_back & (kinds.echo | kinds.dns)
    if kinds.stream.any():
        answered |= came_back & kinds.stream & _began_first(len(numbered), sides, back)
    asked = request & kinds.tcp[flow]
    if asked.any():
        answered |= kinds.tcp & _acknowledged(direction, numbered, asked, sides)[tuple_of]
    used = np.zeros(len(sender.flows), np.bool_)
    used[flow] = True
    sent = request & _early(sender, direction.time_ns)
    arrived = request & (direction.received_row != NO_ROW) & _early(receiver, direction.received_time_ns)
    return Answers(request, sent, arrived, answered & used, used, flow)


@dataclass(frozen=True, slots=True)
class _Kinds:
    """How each flow asks, shape ``(f,)``."""

    echo: NDArray[np.bool_]
    dns: NDArray[np.bool_]
    stream: NDArray[np.bool_]
    tcp: NDArray[np.bool_]

    @classmethod
    def of(cls, flows: Flows) -> "_Kinds":
        echo = np.zeros(len(flows), np.bool_)
        for protocol, kind in _ECHO_REQUESTS:
            echo |= (flows.protocol == protocol) & (flows.sport == kind)
        udp, to_dns = flows.protocol == UDP, flows.dport == DNS_PORT
        return cls(echo, udp & to_dns, udp & ~to_dns, flows.protocol == TCP)


def _requests(direction: Direction, flow: NDArray[np.int32], kinds: _Kinds) -> NDArray[np.bool_]:
    index, row = direction.sender.index, direction.sent_row
    request = kinds.echo[flow]
    tcp, dns = kinds.tcp[flow], kinds.dns[flow]
    if tcp.any():
        flags = index.tcp_flags[row]
        occupies = (flags & (_SYN | _FIN) != 0) | (direction.payload_length > 0)
        request |= tcp & occupies & (flags & _RST == 0) & ~_header_cut(index, row)
    if dns.any():
        request |= dns & (index.seq[row] & _DNS_RESPONSE == 0)
    return request


def _header_cut(index: Index, rows: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Rows whose snap length leaves no flags and no acknowledgement: they ask nothing, and may answer."""
    cut: NDArray[np.bool_] = index.anomalies[rows] & np.uint32(Anomaly.HEADER_CUT.value) != 0
    return cut


def _early(point: Point, times_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Times at a point well before its capture ended, shape kept."""
    if len(point.index) == 0:
        return np.zeros(len(times_ns), np.bool_)
    return times_ns <= int(point.index.time_ns.max()) - PATIENCE_NS


Sides = tuple[tuple[Point, NDArray[np.int32]], ...]


def _seen(size: int, sides: Sides) -> NDArray[np.bool_]:
    """Tuples of which either capture holds a packet, shape ``(t,)``."""
    seen = np.zeros(size + 1, np.bool_)  # one more: NO_TUPLE is the last
    for point, tuple_of in sides:
        seen[tuple_of[point.decoded.usage.used]] = True
    seen[-1] = False
    return seen


def _began_first(size: int, sides: Sides, back: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Sender's flows that were seen before what came back, at whichever point saw both; shape ``(f,)``."""
    never = np.iinfo(np.int64).max
    first = np.zeros(len(back), np.bool_)
    for point, codes in sides:
        began_ns = np.full(size + 1, never)  # one more: NO_TUPLE is the last
        used = point.decoded.usage.used
        np.minimum.at(began_ns, codes[used], point.index.time_ns[point.decoded.usage.first_row[used]])
        first |= (began_ns[sides[0][1]] < began_ns[back]) & (began_ns[back] != never)
    return first


def _acknowledged(
    direction: Direction, numbered: tuples.Tuples, asked: NDArray[np.bool_], sides: Sides
) -> NDArray[np.bool_]:
    """Tuples whose first request, or anything after it, was acknowledged or reset; shape ``(t + 1,)``."""
    tuple_of = sides[0][1][direction.flow[asked]]
    base = np.zeros(len(numbered) + 1, np.uint32)
    first_seq = direction.seq_of(np.flatnonzero(asked))
    base[tuple_of[::-1]] = first_seq[::-1]  # of equal indices the last stays: the first request
    wanted = np.full(len(numbered) + 1, tuples.NO_TUPLE, np.int32)  # answer's tuple -> request's tuple
    wanted[numbered.answer[tuple_of]] = tuple_of
    wanted[-1] = tuples.NO_TUPLE
    acknowledged = np.zeros(len(numbered) + 1, np.bool_)
    for point, codes in sides:
        rows, request = _rows_of(point.flows, point.index, wanted[codes])
        flags = point.index.tcp_flags[rows]
        beyond = (point.index.ack[rows] - base[request]).view(np.int32) > 0
        # Where the snap length cut the flags, a number in the field says as much; where it cut the number
        # too, nothing tells that this is no answer.
        cut, has_number = _header_cut(point.index, rows), point.index.ack[rows] != 0
        acks = (flags & _ACK != 0) | (cut & has_number)
        acknowledged[request[acks & beyond | (flags & _RST != 0) | (cut & ~has_number)]] = True
    return acknowledged


def _rows_of(
    flows: Flows, index: Index, request_of_flow: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Rows of the TCP flows that answer a request, and the tuple of that request."""
    request_of_flow = np.where(flows.protocol == TCP, request_of_flow, tuples.NO_TUPLE)
    known = np.append(request_of_flow, np.int32(tuples.NO_TUPLE)).astype(np.int32)  # NO_FLOW is the last
    request = known[index.flow]
    rows = np.flatnonzero(request != tuples.NO_TUPLE)
    return rows, request[rows]
