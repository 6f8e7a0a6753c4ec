"""The captures do not overlap in time.

What it checks
    Was there a time when neighbouring captures were both running?
Why it matters
    A packet missing from a capture that was not running proves nothing. Without an overlap there is nothing
    to compare, and loss cannot be judged.
How it decides
    A packet seen at both points proves that they overlap, whatever their clocks say. Without one, the first
    and last times of both captures are compared as they are.
When it cannot tell
    A capture without frames has no times; then its silence is evidence in itself (`path-blocked`). With
    several points, those that no packet of the path reached are left to the earlier hops.
What looks like it
    Files of one rotated set given as observation points, for example by a shell glob: one begins after the
    other ends, and their names differ only in digits. Clocks that are hours apart while nothing passes in
    either direction: times alone cannot distinguish that from captures taken one after the other.
What to do
    Start both captures before the traffic and stop both after it: `timeout 60 tcpdump -i eth0 -w FILE udp
    port 8472` on both nodes at once; compare `date -u` on both.
Sources
    RFC 7679 section 3 (one-way metrics need a common clock).
"""

from collections.abc import Sequence

from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.underlay import capturing
from vxlanalyze.capture import rotation
from vxlanalyze.pairing.model import CaptureFacts, Comparison, Direction, Hop, Reason
from vxlanalyze.text.commands import anywhere, on, written
from vxlanalyze.text.words import moment, span

CODE = "windows-disjoint"


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Compare the times of neighbouring captures that have no packet in common."""
    return [answer for hop in pair.hops for answer in _hop(pair, hop)]


def _hop(pair: Comparison, hop: Hop) -> list[DiagnosticResult]:
    if any(d.delivered.any() for d in hop.directions):
        return []
    if len(pair.hops) > 1 and not any(belongs(d) for d in hop.directions):
        return []  # nothing got this far: earlier hops show why, and there is nothing to compare
    sides = (hop.forward.sender, hop.forward.receiver)
    first, second = sorted((pair.captures[p.capture] for p in sides), key=_begin)
    if first.last_ns is None or second.first_ns is None or first.last_ns >= second.first_ns:
        return []
    label = hop.forward.label if len(pair.hops) > 1 else None
    unclear = [d.not_assessed_why for d in hop.directions if not d.assessed]
    if unclear:
        return [NotAssessed(CODE, f"{unclear[0]}, so clocks may differ, or the captures", label)]
    gap_ns = second.first_ns - first.last_ns
    return [
        Finding(
            code=CODE,
            severity=Severity.CRITICAL,
            direction=label,
            summary=f"{second.name} begins {span(gap_ns)} after {first.name} ends: "
            "the captures have no time in common, so nothing can be compared",
            explanation=f"{_says(first)}; {_says(second)}. No packet is in both, so nothing "
            "contradicts these times. Loss is not judged.",
            remedy=written(
                _of_pieces(pair.captures, first, second),
                "Capture on both nodes at the same time (NIC: the node's network card), and make the traffic "
                "meanwhile:",
                capturing.on_both(pair, [first, second], seconds=60),
                "If they did run at the same time, the clocks differ. Compare:",
                on(first.name, "date -u"),
                on(second.name, "date -u"),
            ),
            evidence={"gap": Quantity(gap_ns, "ns")},
            ruled_out=(
                RuledOut("path-blocked", "a capture that was not running cannot show that nothing arrived"),
                RuledOut("no-common-traffic", "what passed at different times cannot be the same"),
            ),
        )
    ]


def _of_pieces(captures: Sequence[CaptureFacts], first: CaptureFacts, second: CaptureFacts) -> str:
    """Say how to pass pieces of a rotated set as one capture, where these may be such pieces."""
    if not _may_follow(first, second):
        return ""
    sets: list[list[CaptureFacts]] = []
    for facts in captures:
        if not sets or not all(_may_follow(*sorted((facts, known), key=_begin)) for known in sets[-1]):
            sets.append([])
        sets[-1].append(facts)
    paths = [[file.path for facts in one for file in facts.files] for one in sets]
    command = " ".join(map(rotation.argument, paths))
    return (
        "If these are files of one rotated set, they are one capture, not two observation points; a glob has "
        "to be quoted, or the shell makes points of its "
        f"files:{anywhere(f'vxlanalyze {command}')}\nOtherwise:"
    )


def _may_follow(first: CaptureFacts, second: CaptureFacts) -> bool:
    """Whether the second may be a later piece of the rotated set of the first."""
    if first.last_ns is None or second.first_ns is None or first.last_ns > second.first_ns:
        return False
    if not (first.files and second.files):
        return False
    return rotation.alike(first.files[-1].path, second.files[0].path)


def belongs(direction: Direction) -> bool:
    """Whether any packet belongs to a direction, whatever its fate."""
    return bool((direction.reason != Reason.OTHER_PEER).any() or len(direction.unsent_row))


def _begin(facts: CaptureFacts) -> int:
    return facts.first_ns if facts.first_ns is not None else 0


def _says(facts: CaptureFacts) -> str:
    if facts.first_ns is None or facts.last_ns is None:
        return f"{facts.name} holds no frame"
    return f"{facts.name} holds frames from {moment(facts.first_ns)} to {moment(facts.last_ns)}"


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
