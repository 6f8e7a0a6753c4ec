"""Find the members of many groups in one pass instead of one for each group."""

import numpy as np
from numpy.typing import NDArray


def members(group: NDArray[np.integer], groups: int) -> list[NDArray[np.intp]]:
    """Give the positions of each group's members, ascending.

    Parameters
    ----------
    group : NDArray[np.integer]
        Shape ``(n,)``: the group of each position, or negative for none.
    groups : int
        Number of groups.
    """
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group[group >= 0], minlength=groups)
    ends = np.cumsum(sizes) + np.count_nonzero(group < 0)
    return [order[end - size : end] for end, size in zip(ends.tolist(), sizes.tolist(), strict=True)]
