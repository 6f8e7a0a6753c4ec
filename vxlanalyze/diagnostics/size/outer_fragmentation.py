"""Outer packets are fragmented, at the sender or on the path.

What it checks
    Does either capture show fragmented outer packets, and which one first?
Why it matters
    Fragments cost the receiver memory and time, defeat receive offload and port-based queue distribution, and
    are the first packets that firewalls and clouds drop. What works today may stop with the next change of
    the path.
How it decides
    Fragments in the sender's capture: the node itself fragments, since its tunnel's MTU is too large for its
    own link. Unfragmented packets there and fragments at the receiver: a router on the path fragments.
When it cannot tell
    A direction whose capture points see no outer packets (a pod's interface).
What looks like it
    Inner fragments: the pods' packets are larger than the tunnel device's MTU and are fragmented before they
    enter the tunnel; each outer packet is complete. Segmentation offload: a large frame at the sender is not
    a datagram.
What to do
    Lower the MTU of the pods and tunnel devices so that an outer packet fits the smallest link.
Sources
    RFC 7348 section 4.3 (a tunnel endpoint must not fragment); RFC 791 section 3.2; RFC 8900; talos issue
    13457.
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.loss import affected, path_mtu
from vxlanalyze.analysis.tcp.stopped_at_fragments import stopped
from vxlanalyze.analysis.underlay import fragmented
from vxlanalyze.analysis.underlay.fragmented import Fragmented
from vxlanalyze.pairing.hop import shows_later_fragments
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, share

CODE = "outer-fragmentation"
_MOST = 0.5


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Report each direction whose outer packets travel in fragments."""
    answers: list[DiagnosticResult] = []
    for direction in pair.directions:
        travelled = fragmented.of(direction)
        if travelled.any.any():
            answers.append(_finding(pair, direction, travelled))
    return answers


def _finding(pair: Comparison, direction: Direction, travelled: Fragmented) -> Finding:
    near, far = direction.sender.name, direction.receiver.name
    cut = travelled.any
    at_sender = int(np.count_nonzero(travelled.at_sender))
    where = f"by {near} itself" if at_sender else f"on the path to {far}"
    smallest, passes = int(direction.wire_length[cut].min()), travelled.mtu[0] if travelled.mtu else None
    limit = path_mtu.limit(direction, cut, passes or smallest - 1, None)
    shown = exhibits.of_packets(pair, direction, cut)
    mtu = f" for a link of {travelled.mtu[0]:,} to {travelled.mtu[1]:,} bytes" if travelled.mtu else ""
    in_part = fragmented.in_part(direction)
    only = f", and {far}'s capture holds only the first fragment of {in_part:,} of them" if in_part else ""
    return Finding(
        code=CODE,
        # What is lost of them is `fragments-lost` or `mtu-blackhole`, with the same setting as its remedy.
        severity=Severity.INFO if _lost(pair, direction)[cut].mean() > _MOST else Severity.WARNING,
        direction=direction.label,
        summary=f"{share(int(cut.sum()), len(direction))} outer packets from {near} to {far} are fragmented "
        f"{where}{mtu}{only}: set the inner MTU to {limit.inner_mtu:,}",
        explanation=_explanation(pair, direction, travelled, limit),
        remedy=written(
            path_mtu.settings(pair, direction, limit),
            f"The link of {near} itself is too small for what its tunnel sends. The MTUs of its devices:"
            if at_sender
            else "Or raise the MTU of the link on the path.",
            on(near, "ip link show") if at_sender else "",
        ),
        evidence={
            "fragmented": Quantity(int(cut.sum()), "packets"),
            "fragmented_at_sender": Quantity(at_sender, "packets"),
            "fragmented_on_the_way": Quantity(int(np.count_nonzero(travelled.on_the_way)), "packets"),
            "incomplete": Quantity(int(np.count_nonzero(travelled.incomplete)), "packets"),
            "smallest_fragmented": Quantity(smallest, "bytes"),
            "largest_fragment": Quantity(travelled.largest_bytes, "bytes"),
            "overhead": Quantity(limit.overhead.bytes, "bytes"),
            "inner_mtu": Quantity(limit.inner_mtu, "bytes"),
        },
        ruled_out=(
            RuledOut("checksum-offload", f"{far} shows IP fragments, not segments of a super-packet"),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter="ip.flags.mf == 1 || ip.frag_offset > 0 || ipv6.fraghdr",
    )


def _lost(pair: Comparison, direction: Direction) -> NDArray[np.bool_]:
    """Packets that did not arrive, with those whose connections prove it; shape ``(m,)``."""
    result: NDArray[np.bool_] = direction.lost | stopped(pair, direction)
    return result


def _explanation(pair: Comparison, direction: Direction, travelled: Fragmented, limit: path_mtu.Limit) -> str:
    near, far = direction.sender.name, direction.receiver.name
    cut = travelled.any
    text = f"Outer packets of {affected.sizes(direction, cut)} are cut"
    if travelled.at_sender.any():
        text += f"; {near}'s own capture shows the fragments, so the node itself makes them"
    else:
        text += (
            f"; {near} sends them unfragmented and {far} receives fragments, so a router between them does"
        )
    if travelled.mtu:
        text += (
            f". The largest fragment has {travelled.largest_bytes:,} bytes; fragments are cut at multiples "
            f"of 8, so the link carries {travelled.mtu[0]:,} to {travelled.mtu[1]:,}"
        )
    if limit.overhead.bytes:
        text += f". The tunnel adds {limit.overhead.bytes} bytes: {limit.arithmetic}"
    return (
        text
        + ". A tunnel endpoint may discard fragments (RFC 7348 section 4.3). "
        + _unseen(pair, direction)
        + path_mtu.encryption(direction)
    )


def _unseen(pair: Comparison, direction: Direction) -> str:
    """State that a filter on ports hides later fragments, where the receiver's capture looks like it."""
    in_part = fragmented.in_part(direction)
    if not in_part or shows_later_fragments(direction.receiver) or stopped(pair, direction).any():
        return ""
    far = direction.receiver.name
    return (
        f"Of {count(in_part, 'packet')} the capture of {far} shows the first fragment alone. It looks "
        "filtered by port, which hides later fragments, so whether these arrive is not known; add `or "
        "(ip[6:2] & 0x1fff != 0)` to its filter. "
    )


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
