"""Requests over TCP that a server's kernel acknowledges, and to which its application sends nothing.

Framing shows what is a request: a whole message of HTTP/1, a whole request of HTTP/2, the ClientHello of TLS.
Data of other protocols may expect no answer. The connections are those in which the server sent no data at
all. A request counts once its client gave up (FIN or reset), or a while before the capture ends; a connection
that the server ended is not one whose application hangs.

Sources: RFC 9293 section 3.8.6 (the kernel acknowledges data that no application has read); RFC 9112 section
9.5 (clients time out); RFC 8446 section 4 (a ClientHello is answered).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.messages.columns import ENDS, GAP, HANDSHAKE, INCOMPLETE, Protocol
from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.requests import silence
from vxlanalyze.analysis.requests.services import pairs
from vxlanalyze.analysis.tcp import waiting_columns as at
from vxlanalyze.analysis.tcp.connections import Connections, connections
from vxlanalyze.analysis.tcp.framed_requests import parsed
from vxlanalyze.analysis.tcp.late_answers import answers_of
from vxlanalyze.analysis.tcp.limits import ends
from vxlanalyze.analysis.tcp.message_pairs import UNKNOWN
from vxlanalyze.analysis.tcp.message_streams import collect, message_streams
from vxlanalyze.analysis.tcp.octet_times import OctetTimes
from vxlanalyze.analysis.tcp.tcp_packets import TcpPackets, tcp_packets
from vxlanalyze.analysis.tcp.two_clocks import BOTH
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.wire.numbers import ACK, FIN, RST, SYN

_Longs = NDArray[np.int64]
_GIVEN_UP_NS = 1_000_000_000  # clients that give up earlier may have asked several servers at once
_OPEN_NS = 5_000_000_000
_SLOWER = 3  # times the slowest answer of the same endpoint
_LEAST, _CHANCE = 3, 1e-5  # three connections of which none gets data are at 8e-6
_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class UnansweredData:
    """Connections to one endpoint with acknowledged requests and no data from the server; shape ``(c,)``.

    Parameters
    ----------
    server, port : str, int
        The endpoint.
    stream : NDArray[np.int64]
        The client's stream of each, in `Connections`.
    place : int
        The point, in ``Connections.points``, that shows the requests arrive.
    requests : NDArray[np.int64]
        Whole requests in each.
    row : NDArray[np.int64]
        The first packet with data at that point.
    waited_ns : NDArray[np.int64]
        From the last octet of the client to the end.
    given_up : NDArray[np.bool_]
        Whether the client ended the connection; the capture ended before the others did.
    protocols : tuple of Protocol
        What they carry.
    answered : int
        Answers that the same endpoint sent over other connections.
    """

    server: str
    port: int
    stream: _Longs
    place: int
    requests: _Longs
    row: _Longs
    waited_ns: _Longs
    given_up: NDArray[np.bool_]
    protocols: tuple[Protocol, ...]
    answered: int

    @property
    def certain(self) -> bool:
        """Whether so many connections without data are no chance, among those that the endpoint answered."""
        silent = len(self.stream)
        return silent >= _LEAST and silence.chance(silent, silent + self.answered) < _CHANCE


class _Requests(NamedTuple):
    """Connections with a known protocol, shape ``(c,)``: their numbers in `Connections`, and whole requests.

    `client` is the stream that the client sends, `protocol` the `Protocol` of each.
    """

    connection: _Longs
    number: _Longs
    client: _Longs
    protocol: NDArray[np.uint8]

    def at(self, which: NDArray[np.bool_]) -> "_Requests":
        """Choose some of them."""
        return _Requests._make(column[which] for column in self)


class _Waits(NamedTuple):
    """What one point shows of each connection, shape ``(c,)``.

    `acknowledged` is false as well where the client acknowledges data that the point does not show, or where
    the server ended the connection first. `first_row` is the client's first packet with data, `waited_ns` the
    time from its last data to its FIN or reset, or else to the end of the capture.
    """

    acknowledged: NDArray[np.bool_]
    first_row: _Longs
    waited_ns: _Longs
    given_up: NDArray[np.bool_]


@once
def unanswered_data(comparison: Comparison) -> tuple[UnansweredData, ...]:
    """Find the endpoints with such requests; done once, and kept as long as the comparison."""
    found = connections(comparison)
    if found is None:
        return ()
    sent = (found.figures[:, [at.BYTES, at.DATA_NS]] > 0).any(axis=1).reshape(-1, 2)
    chosen = np.flatnonzero(sent[:, 0] != sent[:, 1])
    if len(chosen) == 0:
        return ()
    packets = [tcp_packets(comparison)[point.name] for point in found.points]
    requests = _requests(comparison, found, packets, chosen)
    if requests is None:
        return ()
    requests = requests.at((requests.number > 0) & ~_partial(packets, found, requests.connection))
    only = found.only[requests.connection]
    # The server's end shows best what arrived there.
    place_of = np.where(only == BOTH, found.home[requests.client ^ 1], only).astype(np.int64)
    result: list[UnansweredData] = []
    for place, point_packets in enumerate(packets):
        mine = requests.at(place_of == place)
        if len(mine.client):
            waits = _waits(point_packets, found, mine.client)
            result += _by_endpoint(comparison, found, place, mine, waits)
    return tuple(result)


def unanswered_by_pair(comparison: Comparison) -> dict[int, int]:
    """Count the requests of endpoints that surely ignore them, by row in `Pairs`."""
    found = connections(comparison)
    result: dict[int, int] = {}
    if found is None:
        return result
    for endpoint in unanswered_data(comparison):
        if not endpoint.certain:
            continue
        pair_of = pairs(comparison).of_tuple[found.stream[endpoint.stream]]
        for pair, requests in zip(pair_of.tolist(), endpoint.requests.tolist(), strict=True):
            result[pair] = result.get(pair, 0) + requests
    return result


def _requests(
    comparison: Comparison, found: Connections, packets: list[TcpPackets], chosen: _Longs
) -> _Requests | None:
    """Count the whole requests of the connections with a known protocol; None where there are none."""
    streams = message_streams(comparison, found, packets, chosen)
    if streams is None:
        return None
    size = len(streams.connection)
    first_seq = np.full(2 * size, UNKNOWN)
    read, _ = collect(packets[streams.place], found, streams, first_seq, streams.most_packets)
    times = OctetTimes.of(read, packets[streams.place].point.index.time_ns[read.row])
    events = parsed(comparison, found, streams, times)
    stream = events.stream.astype(np.int64)
    protocol = streams.protocol[stream >> 1]
    whole = np.where(
        protocol == Protocol.HTTP1,
        events.flags & (GAP | INCOMPLETE) == 0,
        np.where(protocol == Protocol.TLS, events.flags & HANDSHAKE != 0, events.flags & ENDS != 0),
    )
    mine = whole.astype(np.bool_) & (stream & 1 == streams.client[stream >> 1])
    counts = np.bincount(stream[mine] >> 1, minlength=size).astype(np.int64)
    # A handshake may have several records; it is one request.
    counts = np.where(streams.protocol == Protocol.TLS, np.minimum(counts, 1), counts)
    return _Requests(
        connection=streams.connection,
        number=counts,
        client=2 * streams.connection + streams.client,
        protocol=streams.protocol,
    )


def _partial(packets: list[TcpPackets], found: Connections, chosen: _Longs) -> NDArray[np.bool_]:
    """Whether packets of a connection could not be read: they may hold an answer."""
    result = np.zeros(len(chosen), np.bool_)
    for side in (0, 1):
        stream = found.stream[2 * chosen + side]
        for each in packets:
            result |= (stream >= 0) & each.partial[np.maximum(stream, 0)]
    return result


def _waits(packets: TcpPackets, found: Connections, client: _Longs) -> _Waits:
    """Read how each connection went on at a point, after the client's last data."""
    size = len(client)
    slot_of = np.full(len(packets.opposite), -1, np.int64)
    for side, streams in enumerate((client, client ^ 1)):
        tuples = found.stream[streams]
        slot_of[tuples[tuples >= 0]] = 2 * np.flatnonzero(tuples >= 0) + side
    shown = slot_of[packets.stream] >= 0
    rows, slot = packets.row[shown], slot_of[packets.stream[shown]]
    of, from_server = slot >> 1, slot & 1 == 1
    seq, ack, payload, flags, time_ns = _columns(packets, rows)
    data = np.flatnonzero(~from_server & (payload > 0))
    first = np.full(size, len(rows))
    np.minimum.at(first, of[data], data)
    known = first < len(rows)
    base = np.zeros(size, np.int64)
    base[known] = seq[first[known]]
    acks = np.flatnonzero(from_server & (flags & ACK != 0))
    top = _farthest(of[data], seq[data] + payload[data] - base[of[data]], size)
    acknowledged = _farthest(of[acks], ack[acks] - base[of[acks]], size) >= top
    unseen = _unseen((of, from_server), (seq, ack, flags), size)
    last_ns = np.zeros(size, np.int64)
    np.maximum.at(last_ns, of[data], time_ns[data])
    over = flags & (FIN | RST) != 0
    by_client_ns = _earliest(of[over & ~from_server], time_ns[over & ~from_server], size)
    by_server_ns = _earliest(of[over & from_server], time_ns[over & from_server], size)
    return _Waits(
        acknowledged=known & acknowledged & ~unseen & (by_server_ns >= by_client_ns),
        first_row=np.where(known, rows[np.minimum(first, len(rows) - 1)], _NEVER).astype(np.int64),
        waited_ns=np.minimum(by_client_ns, int(packets.point.index.time_ns.max())) - last_ns,
        given_up=by_client_ns < _NEVER,
    )


