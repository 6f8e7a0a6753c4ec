"""The far pod itself refuses: the network is fine.

What it checks
    Which endpoints answer a SYN with a reset, or a packet with an ICMP error from inside the tunnel?
Why it matters
    A refusal shows that the round trip works. To the client it looks like an outage, and people look for a
    network fault that does not exist.
How it decides
    A reset that acknowledges the SYN, or an ICMP error (port or host unreachable, administratively
    prohibited) that came through the tunnel and quotes the request. A single one is proof. One that the far
    node's capture lacks although it covers the time is left out: see `foreign-reset`. The sender of the error
    shows the origin: the pod, or its node's firewall or router in front of it.
When it cannot tell
    The snap length cuts TCP flags or the quoted packet off. Where the node itself rejects everything and no
    pod there ever answers, no endpoint got a request: that is `not-answered`.
What looks like it
    Background: the probes of a traceroute or a port scan, which expect refusals, are reported as info, and
    left out where something else is refused too. A reset in the middle of a connection (`tcp-stalled`), and
    an ICMP error outside the tunnel about the tunnel itself (`port-unreachable`). A port that is briefly
    closed while a pod starts. The end of a UDP conversation: an end that has closed its port refuses packets
    still in flight.
What to do
    Port closed: let the process listen there, or correct the service's targetPort. Prohibited: check the
    firewall of the far node. No such host: the pod has been deleted, but its service still points to it.
Sources
    RFC 9293 section 3.10.7.1 (reset of a closed port); RFC 792, RFC 1812 section 5.2.7.1, RFC 4443
    section 3.1.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests import background, stale_entry
from vxlanalyze.analysis.requests.refusals import MEANING
from vxlanalyze.analysis.requests.refused_requests import refused_requests
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.requests import measure
from vxlanalyze.analysis.requests.services import FORWARD, NEITHER, ServiceFigures, pairs, services
from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.text.commands import anywhere, on, written
from vxlanalyze.text.words import count, listed

CODE = "endpoint-refused"
_RESET = "reset"
_PROHIBITED = "administratively prohibited"
_MOST_NAMED = 3


class _Endpoint(NamedTuple):
    """One client and server with refused requests, and the kind of refusal."""

    figures: ServiceFigures
    requests: Requests
    by: dict[str, int]
    by_server: bool


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Look for requests that were refused, by direction."""
    between = pairs(pair)
    groups: dict[str | None, list[_Endpoint]] = {}
    alive: set[str | None] = set()
    for figures in services(pair):
        label = _label(pair, int(between.sense[figures.pair]))
        if figures.answered:
            alive.add(label)
        if figures.refused:
            endpoint = _endpoint(pair, figures)
            if len(endpoint.requests):
                groups.setdefault(label, []).append(endpoint)
    return [
        _finding(pair, label, members)
        if label in alive or any(member.by_server for member in members)
        else NotAssessed(
            CODE, "its node refuses everything before any pod is reached: see not-answered", label
        )
        for label, members in _without_probes(pair, groups).items()
    ] + _background(pair, groups)


def _probes(pair: Comparison, members: Sequence[_Endpoint]) -> dict[tuple[str, str], str]:
    """Find clients that only probe servers, and how."""
    between = pairs(pair)
    return background.probes(
        background.RefusedPort(
            e.figures.protocol,
            e.figures.client,
            between.server[e.figures.pair],
            int(between.port[e.figures.pair]),
            e.figures.requests,
            e.figures.answered,
        )
        for e in members
    )


def _ends(pair: Comparison, member: _Endpoint) -> tuple[str, str]:
    return member.figures.client, pairs(pair).server[member.figures.pair]


def _without_probes(
    pair: Comparison, groups: dict[str | None, list[_Endpoint]]
) -> dict[str | None, list[_Endpoint]]:
    """Leave out mere probes, and directions without anything else."""
    rest = {}
    for label, members in groups.items():
        probed = _probes(pair, members)
        if kept := [m for m in members if _ends(pair, m) not in probed]:
            rest[label] = kept
    return rest


def _background(pair: Comparison, groups: dict[str | None, list[_Endpoint]]) -> list[DiagnosticResult]:
    """Name probes in one line, for each direction in which nothing else was refused."""
    left = _without_probes(pair, groups)
    answers: list[DiagnosticResult] = []
    for label, members in groups.items():
        probed = _probes(pair, members)
        if probed and label not in left:
            answers.append(_named_background(pair, label, members, probed))
    return answers


