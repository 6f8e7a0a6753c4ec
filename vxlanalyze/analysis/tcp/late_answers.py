"""Answers delayed by the server's end: how long each request waited at its node.

Measured where the answering end was captured, between the request's arrival and the answer's departure, so
neither another host's clock nor the path is included. Where only the other end was captured, the shortest
round trip is subtracted.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.request_events import RequestKind
from vxlanalyze.analysis.requests.requests import measure
from vxlanalyze.analysis.requests.services import BACKWARD, FORWARD, pairs
from vxlanalyze.analysis.tcp import limits, turn_taking
from vxlanalyze.analysis.tcp import waiting_columns as at
from vxlanalyze.analysis.tcp.connections import Connections, connections
from vxlanalyze.analysis.tcp.framed_requests import framed_requests, message_name
from vxlanalyze.analysis.tcp.sockets import octets
from vxlanalyze.analysis.tcp.two_clocks import BOTH
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import (
    INNER_IP_SHIFT,
    INNER_L4_SHIFT,
    OUTER_L4_SHIFT,
    Checksum,
    checksum_states,
)

LATE_NS = 950_000_000  # noticed by everybody; a timer of one second may fire a little early
_OFTEN = 3


@dataclass(frozen=True, slots=True)
class LateAnswer:
    """One late answer, by the clock of the point that saw it.

    `kind` is "TCP" (data), "SYN", "DNS" or "ICMP"; `copies` how often the request had arrived by then,
    `direction` that of the request, `exact` whether the answering end itself was captured, `message` what
    the framing of data shows, `may_push` whether the server may have pushed data of its own instead.
    """

    kind: str
    client: str
    server: str
    port: int
    direction: str | None
    point: Point
    from_ns: int
    to_ns: int
    request_row: int
    answer_row: int
    copies: int
    waited_ns: int
    exact: bool
    message: str | None = None
    may_push: bool = False

    @property
    def by_kernel(self) -> bool:
        """Whether the kernel answers such requests without any application."""
        return self.kind in ("SYN", "ICMP")


def late_answers(pair: Comparison) -> list[LateAnswer]:
    """Find the late answers of all servers, the longest wait first."""
    found = connections(pair)
    late = [] if found is None else list(_turns(pair, found))
    for server_side, direction, sense in _sides(pair):
        late += _requests(pair, server_side, direction, sense)
    return sorted(late, key=lambda each: -each.waited_ns)


def answers_of(pair: Comparison, server: str, port: int) -> NDArray[np.int64]:
    """Give the server time of each answer of a TCP server, in nanoseconds; empty without answers."""
    turns = _server_turns(pair)
    chosen = turns[_answering(pair).get((server, port), np.empty(0, np.int64))]
    return chosen[:, at.TURN_LEFT_NS] - chosen[:, at.TURN_ARRIVED_NS]


@once
def _answering(pair: Comparison) -> dict[tuple[str, int], NDArray[np.int64]]:
    """Give the positions of each server's turns in `_server_turns`; done once for all servers."""
    found = connections(pair)
    if found is None:
        return {}
    owner, of = np.unique(_server_turns(pair)[:, at.TURN_STREAM] >> 1, return_inverse=True)
    _, server, family, port = _parties(found, owner)
    keys, member = distinct(octets(family, port, server))
    number = member[of.reshape(-1)]
    order = np.argsort(number, kind="stable")
    parts = np.split(order, np.searchsorted(number[order], np.arange(1, len(keys))))
    addresses = text(keys[:, 3:], keys[:, 0])
    ports = (keys[:, 1].astype(int) << 8 | keys[:, 2]).tolist()
    return dict(zip(zip(addresses, ports, strict=True), parts, strict=False))


@once
def _server_turns(pair: Comparison) -> NDArray[np.int64]:
    """Give the turns in which a server answers data; done once for all servers.

    The last column names the message, as in `FramedRequests.naming`; it is 0 where framing shows none. Where
    framing shows requests, each is a turn of its own, whatever else its connection carries.
    """
    found = connections(pair)
    if found is None:
        return np.empty((0, at.TURN_COLUMNS), np.int64)
    turns = found.turns
    stream = turns[:, at.TURN_STREAM]
    answering = found.client[stream >> 1] != stream
    turns = turns[answering & (turns[:, at.TURN_KIND] != at.SYN_TURN)]
    framed = framed_requests(pair)
    if framed is None or len(framed) == 0:
        return turns
    turns = turns[~framed.covers(turns[:, at.TURN_STREAM] >> 1, turns[:, at.TURN_ARRIVED_NS])]
    single = framed.at(framed.single)
    columns = (single.server, single.came_ns, single.gone_ns, single.arrived_row, single.answer_row)
    return np.concatenate([turns, np.column_stack([*columns, single.naming])])


