"""Requests and responses that framing shows: HTTP/1, HTTP/2 with gRPC, TLS records.

Messages are octets of streams; their times are those at which the client's end and the server's end showed
these octets, so requests that share a connection or a packet are distinguished.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.messages.columns import (
    COUNT,
    STATE_COLUMNS,
    MessageEvents,
    Protocol,
    Segments,
    Streams,
)
from vxlanalyze.analysis.messages.parsing import parse
from vxlanalyze.analysis.messages.reading import read_payloads
from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.tcp.connections import FAR, Connections, connections
from vxlanalyze.analysis.tcp.message_pairs import IS_GRPC, IS_HANDSHAKE, IS_STREAM, UNKNOWN, message_pairs
from vxlanalyze.analysis.tcp.message_streams import MessageStreams, collect, message_streams
from vxlanalyze.analysis.tcp.octet_times import NOWHERE, OctetTimes
from vxlanalyze.analysis.tcp.tcp_packets import tcp_packets
from vxlanalyze.analysis.tcp.two_clocks import BOTH, near_time
from vxlanalyze.pairing.model import Comparison

_Longs = NDArray[np.int64]
_MOST_EVENTS = 1 << 17
_NUMBER_SHIFT, _GRPC_SHIFT, _PROTOCOL_MASK = 8, 4, 0xF


@dataclass(frozen=True, eq=False)
class FramedRequests:
    """Requests with a response, shape ``(r,)``; times in nanoseconds by the first point's clock.

    Parameters
    ----------
    connection : NDArray[np.int64]
        Connection in `Connections`.
    server : NDArray[np.int64]
        The stream of its server.
    protocol : NDArray[np.uint8]
        `Protocol`.
    number : NDArray[np.int64]
        Stream identifier in HTTP/2.
    grpc, handshake : NDArray[np.bool_]
        Whether its data are messages of gRPC; whether it is the handshake of TLS.
    whole : NDArray[np.bool_]
        Whether request and response were followed to their ends.
    single : NDArray[np.bool_]
        Whether one response answers one request, neither of which is a stream of messages.
    left_ns, came_ns, gone_ns, received_ns : NDArray[np.int64]
        The request's first octet leaves and its last arrives; the response's first leaves, its last arrives.
    request_row, skip : NDArray
        The first packet of the request at the client's end, and its octets before the request.
    arrived_row, answer_row : NDArray
        The last packet of the request and the first of the response at the server's end.
    until_ns : NDArray[np.int64]
        The time up to which its connection was followed.
    left_out : int
        Connections with such messages that were not read, since there are too many.
    """

    connection: _Longs
    server: _Longs
    protocol: NDArray[np.uint8]
    number: _Longs
    grpc: NDArray[np.bool_]
    handshake: NDArray[np.bool_]
    whole: NDArray[np.bool_]
    single: NDArray[np.bool_]
    left_ns: _Longs
    came_ns: _Longs
    gone_ns: _Longs
    received_ns: _Longs
    request_row: _Longs
    skip: _Longs
    arrived_row: _Longs
    answer_row: _Longs
    until_ns: _Longs
    left_out: int

    def __len__(self) -> int:
        return len(self.connection)

    @property
    def naming(self) -> _Longs:
        """Protocol, gRPC and stream identifier of each in one number, for `message_name`."""
        return self.number << _NUMBER_SHIFT | self.grpc.astype(np.int64) << _GRPC_SHIFT | self.protocol

    def at(self, which: NDArray[np.bool_]) -> "FramedRequests":
        """Choose some of them."""
        columns = {f.name: getattr(self, f.name)[which] for f in fields(self) if f.name != "left_out"}
        return replace(self, **columns)

    def covers(self, connection: _Longs, time_ns: _Longs) -> NDArray[np.bool_]:
        """Whether these show what connections carried at given times, shape of both."""
        highest = max(connection.max(initial=-1), self.connection.max(initial=-1))
        until_ns = np.full(int(highest) + 1, -1)
        until_ns[self.connection] = self.until_ns
        until_ns = until_ns[connection]
        return np.asarray((until_ns >= time_ns) & (until_ns >= 0))


def message_name(naming: int) -> str | None:
    """Name a request as far as its framing shows; None where there is none."""
    number, grpc = naming >> _NUMBER_SHIFT, naming >> _GRPC_SHIFT & 1
    match Protocol(naming & _PROTOCOL_MASK):
        case Protocol.HTTP1:
            return "an HTTP/1 request"
        case Protocol.HTTP2:
            return f"a gRPC call (HTTP/2 stream {number})" if grpc else f"a request in HTTP/2 stream {number}"
        case Protocol.TLS:
            return "a request in TLS"
    return None


@dataclass(frozen=True, eq=False)
class _Ends:
    """Where octets of streams were seen at the ends.

    Parameters
    ----------
    places : tuple of OctetTimes
        Of each point, in the order of ``Connections.points``.
    home : NDArray[np.int64]
        Shape ``(2 c,)``: the point at the end that sends the stream.
    only : NDArray[np.int64]
        Shape ``(2 c,)``: the only point that shows the stream's connection, or BOTH.
    """

    places: tuple[OctetTimes, ...]
    home: NDArray[np.int64]
    only: NDArray[np.int64]

    def segments(self, stream: _Longs, offset: _Longs, *, sent: bool) -> tuple[_Longs, _Longs]:
        """Find octets at the end that sends their stream, or receives it: place, and segment there."""
        home, only = self.home[stream], self.only[stream]
        place = np.where(only != BOTH, only, home if sent else 1 - home)
        found = np.full(len(stream), NOWHERE)
        for number, times in enumerate(self.places):
            mine = place == number
            found[mine] = times.find(stream[mine], offset[mine])
        return place, found

    def column(self, name: str, place: _Longs, segment: _Longs) -> _Longs:
        """Give a column of found segments; 0 where they were not found."""
        result = np.zeros(len(place), np.int64)
        for number, times in enumerate(self.places):
            mine = (place == number) & (segment != NOWHERE)
            result[mine] = getattr(times, name)[segment[mine]]
        return result


@once
def framed_requests(comparison: Comparison) -> FramedRequests | None:
    """Find the requests that framing shows; None where there are none. Done once, and kept."""
    found = connections(comparison)
    if found is None:
        return None
    packets = [tcp_packets(comparison)[point.name] for point in found.points]
    streams = message_streams(comparison, found, packets)
    if streams is None:
        return None
    first_seq = np.full(2 * len(streams.connection), UNKNOWN)
    without_limit = np.full(len(first_seq), np.iinfo(np.int64).max)
    read, until = collect(packets[streams.place], found, streams, first_seq, streams.most_packets)
    places = []
    for place, point in enumerate(found.points):
        mine = read
        if place != streams.place:
            mine, _ = collect(packets[place], found, streams, first_seq, without_limit)
        time_ns = point.index.time_ns[mine.row]
        places.append(OctetTimes.of(mine, near_time(comparison, time_ns) if place == FAR else time_ns))
    stream = (2 * streams.connection[:, np.newaxis] + (0, 1)).ravel()
    ends = _Ends(
        tuple(places), found.home[stream].astype(np.int64), np.repeat(found.only[streams.connection], 2)
    )
    events = parsed(comparison, found, streams, places[streams.place])
    return _requests(streams, ends, events, until.reshape(-1, 2).min(axis=1))


def parsed(
    comparison: Comparison, found: Connections, streams: MessageStreams, read: OctetTimes
) -> MessageEvents:
    """Read the octets of streams, and find messages in them."""
    point = found.points[streams.place]
    payloads = read_payloads(comparison, point, read.row.astype(np.int64), read.skip)
    payloads = payloads._replace(captured=np.minimum(payloads.captured, read.length))
    side = np.arange(len(streams.most_packets)) & 1
    responds = side != np.repeat(streams.client, 2)
    room = min(_MOST_EVENTS, int(read.length.sum()) + len(responds))
    out = MessageEvents(np.empty(room, np.int32), *(np.empty(room, np.int64) for _ in range(4)))
    state = np.zeros(STATE_COLUMNS, np.int64)
    parse(
        Segments(read.stream, read.offset, read.length),
        payloads,
        Streams(np.repeat(streams.protocol, 2), responds),
        state,
        out,
    )
    return MessageEvents._make(column[: state[COUNT]] for column in out)


def _requests(streams: MessageStreams, ends: _Ends, events: MessageEvents, until: _Longs) -> FramedRequests:
    stream = events.stream.astype(np.int64)
    responds = stream & 1 != streams.client[stream >> 1]
    server_ns = np.zeros(len(stream), np.int64)
    for sent in (False, True):
        mine = responds == sent
        place, segment = ends.segments(stream[mine], events.begin[mine], sent=sent)
        server_ns[mine] = ends.column("first_ns" if sent else "delivered_ns", place, segment)
    pairs = message_pairs(events, streams.protocol[stream >> 1], responds, server_ns)
    client = 2 * pairs.connection + streams.client[pairs.connection]
    server = client ^ 1
    ended, answered = pairs.end != UNKNOWN, pairs.answer_end != UNKNOWN
    last = np.where(ended, pairs.end - 1, pairs.begin)
    answer_last = np.where(answered, pairs.answer_end - 1, pairs.answer_begin)
    left, begun, came = (
        ends.segments(client, offset, sent=sent)
        for offset, sent in ((pairs.begin, True), (pairs.begin, False), (last, False))
    )
    gone, received = (
        ends.segments(server, offset, sent=sent)
        for offset, sent in ((pairs.answer_begin, True), (answer_last, False))
    )
    gone_ns = ends.column("first_ns", *gone)
    came_ns = ends.column("delivered_ns", *came)
    # An answer may begin before the request has ended.
    early = (came[1] == NOWHERE) | (came_ns > gone_ns)
    came = (came[0], np.where(early, begun[1], came[1]))
    came_ns = np.minimum(np.where(early, ends.column("delivered_ns", *begun), came_ns), gone_ns)
    left_ns = np.minimum(ends.column("first_ns", *left), came_ns)
    connection = streams.connection[pairs.connection]
    requests = FramedRequests(
        connection=connection,
        server=2 * connection + (server & 1),
        protocol=streams.protocol[pairs.connection],
        number=pairs.number,
        grpc=pairs.flags & IS_GRPC != 0,
        handshake=pairs.flags & IS_HANDSHAKE != 0,
        whole=ended & answered & (received[1] != NOWHERE),
        single=ended & (pairs.flags & IS_STREAM == 0),
        left_ns=left_ns,
        came_ns=came_ns,
        gone_ns=gone_ns,
        received_ns=np.maximum(ends.column("delivered_ns", *received), gone_ns),
        request_row=ends.column("row", *left),
        skip=ends.column("skip", *left) + pairs.begin - ends.column("offset", *left),
        arrived_row=ends.column("row", *came),
        answer_row=ends.column("row", *gone),
        until_ns=until[pairs.connection],
        left_out=streams.left_out,
    )
    return requests.at((left[1] != NOWHERE) & (came[1] != NOWHERE) & (gone[1] != NOWHERE))
