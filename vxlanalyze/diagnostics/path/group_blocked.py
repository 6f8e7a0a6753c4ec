"""Tunnel packets to a multicast group are lost while unicast between the nodes passes.

What it checks
    Are a direction's packets to a multicast or broadcast outer destination lost, while those to the other
    node's own address are delivered?
Why it matters
    A VXLAN device with a group floods frames without a forwarding entry to it: above all ARP and neighbour
    solicitations. Without the group, pods find each other only where an entry already exists, and new
    conversations fail after a while. It resembles a blocked port, but no firewall is involved.
How it decides
    The best explanation of a direction's losses (see `packet-loss`) is its tunnel destination, and those that
    lose everything are groups; or all of the direction's packets are lost, and all go to a group. The other
    node must use the same VNI, which makes it a member.
When it cannot tell
    Too few packets to the group.
What looks like it
    A blocked path loses unicast as well (`path-blocked`). A node that uses other VNIs is not a member of the
    group: its packets do not belong to the direction.
What to do
    Let the network carry the group: an IGMP (MLD) querier in the VLAN where switches snoop, multicast routing
    between subnets. Or avoid multicast: one entry for each other node (head-end replication).
Sources
    RFC 7348 section 4.2 (broadcast and multicast mapping); RFC 4541 (snooping switches); cloudstack issue
    7930 and pull request 5078; Linux ip-link(8), type vxlan, `group`.
"""

import numpy as np

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.loss import loss
from vxlanalyze.analysis.loss.picture import Explanation, LossKind, Picture
from vxlanalyze.analysis.underlay import groups, tunnel_ends
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed, moment

CODE = "group-blocked"
_IGMP_EXPIRES = 260  # seconds, RFC 3376 section 8.4: robustness 2 times 125 s, and 10 s


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Report each direction that loses its packets to a group."""
    pictures, not_assessed = loss.pictures(pair, CODE)
    flooding = {d.label for d in pair.directions if groups.to_groups(d).any()}
    answers: list[DiagnosticResult] = [n for n in not_assessed if n.direction in flooding]
    for picture in pictures:
        blocked = [e for e in picture.of(LossKind.PATH) if groups.only(picture.direction, e.packets)]
        if blocked:
            answers.append(_finding(pair, picture, blocked[0]))
    return answers


def _finding(pair: Comparison, picture: Picture, blocked: Explanation) -> Finding:
    direction = picture.direction
    near, far = direction.sender.name, direction.receiver.name
    flows = direction.sender.flows
    lost = picture.packets_of([blocked])
    used = np.bincount(direction.flow[lost], minlength=len(flows))
    names = list(tunnel_ends.outer_addresses(flows, flows.outer_dst, used))
    unicast = int(np.count_nonzero(direction.delivered & ~groups.to_groups(direction)))
    back = loss.hop_of(pair, direction)
    other = back.backward if direction.label == back.forward.label else back.forward
    returned = int(np.count_nonzero(other.delivered & ~groups.to_groups(other)))
    shown = exhibits.of_packets(pair, direction, lost)
    begin = "" if blocked.from_ns is None else f"From {moment(blocked.from_ns)} on, none"
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=f"{begin or 'None'} of the {count(int(lost.sum()), 'packet')} that {near} sends to the group "
        f"{listed(names)} arrives at {far}, {_passes(unicast, returned)}",
        explanation=f"An endpoint sends to its group what it has no entry for: ARP, neighbour solicitations, "
        f"broadcasts. {far} uses the same VNI, and receives none of it. {_expired(blocked)}"
        f"{loss.by_chance([blocked])}",
        remedy=_remedy(names, near, far, tunnel_ends.of(direction).destinations, set(names)),
        evidence={
            "lost": Quantity(int(lost.sum()), "packets"),
            "groups": Quantity(", ".join(names)),
            "unicast_delivered": Quantity(unicast, "packets"),
            "unicast_returned": Quantity(returned, "packets"),
            "chance": Quantity(blocked.chance, "ratio"),
        },
        ruled_out=_ruled_out(unicast),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _passes(unicast: int, returned: int) -> str:
    if unicast:
        return f"while {count(unicast, 'packet')} to its own address did"
    if returned:
        return f"while {count(returned, 'packet')} sent to a node's own address passed the other way"
    return "and nothing was sent to the node's own address that would show whether unicast passes"


def _expired(blocked: Explanation) -> str:
    if blocked.from_ns is None:
        return ""
    return (
        "It arrived before: a switch that snoops and hears no querier forgets a member after "
        f"{_IGMP_EXPIRES} seconds. "
    )


def _remedy(names: list[str], near: str, far: str, sent_to: dict[str, int], group: set[str]) -> str:
    kind = "MLD" if any(":" in n for n in names) else "IGMP"
    peers = [address for address in sent_to if address not in group]
    peer = peers[0] if peers else "PEER"
    entry = f"00:00:00:00:00:00 dev DEVICE dst {peer}"
    return written(
        f"See whether {far} is a member of {listed(names)} on the interface that the tunnel uses, and what "
        "the switches know:",
        on(far, "ip maddr show", "ip -d link show type vxlan"),
        f"If it is a member, enable an {kind} querier in the VLAN (or switch snooping off there), and "
        "multicast routing (PIM) where the nodes are in different subnets. Cloud networks carry no "
        "multicast: there, replace the group by an entry for each other node (DEVICE: the name of the "
        "tunnel device):",
        on(near, f"bridge fdb append {entry}"),
        "To undo it:",
        on(near, f"bridge fdb del {entry}"),
    )


def _ruled_out(unicast: int) -> tuple[RuledOut, ...]:
    if not unicast:
        return ()
    return (RuledOut("path-blocked", f"{count(unicast, 'packet')} to the node's own address arrived"),)


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
