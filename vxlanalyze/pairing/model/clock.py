"""The clock of one observation point relative to another's, piecewise linear."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing import offsets
from vxlanalyze.pairing.offsets import ClockPiece


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of `to` minus that of `from_`, determined from packets.

    `offset_ns` is taken at the start of the observation window. With packets in one direction only it cannot
    be distinguished from delay: `offset_ns` is None and `relative` holds, so delays count from the smallest.
    `method` describes what it is based on. Steps make more than one piece. Where time stamps contradict each
    other by more than interrupts explain, `contradiction_ns` is the largest such amount.
    """

    from_: str
    to: str
    offset_ns: int | None
    drift_ppm: float | None
    uncertainty_ns: int | None
    method: str
    pieces: tuple[ClockPiece, ...]
    relative: bool
    pairs_forward: int
    pairs_backward: int
    contradiction_ns: int = 0

    def offset_at(self, time_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Offset at times by the clock of `from_`, as used to compute delays, shape kept."""
        return offsets.at(time_ns, self.pieces)
