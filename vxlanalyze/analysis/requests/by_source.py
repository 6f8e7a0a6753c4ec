"""Sources whose requests a node ignores while it answers those of others to the same endpoints.

The requests that reached a node are compared by client at endpoints that answer others. The rate at which
these others stay unanswered (by Laplace's rule of succession never 0) bounds the probability that all packets
of a client do; it is multiplied by the number of clients and sockets examined. An endpoint that stops or
starts answering ignores everybody at that time, so requests count as evidence only if others were answered
both before and after them, and some such requests are required.

Source: P. S. Laplace's rule of succession; C. E. Bonferroni's inequality (several hypotheses).
"""

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.requests.arrived import arrived
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.request_events import RequestKind
from vxlanalyze.analysis.requests.services import ClientServerPairs, pairs
from vxlanalyze.pairing.grouping import members
from vxlanalyze.pairing.model import NO_ROW, Comparison

_Name = TypeVar("_Name")

CHANCE = 1e-5
_LEAST_PACKETS = 4
_LEAST_BETWEEN = 2  # packets that were ignored between answers to others
_LEAST_OF_GROUP = 2  # silent clients
_LEAST_OF_SOCKET = 3  # requests of one socket, which may be a single application's problem
_PREFIXES = {4: (16, 24), 6: (48, 64)}  # widest first
_MIN_NS, _MAX_NS = np.iinfo(np.int64).min, np.iinfo(np.int64).max


class Scope(IntEnum):
    """What the ignored requests have in common."""

    SUBNET = 1
    ADDRESS = 2
    SOCKET = 3


@dataclass(frozen=True, eq=False)
class IgnoredSource:
    """One source that is ignored.

    Parameters
    ----------
    name : str
        A prefix, an address, or an address with its port.
    clients : tuple of str
        Addresses that belong to it.
    chosen : NDArray[np.intp]
        Its unanswered requests: their positions among those that arrived.
    packets : int
        Their transmissions.
    others : int
        Requests of other sources that the same endpoints answered.
    elsewhere : int
        Requests of this source that other endpoints of the node answered.
    """

    level: Scope
    name: str
    clients: tuple[str, ...]
    chosen: NDArray[np.intp]
    packets: int
    others: int
    elsewhere: int
    chance: float