def _columns(packets: TcpPackets, rows: NDArray[np.int32]) -> list[_Longs]:
    """Sequence, acknowledgement, payload length, flags and time of some rows as signed numbers."""
    return [np.asarray(column[rows], np.int64) for column in packets.columns]


def _earliest(of: _Longs, time_ns: _Longs, size: int) -> _Longs:
    """Earliest time of each connection; `_NEVER` without any."""
    result = np.full(size, _NEVER)
    np.minimum.at(result, of, time_ns)
    return result


def _farthest(of: _Longs, distance: _Longs, size: int) -> _Longs:
    """Largest distance of each connection, in sequence numbers, which wrap; -1 without any."""
    result = np.full(size, -1, np.int64)
    np.maximum.at(result, of, distance.astype(np.uint32).view(np.int32).astype(np.int64))
    return result


def _unseen(
    slots: tuple[_Longs, NDArray[np.bool_]], columns: tuple[_Longs, _Longs, _Longs], size: int
) -> NDArray[np.bool_]:
    """Whether a client acknowledges octets of its server that the point does not show."""
    of, from_server = slots
    seq, ack, flags = columns
    following = seq + (flags & SYN != 0) + (flags & FIN != 0)
    base = np.zeros(size, np.int64)
    base[of[from_server]] = following[from_server]
    shown = _farthest(of[from_server], following[from_server] - base[of[from_server]], size)
    confirms = ~from_server & (flags & ACK != 0)
    confirmed = _farthest(of[confirms], ack[confirms] - base[of[confirms]], size)
    return confirmed > np.maximum(shown, 0)