def _turns(pair: Comparison, found: Connections) -> Iterator[LateAnswer]:
    turns = _server_turns(pair)
    slow = turns[turns[:, at.TURN_LEFT_NS] - turns[:, at.TURN_ARRIVED_NS] >= turn_taking.WAITED_NS]
    owner = np.unique(slow[:, at.TURN_STREAM] >> 1)
    clients, servers, family, ports = _parties(found, owner)
    joined = zip(text(clients, family), text(servers, family), ports.tolist(), strict=True)
    parties = dict(zip(owner.tolist(), joined, strict=True))
    pushing = {one for one in owner.tolist() if turn_taking.may_push(pair, found, one)}
    for stream, from_ns, to_ns, request_row, answer_row, naming in slow.tolist():
        connection = stream >> 1
        waited_ns, exact = to_ns - from_ns, found.only[connection] == BOTH
        place = int(found.home[stream] if exact else found.only[connection])
        if not exact and found.home[stream] != place:
            waited_ns -= max(0, int(found.figures[stream ^ 1, at.RTT_MIN_NS]))
        point = found.points[place]
        if not turn_taking.WAITED_NS <= waited_ns < at.LONG_POLL_NS:
            continue
        client, server, port = parties[connection]
        if turn_taking.is_held(port, waited_ns):
            continue
        times = point.index.time_ns
        yield LateAnswer(
            kind="TCP",
            client=client,
            server=server,
            port=port,
            direction=limits.label(pair, found, stream ^ 1),
            point=point,
            from_ns=int(times[request_row]),
            to_ns=int(times[answer_row]),
            request_row=request_row,
            answer_row=answer_row,
            copies=1,
            waited_ns=waited_ns,
            exact=exact or (found.home[stream] == place and bool(pair.hops)),
            message=message_name(naming),
            may_push=connection in pushing and naming == 0,
        )


def _parties(
    found: Connections, chosen: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64]]:
    """Give addresses of client and server, their family, and the server's port, of chosen connections."""
    sockets, client = found.sockets, found.client[chosen] & 1
    address = sockets.address
    return (
        address[chosen, client],
        address[chosen, client ^ 1],
        sockets.family[chosen],
        sockets.port[chosen, client ^ 1],
    )


def _sides(pair: Comparison) -> Iterator[tuple[int, Direction, int]]:
    """Give each end's point by position, the direction whose requests it answers, and their sense."""
    if not pair.hops:
        return
    places = {id(point): place for place, point in enumerate(pair.points)}
    yield places[id(pair.hops[-1].forward.receiver)], pair.hops[0].forward, FORWARD
    yield places[id(pair.hops[0].backward.receiver)], pair.hops[-1].backward, BACKWARD


def _requests(pair: Comparison, place: int, direction: Direction, sense: int) -> Iterator[LateAnswer]:
    """Find late answers to SYNs, DNS queries and echo requests, at the point nearest the server."""
    between, requests = pairs(pair), measure(pair).of_point[place]
    of = between.of_tuple[requests.tuple_of]
    waited = _waited_ns(requests)
    kinds = np.isin(requests.kind, (RequestKind.TCP, RequestKind.DNS, RequestKind.ICMP))
    late = requests.answered & kinds & (between.sense[of] == sense) & (waited >= LATE_NS)
    late &= _arrived_well(requests)
    times = requests.point.index.time_ns
    for request in np.flatnonzero(late & (waited < at.LONG_POLL_NS)).tolist():
        kind = RequestKind(int(requests.kind[request]))
        row, answer = int(requests.first_row[request]), int(requests.answer_row[request])
        to_ns = int(times[answer])
        yield LateAnswer(
            kind="SYN" if kind is RequestKind.TCP else kind.name,
            client=between.client[of[request]],
            server=between.server[of[request]],
            port=int(between.port[of[request]]),
            direction=direction.label,
            point=requests.point,
            from_ns=to_ns - int(waited[request]),
            to_ns=to_ns,
            request_row=row,
            answer_row=answer,
            copies=int(requests.copies[request]),
            waited_ns=int(waited[request]),
            exact=True,
        )


def _waited_ns(requests: Requests) -> NDArray[np.int64]:
    """How long each answer took; a SYN counts from its first copy, a repeated query is a new attempt."""
    times = requests.point.index.time_ns
    since_first = times[np.maximum(requests.answer_row, 0)] - times[requests.first_row]
    return np.where(requests.kind == RequestKind.DNS, requests.latency_ns, since_first)


def _arrived_well(requests: Requests) -> NDArray[np.bool_]:
    """Whether the first copy of each request is free of invalid checksums, which make a host discard it."""
    checks = requests.point.index.checks[requests.first_row]
    states = [checksum_states(checks, shift) for shift in (OUTER_L4_SHIFT, INNER_IP_SHIFT, INNER_L4_SHIFT)]
    wrong: NDArray[np.bool_] = np.any(np.isin(states, (Checksum.BAD, Checksum.ALL_ONES)), axis=0)
    return ~wrong


def noticed(pair: Comparison, late: list[LateAnswer]) -> list[LateAnswer]:
    """Keep what a user notices: answers that take a second, and servers with mostly slow answers."""
    slow: dict[tuple[str, int], int] = {}
    for each in late:
        if each.kind == "TCP":
            slow[each.server, each.port] = slow.get((each.server, each.port), 0) + 1
    often = {
        who
        for who, number in slow.items()
        if number >= _OFTEN and np.median(answers_of(pair, *who)) >= turn_taking.WAITED_NS
    }
    return [each for each in late if each.waited_ns >= LATE_NS or (each.server, each.port) in often]
