"""Inner packets are corrupted in transit.

What it checks
    Do matched packets carry the same payload at both points?
Why it matters
    If a checksum catches the damage, it looks like loss. If the checksum was computed or updated after the
    damage, nothing catches it, and the pods work with wrong data.
How it decides
    The payload of each packet was digested at both points, as far as both captured it; packets are matched by
    their headers, and where the inner one is damaged, by the outer. A difference is proof; one packet is
    enough. A sample is read again and compared byte by byte and field by field, to find a pattern. TTL, DSCP
    and ECN may change on any path and are ignored, as are checksums, which offload leaves unfilled. Two
    packets in the same position only count as one if an invalid checksum or an equal IP ID confirms it, and
    DNS IDs never differ. Datagrams with neither count as one if only a few bits or one block of bytes differ
    and the remaining bytes are unique to this datagram, compared with what the flow sent before and after it.
    Where at most one packet in 10,000 is damaged and caught by its checksum, and ten times as many are lost,
    it is only a note.
When it cannot tell
    The snap length left no payload in one of the captures, or no packet with a payload arrived.
What looks like it
    Another packet with the same headers (a retransmission with other bounds); a gateway that rewrites payload
    on purpose (SIP, FTP), recognised by valid checksums.
What to do
    Locate it, with a capture in between or by disabling offloads one at a time. Damage at the same offset or
    to the same bit points to a memory or bus fault of one device; damage with valid checksums happened before
    a card filled them in, or in a device that recomputes them.
Sources
    J. Stone and C. Partridge, "When the CRC and TCP checksum disagree", SIGCOMM 2000; tailscale issues 11026
    and 21335 (UDP segmentation offload); Linux Documentation/networking/checksum-offloads.rst.
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.integrity import checksums, damage_pattern, damaged_headers, damaged_sample
from vxlanalyze.analysis.integrity.damage_pattern import Pattern
from vxlanalyze.analysis.integrity.damaged_headers import ChangedHeaders
from vxlanalyze.analysis.underlay import underlay
from vxlanalyze.analysis.underlay.underlay import Underlay
from vxlanalyze.pairing.model import NO_ROW, Comparison, Direction
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed, share
from vxlanalyze.wire.model import INNER_L4_SHIFT, OUTER_L4_SHIFT, UNFILLED

CODE = "corrupted-in-transit"
_MINOR_SHARE = 0.0001  # of the packets compared
_MINOR_TIMES = 10  # as many packets are lost


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Compare the payload of each direction's packets at both points."""
    results: list[DiagnosticResult] = []
    for direction in pair.directions:
        compared = _compared(direction)
        if direction.corrupted.any():
            results.append(_finding(pair, direction, compared))
        elif not compared.any():
            results.append(NotAssessed(CODE, _why_not(direction), direction.label))
    return results


def _compared(direction: Direction) -> NDArray[np.bool_]:
    """Packets with some payload in both captures, shape ``(m,)``."""
    arrived = np.flatnonzero(direction.received_row != NO_ROW)
    here, there = direction.sent_row[arrived], direction.received_row[arrived]
    kept = np.zeros(len(direction), np.bool_)
    kept[arrived] = (direction.sender.index.digest_length[here] > 0) & (
        direction.receiver.index.digest_length[there] > 0
    )
    return kept


def _why_not(direction: Direction) -> str:
    arrived = direction.received_row != NO_ROW
    if not arrived.any():
        return "no packet was seen to arrive"
    if not (direction.payload_length[arrived] > 0).any():
        return "no packet with a payload arrived"
    return "the captures hold no payload to compare: the snap length cuts it off"


