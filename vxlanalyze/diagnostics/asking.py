"""Which packets ask, which answer, and by what number the two belong together.

Sources: RFC 792 and RFC 4443 section 4 (echo), RFC 1035 section 4.1.1 (identifier, QR bit), RFC 9293
section 3.5 (SYN, reset).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import Point
from vxlanalyze.wire.model import Flows, Tunnel

ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
DNS_PORTS = (53, 5353)
_ECHO, _ECHO_REPLY, _ECHO_V6, _ECHO_REPLY_V6 = 0x0800, 0x0000, 0x8000, 0x8100
_SYN, _RST, _ACK = 0x02, 0x04, 0x10
_DNS_RESPONSE = 0x8000

# A UDP conversation of more packets is a stream, whose packets do not wait for each other.
_STREAM_PACKETS = 10_000


class Kind(IntEnum):
    """What is asked; the names in lower case stand in the report."""

    NONE = 0
    ICMP = 1
    DNS = 2
    TCP = 3
    UDP = 4


@dataclass(frozen=True, slots=True)
class Events:
    """Packets that ask or answer, shape ``(k,)``.

    `tuple_of` is the 5-tuple from client to server, whichever way the packet goes; `number` is what
    request and answer have in common: echo sequence, DNS identifier, first TCP sequence number.
    """

    row: NDArray[np.int64]
    tuple_of: NDArray[np.int32]
    number: NDArray[np.int64]
    kind: NDArray[np.uint8]
    asks: NDArray[np.bool_]
    refuses: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.row)

    def at(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> "Events":
        """Choose some, by mask or by place."""
        return Events(
            self.row[which],
            self.tuple_of[which],
            self.number[which],
            self.kind[which],
            self.asks[which],
            self.refuses[which],
        )


def events(
    point: Point, tuple_of: NDArray[np.int32], answer: NDArray[np.int32], refused: NDArray[np.bool_]
) -> Events:
    """Find the packets of a point that ask or answer.

    Parameters
    ----------
    tuple_of : NDArray[np.int32]
        Shape ``(f,)``: the 5-tuple of each flow of the point's capture.
    answer : NDArray[np.int32]
        Shape ``(t,)``: the tuple of the opposite way.
    refused : NDArray[np.bool_]
        Shape ``(t,)``: tuples that an ICMP error refuses; of these, every UDP packet asks.
    """
    index = point.index
    kind_of_row = np.append(kinds(point.flows), np.uint8(Kind.NONE))[index.flow]  # the last for NO_FLOW
    if point.rows is not None:
        elsewhere = np.ones(len(index), np.bool_)
        elsewhere[point.rows] = False
        kind_of_row[elsewhere] = Kind.NONE
    rows = {kind: np.flatnonzero(kind_of_row == kind) for kind, _ in _FINDERS}
    parts = [find(point, rows[kind], tuple_of, answer) for kind, find in _FINDERS]
    if refused.any():
        udp = rows[Kind.UDP]
        parts.append(_refused(point, udp[refused[tuple_of[index.flow[udp]]]], tuple_of))
    found = _joined(parts)
    # Requests are those of the tunnel (bare: outside of one); answers may come back either way.
    ours = (point.flows.tunnel != Tunnel.NONE) == point.encapsulated
    return found if ours.all() else found.at(~found.asks | ours[index.flow[found.row]])


def kinds(flows: Flows) -> NDArray[np.uint8]:
    """What each flow asks or answers, as `Kind`, shape ``(f,)``; NONE for those to many receivers."""
    result = np.zeros(len(flows), np.uint8)
    echo = (flows.protocol == ICMP) & np.isin(flows.sport, (_ECHO, _ECHO_REPLY))
    echo |= (flows.protocol == ICMPV6) & np.isin(flows.sport, (_ECHO_V6, _ECHO_REPLY_V6))
    udp = (flows.protocol == UDP) & (flows.encryption == 0)
    dns = udp & (np.isin(flows.dport, DNS_PORTS) | np.isin(flows.sport, DNS_PORTS))
    tcp = flows.protocol == TCP
    for chosen, kind in ((echo, Kind.ICMP), (tcp, Kind.TCP), (udp, Kind.UDP), (dns, Kind.DNS)):
        result[chosen] = kind
    first, last = flows.dst[:, 0], flows.dst[:, 3]
    to_many = np.where(flows.family == 6, first == 0xFF, (first >= 224) | (last == 255))
    result[to_many | (flows.family == 0)] = Kind.NONE
    return result


def _events(
    kind: Kind,
    row: NDArray[np.int64],
    tuple_of: NDArray[np.int32],
    number: NDArray[np.generic],
    asks: NDArray[np.bool_],
    refuses: NDArray[np.bool_] | None = None,
) -> Events:
    none = np.zeros(len(row), np.bool_)
    kind_of = np.full(len(row), kind, np.uint8)
    return Events(row, tuple_of, number.astype(np.int64), kind_of, asks, none if refuses is None else refuses)


def _joined(parts: Sequence[Events]) -> Events:
    return Events(
        np.concatenate([p.row for p in parts]),
        np.concatenate([p.tuple_of for p in parts]),
        np.concatenate([p.number for p in parts]),
        np.concatenate([p.kind for p in parts]),
        np.concatenate([p.asks for p in parts]),
        np.concatenate([p.refuses for p in parts]),
    )


def _echoes(
    point: Point, rows: NDArray[np.int64], tuple_of: NDArray[np.int32], answer: NDArray[np.int32]
) -> Events:
    flow = point.index.flow[rows]
    asks = np.isin(point.flows.sport[flow], (_ECHO, _ECHO_V6))
    mine = np.where(asks, tuple_of[flow], answer[tuple_of[flow]])
    return _events(Kind.ICMP, rows, mine, point.index.seq[rows], asks)


def _queries(
    point: Point, rows: NDArray[np.int64], tuple_of: NDArray[np.int32], answer: NDArray[np.int32]
) -> Events:
    rows = rows[point.index.seq[rows] != 0]  # 0: the snap length left nothing of the message
    seq, flow = point.index.seq[rows], point.index.flow[rows]
    asks = seq & _DNS_RESPONSE == 0
    mine = np.where(asks, tuple_of[flow], answer[tuple_of[flow]])
    return _events(Kind.DNS, rows, mine, seq >> np.uint32(16), asks)


def _openings(
    point: Point, rows: NDArray[np.int64], tuple_of: NDArray[np.int32], answer: NDArray[np.int32]
) -> Events:
    index = point.index
    rows = rows[index.tcp_flags[rows] & (_SYN | _RST) != 0]
    syn = index.tcp_flags[rows] & (_SYN | _RST | _ACK) == _SYN
    # What answers a SYN, or refuses it, acknowledges its number.
    replies = index.tcp_flags[rows] & _ACK != 0
    rows = rows[syn | replies]
    flags, flow = index.tcp_flags[rows], index.flow[rows]
    asks = flags & _ACK == 0
    number = np.where(asks, index.seq[rows], index.ack[rows] - np.uint32(1))
    mine = np.where(asks, tuple_of[flow], answer[tuple_of[flow]])
    return _events(Kind.TCP, rows, mine, number, asks, flags & _RST != 0)


def _talks(
    point: Point, rows: NDArray[np.int64], tuple_of: NDArray[np.int32], answer: NDArray[np.int32]
) -> Events:
    """Packets of UDP conversations; who spoke first is the client."""
    index = point.index
    mine = tuple_of[index.flow[rows]]
    count = np.bincount(mine, minlength=len(answer))
    packets = np.append(count, 0)  # the last for NO_TUPLE
    talks = (count > 0) & (packets[answer] > 0) & (count + packets[answer] <= _STREAM_PACKETS)
    if not talks.all():
        asked = talks[mine]
        rows, mine = rows[asked], mine[asked]
    back = answer[mine]
    spoke_ns = np.full(len(answer), np.iinfo(np.int64).max)
    np.minimum.at(spoke_ns, mine, index.time_ns[rows])
    asks = (spoke_ns[mine] < spoke_ns[back]) | (spoke_ns[mine] == spoke_ns[back]) & (mine < back)
    return _events(Kind.UDP, rows, np.where(asks, mine, back), np.zeros(len(rows), np.int64), asks)


def _refused(point: Point, rows: NDArray[np.int64], tuple_of: NDArray[np.int32]) -> Events:
    """Each packet by itself: its row is its number."""
    return _events(Kind.UDP, rows, tuple_of[point.index.flow[rows]], rows, np.ones(len(rows), np.bool_))


_FINDERS = ((Kind.ICMP, _echoes), (Kind.DNS, _queries), (Kind.TCP, _openings), (Kind.UDP, _talks))
