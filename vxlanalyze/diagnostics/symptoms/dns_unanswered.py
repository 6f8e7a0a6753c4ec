"""DNS queries stay unanswered.

What it checks
    Which DNS servers leave queries unanswered, how many of how many, for which names, and where do these die?
Why it matters
    Failing service discovery is the first thing that pods notice. One service address has several DNS pods,
    so when the path to one of them is broken, names resolve intermittently: every query to the pod on the
    client's own node is answered, but none to the pod on the other node.
How it decides
    Queries over UDP are identified by client, server and identifier; each transmission counts. A server is
    reported if it leaves more unanswered than a working one, which leaves one in fifty: the probability of
    that is below `chance`. Queries sent so late that the answer may come after the end of the capture are
    left out. The far capture shows where they died: lost on the path, arrived but not answered, or answered
    with the answer lost. Where queries leave a socket in pairs, and the second stays unanswered (Fisher's
    exact test), the race in connection tracking is named.
When it cannot tell
    All queries were sent at the very end of the capture; there were too few, and none was answered; the snap
    length cut off the identifiers. DNS over TCP or TLS is not examined.
What looks like it
    A server that refuses (`endpoint-refused`) or answers with an error (that is an answer). A path that loses
    packets: then this is a consequence. A race for the same translation on the client's node (the five-second
    delay) before the tunnel: only a capture at the pod shows the query that died.
What to do
    Query each DNS pod by itself: `dig @POD-ADDRESS kubernetes.default.svc.cluster.local`. Where queries
    arrive and are not answered, look at that pod: its log, its readiness, its upstream servers.
Sources
    RFC 1035 section 4.1.1; RFC 5452 section 3 (a query is identified by its identifier and its ports);
    kubernetes issues 56903, 62628, weave issue 3287 (the race); kubernetes issues 71514, 125467 (a socket
    that stays bound to a deleted pod).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.loss import inside_finding
from vxlanalyze.analysis.requests import (
    dns_failing_names,
    dns_pairs,
    fates,
    silence,
    stale_entry,
    untranslated,
)
from vxlanalyze.analysis.requests.dns_names import names_of, types
from vxlanalyze.analysis.requests.dns_pairs import PairFigures
from vxlanalyze.analysis.requests.dns_servers import LEAST_QUERIES, always_answers, others
from vxlanalyze.analysis.requests.fates import RequestFate, unanswered_of
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.requests import measure
from vxlanalyze.analysis.requests.services import ServiceFigures, pairs, services
from vxlanalyze.analysis.requests.silent_server import of_a_silent_server
from vxlanalyze.diagnostics import explaining
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed

CODE = "dns-unanswered"

_LOST = (*explaining.LOST_BETWEEN_THE_NODES, "not-encapsulated")
_INSIDE = (*explaining.IGNORED_ON_ARRIVAL, "port-unreachable", "endpoint-silent")


class _Server(NamedTuple):
    """A client and server with unanswered queries, and the number of transmissions by fate."""

    figures: ServiceFigures
    requests: Requests
    fate: NDArray[np.int64]
    label: str | None
    pairs: PairFigures
    inside: bool  # all of them are lost on a hop inside a node
    hop: str | None  # the hop between two interfaces of a node where most of them, or of their answers, died


def check(pair: Comparison, *, chance: float = 1e-3) -> list[DiagnosticResult]:
    """Look for DNS servers that leave queries unanswered.

    `chance` is the false alarm probability accepted for a server that leaves one in fifty unanswered.
    """
    queried = [f for f in services(pair) if f.protocol == "dns"]
    silent = [s for s in (_server(pair, f) for f in queried if f.unanswered) if len(s.requests)]
    certain = [s for s in silent if _chance(s) < chance or _dies_inside(s)]
    # Servers with too few failed queries to judge individually belong to a race that all of them show.
    raced = {s.label for s in certain if _races([r for r in silent if r.label == s.label])}
    certain = [s for s in silent if s in certain or s.label in raced]
    groups: dict[str | None, list[_Server]] = {}
    for server in certain:
        groups.setdefault(server.label, []).append(server)
    answers: list[DiagnosticResult] = [
        _finding(pair, label, members, queried) for label, members in groups.items()
    ]
    if not certain:
        answers += [
            NotAssessed(CODE, f"{_count(s.figures)}: too few to decide", s.label)
            for s in silent
            if s.figures.answered == 0
        ][:1]
    return answers


def _server(pair: Comparison, figures: ServiceFigures) -> _Server:
    requests = unanswered_of(pair, figures.pair, figures.point)
    # Answers from an address that got no request are `reply-not-translated`.
    requests = requests.at(~untranslated.concerned(pair, requests))
    found = fates.fates(pair, requests, int(pairs(pair).sense[figures.pair]))
    fate = found.counts.sum(axis=0)
    every = measure(pair).of_point[figures.point]
    mine = every.at((pairs(pair).of_tuple[every.tuple_of] == figures.pair) & every.decided)
    label = found.label[RequestFate(int(fate.argmax()))]
    worst = RequestFate(int(fate.argmax()))
    hop = found.inside.get(worst)
    there = hop is not None or (worst is RequestFate.LOST and _is_inside(pair, label))
    inside = bool(fate[worst] == fate.sum()) and there
    return _Server(figures, requests, fate, label, dns_pairs.figures(mine), inside, hop)


def _is_inside(pair: Comparison, label: str | None) -> bool:
    """Whether a hop is inside a node: one side shows packets without the tunnel."""
    direction = next((d for d in pair.directions if d.label == label), None)
    return direction is not None and inside_finding.node_of(direction) is not None


def _chance(server: _Server) -> float:
    """Probability that a working server is this silent; every transmission expects an answer."""
    unanswered = int(server.requests.unanswered_transmissions.sum())
    return silence.chance(unanswered, unanswered + server.figures.answered)


def _count(figures: ServiceFigures) -> str:
    return (
        f"{figures.server} left {figures.unanswered:,} of {count(figures.requests, 'query', 'queries')} "
        f"of {figures.client} unanswered"
    )


def _finding(
    pair: Comparison, label: str | None, servers: Sequence[_Server], queried: Sequence[ServiceFigures]
) -> Finding:
    servers = sorted(servers, key=lambda s: (-s.figures.unanswered, s.figures.server, s.figures.client))
    fate = np.sum([s.fate for s in servers], axis=0)
    shown = exhibits.of_rows(pair, ((s.requests.point, s.requests.first_row) for s in servers))
    unanswered, wanted = int(fate.sum()), names_of(pair, (s.requests for s in servers[:3]))
    failing = dns_failing_names.failing_names(pair, (s.figures.pair for s in servers))  # reads frames: once
    about = f" They query {listed(wanted)}." if wanted else ""
    return Finding(
        code=CODE,
        severity=Severity.WARNING,
        direction=label,
        summary=_summary(pair, servers, queried, failing, bool(fate[RequestFate.ANSWER_LOST] == unanswered)),
        explanation=f"{fates.died(fate)}.{_race(pair, servers)}{about}"
        f"{others(pair, servers[0].figures, queried)}{_stale(pair, servers[0])}",
        remedy=_remedy(pair, servers, fate, failing),
        evidence=_evidence(servers, fate, wanted) | dns_failing_names.evidence(failing),
        ruled_out=tuple(_ruled_out(servers, fate)),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
        explained_by=_explained_by(servers, fate, unanswered),
    )


def _explained_by(
    servers: Sequence[_Server], fate: NDArray[np.int64], unanswered: int
) -> tuple[str, ...] | None:
    """Codes and findings that may explain it: packets lost between two interfaces of a node died there."""
    there = [f"{code}@{s.hop}" for s in servers if s.hop for code in _LOST]
    if there:
        return (*there, *_LOST, *_INSIDE)
    return _INSIDE if fate[RequestFate.SILENT] == unanswered else None


def _summary(
    pair: Comparison,
    servers: Sequence[_Server],
    queried: Sequence[ServiceFigures],
    failing: list[str],
    answers_lost: bool,
) -> str:
    first = servers[0].figures
    where = pair.cluster.named(first.server)
    more = f"; likewise {count(len(servers) - 1, 'more client-server pair')}" if len(servers) > 1 else ""
    queries = count(first.requests, "DNS query", "DNS queries")
    if failing:
        return f"{where} answers none of the queries for {listed(failing, 3)}, and all others{more}"
    if first.answered:
        race = ": the second query of a pair from one socket is dropped" if _races(servers) else ""
        return f"{where} left {first.unanswered:,} of {queries} from {first.client} unanswered{race}{more}"
    if answers_lost:
        who = pair.cluster.named(first.client)
        return f"{where} answered {queries} from {who}, and no answer got back{more}"
    good = always_answers(first, queried) if first.requests >= LEAST_QUERIES else None
    if good is None:
        return f"{where} answered none of {queries} from {pair.cluster.named(first.client)}{more}"
    return (
        f"One DNS pod always answers, the other never: {where} answered none of {queries}, "
        f"{pair.cluster.named(good.server)} all {good.requests:,}{more}"
    )


def _races(servers: Sequence[_Server]) -> bool:
    """Whether the second query of a pair is dropped, over all clients and servers."""
    found = PairFigures(*np.sum([s.pairs for s in servers], axis=0).tolist())
    return found.second_dies or (found.second_seems_to_die and all(s.inside for s in servers))


def _dies_inside(server: _Server) -> bool:
    """Whether queries are lost inside a node by the race: then the server does not matter."""
    return server.inside and _races([server])


def _race(pair: Comparison, servers: Sequence[_Server]) -> str:
    """Describe what the unanswered queries have in common."""
    if not _races(servers):
        return ""
    found = PairFigures(*np.sum([s.pairs for s in servers], axis=0).tolist())
    first = servers[0].requests
    return f" {dns_pairs.explain(found, types(pair, first.point, first.first_row))}"


def _stale(pair: Comparison, server: _Server) -> str:
    address = pairs(pair).server[server.figures.pair]
    if server.figures.answered or not stale_entry.is_likely(pair, address, server.requests):
        return ""
    return f" {stale_entry.explain(pair, address, server.requests)}"


def _remedy(pair: Comparison, servers: Sequence[_Server], fate: NDArray[np.int64], failing: list[str]) -> str:
    first = servers[0]
    place = first.figures.pair
    server, port = pairs(pair).server[place], int(pairs(pair).port[place])
    client_node = pair.captures[pair.points[first.figures.point].capture].name
    if _races(servers):
        far = pair.captures[-1 if pair.points[first.figures.point].capture == 0 else 0].name
        return dns_pairs.remedy(far if fate[RequestFate.SILENT] else client_node)
    if failing and fate[RequestFate.SILENT] == fate.sum():
        return dns_failing_names.remedy(client_node, server, failing)
    gone = pair.cluster.lacks(server)
    stale = stale_entry.remedy(client_node, server, port) if _stale(pair, first) else ""
    silent = of_a_silent_server(pair, server) if fate[RequestFate.SILENT] and not gone else ""
    repair = "" if stale or silent else f"Repair {_broken_part(pair, first)} first; DNS is only a symptom."
    same = (
        f"A query from {client_node} must be answered then:",
        on(client_node, f"dig @{server} kubernetes.default.svc.cluster.local"),
    )
    return written(stale, silent, repair, *(() if gone else same))


def _broken_part(pair: Comparison, server: _Server) -> str:
    """Name where queries are lost: inside a node, where one side shows them without the tunnel."""
    if server.hop is not None:
        return f"what drops packets inside the node, on {server.hop.replace('>', ' to ')},"
    direction = next((d for d in pair.directions if d.label == server.label), None)
    if direction is not None and _is_inside(pair, server.label):
        ends = f"{direction.sender.name} and {direction.receiver.name}"
        return f"what drops packets inside the node, between {ends},"
    return "the path between the nodes"


def _evidence(
    servers: Sequence[_Server], fate: NDArray[np.int64], wanted: Sequence[str]
) -> dict[str, Quantity]:
    queries = sum(s.figures.requests for s in servers)
    evidence = {
        "queries": Quantity(queries, "queries"),
        "unanswered": Quantity(int(fate.sum()), "queries"),
        "sent_again": Quantity(int(sum((s.requests.copies - 1).sum() for s in servers)), "packets"),
        "second_of_pair_unanswered": Quantity(sum(s.pairs.second_unanswered for s in servers), "queries"),
        "second_of_pair_answered": Quantity(sum(s.pairs.second_answered for s in servers), "queries"),
        "first_of_pair_unanswered": Quantity(sum(s.pairs.first_unanswered for s in servers), "queries"),
    }
    for each in RequestFate:
        evidence[each.name.lower()] = Quantity(int(fate[each]), "queries")
    for server in servers[:5]:
        figures = server.figures
        evidence[f"{figures.client} > {figures.server}"] = Quantity(
            f"{figures.unanswered} of {figures.requests} unanswered"
        )
    for number, name in enumerate(wanted[:5], 1):
        evidence[f"name_{number}"] = Quantity(name, "name")
    return evidence


def _ruled_out(servers: Sequence[_Server], fate: NDArray[np.int64]) -> Iterable[RuledOut]:
    refused = sum(s.figures.refused for s in servers)
    if not refused:
        yield RuledOut("endpoint-refused", "no server refused: neither an ICMP error nor a reset came back")
    if fate[RequestFate.SILENT] == fate.sum():
        yield RuledOut(
            "packet-loss",
            f"all {int(fate[RequestFate.SILENT]):,} unanswered queries are in the far capture too",
        )


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check, explained_by=(*_LOST, *_INSIDE))
