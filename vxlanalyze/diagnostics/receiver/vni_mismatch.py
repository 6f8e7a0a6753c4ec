"""The two nodes use different VNIs for the same overlay.

What it checks
    Do the two ends of a tunnel send with different network identifiers, and does neither answer the other?
Why it matters
    A tunnel endpoint discards packets of a VNI that it has no device for, silently, without an
    ICMP error: both nodes send, both captures show the packets, and no pod ever sees one.
How it decides
    Each direction carries exactly one VNI, the two differ, requests arrived, and nothing at all was answered
    in one direction, with so many requests that a working node, which leaves fewer than 2 in 100 unanswered,
    would be this silent with a probability below `chance`. Responses in the other direction do not count
    against it: they carry the VNI that the silent node discards, as every packet to it does.
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
from vxlanalyze.analysis.underlay.tunnel_ends import Ends
from vxlanalyze.analysis.underlay.underlay import Underlay
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
    if len(forward.vnis) == len(backward.vnis) == 1 and forward.vnis.keys() == backward.vnis.keys():
        return None
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
    return _finding(pair, hop, (next(iter(forward.vnis)), next(iter(backward.vnis))), found)


def _identities(hop: Hop, forward: Ends, backward: Ends) -> str:
    return (
        f"the VNI carries the sender's identity here ({hop.forward.label}: {listed(list(forward.vnis))}; "
        f"{hop.backward.label}: {listed(list(backward.vnis))})"
    )


def _could_be_identities(forward: Ends, backward: Ends) -> bool:
    """Whether everything seen is consistent with Cilium; without MACs there is no evidence for Cilium."""
    known = bool(forward.dst_macs and backward.dst_macs)
    high = min(*forward.vnis, *backward.vnis) >= _FIRST_CILIUM_IDENTITY
    return known and high and not tunnel_ends.device_macs(forward, backward)


def _finding(pair: Comparison, hop: Hop, vnis: tuple[int, int], found: list[answers.Answers]) -> Finding:
    near, far = hop.forward.sender.name, hop.forward.receiver.name
    unanswered = [0 if a.answered.any() else int(a.unanswered().sum()) for a in found]
    shown = [
        exhibits.of_packets(pair, d, a.unanswered())
        for d, a in zip(hop.directions, found, strict=True)
        if not a.answered.any()
    ]
    frames, total, display_filter = exhibits.merged(shown)
    below = underlay.of(hop.forward, pair.cluster)
    word = "key" if below.tunnel == Tunnel.GRE else "VNI"
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        summary=f"{near} sends with {word} {vnis[0]} and {far} with {word} {vnis[1]}: none of "
        f"{count(sum(unanswered), 'request')} that arrived was answered",
        explanation=f"Every tunnel packet from {near} to {far} carries {word} {vnis[0]}, every one in the "
        f"other direction {word} {vnis[1]}. {_who_discards(hop, vnis, found, word)} A node silently discards "
        f"packets with a {word} for which it has no tunnel device.",
        remedy=written(
            f"Use one {word} on both nodes. To compare:",
            on(near, below.listing),
            on(far, below.listing),
            _where_to_set(near, below),
        ),
        evidence={
            "vni_forward": Quantity(vnis[0]),
            "vni_backward": Quantity(vnis[1]),
            "unanswered_forward": Quantity(unanswered[0], "packets"),
            "unanswered_backward": Quantity(unanswered[1], "packets"),
        },
        ruled_out=(
            RuledOut(
                "path-blocked",
                f"the {count(sum(unanswered), 'request')} counted here are in the receiver's capture",
            ),
        ),
        frames=frames,
        frame_count=total,
        display_filter=display_filter,
    )


def _where_to_set(near: str, below: Underlay) -> str:
    """Where the identifier is set: by the plugin, or on the device itself."""
    if below.tunnel == Tunnel.GRE:
        return "Set the same key where the device of the node that differs is configured (DEVICE, KEY):" + on(
            near, f"ip link set DEVICE type {below.link_type} key KEY"
        )
    return written(
        "Set flannel's Backend.VNI in the kube-flannel ConfigMap (net-conf.json) or Calico's vxlanVNI "
        "in the FelixConfiguration, then restart the agent on the node that differs. If this cluster "
        "runs Cilium, VNIs differ by design: look at the nodes' firewalls instead, and give what this "
        "prints in its pod with --facts:",
        on(near, "cilium-dbg bpf tunnel list"),
    )


def _who_discards(hop: Hop, vnis: tuple[int, int], found: list[answers.Answers], word: str) -> str:
    """State which node accepts which VNI: one that answers has a device for the VNI that it receives."""
    near, far = hop.forward.sender.name, hop.forward.receiver.name
    reached = [
        f"{count(int(a.unanswered().sum()), 'request')} reached {n}"
        for a, n in zip(found, (far, near), strict=True)
    ]
    taken = [bool(a.answered.any()) for a in found]
    if not any(taken):
        return f"{reached[0]} and {reached[1]}, and neither node answered one."
    deaf, other = (near, far) if taken[0] else (far, near)
    silent, vni = (reached[1], vnis[1]) if taken[0] else (reached[0], vnis[0])
    return (
        f"{silent}, and it answered none. {other} does answer what {deaf} sends, but its answers carry "
        f"{word} {vni} as well, so {deaf} discards them too."
    )


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
