"""Convert pairs of rows to pairs of positions among each point's packets of a direction."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.arrays import I32, U16
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.fate import Units
from vxlanalyze.pairing.model import NO_ROW

_Item = TypeVar("_Item", bound=np.generic)


def paired(partner: NDArray[np.int32], first: Units, second: Units) -> NDArray[np.int32]:
    """Pairs of the strict key as positions in the units; only where both frames are single wire packets.

    Parameters
    ----------
    partner : NDArray[np.int32]
        By row of the first point's capture: row of the second's, or NO_ROW.

    Returns
    -------
    NDArray[np.int32]
        By position in `first`: position in `second`, or NO_ROW.
    """
    place = np.full(len(second.point.index), NO_ROW, dtype=np.int32)
    known = np.full(len(first.row), NO_ROW, dtype=np.int32)
    segment_bytes = (first.point.segment_bytes, second.point.segment_bytes)
    _find((first.row, second.row), segment_bytes, partner, place, known)
    return known


@compiled("(i4[] i4[]) (u2[] u2[]) i4[] i4[] i4[]")
def _find(
    rows: tuple[I32, I32], segment_bytes: tuple[U16, U16], partner: I32, place: I32, known: I32
) -> None:
    first_row, second_row = rows
    here, there = segment_bytes
    for k in range(len(second_row)):
        if there[second_row[k]] == 0:
            place[second_row[k]] = k
    for i in range(len(first_row)):
        row = partner[first_row[i]]
        if row != NO_ROW and here[first_row[i]] == 0:
            known[i] = place[row]


def inverse(known: NDArray[np.int32], length: int) -> NDArray[np.int32]:
    """Invert pairs, shape ``(length,)``."""
    result = np.full(length, NO_ROW, dtype=np.int32)
    found = np.flatnonzero(known != NO_ROW)
    result[known[found]] = found
    return result


def of_partners(values: NDArray[_Item], partner: NDArray[np.int32], fill: int) -> NDArray[_Item]:
    """The partners' values, shape of `partner`; `fill` where there is none."""
    if not len(values):
        return np.full(len(partner), fill, values.dtype)
    result = values[partner]
    result[partner < 0] = fill
    return result
