"""A router reports that outer packets are too large for the next link.

What it checks
    Is there an ICMP "fragmentation needed" (IPv4) or "packet too big" (IPv6) that quotes an outer packet
    of a direction, in either capture?
Why it matters
    The path carries less than the nodes assume. The node that gets the error can send smaller packets, but
    often the error is filtered, or the tunnel device does not inform the pods: then transfers hang.
How it decides
    One such error is proof; its MTU is used. It is critical if packets above that MTU are lost in this
    direction, a warning if none is (any longer).
When it cannot tell
    Captures filtered by the tunnel's UDP port hold no ICMP: then silence proves nothing, and such loss
    shows as `mtu-blackhole`.
What looks like it
    The error that a node's own tunnel device sends to its pods: it quotes an inner packet and is normal path
    MTU discovery. A black hole: there is no error.
What to do
    Lower the MTU of the pods and tunnel devices to the stated MTU minus the overhead. Allow ICMP type 3 code
    4 and ICMPv6 type 2 in all firewalls.
Sources
    RFC 1191 section 4; RFC 8201 section 4; RFC 4443 section 3.2; RFC 7348 section 4.3; kube-router issue
    685, cilium issue 26193.
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.loss import affected, path_mtu
from vxlanalyze.analysis.loss.path_mtu import Limit
from vxlanalyze.analysis.underlay import underlay_errors
from vxlanalyze.analysis.underlay.underlay_errors import TOO_BIG, Errors
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.addresses import text

CODE = "mtu-icmp-needed"


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Report each direction whose outer packets a router reports as too big."""
    answers: list[DiagnosticResult] = []
    for direction in pair.directions:
        seen = underlay_errors.about(pair, direction, TOO_BIG)
        if seen:
            answers.append(_finding(pair, direction, seen))
    return answers


def _finding(pair: Comparison, direction: Direction, seen: list[Errors]) -> Finding:
    mtu = _stated_mtu(direction, seen)
    large = direction.judged & (direction.wire_length > mtu)
    lost = large & direction.lost
    about = large if large.any() else direction.judged
    found = path_mtu.limit(direction, about, mtu, None)
    errors = max(len(e.row) for e in seen)
    shown = exhibits.of_rows(pair, [(e.point, e.row) for e in seen])
    goes_on = f", and {count(int(lost.sum()), 'larger packet')} are lost" if lost.any() else ""
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL if lost.any() else Severity.WARNING,
        direction=direction.label,
        summary=f"A router on the path from {direction.sender.name} to {direction.receiver.name} "
        f"says that it "
        f"carries outer packets of {mtu:,} bytes at most ({count(errors, 'ICMP error')}){goes_on}: set "
        f"the inner MTU to {found.inner_mtu:,}",
        explanation=_explanation(direction, seen, large, found),
        remedy=written(
            path_mtu.settings(pair, direction, found),
            "Let ICMP type 3 code 4 and ICMPv6 type 2 through every firewall and security group, so that "
            f"nodes learn the limit. What {direction.sender.name} has learned:",
            on(direction.sender.name, f"ip route get {_receiver(direction)}"),
        ),
        evidence={
            "stated_mtu": Quantity(mtu, "bytes"),
            "errors": Quantity(errors, "packets"),
            "routers": Quantity(", ".join(_routers(seen))),
            "larger_sent": Quantity(int(large.sum()), "packets"),
            "larger_lost": Quantity(int(lost.sum()), "packets"),
            "overhead": Quantity(found.overhead.bytes, "bytes"),
            "inner_mtu": Quantity(found.inner_mtu, "bytes"),
        },
        ruled_out=(
            RuledOut("mtu-blackhole", "the router does say so, and quotes the outer packets"),
            *_random(direction, large),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter="(icmp.type == 3 && icmp.code == 4) || icmpv6.type == 2",
    )


def _stated_mtu(direction: Direction, seen: list[Errors]) -> int:
    """The smallest MTU stated; for routers that state none, the largest packet that arrived."""
    stated = np.concatenate([e.mtu for e in seen])
    if (stated > 0).any():
        return int(stated[stated > 0].min())
    return direction.largest_delivered or int(direction.wire_length.min()) - 1


def _routers(seen: list[Errors]) -> list[str]:
    names: dict[str, None] = {}
    for errors in seen:
        flows = errors.point.flows
        rows = np.unique(errors.point.index.flow[errors.row])
        names |= dict.fromkeys(text(flows.src[rows], flows.family[rows]))
    return list(names)


def _receiver(direction: Direction) -> str:
    flows, row = direction.sender.flows, int(direction.flow[0])
    outer = flows.outer_family[row] > 0
    dst, family = (flows.outer_dst, flows.outer_family) if outer else (flows.dst, flows.family)
    return text(dst[row : row + 1], family[row : row + 1])[0]


def _explanation(direction: Direction, seen: list[Errors], large: NDArray[np.bool_], found: Limit) -> str:
    where = listed([f"{e.point.name} ({len(e.row):,})" for e in seen])
    lost = int(np.count_nonzero(large & direction.lost))
    return (
        f"ICMP errors that quote outer packets of this direction are in the capture of {where}, sent by "
        f"{listed(_routers(seen))}. {direction.sender.name} sent {count(int(large.sum()), 'packet')} above "
        f"{found.passes:,} bytes, of which {lost:,} did not arrive"
        + (f" ({affected.sizes(direction, large)}). " if large.any() else ". ")
        + (f"{found.added}. " if found.added else "")
        + path_mtu.encryption(direction)
    ).rstrip()


def _random(direction: Direction, large: NDArray[np.bool_]) -> tuple[RuledOut, ...]:
    small = direction.judged & ~large
    if not large.any() or not small.any():
        return ()
    gone = int(np.count_nonzero(small & direction.lost))
    return (RuledOut("packet-loss", f"{gone:,} of {count(int(small.sum()), 'smaller packet')} are lost"),)


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
