"""Two captures have no traffic in common.

What it checks
    Did the two nodes exchange anything while both were captured?
Why it matters
    Captures of nodes that do not talk to each other, or of the right nodes while the failing pods were
    elsewhere, cannot show the fault.
How it decides
    A packet belongs to a pair of points if it was sent to an address of the other node or to a pod on it, or
    was seen by both. If neither direction has a single such packet, the captures have nothing in common.
When it cannot tell
    One of the captures holds no host-to-host packet, and its node is unknown.
What looks like it
    Packets sent to the other node of which none arrives belong to the pair: that is `path-blocked`. Captures
    of two networks with the same addresses each show both directions, but share no packet: those have nothing
    in common either. Nodes whose pods talk unencapsulated have that traffic in common. Captures from
    different times are `windows-disjoint`, and those without any tunnel `no-tunnel-traffic`.
What to do
    Capture on the nodes of the two pods in question: `kubectl get pods -o wide` lists them.
Sources
    RFC 7348 section 4.1 (who sends to whom).
"""

import numpy as np

from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.diagnostics.limits import windows_disjoint
from vxlanalyze.pairing.model import CaptureFacts, Comparison, Hop, Point
from vxlanalyze.pairing.one_sided import unrelated
from vxlanalyze.pairing.points import to_a_group
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.text.commands import anywhere, written
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import Tunnel

CODE = "no-common-traffic"
_MOST_NAMED = 5


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Look for hops that no packet belongs to."""
    return [answer for hop in pair.hops for answer in _hop(pair, hop)]


def _hop(pair: Comparison, hop: Hop) -> list[DiagnosticResult]:
    alike = unrelated(hop)
    if any(windows_disjoint.belongs(d) for d in hop.directions) and not alike:
        return []
    points = (hop.forward.sender, hop.forward.receiver)
    sides = [pair.captures[p.capture] for p in points]
    label = hop.forward.label if len(pair.hops) > 1 else None
    unclear = [d.not_assessed_why for d in hop.directions if not d.assessed]
    if unclear:
        return [NotAssessed(CODE, unclear[0], label)]
    if not any(f.tunnel_packets for f in sides) or windows_disjoint.DIAGNOSTIC.check(pair):
        return []
    empty = [p.name for p in points if not _talks(p)]
    if empty:
        why = f"{listed(empty)} holds no packet from host to host, so it is not known whose capture it is"
        return [NotAssessed(CODE, why, label)]
    outside = _in_both(*points)
    if outside and not alike:
        why = (
            f"{count(outside, 'packet')} between the two stand in both captures unencapsulated, "
            "none in a tunnel"
        )
        return [NotAssessed(CODE, why, label)]
    return [
        Finding(
            code=CODE,
            severity=Severity.CRITICAL,
            direction=label,
            summary=f"{sides[0].name} and {sides[1].name} have no packet in common"
            + (", though their addresses are the same" if alike else ": neither sent the other anything"),
            explanation=_explanation(sides, points, alike=alike),
            remedy=written(
                "See to it that both captures are of one cluster." if alike else "",
                "Capture on the nodes of the two pods in question, at the same time, and make the traffic "
                "that fails meanwhile. To find the nodes:",
                anywhere("kubectl get pods -A -o wide"),
            ),
            evidence={f"{f.name} tunnel packets": Quantity(f.tunnel_packets, "packets") for f in sides},
            ruled_out=(
                RuledOut(
                    "path-blocked",
                    "each capture shows packets of both ends"
                    if alike
                    else "nothing was sent that could have been lost",
                ),
                RuledOut("windows-disjoint", "the captures overlap in time"),
            ),
        )
    ]


def _explanation(sides: list[CaptureFacts], points: tuple[Point, Point], *, alike: bool) -> str:
    if alike:
        ends = " and ".join(listed(p.addresses, at_most=_MOST_NAMED) for p in points)
        return (
            f"Each capture shows both directions between {ends}, and not one packet stands in both: they are "
            "the captures of two networks with the same addresses, or of other times than their clocks say."
        )
    parts = [
        f"{side.name} shows {count(side.tunnel_packets, 'tunnel packet')} between {_own(point)} and "
        f"{_peers(point)}"
        for side, point in zip(sides, points, strict=True)
    ]
    return (
        f"{'; '.join(parts)}. No packet of either goes to an address of the other, or to a pod known to live "
        "there."
    )


def _in_both(first: Point, second: Point) -> int:
    """Count unencapsulated host-to-host packets of flows that both captures show."""
    shown = [
        p.decoded.usage.used & (p.flows.tunnel == Tunnel.NONE) & (p.flows.family > 0) & ~to_a_group(p.flows)
        for p in (first, second)
    ]
    common = np.isin(first.flows.identity, second.flows.identity[shown[1]]) & shown[0]
    return int(first.decoded.usage.packets[common].sum())


def _talks(point: Point) -> bool:
    """Whether a capture shows IP packets between hosts: neither ARP nor packets to a group."""
    flows = point.flows
    talking = (flows.family > 0) & ~to_a_group(flows) | (flows.outer_family > 0)
    return bool((talking & point.decoded.usage.used).any())


def _own(point: Point) -> str:
    return listed(point.addresses, at_most=_MOST_NAMED) if point.addresses else "its node"


def _peers(point: Point) -> str:
    """Outer (unencapsulated: inner) addresses that a capture shows, as words."""
    flows = point.flows
    outer = flows.outer_family > 0
    chosen = outer if outer.any() else flows.family > 0
    family = np.where(outer, flows.outer_family, flows.family)[chosen]
    ends = np.where(outer[:, np.newaxis], flows.outer_dst, flows.dst)[chosen]
    if not len(family):
        return "nobody"
    unique, _ = distinct(np.column_stack([family, ends]))
    own = set(point.addresses)
    names = [a for a in text(unique[:, 1:], unique[:, 0]) if a not in own]
    return listed(names, at_most=_MOST_NAMED)


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
