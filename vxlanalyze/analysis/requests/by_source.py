"""Sources whose requests a node ignores while it answers those of others to the same endpoints.

The requests that reached a node are compared by client at endpoints that answer others. The rate at which
these others stay unanswered (by Laplace's rule of succession never 0) bounds the probability that all packets
of a client do; it is multiplied by the number of clients and sockets examined. An endpoint that stops or
starts answering ignores everybody at that time, so requests count as evidence only if others were answered
both before and after them, and some such requests are required.

Source: P. S. Laplace's rule of succession; C. E. Bonferroni's inequality (several hypotheses).
"""

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.requests.arrived import arrived
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.request_events import Kind
from vxlanalyze.analysis.requests.services import Pairs, pairs
from vxlanalyze.pairing.model import NO_ROW, Comparison

_Name = TypeVar("_Name")

CHANCE = 1e-5
_LEAST_PACKETS = 4
_LEAST_BETWEEN = 2  # packets that were ignored between answers to others
_LEAST_OF_GROUP = 2  # silent clients
_LEAST_OF_SOCKET = 3  # requests of one socket, which may be a single application's problem
_PREFIXES = {4: (16, 24), 6: (48, 64)}  # widest first
_MIN_NS, _MAX_NS = np.iinfo(np.int64).min, np.iinfo(np.int64).max


class Level(IntEnum):
    """What the ignored requests have in common."""

    SUBNET = 1
    ADDRESS = 2
    SOCKET = 3


@dataclass(frozen=True, eq=False)
class Source:
    """One source that is ignored.

    Parameters
    ----------
    name : str
        A prefix, an address, or an address with its port.
    clients : tuple of str
        Addresses that belong to it.
    chosen : NDArray[np.bool_]
        Shape ``(r,)``: its unanswered requests among those that arrived.
    packets : int
        Their transmissions.
    others : int
        Requests of other sources that the same endpoints answered.
    elsewhere : int
        Requests of this source that other endpoints of the node answered.
    """

    level: Level
    name: str
    clients: tuple[str, ...]
    chosen: NDArray[np.bool_]
    packets: int
    others: int
    elsewhere: int
    chance: float


@dataclass(frozen=True, eq=False)
class Ignored:
    """The ignored sources of one direction, and all requests that arrived there."""

    label: str
    requests: Requests
    sources: tuple[Source, ...]

    @property
    def chosen(self) -> NDArray[np.bool_]:
        """Requests of any of the sources, shape ``(r,)``."""
        result = np.zeros(len(self.requests), np.bool_)
        for source in self.sources:
            result |= source.chosen
        return result


@once
def ignored(comparison: Comparison) -> tuple[Ignored, ...]:
    """Look for ignored sources in each direction; done once, and kept as long as the comparison."""
    between = pairs(comparison)
    return tuple(
        Ignored(label, requests, tuple(_sources(_Table.of(between, requests))) if len(requests) else ())
        for label, requests in arrived(comparison)
    )


@dataclass(frozen=True, eq=False)
class _Table:
    """Requests with their clients and endpoints; arrays of shape ``(r,)``."""

    requests: Requests
    clients: tuple[str, ...]
    client: NDArray[np.intp]
    endpoint: NDArray[np.intp]
    open_: NDArray[np.bool_]
    packets: NDArray[np.int64]

    @cached_property
    def between(self) -> NDArray[np.bool_]:
        """Requests sent while their endpoint answered others, both before and after them."""
        return _between(self.requests, self.endpoint, self.open_)

    @classmethod
    def of(cls, between: Pairs, requests: Requests) -> "_Table":
        pair = between.of_tuple[requests.tuple_of]
        clients, client = _numbered([between.client[i] for i in range(len(between))])
        ends = zip(between.kind.tolist(), between.server, between.port.tolist(), strict=True)
        _, endpoint = _numbered(ends)
        open_ = requests.answer_row == NO_ROW
        return cls(
            requests,
            tuple(clients),
            client[pair],
            endpoint[pair],
            open_,
            requests.copies.astype(np.int64),
        )

    def judge(self, mine: NDArray[np.bool_], silent: NDArray[np.bool_], tests: int) -> tuple[int, int, float]:
        """Give packet count, answers to others, and probability bound of some unanswered requests.

        `silent` are all requests of sources without an answer: these are not a reference for others.
        """
        there = np.isin(self.endpoint, np.unique(self.endpoint[mine])) & ~mine & ~silent
        answered, unanswered = int((there & ~self.open_).sum()), int(self.packets[there & self.open_].sum())
        packets = int(self.packets[mine].sum())
        enough = packets >= _LEAST_PACKETS and answered > 0
        if not enough or int(self.packets[mine & self.between].sum()) < _LEAST_BETWEEN:
            return packets, answered, 1.0
        ratio = (unanswered + 1) / (unanswered + answered + 2)
        return packets, answered, float(min(1.0, tests * np.exp(packets * np.log(ratio))))


