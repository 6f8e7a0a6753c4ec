"""A node's clock was set while it captured.

What it checks
    Does the offset between two captures jump, or does time in one capture run backwards?
Why it matters
    A jump looks like a sudden, permanent change of delay. In the times of that capture, and in the logs of
    that node, responses may precede their requests.
How it decides
    Where no steadily running clock explains the packets between two points, the series is split; a jump is
    the difference between the offsets on both sides of the split, reported where it exceeds the uncertainty
    of both. Where the times of one capture fall by more than `backwards_ns` from one frame to the next, and
    the offsets of the packets that the other capture also shows jump by as much, the clock was set back:
    since the same times occur twice, the times after it are counted on. In a capture without another clock
    to compare with, time that runs backwards by more than `backwards_ns` is a jump.
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

from collections.abc import Sequence

import numpy as np

from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, Quantity, RuledOut, Severity
from vxlanalyze.pairing.model import Clock, ClockPiece, Comparison, Hop, Point, SetBack
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed, moment, span

CODE = "clock-step"
_JOURNAL = "journalctl -u chronyd -u systemd-timesyncd"
_BACKWARDS_NS = 100_000_000  # queues of a NIC are never this far apart
_SPLIT = (
    "No clock that runs evenly explains the packets; the series is split where the offset jumps. Delays are "
    "corrected on both sides of it."
)
_COUNTED_ON = (
    "The times of one capture fall from one frame to the next, and the packets that the other capture also "
    "shows confirm that the clock was set back. This report counts the times after the step on, as though "
    "the clock had not been set back."
)


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
    jumps = [
        (after.from_ns, jump)
        for before, after in zip(clock.pieces, clock.pieces[1:], strict=False)
        if abs(jump := _jump_ns(before, after)) > 2 * uncertainty_ns
    ]
    ends = (hop.forward.sender, hop.forward.receiver)
    back = [(point, point.set_back) for point in ends if point.set_back]
    if not jumps and not back:
        return []
    said = [f"the clock of {point.name} was set back {_each_back(point, steps)}" for point, steps in back]
    if jumps:
        said.append(
            f"the clock of {clock.to} against {clock.from_}'s was set "
            f"{'once,' if len(jumps) == 1 else f'{len(jumps)} times:'} "
            + listed([f"by {span(jump)} at {moment(at)}" for at, jump in jumps])
        )
    why = [_COUNTED_ON] * bool(back) + [_SPLIT] * bool(jumps) + [_rests_on(clock)]
    by_ns = [*(-step.by_ns for _, steps in back for step in steps), *(jump for _, jump in jumps)]
    frames = {p.name: p.frame(np.array([step.row for step in steps], np.int32)) for p, steps in back}
    suspects = (clock.from_, clock.to) if jumps else tuple(frames)
    return [
        Finding(
            code=CODE,
            severity=Severity.INFO,
            direction=hop.forward.label,
            summary=_sentence("; ".join(said)),
            explanation=" ".join(why),
            remedy=written(
                "Look at what sets the clock: a time service that steps it (makestep in chrony.conf), a "
                "virtual machine that was paused.",
                *(on(name, _JOURNAL) for name in suspects),
            ),
            evidence={
                "steps": Quantity(len(by_ns), "steps"),
                "largest_step": Quantity(max(by_ns, key=abs), "ns"),
                "uncertainty": Quantity(uncertainty_ns, "ns"),
            },
            ruled_out=(
                RuledOut(
                    "delay-spike", "a delay moves one direction; here both move, one up and the other down"
                ),
            ),
            frames=frames,
            frame_count=sum(len(numbers) for numbers in frames.values()),
        )
    ]


def _each_back(point: Point, steps: Sequence[SetBack]) -> str:
    """By how much, and at which time of the clock before it was set back."""
    before_ns = point.stated_ns(np.array([step.row - 1 for step in steps], np.int32)).tolist()
    return listed([f"by {span(s.by_ns)} at {moment(at)}" for s, at in zip(steps, before_ns, strict=True)])


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _jump_ns(before: ClockPiece, after: ClockPiece) -> int:
    """Offset at the beginning of a piece minus the prediction of the previous piece."""
    elapsed_ns = after.from_ns - before.from_ns
    return after.offset_ns - before.offset_ns - round(before.drift_ppm * 1e-6 * elapsed_ns)


def _rests_on(clock: Clock) -> str:
    return f"This rests on {clock.pairs_forward:,} forward and {clock.pairs_backward:,} reverse packets."


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
