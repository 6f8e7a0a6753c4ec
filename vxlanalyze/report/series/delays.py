"""Bands of the one-way delay over time, for each direction."""

import numpy as np

from vxlanalyze.pairing.model import NO_DELAY, Comparison, Direction, Reason
from vxlanalyze.report.series.model import DelayBands, Delays
from vxlanalyze.report.series.timebase import Timebase

QUANTILES = (0.0, 0.1, 0.5, 0.9, 0.99, 1.0)


def delays(comparison: Comparison, base: Timebase) -> Delays:
    """Quantiles of the one-way delay of each direction, bin by bin."""
    directions = [_bands(comparison, d, base) for d in comparison.directions]
    return {"start": base.start, "bin_ns": base.bin_ns, "directions": directions}


def _bands(comparison: Comparison, direction: Direction, base: Timebase) -> DelayBands:
    clock = comparison.clock_of(direction)
    # Ambiguous pairs may be crossed: their count is right, their individual delays are not.
    usable = (direction.delay_ns != NO_DELAY) & (direction.reason != Reason.AMBIGUOUS)
    place, delay_ns = base.bin_of(direction)[usable], direction.delay_ns[usable]
    if np.any(place[1:] < place[:-1]):
        order = np.argsort(place, kind="stable")
        place, delay_ns = place[order], delay_ns[order]
    held, first = np.unique(place, return_index=True)
    parts = np.split(delay_ns, first[1:]) if len(held) else []
    bands = [np.quantile(part, QUANTILES) for part in parts]
    columns = np.round(np.array(bands).reshape(-1, len(QUANTILES))).astype(np.int64).T.tolist()
    lowest, p10, p50, p90, p99, highest = columns
    return {
        "direction": direction.label,
        "uncertainty_ns": clock.uncertainty_ns,
        "relative": clock.relative,
        "bin": held.tolist(),
        "min": lowest,
        "p10": p10,
        "p50": p50,
        "p90": p90,
        "p99": p99,
        "max": highest,
    }
