"""A device between the points rewrites the outer address of tunnel packets.

What it checks
    Do matched packets have a different outer source or destination address at the receiver?
Why it matters
    NAT between the nodes works as long as answers find their way back, but breaks silently: tunnel endpoints
    know each other by address, security groups and maps may contain a different address, and a NAT that does
    not update the UDP checksum leaves it invalid. All other findings use the inner packet.
How it decides
    For matched packets that are unlike others (those may be paired crosswise), at points that both see the
    tunnel, outer source and destination are compared. There is no threshold: one rewritten packet is proof.
When it cannot tell
    No packet of the direction was seen at both points inside the tunnel.
What looks like it
    A packet sent twice over two paths; a mirror port (there, the addresses are equal).
What to do
    Nothing where traffic is answered. Where it is not, let the nodes reach each other without NAT, or
    announce the translated address as the node's (flannel `--public-ip`, Calico's node address).
Sources
    RFC 3022 section 2.2; RFC 7348 section 4.1; flannel pull request 1929 (NAT between nodes, and checksums).
"""

import numpy as np

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, Severity
from vxlanalyze.analysis.requests import answers
from vxlanalyze.analysis.underlay.rewriting import Rewritten, rewritten, shows_underlay
from vxlanalyze.pairing.model import NO_ROW, Comparison, Direction
from vxlanalyze.text.words import count, share

CODE = "outer-address-rewritten"


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Compare the outer addresses of each direction's packets at both points."""
    results: list[DiagnosticResult] = []
    for direction in pair.directions:
        if not shows_underlay(direction):
            continue
        if not (direction.received_row != NO_ROW).any():
            results.append(NotAssessed(CODE, "no packet was seen at both points", direction.label))
            continue
        changes = rewritten(direction)
        if changes:
            results.append(_finding(pair, direction, changes))
    return results


def _finding(pair: Comparison, direction: Direction, changes: list[Rewritten]) -> Finding:
    first = changes[0]
    chosen = np.logical_or.reduce([c.packets for c in changes])
    packets, arrived = int(chosen.sum()), int((direction.received_row != NO_ROW).sum())
    which = "source" if first.before[0] != first.after[0] else "destination"
    both = first.before[0] != first.after[0] and first.before[1] != first.after[1]
    at = 0 if which == "source" else 1
    responses = answers.of(direction)
    works = "and requests are answered through it" if responses.answered.any() else "and no answer was seen"
    shown = exhibits.of_packets(pair, direction, chosen)
    ports = " The outer source port is rewritten too." if any(c.ports for c in changes) else ""
    return Finding(
        code=CODE,
        severity=Severity.INFO,
        direction=direction.label,
        summary=f"the outer {which} address {first.before[at]} arrives as {first.after[at]} "
        f"({share(packets, arrived)} packets)",
        explanation=f"{count(packets, 'packet')} left {direction.sender.name} as {first.before[0]} > "
        f"{first.before[1]} and reached {direction.receiver.name} as {first.after[0]} > {first.after[1]}, "
        f"with the same content: something between the nodes translates addresses, {works}.{ports}"
        + (" Both addresses are rewritten." if both else ""),
        remedy="Nothing where traffic is answered. Otherwise let the nodes reach each other without NAT "
        "(no masquerading between node addresses), or announce the translated address: flannel's "
        "--public-ip, Calico's IP_AUTODETECTION_METHOD; and allow it in security groups.",
        evidence={
            "rewritten": Quantity(packets, "packets"),
            "source_before": Quantity(first.before[0]),
            "source_after": Quantity(first.after[0]),
            "destination_before": Quantity(first.before[1]),
            "destination_after": Quantity(first.after[1]),
        },
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
