"""The requests of a direction, and which of its flows the other side answered.

A *request* is a packet that a working receiver answers: an ICMP echo request, a DNS query, a TCP packet that
occupies sequence numbers (RFC 9293 section 3.4: SYN, FIN and data are acknowledged, a pure acknowledgement is
not). A plain UDP stream contains no requests; it counts as answered where packets come back after it began,
and never as unanswered.

An answer is looked for in both captures of the hop, the receiver's first: one that leaves the receiver and is
lost on the return path is an answer too. So is one that an `any` capture shows only inside the node.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.requests import dns_flows
from vxlanalyze.kernels.arrays import I32, I64, U16, U32, Bools
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing import tuples
from vxlanalyze.pairing.model import NO_ROW, Comparison, Direction, Hop, Point
from vxlanalyze.pairing.numbered import NO_TUPLE, Tuples
from vxlanalyze.pairing.sequence_numbers import after
from vxlanalyze.wire.model import Anomaly
from vxlanalyze.wire.numbers import ACK, DNS_PORT, DNS_RESPONSE, ECHO_REQUESTS, FIN, RST, SYN
from vxlanalyze.wire.protocols import TCP, UDP

_HEADER_CUT = Anomaly.HEADER_CUT.value
_LONG_AGO_NS = np.iinfo(np.int64).min

# A node that leaves one request in fifty unanswered is an incident in itself, so this is an upper bound on
# how often a working one is silent.
SILENT_RATIO = 0.02

# Within a cluster an echo, a SYN or a cached name is answered in a few milliseconds; requests that arrive
# later than this before the end of the receiver's capture do not count as unanswered.
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
        Shape ``(f,)``: flows to which anything came back, whether they sent requests or not.
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
        """Whether nothing came back to (chosen) flows, with enough requests to exclude chance."""
        used = self.used if flows is None else self.used & flows
        requested = int(np.count_nonzero(self.arrived & used[self.flow]))
        return not (self.answered & used).any() and conclusive(requested, chance)


def conclusive(requests: int, chance: float) -> bool:
    """Whether a working node leaves this many requests unanswered at most with a given probability."""
    return bool(SILENT_RATIO**requests < chance)


def requests_needed(chance: float) -> int:
    """Number of unanswered requests that is conclusive."""
    return int(np.floor(np.log(chance) / np.log(SILENT_RATIO))) + 1


def hop_of(pair: Comparison, direction: Direction) -> Hop:
    """Find the hop that a direction belongs to."""
    return next(h for h in (*pair.hops, *pair.inside) if direction is h.forward or direction is h.backward)


def opposite(pair: Comparison, direction: Direction) -> Direction:
    """Give the direction from a direction's receiver back to its sender."""
    hop = hop_of(pair, direction)
    return hop.backward if direction is hop.forward else hop.forward


@once
def numbered_flows(direction: Direction) -> Tuples:
    """Number the 5-tuples of sender and receiver; done once, and kept as long as the direction."""
    return tuples.at((direction.sender, direction.receiver))


@once
def of(direction: Direction) -> Answers:
    """Find the requests of a direction and which of its flows were answered.

    Done once, and kept as long as the direction.
    """
    sender, receiver = direction.sender, direction.receiver
    kinds = _Kinds.of(sender)
    numbered = numbered_flows(direction)
    tuple_of, at_receiver = numbered.of_flow
    requests = _requested(direction, kinds, tuple_of, len(numbered))
    sides = ((sender, tuple_of), (receiver, at_receiver))
    back = numbered.answer[tuple_of]
    came_back = _seen(len(numbered), sides)[back]
    answered = came_back & (kinds.echo | kinds.dns)
    if kinds.stream.any():
        answered |= came_back & kinds.stream & _began_first(len(numbered), sides, back)
    if (requests.first_tcp >= 0).any():
        answered |= kinds.tcp & _acknowledged(direction, numbered, requests.first_tcp, sides)[tuple_of]
    arrived = requests.arrived & ~_in_part(direction)
    return Answers(
        requests.request, requests.sent, arrived, answered & requests.used, requests.used, direction.flow
    )


