"""Invalid-looking checksums or oversized packets at the sender are an effect of offload.

What it checks
    Does a sender's capture show checksums that its network card has yet to fill in, or packets that it has
    yet to segment?
Why it matters
    tcpdump and Wireshark call these checksums incorrect, and these packets are larger than the MTU. Many
    investigations have ended here. Nothing is wrong: the capture is taken between the kernel and the card.
How it decides
    At the sender the field holds the sum of the pseudo-header, or, in the outer UDP header, a value that will
    be valid once the card has filled in the inner one; or one frame becomes several packets at the receiver.
    Arrival is the evidence: there the checksums are valid or absent. Packets that arrive with unfilled
    checksums and are answered nevertheless took a path inside one host, and are listed here as well.
When it cannot tell
    With only one capture, arrivals are not visible; what the capture itself shows is listed anyway.
What looks like it
    Checksums that are invalid on arrival: `outer-checksum-bad`, `inner-checksum-bad`.
What to do
    Nothing. To see the packets as on the wire, capture at the receiver or on a switch.
Sources
    Linux Documentation/networking/checksum-offloads.rst and segmentation-offloads.rst; net/ipv4/udp.c,
    udp_set_csum; Wireshark wiki, CaptureSetup/Offloading.
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.integrity import checksums
from vxlanalyze.analysis.messages import dhcp
from vxlanalyze.analysis.requests import answers
from vxlanalyze.pairing.model import NO_ROW, Comparison, Direction, Point
from vxlanalyze.pairing.sorting import present
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.model import INNER_L4_SHIFT, OUTER_L4_SHIFT, UNFILLED, Checksum

CODE = "checksum-offload"


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Examine each sender's own packets in its capture."""
    if not pair.hops:
        return [f for f in (_alone(pair, point) for point in pair.points) if f is not None]
    found = (_direction(pair, direction) for direction in pair.directions)
    return [finding for finding in found if finding is not None]


