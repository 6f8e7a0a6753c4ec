"""The distinct inner 5-tuples of some captures, by number."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NO_TUPLE = -1


@dataclass(frozen=True, slots=True)
class Tuples:
    """The `t` distinct inner 5-tuples of some captures.

    Parameters
    ----------
    of_flow : tuple of NDArray[np.int32]
        For each capture, shape ``(f,)``: the tuple of each flow.
    answer : NDArray[np.int32]
        Shape ``(t,)``: the tuple of the opposite direction, or NO_TUPLE.
    """

    of_flow: tuple[NDArray[np.int32], ...]
    answer: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.answer)
