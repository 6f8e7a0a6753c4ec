"""Tunnel packets leave one node for the other, but none arrives.

What it checks
    Are all packets of a direction lost, whatever their size, inner protocol or flow, from the start or from
    some moment until the end? Or all packets to one of several tunnel endpoints?
Why it matters
    No pod on one node can reach a pod on the other. From inside, it looks like DNS time-outs and hanging
    connections, although both nodes are up and reach each other otherwise.
How it decides
    No packet of the direction is delivered (after the moment) and some are lost. Few losses may be chance: it
    is reported if random loss, at a rate estimated from earlier packets or assumed to be about one in a
    hundred, would look like this at most once in ten thousand directions. Packets within 10 ms of each other
    count as little more than one. A router that says why it does not forward them (ICMP unreachable or
    prohibited) is named.
When it cannot tell
    Fewer than three separate packets were sent. The receiver's capture ended early, or was taken on another
    interface or port: packets that it cannot have seen do not count as lost. Where it holds nothing after the
    last packet that arrived, and no packet of its node is missing, it may have ended there: the finding says
    so.
What looks like it
    A black hole for large packets (there, small ones arrive); a blocked protocol (there, others arrive); an
    outage (there, packets arrive again afterwards); a wrong tunnel endpoint (there, the outer destination is
    not the other node); a capture filter on the receiver that excludes the tunnel's port.
What to do
    Allow the tunnel's UDP port between all nodes, in both directions, for IPv4 and IPv6: security group,
    network security group, a firewall between the nodes. On VMware, the hypervisor may drop valid VXLAN on
    ports 4789 and 8472: move the overlay to another port. Where packets of pods go without a tunnel, the
    network must carry their addresses: it needs routes, and no source/destination check.
Sources
    RFC 7348 section 5 (outer headers); Cilium documentation, "Installation on Broadcom VMware ESXi / NSX"
    (tunnel port 8223); flannel issues 423, 871 and 2388; k3s issue 12538 (one address family only).
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.loss import affected, inside_finding, loss
from vxlanalyze.analysis.loss.picture import Explanation, LossKind, Picture
from vxlanalyze.analysis.loss.traits import Trait
from vxlanalyze.analysis.underlay import groups, router_errors, tunnel_ends, underlay
from vxlanalyze.analysis.underlay.router_errors import Said
from vxlanalyze.diagnostics import explaining
from vxlanalyze.diagnostics.path import unblocking
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text.words import count, listed, moment, span

CODE = "path-blocked"


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Report each direction in which nothing arrives, at all or from some moment on."""
    pictures, not_assessed = loss.pictures(pair, CODE)
    answers: list[DiagnosticResult] = list(not_assessed)
    for picture in pictures:
        if not (picture.direction.sender.encapsulated or picture.direction.sender.routed):
            continue  # packets that never enter the tunnel are checked elsewhere
        blocked = [e for e in picture.of(LossKind.PATH) if not groups.only(picture.direction, e.packets)]
        if blocked:
            answers.append(_finding(pair, picture, blocked[0]))
        elif picture.lost is not None and picture.lost.delivered == 0 and not picture.of(LossKind.PATH):
            answers.append(NotAssessed(CODE, _too_few(picture), picture.direction.label))
    return [*answers, *inside_finding.findings(pair, CODE)]


def _too_few(picture: Picture) -> str:
    return (
        f"{count(picture.judged, 'packet')} sent and none arrived: too few, or too close together, "
        f"to distinguish "
        "a blocked path from random loss"
    )


def _finding(pair: Comparison, picture: Picture, blocked: Explanation) -> Finding:
    direction = picture.direction
    lost = picture.packets_of([blocked])
    shown = exhibits.of_packets(pair, direction, lost)
    said = router_errors.about(pair, direction) if direction.receiver.encapsulated else None
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=_summary(pair, picture, blocked) + (f": {said.words}" if said else ""),
        explanation=_explanation(pair, picture, blocked, lost),
        remedy=unblocking.remedy(pair, picture, blocked, lost)
        if said is None
        else router_errors.remedy(said, direction, underlay.of(direction, pair.cluster, lost)),
        evidence=_evidence(picture, blocked, lost) | _said(said),
        ruled_out=_ruled_out(direction, blocked, lost),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _said(said: Said | None) -> dict[str, Quantity]:
    if said is None:
        return {}
    return {
        "said_by": Quantity(", ".join(said.routers)),
        "said": Quantity(said.reason),
        "errors": Quantity(said.error_count, "packets"),
    }


def _summary(pair: Comparison, picture: Picture, blocked: Explanation) -> str:
    direction, packets = picture.direction, len(blocked.packets)
    sent = f"{count(packets, 'packet')} that {direction.sender.name} sends to {direction.receiver.name}"
    if blocked.rule.trait is Trait.TUNNEL_ENDPOINT and picture.lost is not None:
        ends = affected.members(direction, picture.lost, blocked.rule, pair.cluster)
        return f"None of the {sent} at {listed(ends)} arrives, while those to its other endpoint do"
    if blocked.from_ns is not None:
        text = f"From {moment(blocked.from_ns)} to the end, none of the {sent} arrives"
        ended = f", unless {direction.receiver.name}'s capture ended then"
        return text if _frames_afterwards(direction) else text + ended
    return f"None of the {sent} arrives"


