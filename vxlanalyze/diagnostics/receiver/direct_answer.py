"""`answer-not-accepted` for answers that leave a node natively for a client outside of the cluster.

Sources: cilium issue 12624 and pull request 23890, flannel issue 1394 (a node port contacted at one node and
answered by another from the pod's address); kube-router issue 549 (direct return and stateful firewalls);
Kubernetes documentation, "Source IP" (externalTrafficPolicy).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis.finding import Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests import direct_answers, silence
from vxlanalyze.analysis.requests.direct_answers import DirectAnswers
from vxlanalyze.analysis.requests.direct_return import keys
from vxlanalyze.analysis.requests.requests import measure
from vxlanalyze.analysis.underlay import pod_addresses
from vxlanalyze.kubernetes.model import endpoint_text
from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.text.commands import on
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import Tunnel

CODE = "answer-not-accepted"
_MOST_NAMED = 3


def findings(pair: Comparison, chance: float) -> Iterator[Finding]:
    """Report the node whose direct answers are not accepted; `chance` is that of a false alarm."""
    measured = measure(pair).of_point
    ends = {0, len(pair.captures) - 1} if pair.hops else set()
    for number, requests in enumerate(measured):
        point = pair.points[number]
        if point.capture not in ends or not point.encapsulated:
            continue
        flows, clients = point.flows, pod_addresses.of(pair).outside
        found = direct_answers.find(requests, pod_addresses.among(flows.src, flows.family, clients))
        if found is None:
            continue
        again = int(found.not_taken.copies.sum()) - len(found.not_taken)
        if silence.chance(again, again + found.taken) < chance:
            yield _finding(pair, found)
            return


def _finding(pair: Comparison, found: DirectAnswers) -> Finding:
    requests = found.not_taken
    point, number = requests.point, len(requests)
    flows, index = point.flows, point.index
    flow, back = index.flow[requests.first_row], index.flow[found.answers]
    clients = list(dict.fromkeys(text(flows.src[flow], flows.family[flow])))
    pods, sources = _ends(point, flow, "dst"), _ends(point, back, "src")
    near = next((p for p in pair.points if p.encapsulated and p.capture != point.capture), point)
    wanted = _wanted(near, point, flow)
    who = listed([pair.cluster.named(c) for c in clients], at_most=_MOST_NAMED)
    from_ = listed(sources, at_most=_MOST_NAMED)
    shown = exhibits.of_rows(
        pair, [(point, np.concatenate([requests.first_row, found.answers, requests.last_row]))]
    )
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        summary=f"{count(number, 'connection')} from {who} to {listed(pods, at_most=_MOST_NAMED)} through "
        f"{near.name}: the answers leave {point.name} without the tunnel, from {from_}, and the clients do "
        "not take them: the same SYN comes again",
        explanation=f"{count(number, 'SYN')} came through the tunnel and {'was' if number == 1 else 'were'} "
        f"answered by {point.name} directly, with the right acknowledgement number. {_why(wanted, sources)}",
        remedy=_remedy((near, point), clients[0], wanted, sources),
        evidence={
            "connections_not_taken": Quantity(number, "connections"),
            "connections_taken": Quantity(found.taken, "connections"),
            "answered_from": Quantity(", ".join(sources[:_MOST_NAMED])),
            "asked": Quantity(", ".join(wanted[:_MOST_NAMED]) or None),
        },
        ruled_out=(
            RuledOut("endpoint-silent", f"SYN ACKs leave {point.name}"),
            RuledOut("packet-loss", "the tunnel delivered the SYNs"),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _ends(point: Point, flow: NDArray[np.integer], end: str) -> list[str]:
    flows = point.flows
    port = flows.dport if end == "dst" else flows.sport
    addresses = text(getattr(flows, end)[flow], flows.family[flow])
    named = [endpoint_text(a, int(p)) for a, p in zip(addresses, port[flow], strict=True)]
    return list(dict.fromkeys(named))


def _wanted(near: Point, point: Point, flow: NDArray[np.integer]) -> list[str]:
    """Name the addresses and ports that clients contacted at the forwarding node."""
    here, there = near.flows, point.flows
    mine = keys(there.family, there.src, there.protocol, there.sport)[flow]
    came = near.decoded.usage.used & (here.tunnel == Tunnel.NONE)
    came &= np.isin(keys(here.family, here.src, here.protocol, here.sport), mine)
    return _ends(near, np.flatnonzero(came), "dst")


def _why(wanted: list[str], sources: list[str]) -> str:
    if not wanted:
        return (
            "The clients do not take that: something on the path to them drops it, or they had asked another "
            "address than the one that answers."
        )
    if set(sources) <= set(wanted):
        return (
            "That is the address that the clients asked, so they would take it: something between this node "
            "and them drops it, such as a stateful firewall that never saw the SYN, or a filter of spoofed "
            "sources."
        )
    return (
        f"The clients asked {listed(wanted, at_most=_MOST_NAMED)}; to them, an answer from "
        f"{listed(sources, at_most=_MOST_NAMED)} belongs to no connection. The forwarding node should have "
        "put its own address in place of the client's, or the answer should have gone back through it."
    )


def _remedy(points: tuple[Point, Point], client: str, wanted: list[str], sources: list[str]) -> str:
    near, far = points
    if set(sources) <= set(wanted):
        return (
            "See where the answers end: capture on the routers and firewalls between, and let them pass "
            "answers whose SYN took another path (no state, no reverse path check), or have the load "
            "balancer translate the source (Cilium: loadBalancer.mode snat; kube-router: without the DSR "
            "annotation). The route by which they leave:" + on(far.name, f"ip route get {client}")
        )
    tables = "ip6tables-save" if ":" in client else "iptables-save"
    return (
        "See whether the forwarding node masquerades what it forwards to other nodes:"
        + on(near.name, f"{tables} -t nat | grep -E 'KUBE-MARK-MASQ|MASQUERADE|KUBE-EXT'")
        + on(near.name, f"conntrack -L -s {client}")
        + "\nSee which route the responses take:"
        + on(far.name, f"ip route get {client}")
        + "\nIf the rules are missing, restart kube-proxy (or the CNI that replaces it) on that node."
    )