def _direction(pair: Comparison, direction: Direction) -> Finding | None:
    outer, inner = checksums.of(direction, OUTER_L4_SHIFT), checksums.of(direction, INNER_L4_SHIFT)
    sent = _unfilled(outer.sent, inner.sent)
    # Any other checksum that is invalid at the sender and valid on arrival was filled in after the capture.
    sent |= _put_right(outer) | _put_right(inner)
    ignored = dhcp.ignored_unfilled(pair, direction)
    sent &= ~ignored
    large = direction.sender.segment_bytes[direction.sent_row] != 0
    inside = _unfilled(outer.received, inner.received) & _answered(direction, outer, inner)
    inside &= ~ignored
    if not (sent.any() or large.any() or inside.any()):
        return None
    arrived = direction.received_row != NO_ROW
    single = checksums.among(outer.received, checksums.RIGHT) & checksums.among(
        inner.received, checksums.RIGHT
    )
    right = int((sent & arrived & single).sum())
    frames = present(direction.sent_row[large])
    shown = exhibits.of_rows(pair, [(direction.sender, direction.sent_row[sent | large])])
    near, far = direction.sender.name, direction.receiver.name
    parts = [
        (sent.any(), f"{count(int(sent.sum()), 'packet')} with partial checksums (offload)"),
        (large.any(), f"{count(len(frames), 'frame')} that the card cuts into {int(large.sum()):,} packets"),
        (inside.any(), f"{count(int(inside.sum()), 'packet')} that arrive unfilled and are accepted"),
    ]
    pictures = listed([words for present, words in parts if present])
    return Finding(
        code=CODE,
        severity=Severity.INFO,
        direction=direction.label,
        summary=f"The capture of {near} shows offload, not faults: {pictures}",
        explanation=f"The capture of {near} sits between its kernel and its network card: {pictures}. "
        f"{_on_arrival(far, right, inside=bool(inside.any()))}tcpdump and Wireshark call such checksums "
        f"incorrect.{_features(pair, direction.sender)}",
        remedy="Nothing. To see what the wire carries, capture at the receiver or on a mirror port.",
        evidence={
            "unfilled": Quantity(int(sent.sum()), "packets"),
            "right_on_arrival": Quantity(right, "packets"),
            "super_packets": Quantity(len(frames), "frames"),
            "packets_in_them": Quantity(int(large.sum()), "packets"),
            "unfilled_on_arrival": Quantity(int(inside.sum()), "packets"),
        },
        ruled_out=_ruled_out(outer, inner),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _on_arrival(far: str, right: int, *, inside: bool) -> str:
    text = ""
    if right:
        text += f"{count(right, 'packet')} of these arrive at {far} with checksums right or absent. "
    if inside:
        text += "Unfilled checksums that arrive and are answered went over a path inside one host. "
    return text


def _unfilled(outer: NDArray[np.uint8], inner: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return checksums.among(outer, UNFILLED) | checksums.among(inner, UNFILLED)


def _put_right(checks: checksums.Checks) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = checksums.among(checks.sent, checksums.WRONG) & (
        checks.received == Checksum.OK
    )
    return right


def _answered(direction: Direction, outer: checksums.Checks, inner: checksums.Checks) -> NDArray[np.bool_]:
    """Packets of flows that are answered; skipped where nothing arrives unfilled."""
    if not (outer.unfilled | inner.unfilled).any():
        return np.zeros(len(direction), np.bool_)
    responses = answers.of(direction)
    return responses.answered[responses.flow]


def _ruled_out(outer: checksums.Checks, inner: checksums.Checks) -> tuple[RuledOut, ...]:
    excluded = []
    for code, checks in (("outer-checksum-bad", outer), ("inner-checksum-bad", inner)):
        if checks.judged.any() and not checks.wrong.any():
            right = int((checks.judged & (checks.received == Checksum.OK)).sum())
            excluded.append(
                RuledOut(code, f"of those that carry one, {right:,} arrive valid and none invalid")
            )
    return tuple(excluded)


def _features(pair: Comparison, point: Point) -> str:
    """Describe the offload settings saved on the node."""
    name = pair.captures[point.capture].name
    on = {
        row["feature"]
        for fact in pair.cluster.facts_of("ethtool-k", name)
        for row in fact.rows
        if row["state"] == "on" and ("checksum" in row["feature"] or "segmentation" in row["feature"])
    }
    return f" The offload settings of {name} agree: {listed(sorted(on))} on." if on else ""


def _alone(pair: Comparison, point: Point) -> Finding | None:
    """Examine a capture without one of the receiver."""
    outer, inner = checksums.states(point, OUTER_L4_SHIFT), checksums.states(point, INNER_L4_SHIFT)
    unfilled = _unfilled(outer, inner)
    if point.rows is not None:
        here = np.zeros(len(unfilled), np.bool_)
        here[point.rows] = True
        unfilled &= here
    large = point.segment_bytes != 0
    if not (unfilled.any() or large.any()):
        return None
    shown = exhibits.of_rows(pair, [(point, np.flatnonzero(unfilled | large).astype(np.int32))])
    return Finding(
        code=CODE,
        severity=Severity.INFO,
        summary=f"The capture of {point.name} shows offload: {count(int(unfilled.sum()), 'packet')} with "
        f"partial checksums (offload), {count(int(large.sum()), 'frame')} of several packets",
        explanation="The capture sits between the kernel and the network card, which fills these checksums "
        "in and cuts these frames. What arrives is not seen in one capture, so whether it does so correctly "
        "is not known." + _features(pair, point),
        remedy="Nothing; to see what the wire carries, capture at the receiver and compare.",
        evidence={
            "unfilled": Quantity(int(unfilled.sum()), "packets"),
            "super_packets": Quantity(int(large.sum()), "frames"),
        },
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
