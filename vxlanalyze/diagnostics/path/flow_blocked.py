"""All packets of one inner service or endpoint are lost, while other traffic arrives.

What it checks
    Is all traffic to (or from) one inner address, one of its services, or one port at any address lost, while
    other traffic of the same direction arrives?
Why it matters
    One application is down while the network looks fine to all others. Since the packets vanish between the
    nodes, neither the pod nor its network policy is to blame.
How it decides
    Of all explanations, the service or endpoint fits the losses best: none of its packets was delivered (from
    the start, or from some moment on), and random loss would look like this at most once in ten thousand
    directions. The smaller port counts as the service's.
When it cannot tell
    Only a handful of packets was lost, or nothing else was sent in that direction (then it is
    `path-blocked`).
What looks like it
    One dead path of several (there, flows of the same service with other outer source ports arrive); a black
    hole where only this service sends large packets; an outage while this service was active; a silent server
    (there, the requests arrive).
What to do
    Look for a filter by inner address or port between the nodes: a policy that the sending node's plugin
    enforces after the capture point, a firewall that decapsulates, an access list of the fabric.
Sources
    RFC 7348 section 5; RFC 6335 section 6 (which ports serve).
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.loss import affected, inside_finding, loss, lost_networks
from vxlanalyze.analysis.loss.headers import HeaderRule
from vxlanalyze.analysis.loss.picture import LossKind, Picture
from vxlanalyze.analysis.requests.taken_requests import taken
from vxlanalyze.analysis.underlay import between_captures, underlay
from vxlanalyze.diagnostics import explaining
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.pairing.sorting import present
from vxlanalyze.text.commands import anywhere, on, written
from vxlanalyze.text.places import node_name
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.addresses import text

CODE = "flow-blocked"

_MONITOR = "cilium-dbg monitor --type drop"


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Report each direction in which some service or endpoint is completely lost."""
    pictures, not_assessed = loss.pictures(pair, CODE)
    found = [_finding(pair, p) for p in pictures if p.of(LossKind.FLOW)]
    return [*not_assessed, *found, *inside_finding.findings(pair, CODE)]


def _finding(pair: Comparison, picture: Picture) -> Finding:
    direction, explanations = picture.direction, picture.of(LossKind.FLOW)
    lost = picture.packets_of(explanations)
    names = _names(pair, picture)
    delivered = int(np.count_nonzero(direction.delivered))
    shown = exhibits.of_packets(pair, direction, lost)
    vnis = lost_networks.find(direction, lost)
    from_to = f"from {direction.sender.name} to {direction.receiver.name}"
    what = f"{loss.since(explanations)}{listed(names)}"
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=f"{what[:1].upper()}{what[1:]}: all {count(int(lost.sum()), 'packet')} {from_to} "
        f"are lost, while {count(delivered, 'other packet')} {'arrives' if delivered == 1 else 'arrive'}"
        + (f": nothing of VNI {', '.join(map(str, vnis[0]))} arrives" if vnis else ""),
        explanation=_explanation(picture, lost, delivered) + lost_networks.words(vnis),
        remedy=_remedy(pair, direction, names, lost),
        evidence={
            "blocked": Quantity(", ".join(names)),
            "lost": Quantity(int(lost.sum()), "packets"),
            "flows": Quantity(len(np.unique(direction.flow[lost])), "flows"),
            "delivered": Quantity(delivered, "packets"),
            "smallest_lost": Quantity(int(direction.wire_length[lost].min()), "bytes"),
            "largest_delivered": Quantity(direction.largest_delivered, "bytes"),
            "chance": Quantity(max(e.chance for e in explanations), "ratio"),
            **({"vni": Quantity(", ".join(map(str, vnis[0])))} if vnis else {}),
            **inside_finding.evidence_of(direction),
        },
        ruled_out=_ruled_out(direction, lost),
        explained_by=_answered_by_another(pair, direction, lost),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _answered_by_another(
    pair: Comparison, direction: Direction, lost: NDArray[np.bool_]
) -> tuple[str, ...] | None:
    """Name the device that takes all of these packets and answers itself."""
    hop = loss.hop_of(pair, direction)
    reverse = hop.backward if direction.label == hop.forward.label else hop.forward
    if np.isin(np.flatnonzero(lost), taken(pair, reverse)).all():
        return (f"foreign-reset@{reverse.label}", *explaining.MISDIRECTED)
    return None


def _remedy(pair: Comparison, direction: Direction, names: list[str], lost: NDArray[np.bool_]) -> str:
    near, far = direction.sender.name, direction.receiver.name
    below = underlay.of(direction, pair.cluster)
    if direction.sender.routed:
        return between_captures.filters(near, far, below, listed(names))
    if not (direction.sender.encapsulated and direction.receiver.encapsulated):
        return _inside_a_node(direction, lost)
    return written(
        between_captures.filters(near, far, below, f"{listed(names)} in {_tunnel_port(direction)}"),
        "If nothing filters, compare the outer source ports in the tables of --tables: one dead path of "
        "several can look like this when a service has few connections.",
    )


