"""A capture file is damaged or cut short.

What it checks
    Which parts of a capture could not be read and were left out?
Why it matters
    Packets after the damage are missing, and would otherwise count as lost.
How it decides
    Every record states its length; an impossible one means damage. Reading continues at the next place where
    a series of valid records begins. A file whose only fault is an incomplete last record was copied while
    tcpdump was still writing, or tcpdump was killed: that is normal and only noted.
When it cannot tell
    Damage within a frame's bytes is not detected here; checksums show it.
What looks like it
    A capture that merely ends early is not damaged: see the observation window of the captures.
What to do
    Copy the file again after tcpdump has ended (SIGINT, not SIGKILL), and compare checksums of both copies.
Sources
    draft-ietf-opsawg-pcap section 5; draft-ietf-opsawg-pcapng section 3.1.
"""

from shlex import quote

from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, Quantity, RuledOut, Severity
from vxlanalyze.capture.model import Damage
from vxlanalyze.pairing.model import CaptureFacts, Comparison
from vxlanalyze.text.commands import anywhere, written
from vxlanalyze.text.words import count, listed

CODE = "capture-damaged"
_LONGEST_RECORD_BYTES = 262_144 + 32  # libpcap's largest snap length, and a record's header


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Report where captures could not be read."""
    damaged = [facts for facts in pair.captures if facts.damages]
    if not damaged:
        return []
    places = [(facts, damage) for facts in damaged for damage in facts.damages]
    only_ends = all(_is_cut_end(facts, damage) for facts, damage in places)
    gone = sum(_left_out_bytes(facts, damage) for facts, damage in places)
    parts = [f"{d.path}, byte {d.offset_bytes:,}: {d.what}" for _, d in places]
    names, frames = listed([f.name for f in damaged]), sum(f.packets for f in damaged)
    if only_ends:
        what = "ends in the middle of a record"
        effect = "The file was copied while it was written, or its writer was killed: one frame is missing."
    else:
        what = f"is damaged in {count(len(places), 'place')}"
        effect = "Packets in these places are missing: what was sent meanwhile counts as unknown, not lost."
    return [
        Finding(
            code=CODE,
            severity=Severity.INFO if only_ends else Severity.WARNING,
            summary=f"{names} {what}: {parts[0]}",
            explanation=f"{'; '.join(parts[:5])}. {count(frames, 'frame')} could be read. {effect}",
            remedy=written(
                "Stop tcpdump with Ctrl-C (SIGINT) before the file is copied. Copy it again, and compare on "
                "both sides:",
                anywhere(*(f"sha256sum {quote(file.path)}" for facts in damaged for file in facts.files[:2])),
            ),
            evidence={
                "damages": Quantity(len(places), "places"),
                "left_out": Quantity(gone, "bytes"),
                "first_damage": Quantity(places[0][1].offset_bytes, "bytes"),
            },
            ruled_out=(RuledOut("packet-loss", "what stood in the damaged places is not known"),),
        )
    ]


def _size_bytes(facts: CaptureFacts, damage: Damage) -> int | None:
    """Size of the damaged file, where offsets refer to the file as it is."""
    sizes = [f.bytes for f in facts.files if f.path == damage.path and f.compression is None]
    return sizes[0] if sizes else None


def _left_out_bytes(facts: CaptureFacts, damage: Damage) -> int:
    end = damage.resumed_bytes if damage.resumed_bytes is not None else _size_bytes(facts, damage)
    return max(end - damage.offset_bytes, 0) if end is not None else 0


def _is_cut_end(facts: CaptureFacts, damage: Damage) -> bool:
    size = _size_bytes(facts, damage)
    return (
        damage.resumed_bytes is None
        and size is not None
        and size - damage.offset_bytes < _LONGEST_RECORD_BYTES
    )


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
