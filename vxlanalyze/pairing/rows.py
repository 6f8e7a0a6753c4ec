"""Find the rows of chosen flows in one pass.

numpy would look up each row's flow, then count the matches, and give row numbers twice as wide.
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.decorator import compiled


def rows_of(flow: NDArray[np.int32], chosen: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Find the rows whose flow is chosen.

    Parameters
    ----------
    flow : NDArray[np.int32]
        Shape ``(n,)``: the flow of each row, or NO_FLOW.
    chosen : NDArray[np.bool_]
        Shape ``(f,)``.

    Returns
    -------
    NDArray[np.int32]
        Ascending.
    """
    if not chosen.any():
        return np.empty(0, np.int32)
    rows = np.empty(len(flow), np.int32)
    return rows[: _choose(flow, chosen, rows)].copy()


@compiled("i4[] b1[] i4[]")
def _choose(flow: NDArray[np.int32], chosen: NDArray[np.bool_], rows: NDArray[np.int32]) -> int:
    count = 0
    for row in range(len(flow)):
        rows[count] = row  # overwritten by the next chosen row: avoids an unpredictable branch
        count += flow[row] >= 0 and chosen[flow[row]]
    return count
