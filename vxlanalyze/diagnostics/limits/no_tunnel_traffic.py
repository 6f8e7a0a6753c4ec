"""Nothing in a capture is encapsulated.

What it checks
    Does every capture that should show tunnel packets contain some?
Why it matters
    A capture of the wrong interface, or with a filter for the wrong port, proves nothing about the tunnel.
How it decides
    Tunnels are recognised by their ports, and by content on any other port. A capture with frames but without
    a tunnel packet is compared with the others: where the next point received packets from this node, this
    capture was taken elsewhere. Where all captures are unencapsulated and packets match, they are compared as
    they are.
When it cannot tell
    ESP or WireGuard between the nodes may hide a tunnel: see `encrypted-underlay`.
What looks like it
    A capture at the receiver that holds no tunnel packet, or no frame at all, because nothing arrives: that
    is evidence of `path-blocked` and not reported here. A pod's interface shows packets before the tunnel.
What to do
    Find the interface that carries the tunnel with `ip -d link show type vxlan` (dev) and `ss -lun`, and
    capture there, on its port.
Sources
    RFC 7348 section 5 and 8.1 (port 4789); Linux Documentation/networking/vxlan.rst (8472).
"""

import numpy as np

from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.underlay import capturing
from vxlanalyze.pairing.model import CaptureFacts, Comparison
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.tunnels import KNOWN_PORTS

CODE = "no-tunnel-traffic"


def _look(pair: Comparison, captures: list[CaptureFacts]) -> str:
    names = [facts.name for facts in captures]
    return written(
        "Find the tunnel's device, port and network card (dev):",
        *(on(name, "ip -d link show type vxlan", "ip -d link show type geneve", "ss -lun") for name in names),
        "Capture there, on the network card (NIC), with the port that was found:",
        capturing.on_both(pair, captures),
        "A tunnel on another port is recognised by content, or named with --port.",
    )


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Look for captures without a tunnel packet where there should be some."""
    if any(facts.tunnel_packets for facts in pair.captures):
        return _some(pair)
    if any((p.flows.encryption > 0).any() for p in pair.points):
        why = "what lies between the nodes is encrypted: whether it holds a tunnel does not show"
        return [NotAssessed(CODE, why)]
    frames = sum(facts.packets for facts in pair.captures)
    matched = sum(int(np.count_nonzero(d.delivered)) for d in pair.directions)
    routed = any(point.routed for point in pair.points)  # then pods need no tunnel, even if nothing arrives
    if matched or routed:
        return [_compared_unencapsulated(pair, frames, matched)]
    held = (
        f"none of {count(frames, 'frame')} is"
        if frames
        else "the captures hold no frame at all, so nothing is"
    )
    return [
        Finding(
            code=CODE,
            severity=Severity.CRITICAL,
            summary=f"No tunnel packet in any capture: {held} encapsulated",
            explanation=f"Neither the known ports ({listed(KNOWN_PORTS)}) nor content on any other UDP "
            "port show a tunnel, and there is no encryption that could hide one. So the captures were "
            "taken where the tunnel does not pass, or with a filter that leaves it out, or nothing was sent.",
            remedy=_look(pair, list(pair.captures)),
            evidence={"frames": Quantity(frames, "frames"), "tunnel_packets": Quantity(0, "frames")},
            ruled_out=(RuledOut("encrypted-underlay", "there is no ESP and no WireGuard in the captures"),),
        )
    ]


def _compared_unencapsulated(pair: Comparison, frames: int, matched: int) -> Finding:
    judged = sum(int(np.count_nonzero(d.judged)) for d in pair.directions)
    return Finding(
        code=CODE,
        severity=Severity.INFO,
        summary=f"No tunnel packet in any capture: {count(judged, 'packet')} were compared as they are",
        explanation="All points see packets outside of a tunnel, as pods and nodes with routed networks "
        "do. What is said of loss and delay holds for them; nothing is said of a tunnel.",
        remedy=f"Only where the tunnel is in question:\n{_look(pair, list(pair.captures))}",
        evidence={"frames": Quantity(frames, "frames"), "matched": Quantity(matched, "packets")},
        ruled_out=(RuledOut("no-common-traffic", f"{matched:,} packets are in more than one capture"),)
        if matched
        else (),
    )


def _some(pair: Comparison) -> list[DiagnosticResult]:
    """Captures without tunnel packets, of nodes from which others received some."""
    elsewhere: dict[str, int] = {}
    for direction in pair.directions:
        facts = pair.captures[direction.sender.capture]
        received = len(direction.unsent_row)
        if facts.packets and not facts.tunnel_packets and direction.sender.encapsulated and received:
            elsewhere[facts.name] = elsewhere.get(facts.name, 0) + received
    if not elsewhere:
        return []
    received = sum(elsewhere.values())
    frames = sum(f.packets for f in pair.captures if f.name in elsewhere)
    return [
        Finding(
            code=CODE,
            severity=Severity.CRITICAL,
            summary=f"{listed(list(elsewhere))} shows no tunnel packet among {count(frames, 'frame')}, "
            f"though the other side received {received:,} from there: it was captured at another place",
            explanation="The node did send them, so its capture looked at another interface or was "
            "filtered for something else. Nothing can be said of what this node sent or received.",
            remedy=_look(pair, [f for f in pair.captures if f.name in elsewhere]),
            evidence={
                "frames": Quantity(frames, "frames"),
                "received_from_it": Quantity(received, "packets"),
            },
            ruled_out=(RuledOut("path-blocked", f"{received:,} packets from there did arrive"),),
        )
    ]


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check, explained_by=("not-encapsulated",), round_trip=True)