def _in_part(direction: Direction) -> NDArray[np.bool_]:
    """Packets of which the receiver shows the first fragment alone: the rest may never have arrived."""
    anomalies = direction.receiver.index.anomalies
    first = np.uint32(Anomaly.FIRST_FRAGMENT)
    result = direction.received_row != NO_ROW
    result[result] = anomalies[direction.received_row[result]] & first != 0
    return result


@dataclass(frozen=True, slots=True)
class _Kinds:
    """The kind of requests in each flow, shape ``(f,)``."""

    echo: NDArray[np.bool_]
    dns: NDArray[np.bool_]
    stream: NDArray[np.bool_]
    tcp: NDArray[np.bool_]

    @classmethod
    def of(cls, point: Point) -> "_Kinds":
        flows = point.flows
        echo = np.zeros(len(flows), np.bool_)
        for protocol, kind in ECHO_REQUESTS.items():
            echo |= (flows.protocol == protocol) & (flows.sport == kind)
        udp, to_dns = flows.protocol == UDP, dns_flows.of(point) & (flows.dport == DNS_PORT)
        return cls(echo, udp & to_dns, udp & ~to_dns, flows.protocol == TCP)


class _Requested(NamedTuple):
    """The requests of a direction, as in `Answers`, and the first TCP request of each tuple, or -1."""

    request: NDArray[np.bool_]
    sent: NDArray[np.bool_]
    arrived: NDArray[np.bool_]
    used: NDArray[np.bool_]
    first_tcp: NDArray[np.int32]


class _AtPoint(NamedTuple):
    """A direction's packets at one of its points, shape ``(m,)``.

    `row` is NO_ROW where the point does not show one; `time_ns` is by row. Answers to packets up to `end_ns`
    would be in the point's capture.
    """

    row: I32
    time_ns: I64
    end_ns: int

    @classmethod
    def at(cls, point: Point, row: NDArray[np.int32]) -> "_AtPoint":
        return cls(row, point.index.time_ns, _end_ns(point))


def _requested(direction: Direction, kinds: _Kinds, tuple_of: NDArray[np.int32], tuples_: int) -> _Requested:
    index = direction.sender.index
    request, sent, arrived = (np.zeros(len(direction), np.bool_) for _ in range(3))
    used, first_tcp = np.zeros(len(tuple_of), np.bool_), np.full(tuples_, -1, np.int32)
    found = _Requested(request, sent, arrived, used, first_tcp)
    _find_requests(
        _AtPoint.at(direction.sender, direction.sent_row),
        _AtPoint.at(direction.receiver, direction.received_row),
        (index.flow, index.tcp_flags, index.payload_length, index.seq, index.anomalies),
        (kinds.echo, kinds.dns, kinds.tcp, tuple_of),
        found,
    )
    return found


def _end_ns(point: Point) -> int:
    """The latest time that is well before the end of a point's capture."""
    latest_ns = int(point.index.time_ns.max(initial=_LONG_AGO_NS))
    return max(latest_ns, _LONG_AGO_NS + PATIENCE_NS) - PATIENCE_NS


