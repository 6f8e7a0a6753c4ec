"""The two nodes use different VNIs for the same overlay.

What it checks
    Do the two ends of a tunnel send with different network identifiers, and does neither answer the other?
Why it matters
    A tunnel endpoint silently discards packets with a VNI for which it has no device, without an
    ICMP error: both nodes send, both captures show the packets, and no pod ever sees one.
How it decides
    Each direction carries exactly one VNI, the two differ, requests arrived, and nothing at all was answered
    in one direction, with so many requests that a working node, which leaves fewer than 2 in 100 unanswered,
    would be this silent with a probability below `chance`. Responses in the other direction do not count
    against it: they carry the VNI that the silent node discards, as every packet to it does. Of several
    overlays, one has two VNIs if each node uses one of its own for the same addresses, nothing with these is
    answered, and another overlay uses one VNI both ways and answers.
When it cannot tell
    Several VNIs in one direction, or files that name Cilium: there the VNI is the security identity of the
    sending pod, and differs by design. The same holds for one VNI per direction that could be a Cilium
    identity (256 and above) where neither node addresses the other's tunnel device by its MAC. Too few
    requests, or tunnel packets in one direction only.
What looks like it
    Cilium identities; a firewall on both nodes (then the VNIs are equal); one VNI per direction with answers,
    which proves that both nodes accept both.
What to do
    Give both nodes the same VNI: flannel `Backend.VNI` (1 on Linux, 4096 or above on Windows), Calico
    `vxlanVNI` in the FelixConfiguration (4096); `ip -d link show type vxlan` prints what a node uses.
Sources
    RFC 7348 section 4.1 (a VTEP's VNI table); flannel Documentation/backends.md; Calico FelixConfiguration
    reference; Cilium commit a6739a8 (identity in the VNI); Cilium documentation, "Reserved identities"
    (below 256).
"""

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.integrity import alone
from vxlanalyze.analysis.requests import answers
from vxlanalyze.analysis.underlay import tunnel_ends, underlay
from vxlanalyze.analysis.underlay.tunnel_ends import TunnelEnds
from vxlanalyze.analysis.underlay.underlay import Underlay
from vxlanalyze.diagnostics.receiver import split_overlay
from vxlanalyze.diagnostics.receiver.split_overlay import SplitOverlay
from vxlanalyze.pairing.model import Comparison, Hop
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.model import Tunnel

CODE = "vni-mismatch"
_FIRST_CILIUM_IDENTITY = 256


def check(pair: Comparison, *, chance: float = 1e-6) -> list[DiagnosticResult]:
    """Compare the VNIs of both directions; the first hop whose ends disagree represents all.

    `chance` is the false alarm probability accepted for a hop.
    """
    return alone.run(pair, CODE, lambda looked_at: _run(looked_at, chance))


def _run(pair: Comparison, chance: float) -> list[DiagnosticResult]:
    hops = [h for h in pair.hops if h.forward.sender.encapsulated and h.forward.receiver.encapsulated]
    results = [a for a in (_hop(pair, hop, chance) for hop in hops) if a is not None]
    return sorted(results, key=lambda a: not isinstance(a, Finding))[:1]


def _hop(pair: Comparison, hop: Hop, chance: float) -> DiagnosticResult | None:
    forward, backward = tunnel_ends.of(hop.forward), tunnel_ends.of(hop.backward)
    if not forward.vnis or not backward.vnis:
        return NotAssessed(CODE, "tunnel packets with a VNI were seen in one direction at most")
    same = len(forward.vnis) == len(backward.vnis) == 1 and forward.vnis.keys() == backward.vnis.keys()
    if same or tunnel_ends.differ_in_kind(forward, backward):  # not-answered reports another kind of tunnel
        return None
    if not tunnel_ends.is_cilium(pair.cluster) and not _could_be_identities(forward, backward):
        split = split_overlay.of(hop, chance)
        if split is not None:
            return _finding(pair, hop, split)
    if tunnel_ends.is_cilium(pair.cluster) or max(len(forward.vnis), len(backward.vnis)) > 1:
        return NotAssessed(CODE, _identities(hop, forward, backward))
    found = [answers.of(d) for d in hop.directions]
    if all(a.answered.any() for a in found):
        return None
    if _could_be_identities(forward, backward):
        return NotAssessed(
            CODE,
            "one VNI each way, but no end addresses the other's tunnel device by its MAC: as Cilium does it, "
            "where the VNI is the sender's security identity",
        )
    if not any(a.silent(chance) for a in found):
        if any(a.answered.any() for a in found):
            return None
        return NotAssessed(
            CODE,
            "the VNIs differ, but fewer than "
            f"{count(answers.requests_needed(chance), 'request')} arrived in either direction",
        )
    unanswered = [a.unanswered() & (not a.answered.any()) for a in found]
    vnis = (next(iter(forward.vnis)), next(iter(backward.vnis)))
    return _finding(pair, hop, SplitOverlay(vnis, (), (unanswered[0], unanswered[1])))


