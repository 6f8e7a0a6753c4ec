"""Loss by size: counts over packet length, with the sizes that bound a limit."""

import numpy as np

from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.report.series.model import CountsBySize
from vxlanalyze.report.series.timebase import nice_at_least

MOST_BINS = 150


def sizes(comparison: Comparison) -> list[CountsBySize]:
    """Count the packets of each direction by length on the wire and fate."""
    return [_counts(d) for d in comparison.directions]


def _counts(direction: Direction) -> CountsBySize:
    lengths = direction.wire_length
    longest = int(lengths.max()) if len(lengths) else 0
    bin_bytes = nice_at_least(longest / MOST_BINS)
    place = lengths // bin_bytes
    bins = longest // bin_bytes + 1
    delivered = np.bincount(place[direction.delivered], minlength=bins)
    lost = np.bincount(place[direction.lost], minlength=bins)
    held = np.flatnonzero(delivered + lost)
    return {
        "direction": direction.label,
        "bin_bytes": bin_bytes,
        "from_bytes": (held * bin_bytes).tolist(),
        "delivered": delivered[held].tolist(),
        "lost": lost[held].tolist(),
        "largest_delivered": direction.largest_delivered,
        "smallest_lost": direction.smallest_lost,
        "lost_longer": int(np.count_nonzero(lengths[direction.lost] > (direction.largest_delivered or 0))),
    }
