"""Requests with their answers, and the time of each: forward path, server, return path, transfer.

Measured at both ends at once, so only for requests that both show. Datagrams (DNS, echo, alternating UDP) and
SYNs are matched by number at the client's and the server's end; TCP data by its framing (HTTP/1, HTTP/2 with
gRPC, TLS: `framed_requests`), and otherwise by changes of direction. The time that a TCP message takes beyond
its direction's smallest delay is its transfer (further segments, windows, queues, retransmissions). Requests
sent more than once are left out: their copies are indistinguishable.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.request_events import RequestKind
from vxlanalyze.analysis.requests.requests import measure
from vxlanalyze.analysis.requests.services import BACKWARD, FORWARD, ClientServerPairs, pairs
from vxlanalyze.analysis.tcp import waiting_columns as at
from vxlanalyze.analysis.tcp.connections import Connections, connections
from vxlanalyze.analysis.tcp.division import one_way_floor
from vxlanalyze.analysis.tcp.framed_requests import FramedRequests, framed_requests
from vxlanalyze.analysis.tcp.two_clocks import BOTH, near_time
from vxlanalyze.pairing.model import Comparison

_Longs = NDArray[np.int64]
UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class Exchanges:
    """The `e` exchanges of a comparison, shape ``(e,)`` each; times in nanoseconds.

    Parameters
    ----------
    pair : NDArray[np.int64]
        The row in `ClientServerPairs` of client and server, UNKNOWN where no request of theirs was counted.
    opens : NDArray[np.bool_]
        Whether the request opens a connection (a TCP SYN, the handshake of TLS) rather than being data.
    connection : NDArray[np.int64]
        The connection in `Connections`, UNKNOWN if it is not TCP data.
    request_row, answer_row : NDArray[np.int64]
        The first packet of the request in the capture of the client's end, and the first of the answer in
        that of the server's.
    framing : NDArray[np.uint8]
        `Protocol` whose framing shows the request; NONE for a SYN, a datagram, or a change of direction.
    grpc : NDArray[np.bool_]
        Whether it is a call of gRPC.
    number : NDArray[np.int64]
        Stream identifier in HTTP/2.
    skip : NDArray[np.int64]
        Octets of the request's first packet before it.
    place : NDArray[np.int64]
        The server's end, 0 for the first point of the path and 1 for the last.
    sent_ns : NDArray[np.int64]
        When the request left, by the first point's clock.
    forward_ns, server_ns, reverse_ns, transfer_ns : NDArray[np.int64]
        Forward path, the server's own time, return path, and what the transfer of both took beyond that.
    """

    pair: _Longs
    opens: NDArray[np.bool_]
    connection: _Longs
    request_row: _Longs
    answer_row: _Longs
    framing: NDArray[np.uint8]
    grpc: NDArray[np.bool_]
    number: _Longs
    skip: _Longs
    place: _Longs
    sent_ns: _Longs
    forward_ns: _Longs
    server_ns: _Longs
    reverse_ns: _Longs
    transfer_ns: _Longs

    def __len__(self) -> int:
        return len(self.pair)

    def at(self, which: NDArray[np.bool_] | _Longs) -> "Exchanges":
        """Choose some of them, by mask or number."""
        return Exchanges(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    @property
    def latency_ns(self) -> _Longs:
        """How long the client waited for each."""
        return self.forward_ns + self.server_ns + self.reverse_ns + self.transfer_ns


@once
def exchanges(comparison: Comparison) -> Exchanges | None:
    """Find the exchanges that both ends show; None with one capture. Done once, and kept."""
    if not comparison.hops:
        return None
    found = [*_by_number(comparison), *_of_data(comparison)]
    columns = {
        f.name: np.concatenate(
            [np.asarray(getattr(each, f.name)) for each in found] or [np.empty(0, np.int64)]
        )
        for f in fields(Exchanges)
    }
    every = Exchanges(**columns)
    return every.at(np.argsort(every.sent_ns, kind="stable"))


def one_clock(comparison: Comparison) -> bool:
    """Whether the clocks are known well enough to separate the forward from the return path."""
    return all(not hop.clock.relative for hop in comparison.hops)


def _by_number(comparison: Comparison) -> Iterator[Exchanges]:
    """Match requests by number at both ends, one direction at a time."""
    between, measured = pairs(comparison), measure(comparison)
    names = [point.name for point in comparison.points]
    ends = (comparison.hops[0].forward.sender.name, comparison.hops[-1].forward.receiver.name)
    first, last = (measured.of_point[names.index(name)] for name in ends)
    for sense, client, server in ((FORWARD, first, last), (BACKWARD, last, first)):
        yield _matched(
            comparison, between, sense, (_sound(client, between, sense), _sound(server, between, sense))
        )


def _sound(requests: Requests, between: ClientServerPairs, sense: int) -> Requests:
    """Keep answered requests of one direction that were sent once and have a unique number."""
    pair = between.of_tuple[requests.tuple_of]
    kept = requests.answered & (requests.copies == 1) & (pair >= 0)
    kept &= between.sense[np.maximum(pair, 0)] == sense
    _, place, times = np.unique(requests.key, return_inverse=True, return_counts=True)
    return requests.at(kept & (times[place.reshape(-1)] == 1))


def _matched(
    comparison: Comparison, between: ClientServerPairs, sense: int, ends: tuple[Requests, Requests]
) -> Exchanges:
    client, server = ends
    _, of_client, of_server = np.intersect1d(client.key, server.key, assume_unique=True, return_indices=True)
    client, server = client.at(of_client), server.at(of_server)
    left, received = (
        _times(comparison, client, rows, far=sense == BACKWARD)
        for rows in (client.first_row, client.answer_row)
    )
    came, gone = (
        _times(comparison, server, rows, far=sense == FORWARD)
        for rows in (server.first_row, server.answer_row)
    )
    size = len(client)
    return Exchanges(
        pair=between.of_tuple[client.tuple_of].astype(np.int64),
        opens=client.kind == RequestKind.TCP,
        connection=np.full(size, UNKNOWN),
        request_row=client.first_row.astype(np.int64),
        answer_row=server.answer_row.astype(np.int64),
        **_unframed(size),
        place=np.full(size, int(sense == FORWARD)),
        sent_ns=left,
        forward_ns=came - left,
        server_ns=gone - came,
        reverse_ns=received - gone,
        transfer_ns=np.zeros(size, np.int64),
    )


def _unframed(size: int) -> dict[str, Any]:
    """Give the columns about framing where there is none."""
    return {
        "framing": np.zeros(size, np.uint8),
        "grpc": np.zeros(size, np.bool_),
        "number": np.zeros(size, np.int64),
        "skip": np.zeros(size, np.int64),
    }


def _times(comparison: Comparison, requests: Requests, rows: NDArray[np.int32], *, far: bool) -> _Longs:
    times: _Longs = requests.point.index.time_ns[rows]
    return near_time(comparison, times) if far else times


def _of_data(comparison: Comparison) -> Iterator[Exchanges]:
    """Find requests over TCP, of connections that both ends show."""
    found = connections(comparison)
    if found is None:
        return
    framed = framed_requests(comparison)
    turns = _by_turns(comparison, found)
    if framed is not None and len(framed):
        turns = turns.at(~framed.covers(turns.connection, turns.sent_ns))
        yield _of_framed(comparison, found, framed)
    yield turns


def _of_framed(comparison: Comparison, found: Connections, framed: FramedRequests) -> Exchanges:
    """Divide the time of requests that framing shows, from the first octet sent to the last received."""
    kept = framed.whole & (found.only[framed.connection] == BOTH)
    framed = framed.at(kept)
    times = (framed.left_ns, framed.came_ns, framed.gone_ns, framed.received_ns)
    return Exchanges(
        pair=_pair_of(comparison, found, framed.server),
        opens=framed.handshake,
        connection=framed.connection,
        request_row=framed.request_row,
        answer_row=framed.answer_row,
        framing=framed.protocol,
        grpc=framed.grpc,
        number=framed.number,
        skip=framed.skip,
        place=found.home[framed.server].astype(np.int64),
        sent_ns=framed.left_ns,
        **_divided(found, framed.server, times),
    )


def _by_turns(comparison: Comparison, found: Connections) -> Exchanges:
    """Join each client's turn with the server's next one, for connections that both ends show."""
    turns = found.turns[found.turns[:, at.TURN_KIND] != at.SYN_TURN]
    turns = turns[found.only[turns[:, at.TURN_STREAM] >> 1] == BOTH]
    turns = turns[np.lexsort((turns[:, at.TURN_LEFT_NS], turns[:, at.TURN_STREAM] >> 1))]
    stream = turns[:, at.TURN_STREAM]
    by_server = stream[1:] == found.server[stream[1:] >> 1]
    served = np.flatnonzero(by_server & (stream[:-1] == stream[1:] ^ 1)) + 1
    return _of_turns(comparison, found, turns, served)


def _of_turns(comparison: Comparison, found: Connections, turns: _Longs, served: _Longs) -> Exchanges:
    """Make exchanges of the turns at positions `served`, each after the client's that it answers."""
    request, answer = turns[served - 1], turns[served]
    stream = answer[:, at.TURN_STREAM]
    following = turns[np.minimum(served + 1, len(turns) - 1)]
    goes_on = (served + 1 < len(turns)) & (following[:, at.TURN_STREAM] == stream ^ 1)
    # The last answer of a connection is complete with the last data that arrived.
    received = np.where(goes_on, following[:, at.TURN_ARRIVED_NS], found.figures[stream, at.DATA_NS])
    left, came, gone = request[:, at.TURN_LEFT_NS], answer[:, at.TURN_ARRIVED_NS], answer[:, at.TURN_LEFT_NS]
    return Exchanges(
        pair=_pair_of(comparison, found, stream),
        opens=np.zeros(len(stream), np.bool_),
        connection=stream >> 1,
        request_row=request[:, at.TURN_LEFT_ROW],
        answer_row=answer[:, at.TURN_LEFT_ROW],
        **_unframed(len(stream)),
        place=found.home[stream].astype(np.int64),
        sent_ns=left,
        **_divided(found, stream, (left, came, gone, np.maximum(received, gone))),
    )


def _pair_of(comparison: Comparison, found: Connections, server: _Longs) -> _Longs:
    """Give the row in `ClientServerPairs` of the requests that a server's stream answers."""
    return pairs(comparison).of_tuple[np.maximum(found.stream[server ^ 1], 0)].astype(np.int64)


def _divided(
    found: Connections, server: _Longs, times: tuple[_Longs, _Longs, _Longs, _Longs]
) -> dict[str, Any]:
    """Divide the time of requests: sent, arrived, answered, answer received."""
    left, came, gone, received = times
    floor = one_way_floor(found)
    forward, reverse = (
        np.where(floor[of] >= 0, np.minimum(took, floor[of]), took)
        for of, took in ((server ^ 1, came - left), (server, received - gone))
    )
    return {
        "forward_ns": forward,
        "server_ns": gone - came,
        "reverse_ns": reverse,
        "transfer_ns": (came - left - forward) + (received - gone - reverse),
    }