def _inside_a_node(direction: Direction, lost: NDArray[np.bool_]) -> str:
    """Say where to look on the node between a pod's interface and its network card."""
    node = direction.receiver if direction.receiver.encapsulated else direction.sender
    flows = direction.sender.flows
    sent = present(direction.flow[lost])
    targets = dict.fromkeys(str(a) for a in text(flows.dst[sent], flows.family[sent]))
    shown = next((p for p in (direction.receiver, direction.sender) if p.encapsulated), None)
    in_tunnel = () if shown is None else set(text(shown.flows.dst, shown.flows.family))
    services = [address for address in targets if address not in in_tunnel]
    name = node_name(node.name)
    counters = inside_finding.remedy_of(direction) or inside_finding.commands(node.name, name)
    if inside_finding.node_of(direction) is None:
        return counters
    if not services or direction.sender.encapsulated:
        return counters
    return written(
        f"{listed(services)} {'is' if len(services) == 1 else 'are'} seen in no tunnel packet, as the "
        "address of a service is not: see whether its rules exist (the second where kube-proxy uses "
        "IPVS), and which endpoints it has (one on the same node is not reached through the tunnel, and "
        "would be silent itself; the pod itself is reached in hairpin mode only):",
        *(
            on(name, f"iptables-save -t nat | grep -w {address}", f"ipvsadm -Ln | grep -wA8 {address}")
            for address in services[:2]
        ),
        anywhere("kubectl get endpointslices -A -o wide"),
        counters,
    )


def _names(pair: Comparison, picture: Picture) -> list[str]:
    if picture.lost is None:
        return []
    names = [
        affected.members(picture.direction, picture.lost, e.rule, pair.cluster)
        for e in picture.of(LossKind.FLOW)
    ]
    return sorted({n for some in names for n in some})


def _explanation(picture: Picture, lost: NDArray[np.bool_], delivered: int) -> str:
    direction, explanations = picture.direction, picture.of(LossKind.FLOW)
    flows = len(np.unique(direction.flow[lost]))
    known = (
        f"{count(int(lost.sum()), 'packet')} of {count(flows, 'flow')} and {affected.sizes(direction, lost)} "
        f"were sent and none arrived; of everything else, {count(delivered, 'packet')} arrived"
    )
    others = int(np.count_nonzero(direction.lost & ~lost))
    known += f" and {others:,} did not. " if others else " and none was lost. "
    for rival in dict.fromkeys(r for e in explanations for r in e.rivals):
        known += _RIVALS.get(rival, "")
    for mark in (e.detail for e in explanations if isinstance(e.detail, HeaderRule)):
        known += (
            f"All of them carry {_marked(mark)}, and none of {mark.others:,} delivered "
            "packets does: a device that drops this mark would look the same. "
        )
    return known + loss.by_chance(explanations)


_RIVALS = {
    LossKind.ECMP: "One dead path of several would fit as well: "
    "no other flow shares these outer source ports. ",
    LossKind.SIZE: "A limit on size would fit as well: nothing as large arrived. ",
    LossKind.PROTOCOL: "The whole inner protocol may be blocked: nothing else of it was sent. ",
    LossKind.INTERRUPTION: "An outage would fit as well: nothing else was sent at that time. ",
    LossKind.PATH: "A path that died would fit as well: nothing else was sent afterwards. ",
}


def _tunnel_port(direction: Direction) -> str:
    ports = np.unique(direction.sender.flows.outer_dport[present(direction.flow)])
    return f"UDP {', '.join(str(int(p)) for p in ports if p)}" if ports.any() else "the tunnel"


def _marked(mark: HeaderRule) -> str:
    return mark.field if mark.value == "present" else f"{mark.field} {mark.value}"


def _ruled_out(direction: Direction, lost: NDArray[np.bool_]) -> tuple[RuledOut, ...]:
    arrive = int(np.count_nonzero(direction.delivered))
    ruled_out = [
        RuledOut("path-blocked", f"{count(arrive, 'other packet')} of the direction arrive"),
        *affected.not_by_size(direction, lost),
    ]
    same = set(affected.protocols(direction, lost)) & set(affected.protocols(direction, direction.delivered))
    if same:
        ruled_out.append(RuledOut("protocol-blocked", f"other packets of {listed(sorted(same))} arrive"))
    ports = affected.outer_ports(direction, lost)
    if ports > 1:
        why = f"one service is hit whatever its outer source port ({ports} of them)"
        ruled_out.append(RuledOut("ecmp-member-blocked", why))
    return tuple(ruled_out)


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check, explained_by=explaining.MISDIRECTED)
