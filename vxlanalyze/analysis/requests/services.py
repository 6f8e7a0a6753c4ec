"""Requests and their outcomes: figures by client, server and port.

Each is measured at the point nearest the client, because it shows what the client itself saw: an answer lost
on the return path does not count. A client is on the side from which its requests come in the hops between
the captures.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.request_events import RequestKind, kinds
from vxlanalyze.analysis.requests.requests import MeasuredRequests, measure
from vxlanalyze.kubernetes.model import Cluster, endpoint_text
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.pairing.sorting import present, stable_order
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.numbers import DNS_PORTS

FORWARD, BACKWARD, NEITHER = 1, -1, 0
_NAMES = [kind.name for kind in RequestKind]  # looked up for each of thousands of pairs


@dataclass(frozen=True, eq=False)
class ClientServerPairs:
    """The `g` pairs of client and server (with its port), and to which of them each 5-tuple belongs.

    Parameters
    ----------
    of_tuple : NDArray[np.int32]
        Shape ``(t,)``: the pair of each tuple of `MeasuredRequests.tuples`; -1 where it has no requests.
    kind : NDArray[np.uint8]
        Shape ``(g,)``: `RequestKind`.
    client, server : tuple of str
        Addresses, `g` of each.
    port : NDArray[np.uint16]
        Shape ``(g,)``: the server's port; 0 for echo.
    sense : NDArray[np.int8]
        Shape ``(g,)``: FORWARD where its requests follow the order of the command line, BACKWARD, or NEITHER.
    """

    of_tuple: NDArray[np.int32]
    kind: NDArray[np.uint8]
    client: tuple[str, ...]
    server: tuple[str, ...]
    port: NDArray[np.uint16]
    sense: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.kind)

    @cached_property
    def server_texts(self) -> tuple[str, ...]:
        """Addresses of the servers, with their ports where the protocol does not imply them."""
        bare = (self.kind == RequestKind.ICMP) | (self.kind == RequestKind.DNS) & np.isin(
            self.port, DNS_PORTS
        )
        ends = zip(self.server, self.port.tolist(), bare.tolist(), strict=True)
        return tuple(server if alone else endpoint_text(server, port) for server, port, alone in ends)

    @cached_property
    def protocols(self) -> tuple[str, ...]:
        """Names of their kinds."""
        return tuple(_NAMES[kind] for kind in self.kind.tolist())


@dataclass(frozen=True, slots=True)
class ServiceFigures:
    """The outcomes of one client's requests to one server, as seen at the client's node.

    `requests` are transmissions whose fate the capture shows: answered, refused and unanswered together;
    `open` ones were sent too late in it. Each retransmission counts. Latency counts from a request's first
    transmission, as the client experiences it. `pair` is the row in `ClientServerPairs`, `point` the one in
    ``Comparison.points``. Times are nanoseconds, None where nothing was answered.
    """

    pair: int
    point: int
    protocol: str
    client: str
    server: str
    service: str | None
    requests: int
    answered: int
    refused: int
    unanswered: int
    open: int
    retried: int
    latency_p50_ns: int | None
    latency_p99_ns: int | None


@once
def pairs(comparison: Comparison) -> ClientServerPairs:
    """Give the pairs of client and server of a comparison; done once, and kept as long as it."""
    return _find_pairs(comparison, measure(comparison))


@once
def services(comparison: Comparison) -> tuple[ServiceFigures, ...]:
    """Give the figures of every pair of client and server, ordered by protocol, client and server.

    They are measured once, and kept as long as the comparison.
    """
    return tuple(_all_figures(comparison))


def _all_figures(comparison: Comparison) -> list[ServiceFigures]:
    between = pairs(comparison)
    tables = [_Table.of(requests, between) for requests in measure(comparison).of_point]
    nearest = _nearest(between, tables)
    found: list[ServiceFigures] = []
    for place, table in enumerate(tables):
        here = np.flatnonzero((nearest == place) & (table.judged > 0))
        found += _figures(comparison.cluster, between, here, place, table)
    return sorted(found, key=lambda f: (f.protocol, f.client, f.server, f.pair))


def _find_pairs(comparison: Comparison, measured: MeasuredRequests) -> ClientServerPairs:
    wanted = present(np.concatenate([r.tuple_of for r in measured.of_point] or [np.empty(0, np.int32)]))
    fields = _fields(comparison, measured)[wanted]
    fields[np.isin(fields[:, 0], (RequestKind.ICMP,)), -2:] = 0  # the identifier of an echo is not a port
    fields[:, 34:36] = 0  # nor does the client's port matter
    names, code = distinct(fields)
    of_tuple = np.full(len(measured.tuples), -1, np.int32)
    of_tuple[wanted] = code
    family = names[:, 1]
    return ClientServerPairs(
        of_tuple,
        kind=names[:, 0],
        client=tuple(text(names[:, 2:18], family)),
        server=tuple(text(names[:, 18:34], family)),
        port=names[:, 36:38].copy().view(">u2").ravel().astype(np.uint16),
        sense=_senses(comparison, measured, of_tuple, len(names)),
    )


def _fields(comparison: Comparison, measured: MeasuredRequests) -> NDArray[np.uint8]:
    """Kind, family, source, destination and ports of each tuple as bytes, shape ``(t, 38)``."""
    result = np.zeros((len(measured.tuples), 38), np.uint8)
    points = {p.capture: p for p in comparison.points}
    for place, capture in enumerate(sorted(points)):
        flows, tuple_of = points[capture].flows, measured.tuples.of_flow[place]
        ports = np.column_stack([flows.sport, flows.dport]).astype(">u2").view(np.uint8).reshape(-1, 4)
        columns = [kinds(points[capture]), flows.family, flows.src, flows.dst, ports]
        result[tuple_of] = np.column_stack(columns).astype(np.uint8)
    return result


def _senses(
    comparison: Comparison, measured: MeasuredRequests, of_tuple: NDArray[np.int32], count: int
) -> NDArray[np.int8]:
    """Determine the direction of each pair's requests, by the direction with more of them."""
    place = {c: i for i, c in enumerate(sorted({p.capture for p in comparison.points}))}
    packets = np.zeros((2, count), np.int64)
    for hop in comparison.hops:
        for side, direction in enumerate(hop.directions):
            for capture, flow in _flows_of(direction):
                pair = of_tuple[measured.tuples.of_flow[place[capture]][flow]]
                packets[side] += np.bincount(pair[pair >= 0], minlength=count)
    senses: NDArray[np.int8] = np.sign(packets[0] - packets[1]).astype(np.int8)
    return senses