@compiled(
    "_AtPoint(i4[] i8[] i8) _AtPoint(i4[] i8[] i8) (i4[] u2[] u4[] u4[] u4[]) (b1[] b1[] b1[] i4[]) "
    "_Requested(b1[] b1[] b1[] b1[] i4[])"
)
def _find_requests(
    sent: _AtPoint,
    received: _AtPoint,
    columns: tuple[I32, U16, U32, U32, U32],
    of_flow: tuple[Bools, Bools, Bools, I32],
    found: _Requested,
) -> None:
    """Mark request packets, and those early enough for an answer to be captured."""
    flow_of, flags_of, payload_of, seq_of, anomalies_of = columns
    echo, dns, tcp, tuple_of = of_flow
    for i in range(len(sent.row)):
        row, there = sent.row[i], received.row[i]
        flow = flow_of[row]
        found.used[flow] = True
        is_request = echo[flow]
        if tcp[flow]:
            # Where the snap length leaves neither flags nor acknowledgement, it does not count as a request.
            is_request = flags_of[row] & (SYN | FIN) != 0 or payload_of[row] > 0
            is_request = is_request and flags_of[row] & RST == 0 and anomalies_of[row] & _HEADER_CUT == 0
            if is_request and found.first_tcp[tuple_of[flow]] < 0:
                found.first_tcp[tuple_of[flow]] = i
        elif dns[flow]:
            is_request = seq_of[row] & DNS_RESPONSE == 0
        if is_request:
            found.request[i] = True
            found.sent[i] = sent.time_ns[row] <= sent.end_ns
            found.arrived[i] = there != NO_ROW and received.time_ns[there] <= received.end_ns


Sides = tuple[tuple[Point, NDArray[np.int32]], ...]


def _seen(size: int, sides: Sides) -> NDArray[np.bool_]:
    """Tuples of which either capture holds a packet, shape ``(t,)``."""
    seen = np.zeros(size + 1, np.bool_)  # one more: NO_TUPLE is the last
    for point, tuple_of in sides:
        seen[tuple_of[point.decoded.usage.used]] = True
    seen[-1] = False
    return seen


def _began_first(size: int, sides: Sides, back: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Sender's flows that were seen before the responses, at whichever point saw both; shape ``(f,)``."""
    never = np.iinfo(np.int64).max
    first = np.zeros(len(back), np.bool_)
    for point, codes in sides:
        began_ns = np.full(size + 1, never)  # one more: NO_TUPLE is the last
        used = point.decoded.usage.used
        np.minimum.at(began_ns, codes[used], point.index.time_ns[point.decoded.usage.first_row[used]])
        first |= (began_ns[sides[0][1]] < began_ns[back]) & (began_ns[back] != never)
    return first


def _acknowledged(
    direction: Direction, numbered: Tuples, first: NDArray[np.int32], sides: Sides
) -> NDArray[np.bool_]:
    """Tuples whose first request or anything after it was acknowledged or reset; shape ``(t,)``."""
    opened = np.flatnonzero(first >= 0)
    base = np.zeros(len(numbered), np.uint32)
    base[opened] = direction.seq_of(first[opened])
    request_of = np.full(len(numbered) + 1, NO_TUPLE, np.int32)  # by the answer's tuple
    request_of[numbered.answer[opened]] = opened
    request_of[-1] = NO_TUPLE
    acknowledged = np.zeros(len(numbered), np.bool_)
    for point, codes in sides:
        wanted = np.where(point.flows.protocol == TCP, request_of[codes], NO_TUPLE)
        index = point.index
        _acknowledge((index.flow, index.tcp_flags, index.ack, index.anomalies), wanted, base, acknowledged)
    return acknowledged


@compiled("(i4[] u2[] u4[] u4[]) i4[] u4[] b1[]")
def _acknowledge(columns: tuple[I32, U16, U32, U32], wanted: I32, base: U32, acknowledged: Bools) -> None:
    """Mark the tuples that a packet of a capture answers."""
    flow_of, flags_of, ack_of, anomalies_of = columns
    for row in range(len(flow_of)):
        request = wanted[flow_of[row]] if flow_of[row] >= 0 else NO_TUPLE
        if request == NO_TUPLE or acknowledged[request]:
            continue
        # Where the snap length cut the flags, a number in the field shows the same; where it cut the number
        # too, the packet may be an answer.
        cut = anomalies_of[row] & _HEADER_CUT != 0
        acks = flags_of[row] & ACK != 0 or (cut and ack_of[row] != 0)
        beyond = after(np.int64(ack_of[row]), np.int64(base[request])) > 0
        resets = flags_of[row] & RST != 0
        acknowledged[request] = (acks and beyond) or resets or (cut and ack_of[row] == 0)
