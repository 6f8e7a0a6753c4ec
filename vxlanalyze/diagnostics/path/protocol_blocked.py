"""Some inner protocols never arrive, whatever their size or service, while others do.

What it checks
    Is every packet of one or more inner protocols, or of an inner address family, lost, to every service,
    while others of the same direction arrive? For packets between the nodes without a tunnel (ESP), the
    protocol of the IP packet itself counts.
Why it matters
    Ping works and everything else hangs. A virtual network card whose driver passes tunnelled TCP and UDP to
    a hypervisor that cannot offload them causes exactly this: ICMP needs no offloaded checksum.
How it decides
    Of all explanations, the inner protocol fits the losses best: none of its packets was delivered (from the
    start, or from some moment on), at least two ports or two protocols are affected, and random loss would
    look like this at most once in ten thousand directions.
When it cannot tell
    All lost packets of a protocol belong to one service: then it is `flow-blocked`, since nothing indicates
    the protocol as a whole. Only one protocol was sent: then it is `path-blocked`.
What looks like it
    A black hole for large packets: there, the small packets of every protocol arrive (a SYN is small). A
    blocked service: there, the same protocol reaches other services.
What to do
    On VMware, move the overlay to another port or to Geneve, update ESXi (8.0 U3) or the node's kernel (5.14
    and later), or disable the node's checksum offload; elsewhere look for a filter that inspects the inner
    packet. If ESP between the nodes is lost, no inner packet is involved: allow that IP protocol between
    them, or carry it over UDP.
Sources
    Cilium documentation, "Installation on Broadcom VMware ESXi / NSX"; Broadcom KB 432932; Calico issues
    7040 and 9433; cilium issue 21801; k3s issue 8804.
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.loss import affected, inside_finding, loss
from vxlanalyze.analysis.loss.picture import LossKind, Picture
from vxlanalyze.analysis.loss.traits import Trait
from vxlanalyze.analysis.underlay import between_captures, outer_protocols, underlay
from vxlanalyze.analysis.underlay.underlay import Underlay
from vxlanalyze.diagnostics import explaining
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.model import CHECK_MASK, INNER_L4_SHIFT, Checksum, Tunnel

CODE = "protocol-blocked"
_OFFLOADED = {"TCP", "UDP"}  # protocols whose checksum a network card fills in


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Report each direction in which some inner protocols are completely lost."""
    pictures, not_assessed = loss.pictures(pair, CODE)
    answers: list[DiagnosticResult] = list(not_assessed)
    for picture in pictures:
        if picture.of(LossKind.PROTOCOL):
            answers.append(_finding(pair, picture))
        elif _only_one(picture):
            why = "one inner protocol was sent, and packets of it are lost: there is nothing to compare with"
            answers.append(NotAssessed(CODE, why, picture.direction.label))
    return [*answers, *inside_finding.findings(pair, CODE)]


def _only_one(picture: Picture) -> bool:
    """Whether all judged packets have one protocol and some loss remains unexplained."""
    judged = affected.protocols(picture.direction, picture.direction.judged)
    return len(judged) == 1 and len(picture.unexplained) > 0


