"""Find the rows of single streams in a table of many."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.sorting import stable_order


class ByStream(NamedTuple):
    """Rows by their first column, the stream: each row's number, and its stream."""

    values: NDArray[np.int64]
    order: NDArray[np.int64]
    stream: NDArray[np.int64]

    @classmethod
    def of(cls, values: NDArray[np.int64]) -> "ByStream":
        """Order rows by their first column, the stream."""
        order = stable_order(values[:, 0])
        return cls(values, order, values[order, 0])

    def rows(self, stream: int, streams: int) -> NDArray[np.int64]:
        """Give the rows of one or several consecutive streams, in their own order."""
        first, last = np.searchsorted(self.stream, (stream, stream + streams))
        return self.values[self.order[first:last]]