def _flows_of(direction: Direction) -> Iterator[tuple[int, NDArray[np.int32]]]:
    yield direction.sender.capture, present(direction.flow)
    unsent = direction.receiver.index.flow[direction.unsent_row]
    yield direction.receiver.capture, present(unsent)


@dataclass(frozen=True, slots=True)
class _Table:
    """Figures of every pair at one point, shape ``(g,)``; times are -1 where nothing was answered."""

    point: Point
    seen: NDArray[np.int64]
    answered: NDArray[np.int64]
    refused: NDArray[np.int64]
    unanswered: NDArray[np.int64]
    retried: NDArray[np.int64]
    latency_p50_ns: NDArray[np.int64]
    latency_p99_ns: NDArray[np.int64]

    @classmethod
    def of(cls, requests: Requests, between: ClientServerPairs) -> "_Table":
        pair = between.of_tuple[requests.tuple_of]
        again = (requests.copies > 1) & (requests.kind != RequestKind.UDP)
        missed = requests.unanswered_transmissions
        weights = (requests.answered, requests.refused, missed, again)
        counts = [np.bincount(pair, w, len(between)).astype(np.int64) for w in weights]
        answered = requests.at(requests.answered)
        latency_ns = answered.wait_ns
        by_latency = np.argsort(latency_ns)
        of = between.of_tuple[answered.tuple_of[by_latency]]
        ordered = latency_ns[by_latency[stable_order(of)]]
        quantiles = (_quantiles(ordered, counts[0], share) for share in (0.5, 0.99))
        open_ = np.where(requests.decided, 0, requests.copies)
        seen = counts[0] + counts[1] + counts[2] + np.bincount(pair, open_, len(between)).astype(np.int64)
        return cls(requests.point, seen, *counts, *quantiles)

    @property
    def judged(self) -> NDArray[np.int64]:
        """Requests whose fate the capture shows."""
        return self.answered + self.refused + self.unanswered


def _quantiles(ordered: NDArray[np.int64], counts: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """For each group, the smallest value not exceeded by at least `share` of it; -1 for empty ones."""
    ends = np.cumsum(counts)
    at = ends - counts + np.maximum(np.ceil(share * counts).astype(np.int64) - 1, 0)
    return np.where(counts > 0, np.append(ordered, -1)[np.minimum(at, len(ordered))], -1)


def _nearest(between: ClientServerPairs, tables: Sequence[_Table]) -> NDArray[np.int64]:
    """Choose the point where the figures of each pair are measured, shape ``(g,)``; -1 where none saw it.

    Nearest the client first; within its node a pod's interface before the NIC, and of several the one with
    the most requests and fewest answers.
    """
    best = np.full(len(between), -1)
    rank = np.full((4, len(between)), np.iinfo(np.int64).max)
    for place, table in enumerate(tables):
        away = between.sense.astype(np.int64) * table.point.capture
        inside = np.full(len(between), table.point.encapsulated, np.int64)
        mine = np.stack([away, inside, -table.seen, table.answered])
        differs = mine != rank
        first = np.argmax(differs, axis=0)[np.newaxis]
        less = np.take_along_axis(mine, first, 0)[0] < np.take_along_axis(rank, first, 0)[0]
        better = (table.seen > 0) & less
        best[better] = place
        rank[:, better] = mine[:, better]
    return best


def _figures(
    cluster: Cluster, between: ClientServerPairs, chosen: NDArray[np.int64], place: int, table: _Table
) -> Iterator[ServiceFigures]:
    """Collect the figures of some pairs as plain numbers, since accessing numpy's one by one is slow."""
    counts = (table.seen, table.answered, table.refused, table.unanswered, table.retried)
    quantiles = (table.latency_p50_ns, table.latency_p99_ns)
    columns = (column[chosen].tolist() for column in (between.port, *counts, *quantiles))
    rows = zip(chosen.tolist(), *columns, strict=True)
    for pair, port, seen, answered, refused, unanswered, retried, p50_ns, p99_ns in rows:
        server, requests = between.server[pair], answered + refused + unanswered
        named = (s.full_name for s in cluster.services_of(server, port or None) if s.name)
        yield ServiceFigures(
            pair=pair,
            point=place,
            protocol=between.protocols[pair].lower(),
            client=between.client[pair],
            server=between.server_texts[pair],
            service=next(named, None),
            requests=requests,
            answered=answered,
            refused=refused,
            unanswered=unanswered,
            open=seen - requests,
            retried=retried,
            latency_p50_ns=p50_ns if p50_ns >= 0 else None,
            latency_p99_ns=p99_ns if p99_ns >= 0 else None,
        )
