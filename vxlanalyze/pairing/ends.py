"""The two ends of a hop, before its packets are matched."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import CaptureFacts, Point
from vxlanalyze.pairing.routes import Routes


@dataclass(frozen=True, slots=True)
class HopEnds:
    """The two points of a hop, what their captures say, and the pairs found by the strict key.

    `partner` has shape ``(n,)``: for each index row of the first point's capture, the row of the
    second's, or NO_ROW.
    """

    first: Point
    second: Point
    facts: tuple[CaptureFacts, CaptureFacts]
    routes: Routes
    partner: NDArray[np.int32]
    common: NDArray[np.uint8]  # Route by flow of the first point, for other traffic that determines the clock
    ports: tuple[int, ...] = ()  # further tunnel ports
