"""Sightings of packets that bound a clock's offset, and the lines that it must run between."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.arrays import F64, I64, Bools
from vxlanalyze.kernels.decorator import compiled

MAX_DRIFT_PPM = 1000.0  # cheap crystals stay within 100 ppm, slewing NTP within 500; allow twice that


_BINS = 1024  # extremes kept to look for steps


class SightingColumns(NamedTuple):
    """The columns of `Sightings` as compiled functions take them: contiguous."""

    time_ns: I64
    difference_ns: I64
    forward: Bools


@dataclass(frozen=True, slots=True)
class Sightings:
    """Packets seen at both points, in the order in which the first point saw them.

    Parameters
    ----------
    time_ns : NDArray[np.int64]
        Shape ``(m,)``: by the first point's clock.
    difference_ns : NDArray[np.int64]
        Time at the second point minus time at the first.
    forward : NDArray[np.bool_]
        Whether it went from the first point to the second.
    """

    time_ns: NDArray[np.int64]
    difference_ns: NDArray[np.int64]
    forward: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.time_ns)

    def columns(self) -> SightingColumns:
        """All three, for compiled functions."""
        return SightingColumns(
            np.ascontiguousarray(self.time_ns),
            np.ascontiguousarray(self.difference_ns),
            np.ascontiguousarray(self.forward),
        )

    def offset(self, places: NDArray[np.int64]) -> F64:
        """Differences at some positions, relative to the first one: small enough for float64."""
        return (self.difference_ns[places] - self.difference_ns[0]).astype(np.float64)


def edges_of(start: int, end: int) -> NDArray[np.int64]:
    """Cut a range of sightings into bins, of one each where they are few."""
    return np.unique(np.linspace(start, end, min(end - start, _BINS) + 1).astype(np.int64))


def bounds_of(edges: NDArray[np.int64], seen: Sightings, drift: float = 0.0) -> F64:
    """Extremes of each of `b` bins, with a drift in ns per second removed; shape ``(4, b)``.

    Time and value of the smallest forward and the largest reverse difference; NaN where there is none.
    Times are seconds, values ns, since the first sighting.
    """
    bounds = np.full((4, len(edges) - 1), np.nan)
    _extremes(edges, seen.columns(), drift, bounds)
    return bounds


@compiled("i8[] SightingColumns(i8[] i8[] b1[]) f8 f8[,]")
def _extremes(edges: I64, seen: SightingColumns, drift: float, bounds: F64) -> None:
    time_ns, difference_ns, forward = seen
    for b in range(len(edges) - 1):
        for i in range(edges[b], edges[b + 1]):
            second = (time_ns[i] - time_ns[0]) * 1e-9
            value = np.float64(difference_ns[i] - difference_ns[0]) - drift * second
            side = 0 if forward[i] else 2
            best = bounds[side + 1, b]
            if np.isnan(best) or (value < best if forward[i] else value > best):
                bounds[side, b] = second
                bounds[side + 1, b] = value


def pieces_of(bounds: F64, slack_ns: int) -> list[tuple[int, bool]]:
    """First bins of the pieces, and whether no line crosses even that single bin."""
    starts = np.empty(max(bounds.shape[1], 1), np.int64)  # no bins also make one piece
    broken = np.zeros(len(starts), np.bool_)
    count = _cut(bounds, MAX_DRIFT_PPM * 1e3, float(slack_ns), starts, broken)
    return list(zip(starts[:count].tolist(), broken[:count].tolist(), strict=True))


@compiled("f8[,] f8 f8 i8[] b1[]")
def _cut(  # noqa: C901
    bounds: F64, max_drift: float, slack: float, starts: NDArray[np.int64], broken: NDArray[np.bool_]
) -> int:
    # A line must pass below all upper and above all lower points of its bins.
    upper_t, upper_d, lower_t, lower_d = bounds[0], bounds[1], bounds[2], bounds[3]
    starts[0] = 0
    count = 1
    first = 0
    low, high = -max_drift, max_drift  # possible drift, ns per second
    for b in range(len(upper_t)):
        for turn in range(2):
            crossed = False
            if turn == 1:
                starts[count] = b
                count += 1
                first, low, high = b, -max_drift, max_drift
            for o in range(first, b + 1):
                for kind in range(2):
                    u = b if kind == 0 else o
                    v = o if kind == 0 else b
                    if np.isnan(upper_t[u]) or np.isnan(lower_t[v]):
                        continue
                    gap = upper_d[u] - lower_d[v] + slack
                    span = upper_t[u] - lower_t[v]
                    if span > 1e-9:
                        high = min(high, gap / span)
                    elif span < -1e-9:
                        low = max(low, gap / span)
                    elif gap < 0:
                        crossed = True
            if not crossed and low <= high:
                break
            if first == b:
                broken[count - 1] = True
                break
    return count
