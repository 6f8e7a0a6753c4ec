"""A service answers nothing, and all its pods run on the client's own node: a case of `endpoint-silent`.

Its requests never leave the node, so they are in no direction between nodes. `--kube` or `--facts` show where
its pods run.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis.finding import Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests import silence
from vxlanalyze.analysis.requests.request_events import RequestKind
from vxlanalyze.analysis.requests.requests import measure
from vxlanalyze.analysis.requests.services import ServiceFigures, pairs, services
from vxlanalyze.kubernetes.model import Service, parse_endpoint
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.text.commands import anywhere, on, written
from vxlanalyze.text.words import count, listed

CODE = "endpoint-silent"


class _Silent(NamedTuple):
    """A service that does not answer a client on the node of all its pods."""

    figures: ServiceFigures
    service: Service
    node: str

    @property
    def pods(self) -> list[str]:
        """Addresses of its pods."""
        parsed = (parse_endpoint(backend) for backend in self.service.backends)
        return list(dict.fromkeys(end[0] for end in parsed if end is not None))


def find(pair: Comparison, chance: float) -> list[Finding]:
    """Report the service with the most unanswered requests; `chance` is that of a false alarm."""
    if not pair.cluster.services:
        return []
    found = list(_silent(pair, chance))
    worst = max(found, key=lambda s: s.figures.unanswered, default=None)
    return [] if worst is None else [_finding(pair, worst)]


def _silent(pair: Comparison, chance: float) -> Iterator[_Silent]:
    """Services that answer nothing and whose pods are all on the node of a captured client."""
    figures = services(pair)
    alive = {f.server for f in figures if f.answered or f.refused}
    for one in figures:
        if one.server in alive or not one.unanswered or pairs(pair).kind[one.pair] == RequestKind.DNS:
            continue
        if silence.chance(one.unanswered, one.requests) * len(figures) >= chance:
            continue
        address, port = pairs(pair).server[one.pair], int(pairs(pair).port[one.pair])
        node = pair.cluster.node_of(one.client)
        for service in pair.cluster.services_of(address, port or None):
            if node is not None and address in service.addresses and service.name:
                candidate = _Silent(one, service, node)
                if candidate.pods and {pair.cluster.node_of(a) for a in candidate.pods} == {node}:
                    yield candidate
                break


def _finding(pair: Comparison, silent: _Silent) -> Finding:
    figures, service, node = silent.figures, silent.service, silent.node
    requests = measure(pair).of_point[figures.point]
    mine = pairs(pair).of_tuple[requests.tuple_of] == figures.pair
    shown = exhibits.of_rows(pair, [(requests.point, requests.first_row[np.flatnonzero(mine)])])
    named = f"{service.full_name} ({figures.server})"
    pods = listed([pair.cluster.named(address) for address in silent.pods], at_most=3)
    runs = "pod runs" if len(silent.pods) == 1 else "pods run"
    return Finding(
        code=CODE,
        severity=Severity.WARNING,
        direction=None,
        summary=f"{named} answered none of {count(figures.unanswered, 'request')} from "
        f"{pair.cluster.named(figures.client)}, and its {runs} on the client's own node {node}",
        explanation=f"By the cluster's tables, {pods} {'is' if len(silent.pods) == 1 else 'are'} the only "
        f"{'pod' if len(silent.pods) == 1 else 'pods'} of the service, so its requests do not leave {node}: "
        "the tunnel has no part in it. "
        f"{requests.point.name} shows the requests and no response. Either they are not translated to the "
        "pod inside the node, or the pod does not respond.",
        remedy=written(
            f"On {node}, see whether the pod answers without the service (then the service's rules are at "
            "fault), and whether the rules are there:",
            on(node, *(f"ping -c 3 {a}" for a in silent.pods[:3]), _rules(pair, figures)),
            "See whether the pod is ready, and which NetworkPolicy selects it:",
            anywhere(
                *(f"kubectl get pods -A -o wide --field-selector status.podIP={a}" for a in silent.pods[:3]),
                "kubectl get networkpolicies -A",
            ),
        ),
        evidence={
            "requests": Quantity(figures.requests, "requests"),
            "unanswered": Quantity(figures.unanswered, "requests"),
            "service": Quantity(service.full_name),
            "node": Quantity(node),
        },
        ruled_out=(
            RuledOut("packet-loss", "the service's pods are on the client's own node: no tunnel is passed"),
            RuledOut("endpoint-refused", "nothing refused them: neither a reset nor an ICMP error came back"),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _rules(pair: Comparison, figures: ServiceFigures) -> str:
    return f"iptables-save -t nat | grep -w {pairs(pair).server[figures.pair]}"