def _identities(hop: Hop, forward: TunnelEnds, backward: TunnelEnds) -> str:
    return (
        f"the VNI carries the sender's identity here ({hop.forward.label}: {listed(list(forward.vnis))}; "
        f"{hop.backward.label}: {listed(list(backward.vnis))})"
    )


def _could_be_identities(forward: TunnelEnds, backward: TunnelEnds) -> bool:
    """Whether everything seen is consistent with Cilium; without MACs there is no evidence for Cilium."""
    known = bool(forward.dst_macs and backward.dst_macs)
    high = min(*forward.vnis, *backward.vnis) >= _FIRST_CILIUM_IDENTITY
    return known and high and not tunnel_ends.device_macs(forward, backward)


def _finding(pair: Comparison, hop: Hop, split: SplitOverlay) -> Finding:
    near, far = hop.forward.sender.name, hop.forward.receiver.name
    vnis, unanswered = split.vnis, split.unanswered
    shown = exhibits.merged(
        exhibits.of_packets(pair, d, chosen)
        for d, chosen in zip(hop.directions, split.requests, strict=True)
        if chosen.any()
    )
    below = underlay.of(hop.forward, pair.cluster)
    word = "key" if below.tunnel == Tunnel.GRE else "VNI"
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        summary=f"{near} sends with {word} {vnis[0]} and {far} with {word} {vnis[1]}: none of "
        f"{count(sum(unanswered), 'request')} that arrived was answered",
        explanation=f"{_what_carries_it(hop, split, word)} {_who_discards(hop, split, word)} A node silently "
        f"discards packets with a {word} for which it has no tunnel device.",
        remedy=written(
            f"Use one {word} on both nodes. To compare:",
            on(near, below.listing),
            on(far, below.listing),
            _where_to_set(near, below, split),
        ),
        evidence={
            "vni_forward": Quantity(vnis[0]),
            "vni_backward": Quantity(vnis[1]),
            "unanswered_forward": Quantity(unanswered[0], "packets"),
            "unanswered_backward": Quantity(unanswered[1], "packets"),
            "working_vni": Quantity(split.working[0] if split.working else None),
        },
        ruled_out=(
            RuledOut(
                "path-blocked",
                f"the {count(sum(unanswered), 'request')} counted here are in the receiver's capture",
            ),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _where_to_set(near: str, below: Underlay, split: SplitOverlay) -> str:
    """Where the identifier is set: by the plugin, or on the device itself."""
    if below.tunnel == Tunnel.GRE:
        return "Set the same key where the device of the node that differs is configured (DEVICE, KEY):" + on(
            near, f"ip link set DEVICE type {below.link_type} key KEY"
        )
    if split.working:
        return (
            f"Then give the device of the node that differs the VNI of the other one ({split.vnis[0]} or "
            f"{split.vnis[1]}), where this overlay is configured; a device keeps its id, so recreate it."
        )
    return written(
        "Set flannel's Backend.VNI in the kube-flannel ConfigMap (net-conf.json) or Calico's vxlanVNI "
        "in the FelixConfiguration, then restart the agent on the node that differs. If this cluster "
        "runs Cilium, VNIs differ by design: look at the nodes' firewalls instead, and save the "
        "output of this command, run in the Cilium pod, for --facts:",
        on(near, "cilium-dbg bpf tunnel list"),
    )


def _what_carries_it(hop: Hop, split: SplitOverlay, word: str) -> str:
    """State which packets have which identifier."""
    near, far, vnis = hop.forward.sender.name, hop.forward.receiver.name, split.vnis
    if not split.working:
        return (
            f"Every tunnel packet from {near} to {far} carries {word} {vnis[0]}, every one in the other "
            f"direction {word} {vnis[1]}."
        )
    working = listed([str(vni) for vni in split.working], at_most=4)
    return (
        f"Only {near} uses {word} {vnis[0]} and only {far} {word} {vnis[1]}, for the same addresses; {word} "
        f"{working} is used both ways and answered. So one overlay has two of them."
    )


def _who_discards(hop: Hop, split: SplitOverlay, word: str) -> str:
    """State which node accepts which VNI: one that answers has a device for the VNI that it receives."""
    near, far = hop.forward.sender.name, hop.forward.receiver.name
    reached = [
        f"{count(requests, 'request')} reached {n}"
        for requests, n in zip(split.unanswered, (far, near), strict=True)
    ]
    taken, vnis = [bool(answers.of(d).answered.any()) for d in hop.directions], split.vnis
    if split.working or not any(taken):
        return f"{reached[0]} and {reached[1]}, and neither node answered one."
    deaf, other = (near, far) if taken[0] else (far, near)
    silent, vni = (reached[1], vnis[1]) if taken[0] else (reached[0], vnis[0])
    return (
        f"{silent}, and it answered none. {other} does answer what {deaf} sends, but its answers carry "
        f"{word} {vni} as well, so {deaf} discards them too."
    )


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
