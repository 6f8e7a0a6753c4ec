"""One capture was given twice.

What it checks
    Do two captures hold the same frames at the same times?
Why it matters
    A capture compared with itself loses nothing and delays nothing: the report would be perfect and
    worthless.
How it decides
    Frames are identified by their time to the nanosecond, their position in the byte stream (sequence
    numbers, IP identifiers) and a digest of their payload. Two nodes never see the same packet at the same
    nanosecond by their own clocks, packet after packet; where almost all frames of the smaller capture are in
    the other, both come from one.
When it cannot tell
    Captures with fewer than `frames` frames, unless they are the same file.
What looks like it
    Clocks that agree well: delays still differ from packet to packet. Places inside one node, taken from one
    capture of all interfaces, are intended.
What to do
    Provide each node's own capture.
Sources
    editcap(1), option -d (what makes a frame a duplicate of another).
"""

from dataclasses import dataclass
from itertools import combinations
from os.path import realpath

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.underlay import capturing
from vxlanalyze.pairing.model import CaptureFacts, Comparison
from vxlanalyze.text.commands import written
from vxlanalyze.text.words import count, share
from vxlanalyze.wire import hashing
from vxlanalyze.wire.model import Index

CODE = "same-capture"
_ALMOST_ALL = 0.99
_SAMPLES = 16


@dataclass(frozen=True)
class _Overlap:
    """Two captures, by number, and how many frames of the smaller one are in the larger one."""

    smaller: int
    larger: int
    frames: int
    same: int
    one_file: bool

    @property
    def alike(self) -> bool:
        return self.same >= _ALMOST_ALL * self.frames


def check(pair: Comparison, *, frames: int = 3) -> list[DiagnosticResult]:
    """Look for captures that hold the same frames.

    `frames` is the minimum size of the smaller one for content alone to prove it.
    """
    indices = {p.capture: p.index for p in pair.points}
    for a, b in combinations(range(len(pair.captures)), 2):
        overlap = _overlap(pair, indices, a, b)
        if overlap.one_file or (overlap.frames >= frames and overlap.alike):
            return [_finding(pair, overlap)]
    return []


def _overlap(pair: Comparison, indices: dict[int, Index], a: int, b: int) -> _Overlap:
    smaller, larger = sorted((a, b), key=lambda c: len(indices[c]))
    same = 0
    if _times_agree(indices[smaller], indices[larger]):
        same = int(np.isin(_prints(indices[smaller]), _prints(indices[larger])).sum())
    one_file = _read_twice(pair.captures[a], pair.captures[b])
    return _Overlap(smaller, larger, len(indices[smaller]), same, one_file)


def _times_agree(smaller: Index, larger: Index) -> bool:
    """Whether a few frames of one capture occur at the same time in the other: cheaper than comparing all."""
    step = max(len(smaller) // _SAMPLES, 1)
    times = smaller.time_ns[::step][:_SAMPLES]
    missing = sum(not (larger.time_ns == time).any() for time in times)
    return missing <= 1


def _prints(index: Index) -> NDArray[np.uint64]:
    """One distinguishing number per frame, shape ``(n,)``."""
    print_ = index.time_ns.astype(np.uint64)
    for column in (index.digest, index.seq, index.length, index.ip_id, index.outer_ip_id):
        print_ = (print_ ^ column.astype(np.uint64)) * hashing.GOLDEN
        print_ ^= print_ >> np.uint64(29)
    return print_


def _read_twice(a: CaptureFacts, b: CaptureFacts) -> bool:
    """Whether two captures are the same files, and the same observation point in them."""
    return _files(a) == _files(b) and getattr(a.source, "view", None) == getattr(b.source, "view", None)


def _files(facts: CaptureFacts) -> list[str]:
    return [realpath(file.path) for file in facts.files]


def _finding(pair: Comparison, overlap: _Overlap) -> Finding:
    first, second = sorted((overlap.smaller, overlap.larger))
    smaller, larger = (pair.captures[number].name for number in (overlap.smaller, overlap.larger))
    frames, same = overlap.frames, overlap.same
    names = f"{pair.captures[first].name} and {pair.captures[second].name}"
    how = "are the same file" if overlap.one_file else "hold the same frames"
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        summary=f"{names} {how} ({share(same, frames) if frames else 'none at all'}): nothing was compared",
        explanation=f"Of the {count(frames, 'frame')} of {smaller}, {same:,} are also in "
        f"{larger}, each with the same time to the nanosecond, the same "
        "identifiers and the same payload. Two nodes have two clocks, and packets take time between them, "
        "so this is one capture.",
        remedy=written(
            "Give the capture of each node, made at the same time (NIC: the node's network card):",
            capturing.on_both(pair, [pair.captures[first], pair.captures[second]]),
        ),
        evidence={"same_frames": Quantity(same, "frames"), "frames": Quantity(frames, "frames")},
        ruled_out=(
            RuledOut("clock-offset", "well set clocks agree to microseconds, not for every packet alike"),
        ),
    )


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