def _finding(pair: Comparison, picture: Picture) -> Finding:
    direction, explanations = picture.direction, picture.of(LossKind.PROTOCOL)
    lost = picture.packets_of(explanations)
    by_family = explanations[0].rule.trait is Trait.FAMILY
    outer = [] if by_family else outer_protocols.of(direction, lost)
    counts = affected.families if by_family else affected.protocols
    gone, kept = counts(direction, lost), counts(direction, direction.delivered)
    shown = exhibits.of_packets(pair, direction, lost)
    since = loss.since(explanations)
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=f"{since}{listed([o.title for o in outer] or list(gone))} from {direction.sender.name} to "
        f"{direction.receiver.name} {'is' if len(gone) == 1 else 'are'} completely lost "
        f"({count(int(lost.sum()), 'packet')}), while {listed(list(kept))} "
        f"{'arrives' if len(kept) == 1 else 'arrive'}",
        explanation=_explanation(direction, lost, gone, kept, by_family) + loss.by_chance(explanations),
        remedy=outer_protocols.remedy(direction, outer, underlay.of(direction, pair.cluster))
        if outer
        else inside_finding.remedy_of(direction) or _remedy(pair, direction, gone, by_family),
        evidence={
            "lost_protocols": Quantity(", ".join(gone)),
            **({"outer_protocols": Quantity(listed([o.title for o in outer]))} if outer else {}),
            "lost": Quantity(int(lost.sum()), "packets"),
            "delivered_protocols": Quantity(", ".join(kept)),
            "delivered": Quantity(int(np.count_nonzero(direction.delivered)), "packets"),
            "smallest_lost": Quantity(int(direction.wire_length[lost].min()), "bytes"),
            "largest_delivered": Quantity(direction.largest_delivered, "bytes"),
            "chance": Quantity(explanations[0].chance, "ratio"),
            **inside_finding.evidence_of(direction),
        },
        ruled_out=_ruled_out(direction, lost, kept),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _explanation(
    direction: Direction, lost: NDArray[np.bool_], gone: dict[str, int], kept: dict[str, int], by_family: bool
) -> str:
    ports = (
        f" and to {count(_ports(direction, lost), 'port')}" if by_family or _OFFLOADED & gone.keys() else ""
    )
    where = "inner " if (direction.sender.flows.tunnel[direction.flow[lost]] != Tunnel.NONE).any() else "IP "
    return (
        f"All {affected.packets(gone)} are lost, of {affected.sizes(direction, lost)}{ports}; "
        f"{affected.packets(kept)} arrive. So it is the {where}"
        f"{'address family' if by_family else 'protocol'} that decides: not the size, not the service. "
        + _offload(direction, lost)
    )


def _ports(direction: Direction, lost: NDArray[np.bool_]) -> int:
    flows, rows = direction.sender.flows, np.unique(direction.flow[lost])
    return len({(int(p), int(d)) for p, d in zip(flows.protocol[rows], flows.dport[rows], strict=True)})


def _offload(direction: Direction, lost: NDArray[np.bool_]) -> str:
    """State how many of the lost packets left the node with a checksum for the network card to fill in."""
    states = direction.sender.index.checks[direction.sent_row[lost]] >> INNER_L4_SHIFT & CHECK_MASK
    partial = int(np.count_nonzero(states == Checksum.PARTIAL))
    if partial == 0:
        return ""
    return (
        f"{partial:,} of the lost packets left with their inner checksum to be filled in by the network "
        "card, which is what such a hypervisor mishandles. "
    )


def _ruled_out(direction: Direction, lost: NDArray[np.bool_], kept: dict[str, int]) -> tuple[RuledOut, ...]:
    ruled_out = [
        RuledOut("path-blocked", f"{affected.packets(kept)} arrive"),
        *affected.not_by_size(direction, lost),
    ]
    if _ports(direction, lost) > 1:
        ruled_out.append(RuledOut("flow-blocked", f"{_ports(direction, lost)} ports are hit alike"))
    return tuple(ruled_out)


def _remedy(pair: Comparison, direction: Direction, gone: dict[str, int], by_family: bool) -> str:
    if by_family:
        return _remedy_of_family(direction, gone, underlay.of(direction, pair.cluster))
    if not _OFFLOADED & gone.keys():
        return _find_the_filter(direction, gone, underlay.of(direction, pair.cluster))
    below = underlay.of(direction, pair.cluster)
    who = (
        "The nodes' MAC addresses are VMware's, which fits: move"
        if below.is_vmware
        else "If the nodes are VMware virtual machines (vmxnet3), move"
    )
    near = direction.sender.name
    return written(
        f"{who} the overlay to a port that the hypervisor does not offload, such as 8223 "
        f"({below.port_setting}), or to Geneve, or use Linux 5.14 or later and ESXi 8.0 U3. To prove it, "
        "turn offload off (NIC, the device named in the route) and try again:",
        on(near, f"ip route get {below.far}", "ethtool -K NIC tx-checksum-ip-generic off"),
        "To undo it:",
        on(near, "ethtool -K NIC tx-checksum-ip-generic on"),
        "Otherwise look for a device between the nodes that filters by the inner packet.",
    )


def _remedy_of_family(direction: Direction, gone: dict[str, int], below: Underlay) -> str:
    return written(
        _find_the_filter(direction, gone, below),
        "Rules for IPv4 and IPv6 are often separate, and one of them forgotten.",
    )


def _find_the_filter(direction: Direction, gone: dict[str, int], below: Underlay) -> str:
    near, far = direction.sender.name, direction.receiver.name
    return between_captures.filters(near, far, below, f"inner packets of {listed(list(gone))}")


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check, explained_by=explaining.MISDIRECTED)
