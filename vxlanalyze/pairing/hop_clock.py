"""The clock between the two points of a hop: fitted, shared, or unknown."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing import clock, fate, lookalikes
from vxlanalyze.pairing.ends import HopEnds
from vxlanalyze.pairing.model import NO_ROW, Clock, ClockPiece, Point
from vxlanalyze.pairing.routes import Route
from vxlanalyze.pairing.sightings import Sightings


def same_clock(ends: HopEnds) -> Clock | None:
    """The clock between two places of one capture, which is the same one."""
    if ends.first.capture != ends.second.capture:
        return None
    piece = ClockPiece(ends.facts[0].first_ns or 0, 0, 0.0)
    return Clock(
        ends.first.name, ends.second.name, 0, 0.0, 0, "one capture, one clock", (piece,), False, 0, 0
    )


def fit_strict(ends: HopEnds) -> Clock | None:
    """Fit a clock through the pairs found by the strict key; None where these are too few."""
    index, other = ends.first.index, ends.second.index
    route = np.where(ends.routes.first == Route.NONE, ends.common, ends.routes.first)
    row = fate.rows_where(ends.first, np.isin(route, (Route.FORWARD, Route.BACKWARD)))
    at = ends.partner[row]
    paired = at != NO_ROW
    row, at = row[paired], at[paired]
    single = _single(ends.first, row) & _single(ends.second, at)
    if not single.all():
        row, at = row[single], at[single]
    flow, time = index.flow[row], index.time_ns[row]
    seen = Sightings(time, other.time_ns[at] - time, route[flow] == Route.FORWARD)
    doubtful = lookalikes.lookalikes(ends.first.flows)[flow]
    if len(seen) and doubtful.all() and not lookalikes.alone_believable(seen, ends.facts):
        return None
    seen = lookalikes.believable(seen, doubtful)
    return clock.fit(ends.first.name, ends.second.name, seen)


def _single(point: Point, rows: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether each of some rows is a single wire packet, shape of `rows`."""
    if not point.segment_bytes.any():
        return np.ones(len(rows), np.bool_)
    return point.segment_bytes[rows] == 0


def unknown_clock(ends: HopEnds) -> Clock:
    """Without a packet in common, the clocks are taken as they are."""
    piece = ClockPiece(ends.facts[0].first_ns or 0, 0, 0.0)
    return Clock(
        ends.first.name, ends.second.name, None, None, None, "no packet in common", (piece,), True, 0, 0
    )


def at_window_start(clock_: Clock, ends: HopEnds) -> Clock:
    """Refer the offset to the start of the observation window, by the first point's clock."""
    firsts = [facts.first_ns for facts in ends.facts]
    if clock_.offset_ns is None or None in firsts:
        return clock_
    start = max(firsts[0] or 0, (firsts[1] or 0) - clock_.offset_ns)
    return replace(clock_, offset_ns=int(clock_.offset_at(np.array([start]))[0]))
