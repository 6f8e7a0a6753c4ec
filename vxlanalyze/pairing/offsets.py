"""Offsets of a piecewise linear clock, at many times in one pass."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.decorator import compiled


@dataclass(frozen=True, slots=True)
class ClockPiece:
    """Offset of the receiver point's clock from the sender point's, linear from a point in time on.

    ``offset(t) = offset_ns + drift_ppm * 1e-6 * (t - from_ns)``, `t` by the first point's clock.
    """

    from_ns: int
    offset_ns: int
    drift_ppm: float


def at(time_ns: NDArray[np.int64], pieces: Sequence[ClockPiece]) -> NDArray[np.int64]:
    """Give the offset at each time, shape kept; the first piece also applies before it begins.

    Pieces are in the order of the packets: where the clock was set back far, later ones begin earlier.
    """
    pieces = sorted(pieces, key=lambda piece: piece.from_ns)
    starts = np.array([p.from_ns for p in pieces], dtype=np.int64)
    base = np.array([p.offset_ns for p in pieces], dtype=np.int64)
    drift = np.array([p.drift_ppm for p in pieces]) * 1e-6
    result = np.empty(time_ns.shape, np.int64)
    _find(time_ns.ravel(), starts, base, drift, result.ravel())
    return result


@compiled("i8[] i8[] i8[] f8[] i8[]")
def _find(
    time_ns: NDArray[np.int64],
    starts: NDArray[np.int64],
    base: NDArray[np.int64],
    drift: NDArray[np.float64],
    result: NDArray[np.int64],
) -> None:
    for i in range(len(time_ns)):
        piece, end = 0, len(starts)
        while end - piece > 1:
            middle = (piece + end) // 2
            if time_ns[i] >= starts[middle]:
                piece = middle
            else:
                end = middle
        # Seconds since the piece's start keep the product well inside float64's 53 bits.
        result[i] = base[piece] + np.int64(np.rint(drift[piece] * np.float64(time_ns[i] - starts[piece])))
