"""Packets by send time and fate: counts over time, one series per direction."""

import numpy as np

from vxlanalyze.pairing.model import Comparison, Direction, Outcome
from vxlanalyze.report.series.model import CountsOverTime, Timeline
from vxlanalyze.report.series.timebase import Timebase

MOST_BINS = 240


def timeline(comparison: Comparison, base: Timebase) -> Timeline:
    """Count the packets of each direction by time and outcome."""
    directions = [_counts(d, base) for d in comparison.directions]
    return {"start": base.start, "bin_ns": base.bin_ns, "directions": directions}


def _counts(direction: Direction, base: Timebase) -> CountsOverTime:
    place = base.bin_of(direction) * len(Outcome) + direction.outcome
    counts = np.bincount(place, minlength=base.bins * len(Outcome)).reshape(base.bins, len(Outcome))
    return {
        "direction": direction.label,
        "delivered": counts[:, Outcome.DELIVERED].tolist(),
        "lost": counts[:, Outcome.LOST].tolist(),
        "unknown": counts[:, Outcome.UNKNOWN].tolist(),
    }