def _named_background(
    pair: Comparison, label: str | None, members: Sequence[_Endpoint], probed: dict[tuple[str, str], str]
) -> Finding:
    name = pair.cluster.named
    who = [f"{kind} from {name(a)} to {name(b)}" for (a, b), kind in probed.items()]
    refused = sum(len(m.requests) for m in members)
    shown = exhibits.of_rows(pair, _frames(members))
    return Finding(
        code=CODE,
        severity=Severity.INFO,
        direction=label,
        summary=f"Background: {listed(who, at_most=_MOST_NAMED)} "
        f"({count(refused, 'probe')} refused by design)",
        explanation="A traceroute or a port scan tries one port after the other and expects refusals: no "
        "service is affected.",
        remedy="Nothing to repair: see whether who sends these probes is meant to.",
        evidence={
            "refused": Quantity(refused, "requests"),
            "kind": Quantity(", ".join(sorted(set(probed.values())))),
        },
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _label(pair: Comparison, sense: int) -> str | None:
    if sense == NEITHER or not pair.hops:
        return None
    return pair.hops[-1].forward.label if sense == FORWARD else pair.hops[0].backward.label


def _endpoint(pair: Comparison, figures: ServiceFigures) -> _Endpoint:
    measured = measure(pair)
    refused = refused_requests(pair)[figures.point]
    begin, end = np.searchsorted(refused.pair, [figures.pair, figures.pair + 1])
    mine = refused.requests.at(refused.order[begin:end])
    errors = measured.refusals[figures.point]
    rows, found = np.unique(mine.answer_row, return_counts=True)
    at = {int(row): i for i, row in enumerate(errors.row)}
    by: dict[str, int] = {}
    by_server = True
    for row, times in zip(rows.tolist(), found.tolist(), strict=True):
        error = at.get(row)
        what = _RESET if error is None else MEANING[int(errors.family[error]), int(errors.code[error])]
        by[what] = by.get(what, 0) + times
        by_server &= error is None or bool(errors.by_server[error])
    return _Endpoint(figures, mine, by, by_server)


def _finding(pair: Comparison, label: str | None, endpoints: Sequence[_Endpoint]) -> Finding:
    endpoints = sorted(endpoints, key=lambda e: (-len(e.requests), e.figures.server, e.figures.client))
    refused = sum(len(e.requests) for e in endpoints)
    total = sum(e.figures.requests for e in endpoints)
    servers = list(dict.fromkeys(named_server(pair, e.figures) for e in endpoints))
    by: dict[str, int] = {}
    for endpoint in endpoints:
        for what, times in endpoint.by.items():
            by[what] = by.get(what, 0) + times
    by_whom = [(f"{times:,} " if len(by) > 1 else "") + f"by {_article(what)}" for what, times in by.items()]
    how = listed(by_whom)
    shown = exhibits.of_rows(pair, _frames(endpoints))
    return Finding(
        code=CODE,
        severity=Severity.WARNING,
        direction=label,
        summary=f"{listed(servers, at_most=_MOST_NAMED)} refused {refused:,} of {count(total, 'request')} "
        f"({how}): the network delivers, the endpoint refuses",
        explanation=f"Of {count(total, 'request')}, {refused:,} were refused: {how}. A refusal has made the "
        f"full round trip, so neither the tunnel nor the path is at fault.{_who(endpoints)}",
        remedy=written(
            *_stale(pair, endpoints[0]),
            *_remedies(
                by,
                next((d.receiver.name for d in pair.directions if d.label == label), "its node"),
                listed([e.figures.server for e in endpoints], at_most=_MOST_NAMED),
                by_server=all(e.by_server for e in endpoints),
            ),
        ),
        evidence={
            "requests": Quantity(total, "requests"),
            "refused": Quantity(refused, "requests"),
            "servers": Quantity(len(servers), "servers"),
            **{f"by {what}": Quantity(times, "requests") for what, times in by.items()},
        },
        ruled_out=(
            RuledOut("path-blocked", f"{refused:,} refusals came back through the tunnel"),
            RuledOut("endpoint-silent", "a silent endpoint sends nothing at all"),
            RuledOut("port-unreachable", "the errors came inside the tunnel: they concern the pod's port"),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def named_server(pair: Comparison, figures: ServiceFigures) -> str:
    """Format a server with its port and its name in the cluster."""
    address = pairs(pair).server[figures.pair]
    name = pair.cluster.name_of(address)
    return figures.server if name is None else f"{figures.server} ({name})"


def _frames(endpoints: Sequence[_Endpoint]) -> Iterator[tuple[Point, NDArray[np.int32]]]:
    for endpoint in endpoints:
        requests = endpoint.requests
        yield requests.point, np.concatenate([requests.first_row, requests.answer_row])


def _article(what: str) -> str:
    if what == _RESET:
        return "a reset (RST)"
    return f"ICMP “{what}”"


def _who(endpoints: Sequence[_Endpoint]) -> str:
    if all(e.by_server for e in endpoints):
        return " The refusals carry the pod's own address."
    return " Some ICMP errors come from another address than the pod's: its node sent them, before the pod."


def _stale(pair: Comparison, endpoint: _Endpoint) -> Iterator[str]:
    """Say how to free a socket that a stale connection tracking entry binds to a deleted pod."""
    figures, between = endpoint.figures, pairs(pair)
    server = between.server[figures.pair]
    gone = any(what.startswith("no ") for what in endpoint.by) and not figures.answered
    if gone and (pair.cluster.lacks(server) or stale_entry.sockets(endpoint.requests)):
        requests = measure(pair).of_point[figures.point]
        mine = requests.at(between.of_tuple[requests.tuple_of] == figures.pair)
        if stale_entry.is_likely(pair, server, mine):
            yield stale_entry.explain(pair, server, mine)
            node = pair.captures[pair.points[figures.point].capture].name
            yield stale_entry.remedy(node, server, int(between.port[figures.pair]))


def _remedies(by: dict[str, int], node: str, server: str, *, by_server: bool) -> Iterator[str]:
    if _RESET in by or "port unreachable" in by:
        yield (
            f"Nothing listens on {server}: start the process or correct the port. To see what listens in "
            "the pod's network namespace, and the target port and endpoints of the service:"
        )
        yield on(node, "ss -lntu") + anywhere("kubectl describe service -n NAMESPACE SERVICE")
    if _PROHIBITED in by:
        yield (
            f"A firewall answers: on {node}, allow forwarding between the tunnel device and the pods "
            "(firewalld: add the pod network to the zone trusted; ufw: route allow; RHEL cloud images: "
            "disable nm-cloud-setup.service)."
        )
    if any(what.startswith("no ") for what in by):
        yield "The far node does not know the pod: it is gone or has moved. Compare the pods and endpoints:"
        yield anywhere("kubectl get pods -A -o wide", "kubectl get endpointslices -A")
    if not by_server:
        yield "Find the rule that rejects them by its counter:"
        yield on(node, "iptables -L FORWARD -v -n", "nft list ruleset")


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
