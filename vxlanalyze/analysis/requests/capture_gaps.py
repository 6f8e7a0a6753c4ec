"""How surely packets are missing from a capture because their node never sent them, and not because of gaps.

A capture that loses packets lacks some of every sort. If it lacks `m` of the `n` packets of a sort, the
question is not how probable it is that it lacks just these, but that it lacks as many of the `n` at the rate
at which it lacks all others (a binomial tail, bounded by Chernoff). The rate is never taken for less than the
capture's own statement of its drops says.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.statistics import evidence


@dataclass(frozen=True, slots=True)
class Gaps:
    """What else a capture lacks of a direction.

    Parameters
    ----------
    missing, matched : int
        Packets of the direction that it lacks and that it holds.
    dropped, frames : int
        Packets that it says it dropped, and frames that it holds.
    """

    missing: int
    matched: int
    dropped: int = 0
    frames: int = 0

    @property
    def rate(self) -> float:
        """Share that the capture lacks; by Laplace's rule of succession never 0."""
        lacking = (self.missing + 1) / (self.missing + self.matched + 2)
        stated = self.dropped / (self.dropped + self.frames) if self.dropped else 0.0
        return max(lacking, stated)

    def against(self, lacking: float, trials: float) -> float:
        """Evidence, in nats, against gaps being why it lacks this many of some packets."""
        return evidence.excess(lacking, trials, self.rate) if lacking > 0 else 0.0


def close_together(time_ns: NDArray[np.int64]) -> tuple[int, int]:
    """Count the times that have another one within a burst, and all others; in any order."""
    times = np.sort(time_ns)
    near = np.diff(times) <= evidence.BURST_NS
    close = np.append(near, False) | np.insert(near, 0, False) if len(times) else near
    together = int(close.sum())
    return together, len(times) - together