def _by_endpoint(
    comparison: Comparison, found: Connections, place: int, requests: _Requests, waits: _Waits
) -> list[UnansweredData]:
    """Group connections by endpoint, and keep those that waited longer than its answers take."""
    least_ns = np.where(waits.given_up, _GIVEN_UP_NS, _OPEN_NS)
    likely = np.flatnonzero(waits.acknowledged & (waits.waited_ns >= least_ns))
    groups: dict[tuple[str, int], list[int]] = {}
    for number in likely.tolist():
        end = ends(comparison, found, int(requests.client[number]))
        groups.setdefault((end.receiver, end.receiver_port), []).append(number)
    result = []
    for (server, port), members in groups.items():
        answers = answers_of(comparison, server, port)
        mine = np.array(members)
        mine = mine[waits.waited_ns[mine] > _SLOWER * int(answers.max(initial=0))]
        if len(mine):
            result.append(
                UnansweredData(
                    server=server,
                    port=port,
                    stream=requests.client[mine],
                    place=place,
                    requests=requests.number[mine],
                    row=waits.first_row[mine],
                    waited_ns=waits.waited_ns[mine],
                    given_up=waits.given_up[mine],
                    protocols=tuple(Protocol(kind) for kind in np.unique(requests.protocol[mine]).tolist()),
                    answered=len(answers),
                )
            )
    return result
