"""The impact in one line: unanswered requests by service, since when, and from which node.

A server counts as silent from the first request after which it answered nothing; one that still answers
occasionally is counted by requests.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.requests import measure
from vxlanalyze.analysis.requests.services import ClientServerPairs, ServiceFigures, pairs, services
from vxlanalyze.kubernetes.model import Cluster, parse_endpoint
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.report.model import FindingRecord
from vxlanalyze.text import words
from vxlanalyze.text.times import rfc3339

_MOST_LINES = 3
_FEWEST = 3  # unanswered requests before a server that answered earlier counts as silent
_NEVER_NS = np.iinfo(np.int64).max
_CALLED = {"dns": "DNS", "icmp": "Ping"}


class _Requested(NamedTuple):
    """Requests of one client to one server at `address`; `since_ns` is None if the last was answered."""

    figures: ServiceFigures
    address: str
    since_ns: int | None

    @property
    def is_silent(self) -> bool:
        """Whether requests were not answered, up to the last."""
        return bool(self.figures.unanswered) and self.since_ns is not None


class _Suffering(NamedTuple):
    """Requests of one kind from the clients of one capture."""

    what: str
    node: str
    requested: list[_Requested]

    def total(self, name: str) -> int:
        """Sum of one of the figures."""
        return sum(getattr(one.figures, name) for one in self.requested)


def impact(comparison: Comparison, findings: Sequence[FindingRecord]) -> list[str]:
    """Describe the impact of faults, one sentence each; empty without a fault.

    Unanswered requests come first, the most frequent at the top; if there are none, the consequences of the
    fault.
    """
    if all(finding["severity"] == "info" for finding in findings):
        return []
    symptoms = [f["summary"] for f in findings if f["because"] is not None and f["severity"] != "info"]
    return _unanswered(comparison) or symptoms[:1]


def _unanswered(comparison: Comparison) -> list[str]:
    if not any(figures.unanswered for figures in services(comparison)):
        return []
    groups = [group for group in _groups(comparison) if group.total("unanswered")]
    groups.sort(key=lambda group: (-group.total("unanswered"), group.what, group.node))
    return [_sentence(group, comparison.cluster) for group in groups[:_MOST_LINES]]


def _groups(comparison: Comparison) -> Iterator[_Suffering]:
    found: dict[tuple[str, str], list[_Requested]] = defaultdict(list)
    between, requests_of = pairs(comparison), measure(comparison).of_point
    points = {figures.point for figures in services(comparison)}
    since_ns = {point: _since(requests_of[point], between) for point in points}
    for figures in services(comparison):
        node = comparison.captures[comparison.points[figures.point].capture].name
        silent_ns = int(since_ns[figures.point][figures.pair])
        one = _Requested(figures, between.server[figures.pair], None if silent_ns == _NEVER_NS else silent_ns)
        what = _CALLED.get(figures.protocol) or figures.service
        port = int(between.port[figures.pair])
        found[what or f"{figures.protocol.upper()} port {port}", node].append(one)
    for (what, node), group in found.items():
        yield _Suffering(what, node, group)


def _since(requests: Requests, between: ClientServerPairs) -> NDArray[np.int64]:
    """Start of the silence of each pair at one point, shape ``(g,)``."""
    pair = between.of_tuple[requests.tuple_of]
    sent_ns = requests.point.index.time_ns[requests.first_row]
    answered = requests.answered | requests.refused
    last_ns = np.full(len(between), np.iinfo(np.int64).min)
    np.maximum.at(last_ns, pair[answered], sent_ns[answered])
    since_ns = np.full(len(between), _NEVER_NS)
    late = requests.unanswered & (sent_ns > last_ns[pair])
    np.minimum.at(since_ns, pair[late], sent_ns[late])
    ever = np.bincount(pair, answered, len(between)) > 0
    few = np.bincount(pair, late, len(between)) < _FEWEST
    since_ns[ever & few] = _NEVER_NS
    return since_ns


def _sentence(group: _Suffering, cluster: Cluster) -> str:
    silent = [one for one in group.requested if one.is_silent]
    dead = {one.address for one in silent} - {one.address for one in group.requested if not one.is_silent}
    if not dead:
        requests = words.count(group.total("requests"), "request")
        return f"{group.what}: {group.total('unanswered'):,} of {requests} from {group.node} unanswered"
    everyone = {one.address for one in group.requested}
    if group.what != _CALLED["icmp"]:
        everyone |= set(_backends(cluster, everyone))
    pods = {address for pod in cluster.pods for address in pod.addresses}
    noun = "pod" if everyone <= pods else "server"
    which = f"{len(dead):,} of {words.count(len(everyone), noun)}"
    if len(everyone) == 1:
        which = f"the {noun} {cluster.named(min(dead))}"
    elif dead == everyone:
        which = f"both {noun}s" if len(dead) == 2 else f"all {len(dead):,} {noun}s"
    first_ns = min(one.since_ns for one in silent if one.since_ns is not None and one.address in dead)
    return f"{group.what} of {which} unanswered since {_clock(first_ns)} from {group.node}"


def _backends(cluster: Cluster, requested: Iterable[str]) -> Iterator[str]:
    """All pods of the services whose pods get requests, of the same address family."""
    for server in requested:
        for service in cluster.services_of(server):
            for endpoint in filter(None, map(parse_endpoint, service.backends)):
                if (":" in endpoint[0]) == (":" in server):
                    yield endpoint[0]


def _clock(time_ns: int) -> str:
    """The time of day in UTC, to the second."""
    return f"{rfc3339(time_ns)[11:19]} UTC"
