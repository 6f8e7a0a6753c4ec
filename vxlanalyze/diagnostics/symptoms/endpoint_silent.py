"""One endpoint stays silent while others of its node answer.

What it checks
    Which endpoints of Y get requests (SYN, echo) and answer none of them, although others on Y answer?
Why it matters
    The tunnel works: the fault is in one pod, its port, or a policy in front of it. Looking for it in the
    network costs hours.
How it decides
    By Y's own capture: requests that arrived there, and whether any place of Y shows an answer to them. An
    endpoint (address and port of a connection, address of an echo) that answered nothing is silent if, at the
    rate at which others on Y stay silent (never assumed to be lower than their number allows), the
    probability of this many unanswered packets is below `chance`. Every copy of a SYN counts: a working
    endpoint would answer each. The same holds for one that answered before: it fell silent if this many
    packets came after its last answered request, for more than a second. Of two datagrams that leave a new
    socket together, each counts, at endpoints that answer both elsewhere. An endpoint that answers some
    requests and ignores others is compared with one that ignores one in fifty; where it ignores requests that
    closely follow others, a queue overflows. A service that answers nothing, and whose pods all run on the
    client's own node by `--kube` or `--facts`, is silent inside that node: its requests never reach the
    tunnel. Broadcasts count too: ARP requests for an address that sends to others from there, and DHCP that
    no server answers at all. So do whole requests of HTTP and TLS over three connections whose server
    acknowledges them and sends no data, until the client gives up or for five seconds, and three times as
    long as its slowest answer.
When it cannot tell
    Nothing on Y ever answers: then it is `not-answered`. Where no other request went to Y after an endpoint
    fell silent, the node may have fallen silent. Data of other protocols may need no answer.
What looks like it
    A pod that refuses (`endpoint-refused`) answers. Answers that leave and are lost on the return path
    (`path-blocked` in reverse) are in Y's capture, so they count here. DNS has its own diagnostic
    (`dns-unanswered`). An echo that a policy forbids while the pod's service works: named as such.
What to do
    Check whether the pod is running and listening, and which NetworkPolicy selects it.
Sources
    RFC 9293 section 3.10.7.1 (a closed port answers with a reset, so silence is not a closed port); RFC 792.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests import by_source, replies_from_elsewhere
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.requested_endpoints import (
    RequestedEndpoints,
    endpoints_of,
    named_endpoints,
    silent_ratio,
)
from vxlanalyze.analysis.requests.services import pairs
from vxlanalyze.analysis.underlay import silent_vni
from vxlanalyze.diagnostics import explaining
from vxlanalyze.diagnostics.receiver import discarded_by_time_stamp
from vxlanalyze.diagnostics.symptoms import (
    fell_silent,
    hung_endpoint,
    partly_silent,
    second_of_pair,
    silent_on_own_node,
    silent_pod,
    unanswered_discovery,
)
from vxlanalyze.pairing.model import NO_ROW, Comparison
from vxlanalyze.text.commands import written
from vxlanalyze.text.words import count, listed

CODE = "endpoint-silent"
_CAUSES = (
    *explaining.IGNORED_ON_ARRIVAL,
    "header-blocked",
    "duplicate-address",
    "flooded-unicast",
    "fragments-lost",
    "ttl-exceeded",
)
_CHANCE = 1e-3  # of mistaking SYNs for ones discarded for their time stamps


def check(pair: Comparison, *, chance: float = 1e-6) -> list[DiagnosticResult]:
    """Look for endpoints of the far node that answer nothing while others there do.

    `chance` is the false alarm probability accepted for an endpoint.
    """
    answers: list[DiagnosticResult] = []
    for each in by_source.ignored(pair):
        # Unanswered requests of one source say nothing about the endpoint: that is `source-unanswered`.
        requests = each.requests.at(~each.chosen)
        if len(requests):
            found: Sequence[DiagnosticResult] = _direction(pair, each.label, requests, chance)
            if not any(isinstance(answer, Finding) for answer in found):
                found = second_of_pair.find(pair, each.label, requests, chance) or found
            if not any(isinstance(answer, Finding) for answer in found):
                partly = partly_silent.find(pair, each.label, requests, chance)
                # SYNs that a server discards for their time stamps also concern the source.
                if partly and not list(discarded_by_time_stamp.find(pair, each, _CHANCE)):
                    found = partly
            answers += found
    answers += silent_on_own_node.find(pair, chance)
    # One finding for each direction.
    for further in (*hung_endpoint.find(pair), *unanswered_discovery.find(pair)):
        taken = {answer.direction for answer in answers if isinstance(answer, Finding)}
        answers += [further] if further.direction not in taken else []
    return answers


def _direction(pair: Comparison, label: str, requests: Requests, chance: float) -> list[DiagnosticResult]:
    endpoints = endpoints_of(pairs(pair), requests)
    silent = (endpoints.answered == 0) & ~endpoints.dns
    if not silent.any():
        return list(fell_silent.find(pair, label, requests, endpoints, chance))
    if not endpoints.answered.any():
        why = "no endpoint that received requests answered any: see not-answered"
        return [NotAssessed(CODE, why, label)]
    certain = silent & (endpoints.packets * np.log(silent_ratio(endpoints, silent)) < np.log(chance))
    if certain.any():
        return [_finding(pair, label, requests, endpoints, certain)]
    few = int(endpoints.packets[silent].sum())
    return [
        NotAssessed(
            CODE,
            f"{count(few, 'unanswered packet')} to {named_endpoints(pair, endpoints, silent)}: "
            "too few to decide",
            label,
        )
    ]


def _finding(
    pair: Comparison, label: str, requests: Requests, endpoints: RequestedEndpoints, chosen: NDArray[np.bool_]
) -> Finding:
    mine = chosen[endpoints.of_request]
    packets, silent = int(endpoints.packets[chosen].sum()), int(requests.asked[mine].sum())
    others, answered = int((endpoints.answered > 0).sum()), int(endpoints.answered.sum())
    ratio = silent_ratio(endpoints, endpoints.answered == 0)
    shown = exhibits.of_rows(pair, [(requests.point, requests.first_row[mine])])
    node = pair.captures[requests.point.capture].name
    taken = requests.first_row[requests.answer_row != NO_ROW]
    vni = silent_vni.of(requests.point, requests.first_row[mine], taken)
    place = int(np.argmax(endpoints.packets * chosen))
    address, worst = endpoints.servers[place], requests.at(endpoints.of_request == place)
    return Finding(
        code=CODE,
        severity=Severity.WARNING,
        direction=label,
        summary=f"{named_endpoints(pair, endpoints, chosen)} answered none of "
        f"{count(silent, 'request')} that reached {node}, while other endpoints there answered {answered:,}",
        explanation=f"{count(packets, 'packet')} were requests without any response. The other endpoints of "
        f"{node} leave at most {ratio:.2g} of the requests to them unanswered, so this is not the node's "
        f"ordinary silence. The tunnel delivers, and {node} answers through it: the fault is on the node, at "
        f"this endpoint.{_same_pod(endpoints, chosen)}{silent_pod.stale_socket(pair, address, worst)}"
        + (vni.words(node) if vni else ""),
        remedy=written(
            vni.remedy(node) if vni else "",
            silent_pod.free_socket(pair, label, address, worst) or silent_pod.remedy(pair, node, address),
        ),
        evidence={
            "requests": Quantity(silent, "requests"),
            "unanswered_packets": Quantity(packets, "packets"),
            "endpoints": Quantity(int(chosen.sum()), "endpoints"),
            "answered_by_others": Quantity(answered, "requests"),
            "silent_ratio_of_others": Quantity(ratio, "ratio"),
            "vni": Quantity(", ".join(map(str, vni.requested_with)) if vni else None),
        },
        ruled_out=(
            RuledOut("packet-loss", f"all {packets:,} packets are in {node}'s capture"),
            RuledOut("endpoint-refused", "nothing refused them: neither a reset nor an ICMP error came back"),
            RuledOut("not-answered", f"{count(others, 'other endpoint')} of {node} answered"),
        ),
        explained_by=(*_CAUSES, *_untranslated(pair, requests.at(mine))),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _untranslated(pair: Comparison, silent: Requests) -> tuple[str, ...]:
    """Name the finding of replies from another address, where all silent conversations have such replies."""
    flow = silent.point.index.flow[silent.first_row]
    replied = [
        point.flows.identity[one.request_flow]
        for point, found in zip(pair.points, replies_from_elsewhere.find(pair), strict=True)
        for one in found
    ]
    if not np.isin(silent.point.flows.identity[flow], np.array(replied, np.uint64)).all():
        return ()
    return tuple(f"reply-not-translated@{d.label}" for d in pair.directions)


def _same_pod(endpoints: RequestedEndpoints, chosen: NDArray[np.bool_]) -> str:
    """Whether a silent pod answers other requests."""
    alive = {s for s, answered in zip(endpoints.servers, endpoints.answered, strict=True) if answered}
    both: Sequence[str] = sorted({endpoints.servers[i] for i in np.flatnonzero(chosen)} & alive)
    return f" {listed(both)} itself is alive: it answers other requests." if both else ""


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check, explained_by=_CAUSES)
