"""`not-encapsulated` for unanswered requests that pass both network cards without a tunnel.

Sources: cilium issue 12624 (the second address family has no tunnel); Kubernetes documentation, "IPv4/IPv6
dual-stack"; Calico IPPool `vxlanMode`; flannel `EnableIPv6`; RFC 4861 (next hops).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis.finding import Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests import silence
from vxlanalyze.analysis.underlay import native_unanswered, underlay
from vxlanalyze.analysis.underlay.native_unanswered import Unanswered
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.pairing.rows import rows_of
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.text.commands import on
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.addresses import text

CODE = "not-encapsulated"
_MOST_NAMED = 3
_SETTINGS = {
    "calico": "Calico: `vxlanMode: Always` in the IPPool of that family",
    "cilium": "Cilium: `routingMode: tunnel`, with that family enabled",
    "flannel": "flannel: `EnableIPv6`, `IPv6Network` and the backend vxlan in net-conf.json",
}


def findings(pair: Comparison, chance: float) -> Iterator[Finding]:
    """Report each direction with requests of pods that arrive without a tunnel and are never answered."""
    for found in native_unanswered.find(pair):
        direction = next((d for d in pair.directions if _is_between(d, found)), None)
        mask = np.zeros(len(found.point.flows), np.bool_)
        mask[found.flows] = True
        rows = rows_of(found.point.index.flow, mask)
        if direction is not None and silence.chance(len(rows), len(rows)) < chance:
            yield _finding(pair, direction, found, rows)


def _is_between(direction: Direction, found: Unanswered) -> bool:
    ends = direction.sender.capture, direction.receiver.capture
    return ends == (found.point.capture, found.other.capture)


def _finding(pair: Comparison, direction: Direction, found: Unanswered, rows: NDArray[np.int32]) -> Finding:
    near, far = direction.sender.name, direction.receiver.name
    by, to = (_named(pair, found, end) for end in ("src", "dst"))
    tunnelled = int(np.count_nonzero(direction.delivered))
    meanwhile = (
        f"Meanwhile {count(tunnelled, 'tunnel packet')} {direction.label} arrived." if tunnelled else ""
    )
    shown = exhibits.of_rows(pair, [(found.point, rows)])
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=f"{near} sends the requests of {listed(by, _MOST_NAMED)} to {listed(to, _MOST_NAMED)} "
        f"unencapsulated: {count(len(rows), 'packet')} reach {far}, and none is answered",
        explanation=f"{count(len(found.flows), 'flow')} pass the network cards of both nodes without a "
        "tunnel, "
        "from card to card, and no answer to any of them stands in either capture, with a tunnel or "
        f"without. {near} does not encapsulate them{_family(found)}, and {far} does not forward them to a "
        f"pod, or has no route back. {meanwhile}".rstrip(),
        remedy=_remedy(pair, direction, found),
        evidence={
            "packets": Quantity(len(rows), "packets"),
            "flows": Quantity(len(found.flows), "flows"),
            "sources": Quantity(len(by), "addresses"),
            "destinations": Quantity(len(to), "addresses"),
        },
        ruled_out=(
            RuledOut("path-blocked", f"all of them are in the capture of {far}"),
            RuledOut("not-answered", "they never were in the tunnel"),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _family(found: Unanswered) -> str:
    """State where the tunnel carries only the other address family."""
    flows = found.point.flows
    mine = set(flows.family[found.flows].tolist())
    used = found.point.decoded.usage.used & (flows.outer_family > 0) & (flows.family > 0)
    if len(mine) != 1 or mine & set(flows.family[used].tolist()):
        return ""
    return f" (the tunnel carries no IPv{next(iter(mine))} at all)"


def _named(pair: Comparison, found: Unanswered, end: str) -> list[str]:
    """Name the addresses at one end of the flows, those with the most flows first."""
    flows = found.point.flows
    names, of = distinct(np.column_stack([flows.family, getattr(flows, end)])[found.flows])
    order = np.argsort(-np.bincount(of), kind="stable")
    return [pair.cluster.named(a) for a in text(names[order, 1:], names[order, 0])]


def _remedy(pair: Comparison, direction: Direction, found: Unanswered) -> str:
    near, far = direction.sender.name, direction.receiver.name
    flows, first = found.point.flows, found.flows[:1]
    target, source = (text(a[first], flows.family[first])[0] for a in (flows.dst, flows.src))
    ipv6 = flows.family[first][0] == 6
    forwarding = "net.ipv6.conf.all.forwarding" if ipv6 else "net.ipv4.ip_forward"
    cni = underlay.of(direction, pair.cluster).cni
    setting = _SETTINGS[cni] if cni in _SETTINGS else "; ".join(_SETTINGS.values())
    return (
        f"Compare the routes: {near}'s should lead to its tunnel device."
        + on(near, f"ip route get {target}")
        + on(far, f"ip route get {source}")
        + f"\nEncapsulate that traffic as well ({setting}). If it is meant to be routed natively, {far} has "
        "to forward it, and to route back:"
        + on(far, f"sysctl {forwarding}")
        + on(far, f"{'ip6tables' if ipv6 else 'iptables'} -L FORWARD -nv")
    )
