"""Fit the clock of one point against another's, from the packets seen by both.

Every packet from X to Y says: offset <= t_Y - t_X (its delay is positive), every packet in the reverse
direction says: offset >= t_Y - t_X. A clock that runs at a constant rate is a line between those points;
where no line with a plausible rate fits, one of the clocks was set, and a new piece begins. Within a piece,
the rate is the one that brings the lines as close to the points as possible, and the offset lies halfway
between the two lines, since forward and reverse delay cannot be separated: the uncertainty is half their
distance, plus what a rate that may be noise would add by the ends of the piece.

Time stamps that are coarse, taken late, or taken by several queues or processors with different clocks
contradict each other all the time. A clock is set a few times, not hundreds of times: where there are more
than a handful of short pieces, the line may miss its points by as much as leaves few pieces, and this
tolerance becomes part of the uncertainty.

Sources: Paxson, "On calibrating measurements of packet transit times", SIGMETRICS 1998; Moon, Skelly and
Towsley, "Estimation and removal of clock skew from network delay measurements", INFOCOM 1999 (the line under
the delays); Zhang, Liu and Xia, "Clock synchronization algorithms for network measurements", INFOCOM 2002
(hulls, and clocks that are set).
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.arrays import F64
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.model import Clock, ClockPiece
from vxlanalyze.pairing.sightings import (
    MAX_DRIFT_PPM,
    SightingColumns,
    Sightings,
    bounds_of,
    edges_of,
    pieces_of,
)
from vxlanalyze.text.words import span

_USUAL_DRIFT_PPM = 100.0
_ENDS_OF_TIME_NS = np.iinfo(np.int64)
_LASTING = 4  # fewer packets than this at another offset are outliers, not a clock that was set
_FEWEST_FOR_DRIFT = 8
_STRETCHES = 12  # of time, whose fastest packets are compared
_LEFT_TIMES = 2  # how much larger a drift must be than the slope that remains on one side
_SEARCH_STEPS = 60  # narrows 2000 ppm to below 1e-6
_GOLDEN = (5**0.5 - 1) / 2
_STEP_SLACK_NS = 20_000  # host time stamps are not wire times; pcap-tstamp(7)
_SLACK_TIMES = 4  # factor by which the slack is widened each time
_MOST_SLACK_NS = 1_000_000_000
_SHORT_NS = 5_000_000_000  # a clock that was set usually stays set for longer
_MOST_SHORT = 5  # pieces that are shorter
_MOST_STARTS = 24  # more places than this where no line fits are not explained by setting a clock


def fit(from_: str, to: str, seen: Sightings) -> Clock | None:
    """Offset, drift and steps; None where no packet was seen at both points."""
    if not len(seen):
        return None
    both = bool(seen.forward.any() and not seen.forward.all())
    pieces, half_gaps, contradiction_ns = [], [], 0
    for start, end in _split(seen) if both else [(0, len(seen))]:
        part = Sightings(seen.time_ns[start:end], seen.difference_ns[start:end], seen.forward[start:end])
        piece, half_gap, missed_ns = _fit_piece(part)
        pieces.append(piece)
        half_gaps.append(half_gap)
        contradiction_ns = max(contradiction_ns, missed_ns)
    doubted_ns = contradiction_ns if contradiction_ns > _STEP_SLACK_NS else 0
    forward = int(seen.forward.sum())
    backward = len(seen.forward) - forward
    method = (
        f"hull of the delays of {forward} forward and {backward} reverse packets, half the difference"
        if both
        else f"{max(forward, backward)} packets in one direction only: delay and clock offset "
        f"cannot be separated"
    )
    if len(pieces) > 1:
        method += f"; the clock was set {'once' if len(pieces) == 2 else f'{len(pieces) - 1} times'}"
    if doubted_ns:
        method += f"; time stamps contradict each other by up to {span(doubted_ns)}"
    return Clock(
        from_=from_,
        to=to,
        offset_ns=pieces[0].offset_ns if both else None,
        drift_ppm=pieces[0].drift_ppm,
        uncertainty_ns=int(max(g for g in half_gaps if g is not None)) + doubted_ns if both else None,
        method=method,
        pieces=tuple(pieces),
        relative=not both,
        pairs_forward=forward,
        pairs_backward=backward,
        contradiction_ns=doubted_ns,
    )


def _split(seen: Sightings) -> list[tuple[int, int]]:
    """Ranges of sightings, each fitted by one line, as closely as time stamps allow."""
    slack_ns = _STEP_SLACK_NS
    while slack_ns <= _MOST_SLACK_NS:
        ranges = _ranges(seen, slack_ns)
        spans_ns = [int(seen.time_ns[end - 1] - seen.time_ns[start]) for start, end in ranges]
        if ranges and sum(span_ns < _SHORT_NS for span_ns in spans_ns) <= _MOST_SHORT:
            return ranges
        slack_ns *= _SLACK_TIMES
    return [(0, len(seen))]


def _ranges(seen: Sightings, slack_ns: int) -> list[tuple[int, int]]:
    """Ranges of sightings, each fitted by one line within a slack; none where there are too many."""
    starts: list[int] = []
    pending = [(0, len(seen))]
    while pending:  # a range is split until its pieces fit, down to single packets
        edges = edges_of(*pending.pop())
        for bin_, alone in pieces_of(bounds_of(edges, seen), slack_ns):
            starts.append(int(edges[bin_]))
            if alone and edges[bin_ + 1] - edges[bin_] > 1:
                pending.append((int(edges[bin_]), int(edges[bin_ + 1])))
        if len(starts) > _MOST_STARTS:
            return []
    return _lasting(np.unique(starts), seen, slack_ns)


def _lasting(starts: NDArray[np.int64], seen: Sightings, slack_ns: int) -> list[tuple[int, int]]:
    """Join neighbouring ranges that one line fits, and drop those too short to be a clock setting."""
    joined: list[tuple[int, int]] = []
    ends = [*starts[1:].tolist(), len(seen)]
    for start, end in zip(starts.tolist(), ends, strict=True):
        if joined and _one_line(joined[-1][0], end, seen, slack_ns):
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    kept: list[tuple[int, int]] = []
    for start, end in joined:
        if not kept or (end - start >= _LASTING and 0 < seen.forward[start:end].sum() < end - start):
            kept.append((_step_at(kept[-1][0], start, seen) if kept else 0, end))
            if len(kept) > 1:
                kept[-2] = (kept[-2][0], kept[-1][0])
        else:
            kept[-1] = (kept[-1][0], end)
    return kept


def _one_line(start: int, end: int, seen: Sightings, slack_ns: int) -> bool:
    bounds = bounds_of(edges_of(start, end), seen)
    pieces = pieces_of(bounds, slack_ns)
    return len(pieces) == 1 and not pieces[0][1]


def _step_at(low: int, at: int, seen: Sightings) -> int:
    """Locate a step: packets of the other direction just before the first misfit may be after it."""
    forward = seen.forward
    same = np.flatnonzero(forward[low:at] == forward[at])
    if not len(same):
        return at
    before = low + int(same[-1])
    step = -float(np.diff(seen.offset(np.array([at, before])))[0])
    between = np.arange(before + 1, at)
    earlier = np.flatnonzero(forward[low : before + 1] != forward[at])
    if not len(between) or not len(earlier):
        return at
    settled = seen.offset(earlier[-1:] + low)
    moved = (seen.offset(between) - settled) * np.sign(step) > abs(step) / 2
    return int(between[moved][0]) if moved.any() else at


def _fit_piece(seen: Sightings) -> tuple[ClockPiece, float | None, int]:
    """The line of one piece, half the distance between its two sides, and how far they cross.

    The distance is None if there is only one side.
    """
    base_t, base_d = int(seen.time_ns[0]), int(seen.difference_ns[0])
    drift, doubted_ns = _drift(seen)
    _, above, _, below = bounds_of(np.array([0, len(seen)]), seen, drift)[:, 0]
    upper, lower = (None if np.isnan(level) else level for level in (above, below))
    if upper is not None and lower is not None:
        middle, half_gap = (upper + lower) / 2, abs(upper - lower) / 2 + doubted_ns
        crossed_ns = max(round(lower - upper), 0)
    else:
        middle, half_gap, crossed_ns = upper if upper is not None else lower, None, 0
    # A damaged file has times at the limits of int64, whose differences overflow it.
    level_ns = min(max(base_d + round(middle), _ENDS_OF_TIME_NS.min), _ENDS_OF_TIME_NS.max)
    return ClockPiece(base_t, level_ns, drift * 1e-3), half_gap, crossed_ns


def _drift(seen: Sightings) -> tuple[float, float]:
    """Rate in ns per second at which a line below one side and one above the other come closest to them.

    A rate that cannot be distinguished from noise counts as zero; the second value is then what it would add
    by the ends.
    """
    since_ns = seen.time_ns - seen.time_ns[0]
    begin, end = float(since_ns.min() * 1e-9), float(since_ns.max() * 1e-9)
    if end <= begin or len(seen) < _FEWEST_FOR_DRIFT:
        return 0.0, 0.0
    edges = edges_of(0, len(seen))
    drift = 0.0
    for _ in range(3):  # extremes of bins depend slightly on the drift
        drift += _steepest(bounds_of(edges, seen, drift))
    if abs(drift) > _doubt(seen, drift, begin, end - begin):
        return drift, 0.0
    return 0.0, min(abs(drift), _USUAL_DRIFT_PPM * 1e3) * (end - begin) / 2


def _doubt(seen: Sightings, drift: float, begin: float, span: float) -> float:
    """Rate in ns per second below which a drift may be noise.

    The line rests on the fastest packets of each stretch of time; how much these differ between stretches
    limits how precisely the rate is known (three standard errors of a slope through them). A drifting clock
    moves both sides alike, while a path that gets busy or idle moves them apart: a slope that remains on one
    side once the drift is removed shows the effect of the path. `begin` is the first time and `span` the
    duration to the last, in seconds.
    """
    best = np.full((2, _STRETCHES), np.inf)
    _fastest(seen.columns(), drift, begin, span, best)
    fastest: list[float] = []
    slopes: list[float] = []
    for side in best:
        at = np.flatnonzero(np.isfinite(side))
        if len(at) > 2:
            known = side[at] - side[at].mean()
            fastest += known.tolist()
            slopes.append(abs(float(np.polyfit(at, known, 1)[0])) * _STRETCHES / span)
    if len(fastest) < _STRETCHES // 2:
        return float("inf")
    noise = 3 * float(np.std(fastest)) * (12 / len(fastest)) ** 0.5 / span
    return max(noise, _LEFT_TIMES * max(slopes))


@compiled("SightingColumns(i8[] i8[] b1[]) f8 f8 f8 f8[,]")
def _fastest(seen: SightingColumns, drift: float, begin: float, span: float, best: F64) -> None:
    """Each stretch's smallest forward difference, and its largest reverse one with the sign inverted."""
    time_ns, difference_ns, forward = seen
    for i in range(len(time_ns)):
        second = (time_ns[i] - time_ns[0]) * 1e-9
        level = np.float64(difference_ns[i] - difference_ns[0]) - drift * second
        stretch = min(int(_STRETCHES * (second - begin) / span), _STRETCHES - 1)
        side, value = (0, level) if forward[i] else (1, -level)
        best[side, stretch] = min(best[side, stretch], value)


def _steepest(bounds: F64) -> float:
    """Minimise the mean distance of the extremes from their lines; convex, so by golden section."""
    upper_t, upper_d, lower_t, lower_d = (b[~np.isnan(b)] for b in bounds)

    def distance(drift: float) -> float:
        total = 0.0
        if len(upper_t):
            above = upper_d - drift * upper_t
            total += float(above.mean() - above.min())
        if len(lower_t):
            below = lower_d - drift * lower_t
            total += float(below.max() - below.mean())
        return total

    low, high = -MAX_DRIFT_PPM * 1e3, MAX_DRIFT_PPM * 1e3
    for _ in range(_SEARCH_STEPS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if distance(left) <= distance(right):
            high = right
        else:
            low = left
    return (low + high) / 2
