"""A capture's frames by flow, counted in one pass over its rows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.decorator import compiled

NO_ROW = -1
_LONG_AGO_NS = np.iinfo(np.int64).min


class Usage(NamedTuple):
    """The frames of each flow, shape ``(f,)``.

    Parameters
    ----------
    packets : NDArray[np.int64]
        Number of frames.
    first_row, last_row : NDArray[np.int64]
        Rows of the first and last of them, NO_ROW where there is none.
    latest_ns : NDArray[np.int64]
        The latest of their times; the smallest integer where there is none.
    """

    packets: NDArray[np.int64]
    first_row: NDArray[np.int64]
    last_row: NDArray[np.int64]
    latest_ns: NDArray[np.int64]

    @property
    def used(self) -> NDArray[np.bool_]:
        """Flows with a frame, shape ``(f,)``."""
        return self.packets > 0


def usage(flow: NDArray[np.int32], time_ns: NDArray[np.int64], flows: int) -> Usage:
    """Count the rows of `flows` flows; those with NO_FLOW are skipped."""
    found = Usage(
        np.zeros(flows, np.int64),
        np.full(flows, NO_ROW, np.int64),
        np.full(flows, NO_ROW, np.int64),
        np.full(flows, _LONG_AGO_NS, np.int64),
    )
    _count(flow, time_ns, found)
    return found


@compiled("i4[] i8[] Usage(i8[] i8[] i8[] i8[])")
def _count(flow: NDArray[np.int32], time_ns: NDArray[np.int64], found: Usage) -> None:
    packets, first_row, last_row, latest_ns = found
    for row in range(len(flow)):
        f = flow[row]
        if f < 0:
            continue
        if packets[f] == 0:
            first_row[f] = row
        packets[f] += 1
        last_row[f] = row
        latest_ns[f] = max(latest_ns[f], time_ns[row])