@dataclass(frozen=True, eq=False)
class Ignored:
    """The ignored sources of one direction, and all requests that arrived there."""

    label: str
    requests: Requests
    sources: tuple[IgnoredSource, ...]

    @property
    def chosen(self) -> NDArray[np.bool_]:
        """Requests of any of the sources, shape ``(r,)``."""
        result = np.zeros(len(self.requests), np.bool_)
        for source in self.sources:
            result[source.chosen] = True
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
    def of(cls, between: ClientServerPairs, requests: Requests) -> "_Table":
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

    def judge(
        self, group: NDArray[np.intp], groups: int, silent: NDArray[np.bool_], tests: int
    ) -> list[tuple[int, NDArray[np.intp], int, int, float]]:
        """Give the groups of unanswered requests whose endpoints answered others instead.

        Parameters
        ----------
        group : NDArray[np.intp]
            Shape ``(r,)``: the group of each request, less than 0 for none. All members are `silent`.
        groups : int
            Number of groups.
        silent : NDArray[np.bool_]
            All requests of sources without an answer: these are not a reference for others.
        tests : int
            Total number of groups examined.

        Returns
        -------
        list of tuple
            Group, its requests, their packets, answers to others, and the bound on its probability.
        """
        rows = np.flatnonzero(group >= 0)
        packets = np.bincount(group[rows], self.packets[rows], groups)
        between = np.bincount(group[rows], self.packets[rows] * self.between[rows], groups)
        answered, unanswered = self._of_others(group, groups, silent)
        enough = (packets >= _LEAST_PACKETS) & (answered > 0) & (between >= _LEAST_BETWEEN)
        ratio = (unanswered + 1) / (unanswered + answered + 2)
        chance = np.minimum(1.0, tests * np.exp(packets * np.log(ratio)))
        found = np.flatnonzero(enough & (chance < CHANCE))
        places = members(group, groups) if len(found) else []
        return [(g, places[g], int(packets[g]), int(answered[g]), float(chance[g])) for g in found.tolist()]

    def _of_others(
        self, group: NDArray[np.intp], groups: int, silent: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Count others' requests that the endpoints of each group answered, and packets that they did not."""
        size = int(self.endpoint.max(initial=-1)) + 1
        others, open_ = ~silent, ~silent & self.open_
        answered = np.bincount(self.endpoint[others & ~self.open_], minlength=size)
        unanswered = np.bincount(self.endpoint[open_], self.packets[open_], size)
        rows = np.flatnonzero(group >= 0)
        asked, endpoint = np.divmod(
            np.unique(group[rows] * np.int64(size) + self.endpoint[rows]), max(size, 1)
        )
        return (
            np.bincount(asked, answered[endpoint], groups).astype(np.int64),
            np.bincount(asked, unanswered[endpoint], groups).astype(np.int64),
        )


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


def _sources(table: _Table) -> Iterator[IgnoredSource]:
    """Find ignored subnets, then addresses, then sockets, without duplicates."""
    comparable = _comparable(table)
    size = len(table.clients)
    requests = np.bincount(table.client[comparable], minlength=size)
    answered = np.bincount(table.client[comparable & ~table.open_], minlength=size)
    silent = (requests > 0) & (answered == 0)
    all_silent = silent[table.client] & comparable
    left = silent.copy()
    for names, of_client in _groups(table.clients, silent, answered > 0):
        found = list(_judged(table, Scope.SUBNET, names, np.where(left, of_client, -1), all_silent))
        left[np.isin(of_client, [group for group, _ in found])] = False
        yield from (source for _, source in found)
    alone = np.where(left, np.arange(size), -1)
    yield from (source for _, source in _judged(table, Scope.ADDRESS, table.clients, alone, all_silent))
    yield from _sockets(table, ~silent[table.client])


def _comparable(table: _Table) -> NDArray[np.bool_]:
    """Requests to endpoints that answered another client, shape ``(r,)``."""
    served = np.bincount(table.endpoint, ~table.open_)
    both = table.endpoint * len(table.clients) + table.client
    _, code = np.unique(both, return_inverse=True)
    own = np.bincount(code, ~table.open_)
    result: NDArray[np.bool_] = served[table.endpoint] > own[code]
    return result


def _judged(
    table: _Table, level: Scope, names: Sequence[str], of_client: NDArray[np.intp], silent: NDArray[np.bool_]
) -> Iterator[tuple[int, IgnoredSource]]:
    """Give the groups of silent clients that are ignored; `of_client` is negative without a group."""
    tests = len(np.unique(table.client)) + len(_PREFIXES)
    of_request = of_client[table.client]
    answered = np.bincount(of_request[(of_request >= 0) & ~table.open_], minlength=len(names))
    mine = np.where(silent, of_request, -1)
    for group, rows, packets, others, chance in table.judge(mine, len(names), silent, tests):
        clients = tuple(table.clients[i] for i in np.unique(table.client[rows]))
        elsewhere = int(answered[group])
        yield group, IgnoredSource(level, names[group], clients, rows, packets, others, elsewhere, chance)


def _groups(
    clients: tuple[str, ...], silent: NDArray[np.bool_], answered: NDArray[np.bool_]
) -> Iterator[tuple[list[str], NDArray[np.intp]]]:
    """Prefixes of each length, widest first, and that of each silent client.

    It is -1 where the prefix holds no other silent client, or one that was answered.
    """
    if np.count_nonzero(silent) < _LEAST_OF_GROUP:
        return
    addresses = [ipaddress.ip_address(c) for c in clients]
    widest, narrower = (
        [str(ipaddress.ip_network((a, _PREFIXES[a.version][n]), strict=False)) for a in addresses]
        for n in (0, 1)
    )
    for prefixes in (widest, narrower):
        names, code = _numbered(prefixes)
        names = _narrowed(names, code, silent, narrower)
        quiet, loud = np.bincount(code, silent, len(names)), np.bincount(code, answered, len(names))
        whole = (quiet >= _LEAST_OF_GROUP) & (loud == 0)
        yield names, np.where(whole[code] & silent, code, -1)


def _narrowed(
    names: list[str], code: NDArray[np.intp], silent: NDArray[np.bool_], narrower: list[str]
) -> list[str]:
    """Name each prefix by the narrower one that all of its silent clients are in, if it is a single one."""
    within: dict[int, set[str]] = {}
    for number in np.flatnonzero(silent).tolist():
        within.setdefault(int(code[number]), set()).add(narrower[number])
    return [min(within[n]) if len(within.get(n, ())) == 1 else name for n, name in enumerate(names)]


def _sockets(table: _Table, chosen: NDArray[np.bool_]) -> Iterator[IgnoredSource]:
    """Find single UDP sockets that are ignored, of clients that are not."""
    kind, tuple_of = table.requests.kind, table.requests.tuple_of
    udp = chosen & np.isin(kind, (RequestKind.DNS, RequestKind.UDP))
    if not (udp & table.open_).any():
        return
    of, code = np.unique(tuple_of[udp], return_inverse=True)
    requests = np.bincount(code, table.open_[udp], len(of))
    answered = np.bincount(code, ~table.open_[udp], len(of))
    quiet = (answered == 0) & (requests >= _LEAST_OF_SOCKET)
    socket = np.full(len(udp), -1, np.intp)
    socket[udp] = np.where(quiet[code], code, -1)
    answered_of = np.bincount(table.client[~table.open_], minlength=len(table.clients))
    point = table.requests.point
    for _, rows, packets, others, chance in table.judge(socket, len(of), socket >= 0, len(of)):
        number = int(table.client[rows[0]])
        client = table.clients[number]
        port = int(point.flows.sport[point.index.flow[table.requests.first_row[rows[0]]]])
        name, elsewhere = f"{client} port {port}", int(answered_of[number])
        yield IgnoredSource(Scope.SOCKET, name, (client,), rows, packets, others, elsewhere, chance)