def _explanation(pair: Comparison, picture: Picture, blocked: Explanation, lost: NDArray[np.bool_]) -> str:
    direction = picture.direction
    times = direction.sent_ns(lost)
    sent = affected.packets(affected.protocols(direction, lost))
    text = (
        f"Over {span(int(times.max() - times.min()))}, {direction.sender.name} sends {sent} of "
        f"{affected.sizes(direction, lost)}, and {direction.receiver.name} sees none of them"
        f"{affected.whatever(direction, lost)}. "
    )
    if picture.lost is not None and picture.lost.delivered:
        text += f"{count(picture.lost.delivered, 'other packet')} of this direction arrived. "
    if picture.others_delivered:
        text += (
            f"{count(picture.others_delivered, 'packet')} to the same port that carry no tunnel arrived: the "
            "port is open, and something on the path inspects the payload. "
        )
    text += _other_source(pair, direction)
    text += _other_traffic(pair, direction) if blocked.from_ns is None else _afterwards(direction)
    return text + loss.by_chance([blocked])


def _other_source(pair: Comparison, direction: Direction) -> str:
    """State where a node sends from one address but receives at another: rules may only know the latter."""
    hop = loss.hop_of(pair, direction)
    back = hop.backward if direction.label == hop.forward.label else hop.forward
    sources = tunnel_ends.other_sources(direction, back)
    if not sources or len(sources) < len(tunnel_ends.of(direction).sources):
        return ""
    return (
        f"{direction.sender.name} sends from {listed(sources)}, and {back.sender.name} sends to it at "
        f"{listed(list(tunnel_ends.of(back).destinations))}: a rule for the latter does not match. "
    )


def _other_traffic(pair: Comparison, direction: Direction) -> str:
    """State what else the receiver's capture shows, since a filter could have hidden the packets."""
    receiver = direction.receiver
    frames = pair.captures[receiver.capture].packets
    if frames == 0:
        return (
            f"{receiver.name}'s capture holds no frame at all, as a filter on the tunnel's port leaves it "
            "when nothing comes. "
        )
    hop = loss.hop_of(pair, direction)
    back = hop.backward if direction.label == hop.forward.label else hop.forward
    arrived = int(np.count_nonzero(back.delivered))
    if arrived:
        return f"The other way, {count(arrived, 'packet')} arrived meanwhile. "
    return f"{receiver.name}'s capture holds {count(frames, 'frame')}, none of them from this direction. "


def _afterwards(direction: Direction) -> str:
    """State whether the receiver's capture holds anything after the last packet that arrived."""
    name, later = direction.receiver.name, _frames_afterwards(direction)
    if later:
        return f"After the last one, {name}'s capture goes on with {count(later, 'other frame')}. "
    return (
        f"After the last one, {name}'s capture holds nothing at all: make sure that it was still running, "
        "for if it was stopped then, nothing is blocked. "
    )


def _frames_afterwards(direction: Direction) -> int:
    """Count the frames of the receiver's capture after the last packet that arrived."""
    times = direction.receiver.index.time_ns
    arrived_ns = times[direction.received_row[direction.delivered]]
    return int(np.count_nonzero(times > arrived_ns.max())) if len(arrived_ns) else 0


def _evidence(picture: Picture, blocked: Explanation, lost: NDArray[np.bool_]) -> dict[str, Quantity]:
    times = picture.direction.sent_ns(lost)
    delivered = 0 if picture.lost is None else picture.lost.delivered
    return {
        "lost": Quantity(len(blocked.packets), "packets"),
        "delivered": Quantity(delivered, "packets"),
        **(
            {"others_delivered": Quantity(picture.others_delivered, "packets")}
            if picture.others_delivered
            else {}
        ),
        "first_lost": Quantity(moment(int(times.min()))),
        "last_lost": Quantity(moment(int(times.max()))),
        "blocked_for": Quantity(int(times.max() - times.min()), "ns"),
        "flows": Quantity(len(np.unique(picture.direction.flow[lost])), "flows"),
        "smallest_lost": Quantity(int(picture.direction.wire_length[lost].min()), "bytes"),
        "largest_lost": Quantity(int(picture.direction.wire_length[lost].max()), "bytes"),
        "chance": Quantity(blocked.chance, "ratio"),
        **(_unencapsulated(blocked) if picture.direction.receiver.routed else {}),
        **inside_finding.evidence_of(picture.direction),
    }


def _unencapsulated(blocked: Explanation) -> dict[str, Quantity]:
    return {"unencapsulated": Quantity("always" if blocked.from_ns is None else "until then")}


def _ruled_out(direction: Direction, blocked: Explanation, lost: NDArray[np.bool_]) -> tuple[RuledOut, ...]:
    smallest = int(direction.wire_length[lost].min())
    kinds = list(affected.protocols(direction, lost))
    ruled_out = [RuledOut("mtu-blackhole", f"packets of {smallest} bytes are lost as well")]
    if len(kinds) > 1:
        ruled_out.append(RuledOut("protocol-blocked", f"{listed(kinds)} are lost alike"))
    if blocked.from_ns is not None:
        ruled_out.append(RuledOut("burst-outage", "nothing arrives afterwards, to the end of the captures"))
    ruled_out.append(RuledOut("capture-loss", f"both captures cover that time: {direction.window_by}"))
    return tuple(ruled_out)


DIAGNOSTIC = base.Diagnostic(
    code=CODE,
    check=check,
    explained_by=(*explaining.MISDIRECTED, "ttl-exceeded"),
    slow=True,
)