def _finding(pair: Comparison, direction: Direction, compared: NDArray[np.bool_]) -> Finding:
    near = direction.sender.name
    damaged = direction.corrupted
    packets, whole = int(damaged.sum()), int((compared | damaged).sum())
    sample = damaged_sample.of(pair, direction, damaged)
    pattern, headers = damage_pattern.find(sample), damaged_headers.find(sample)
    shape = headers.shape if headers.sampled > pattern.sampled else pattern.shape
    shown = exhibits.of_packets(pair, direction, damaged)
    caught, passed, made_late = _caught(direction)
    minor = not passed and _is_minor(direction, packets, whole)
    return Finding(
        code=CODE,
        severity=Severity.INFO if minor else Severity.CRITICAL,
        direction=direction.label,
        summary=f"{share(packets, whole).capitalize()} packets that arrive from {near} carry other bytes "
        f"than were sent: {shape}" + (f", {passed:,} with right checksums" if passed else ""),
        explanation=f"{_differs(direction, packets, pattern, headers)}"
        f"{_consequences(near, caught, passed, made_late)}"
        f"{_more_is_lost(direction) if minor else ''}",
        remedy=_remedy(direction, underlay.of(direction, pair.cluster), passed),
        evidence={
            "damaged": Quantity(packets, "packets"),
            "compared": Quantity(whole, "packets"),
            "caught_by_checksum": Quantity(caught, "packets"),
            "not_caught": Quantity(passed, "packets"),
            "pattern": Quantity(shape),
            "sampled": Quantity(max(pattern.sampled, headers.sampled), "packets"),
            **_measures(pattern),
        },
        ruled_out=(
            RuledOut("packet-loss", _arrive(caught, passed)),
            RuledOut("checksum-offload", "other bytes differ, not only checksum fields"),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _is_minor(direction: Direction, damaged: int, compared: int) -> bool:
    """Whether very few packets are damaged and far more are lost: then users notice the loss."""
    few = damaged <= max(1, compared * _MINOR_SHARE)
    return few and int(direction.lost.sum()) >= _MINOR_TIMES * damaged


def _more_is_lost(direction: Direction) -> str:
    return f" Loss costs more in this direction: {count(int(direction.lost.sum()), 'packet')}."


def _consequences(near: str, caught: int, passed: int, made_late: int) -> str:
    """Describe the fate of the damaged packets, by their checksums."""
    text = ""
    if caught:
        text += f" {count(caught, 'packet')} arrive with an invalid checksum because of it and are discarded."
    if passed:
        text += (
            f" {count(passed, 'packet')} arrive with right checksums all the same: the pods take the damaged "
            "data."
        )
    if made_late:
        text += (
            f" For {made_late:,} of these the sender's capture shows a partial checksum (offload), so "
            f"they were damaged in {near} itself, before its network card made the checksum."
        )
    return text


def _differs(direction: Direction, packets: int, pattern: Pattern, headers: ChangedHeaders) -> str:
    """Describe what differs between which points, with an example."""
    near, far = direction.sender.name, direction.receiver.name
    text = f"{count(packets, 'packet')} differ{'s' if packets == 1 else ''} between {near} and {far}."
    if pattern.sampled:
        text += (
            f" Payload differs in {count(pattern.sampled, 'packet')} of the sample: {pattern.shape}, "
            f"{pattern.place}; in the first of them, {pattern.example}."
        )
    if headers.sampled:
        text += (
            f" The inner header differs in {count(headers.sampled, 'packet')} of the sample: "
            f"{listed([f'{name} ({n:,})' for name, n in headers.fields.items()])}"
            f"{', one bit each' if headers.one_bit else ''}; in the first of them, {headers.example}."
        )
    return text


def _arrive(caught: int, passed: int) -> str:
    if caught and passed:
        return (
            "all these packets arrive; those with an invalid checksum are discarded after the capture point"
        )
    if caught:
        return "the packets arrive, and are discarded because of their checksums"
    return "the packets arrive, and their checksums are right or not to be judged"


def _measures(pattern: Pattern) -> dict[str, Quantity]:
    if not pattern.sampled:
        return {}
    return {
        "first_offset": Quantity(int(pattern.offsets.min()), "bytes"),
        "last_offset": Quantity(int(pattern.offsets.max()), "bytes"),
        "changed_bytes": Quantity(int(np.median(pattern.changed)), "bytes"),
        "masks": Quantity(pattern.masks),
    }


def _caught(direction: Direction) -> tuple[int, int, int]:
    """Damaged packets with an invalid checksum, with valid ones, and with ones filled in later."""
    inner, outer = checksums.of(direction, INNER_L4_SHIFT), checksums.of(direction, OUTER_L4_SHIFT)
    damaged = direction.corrupted
    caught = damaged & (inner.wrong | outer.wrong)
    passed = damaged & ~caught & inner.judged
    return int(caught.sum()), int(passed.sum()), int((passed & checksums.among(inner.sent, UNFILLED)).sum())


def _remedy(direction: Direction, below: Underlay, passed: int) -> str:
    near, far = direction.sender.name, direction.receiver.name
    counters = "ethtool -S NIC | grep -iE 'err|crc|drop'"
    switching = (
        f"On {near}, switch the card's offloads off one by one while watching; a fault that stops is the "
        "card's or its driver's:",
        on(near, "ethtool -K NIC tso off", "ethtool -K NIC gso off", "ethtool -K NIC tx off"),
        "To undo it: the same with on.",
    )
    return written(
        "Look at the error counters of both network cards (NIC, the device named in the route), and of the "
        "switches between them:",
        on(near, f"ip route get {below.far}", counters),
        on(far, f"ip route get {below.near}", counters),
        *(switching if passed else ()),
        f"Capture at a point between {near} and {far} (a mirror port, the hypervisor) and give it as a third "
        "capture: it shows which hop does the damage. Replace cables, optics or memory where errors are "
        "counted.",
    )


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check, slow=True)
