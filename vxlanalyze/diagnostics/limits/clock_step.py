"""A node's clock was set while it captured.

What it checks
    Does the offset between two captures jump, or does time in one capture run backwards?
Why it matters
    A jump looks like a sudden, permanent change of delay. In the times of that capture, and in the logs of
    that node, responses may precede their requests.
How it decides
    Where no steadily running clock explains the packets between two points, the series is split; a jump is
    the difference between the offsets on both sides of the split, reported where it exceeds the uncertainty
    of both. In a capture without another clock to compare with, time that runs backwards by more than
    `backwards_ns` is a jump.
When it cannot tell
    A forward jump in a single capture, or with packets in one direction only.
What looks like it
    Route changes affect the delay in one direction only. Several queues of one NIC stamp their packets out of
    order by microseconds.
What to do
    Find out what set the clock: chrony's `makestep`, a hypervisor that resumed the node.
Sources
    Zhang, Liu and Xia, INFOCOM 2002 (clocks that are set); pcap-tstamp(7) (stamps out of order).
"""

import numpy as np

from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, Quantity, RuledOut, Severity
from vxlanalyze.pairing.model import Clock, ClockPiece, Comparison, Hop, Point
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed, moment, span

CODE = "clock-step"
_JOURNAL = "journalctl -u chronyd -u systemd-timesyncd"
_BACKWARDS_NS = 100_000_000  # queues of a NIC are never this far apart


def check(pair: Comparison, *, backwards_ns: int = _BACKWARDS_NS) -> list[DiagnosticResult]:
    """Look for clocks that were set: between points, and within single captures."""
    answers: list[DiagnosticResult] = [finding for hop in pair.hops for finding in _hop(hop)]
    judged = {c for hop in pair.hops if not hop.clock.relative for c in (hop.clock.from_, hop.clock.to)}
    for point in pair.points:
        if point.name == pair.captures[point.capture].name and point.name not in judged:
            answers += _alone(point, backwards_ns)
    return answers[:1] if len({a.direction for a in answers}) < len(answers) else answers


def _hop(hop: Hop) -> list[Finding]:
    clock = hop.clock
    uncertainty_ns = clock.uncertainty_ns or 0
    steps = [
        (after.from_ns, jump)
        for before, after in zip(clock.pieces, clock.pieces[1:], strict=False)
        if abs(jump := _jump_ns(before, after)) > 2 * uncertainty_ns
    ]
    if not steps:
        return []
    jumps = listed([f"by {span(jump)} at {moment(at)}" for at, jump in steps])
    largest = max((jump for _, jump in steps), key=abs)
    return [
        Finding(
            code=CODE,
            severity=Severity.INFO,
            direction=hop.forward.label,
            summary=f"The clock of {clock.to} against {clock.from_}'s was set "
            f"{'once,' if len(steps) == 1 else f'{len(steps)} times:'} {jumps}",
            explanation="No clock that runs evenly explains the packets; the series is split where the "
            f"offset jumps. Delays are corrected on both sides of it. {_sudden(clock)}",
            remedy=written(
                "Look at what sets the clock: a time service that steps it (makestep in chrony.conf), a "
                "virtual machine that was paused.",
                *(on(name, _JOURNAL) for name in (clock.from_, clock.to)),
            ),
            evidence={
                "steps": Quantity(len(steps), "steps"),
                "largest_step": Quantity(largest, "ns"),
                "uncertainty": Quantity(uncertainty_ns, "ns"),
            },
            ruled_out=(
                RuledOut(
                    "delay-spike", "a delay moves one direction; here both move, one up and the other down"
                ),
            ),
        )
    ]


def _jump_ns(before: ClockPiece, after: ClockPiece) -> int:
    """Offset at the beginning of a piece minus the prediction of the previous piece."""
    elapsed_ns = after.from_ns - before.from_ns
    return after.offset_ns - before.offset_ns - round(before.drift_ppm * 1e-6 * elapsed_ns)


def _sudden(clock: Clock) -> str:
    return f"It rests on {clock.pairs_forward:,} forward and {clock.pairs_backward:,} reverse packets."


def _alone(point: Point, backwards_ns: int) -> list[Finding]:
    times = point.index.time_ns
    steps = np.diff(times)
    rows = np.flatnonzero(steps < -backwards_ns)
    if len(rows) == 0:
        return []
    largest = int(-steps.min())
    return [
        Finding(
            code=CODE,
            severity=Severity.INFO,
            summary=f"Time runs backwards in {point.name} {count(len(rows), 'time')}, by up to "
            f"{span(largest)}",
            explanation="Frames are in the order in which they were captured, so their times should "
            "grow. A step this large is a clock that was set back, or files that were joined in the wrong "
            "order.",
            remedy=written(
                "See what set the clock, or give the files in the order of their times.",
                on(point.name, _JOURNAL),
            ),
            evidence={
                "steps": Quantity(len(rows), "steps"),
                "largest_step": Quantity(-largest, "ns"),
            },
            ruled_out=(
                RuledOut("reordering", "the network does not reach into the time stamps of one capture"),
            ),
            frames={point.name: rows[:50].astype(np.int64) + 2},
            frame_count=len(rows),
        )
    ]


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