def _numbered(names: Iterable[_Name]) -> tuple[list[_Name], NDArray[np.intp]]:
    unique: dict[_Name, int] = {}
    code = [unique.setdefault(name, len(unique)) for name in names]
    return list(unique), np.array(code, np.intp)


def _between(requests: Requests, endpoint: NDArray[np.intp], open_: NDArray[np.bool_]) -> NDArray[np.bool_]:
    times = requests.point.index.time_ns
    first_ns, last_ns = times[requests.first_row], times[requests.last_row]
    size = int(endpoint.max(initial=-1)) + 1
    began, ended = np.full(size, _MAX_NS), np.full(size, _MIN_NS)
    np.minimum.at(began, endpoint[~open_], first_ns[~open_])
    np.maximum.at(ended, endpoint[~open_], first_ns[~open_])
    between: NDArray[np.bool_] = (last_ns > began[endpoint]) & (first_ns < ended[endpoint])
    return between


def _sources(table: _Table) -> Iterator[Source]:
    """Find ignored subnets, then addresses, then sockets, without duplicates."""
    comparable = _comparable(table)
    size = len(table.clients)
    requests = np.bincount(table.client[comparable], minlength=size)
    answered = np.bincount(table.client[comparable & ~table.open_], minlength=size)
    silent = (requests > 0) & (answered == 0)
    all_silent = silent[table.client] & comparable
    left = silent.copy()
    for group, name in _groups(table.clients, silent, answered > 0):
        source = _source(table, group & left, all_silent, (Level.SUBNET, name))
        if source is not None:
            left[group] = False
            yield source
    for client in np.flatnonzero(left).tolist():
        alone = np.zeros(size, np.bool_)
        alone[client] = True
        source = _source(table, alone, all_silent, (Level.ADDRESS, table.clients[client]))
        if source is not None:
            yield source
    yield from _sockets(table, ~silent[table.client])


def _comparable(table: _Table) -> NDArray[np.bool_]:
    """Requests to endpoints that answered another client, shape ``(r,)``."""
    served = np.bincount(table.endpoint, ~table.open_)
    both = table.endpoint * len(table.clients) + table.client
    _, code = np.unique(both, return_inverse=True)
    own = np.bincount(code, ~table.open_)
    result: NDArray[np.bool_] = served[table.endpoint] > own[code]
    return result


def _source(
    table: _Table, group: NDArray[np.bool_], silent: NDArray[np.bool_], named: tuple[Level, str]
) -> Source | None:
    mine = group[table.client] & silent
    tests = len(np.unique(table.client)) + len(_PREFIXES)
    packets, others, chance = table.judge(mine, silent, tests)
    if chance >= CHANCE:
        return None
    clients = tuple(table.clients[i] for i in np.unique(table.client[mine]))
    elsewhere = int((group[table.client] & ~table.open_).sum())
    return Source(*named, clients, mine, packets, others, elsewhere, chance)


def _groups(
    clients: tuple[str, ...], silent: NDArray[np.bool_], answered: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.bool_], str]]:
    """Prefixes with at least two silent clients and none that was answered."""
    if np.count_nonzero(silent) < _LEAST_OF_GROUP:
        return
    addresses = [ipaddress.ip_address(c) for c in clients]
    for wide in (0, 1):
        prefixes = [
            str(ipaddress.ip_network((a, _PREFIXES[a.version][wide]), strict=False)) for a in addresses
        ]
        names, code = _numbered(prefixes)
        quiet, loud = np.bincount(code, silent, len(names)), np.bincount(code, answered, len(names))
        for place in np.flatnonzero((quiet >= _LEAST_OF_GROUP) & (loud == 0)).tolist():
            yield (code == place) & silent, names[place]


def _sockets(table: _Table, chosen: NDArray[np.bool_]) -> Iterator[Source]:
    """Find single UDP sockets that are ignored, of clients that are not."""
    kind, tuple_of = table.requests.kind, table.requests.tuple_of
    udp = chosen & np.isin(kind, (Kind.DNS, Kind.UDP))
    if not (udp & table.open_).any():
        return
    of, code = np.unique(tuple_of[udp], return_inverse=True)
    requests = np.bincount(code, table.open_[udp], len(of))
    answered = np.bincount(code, ~table.open_[udp], len(of))
    silent = of[(answered == 0) & (requests >= _LEAST_OF_SOCKET)]
    all_silent = np.isin(tuple_of, silent) & udp
    point = table.requests.point
    for socket in silent.tolist():
        mine = (tuple_of == socket) & udp
        packets, others, chance = table.judge(mine, all_silent, len(of))
        if chance >= CHANCE:
            continue
        row = int(table.requests.first_row[np.flatnonzero(mine)[0]])
        client = table.clients[int(table.client[mine][0])]
        port = int(point.flows.sport[point.index.flow[row]])
        same = table.client == table.client[mine][0]
        elsewhere = int((same & ~table.open_).sum())
        name = f"{client} port {port}"
        yield Source(Level.SOCKET, name, (client,), mine, packets, others, elsewhere, chance)
