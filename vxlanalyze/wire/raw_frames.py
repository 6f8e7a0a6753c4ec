"""Frames as compiled functions take them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.model import Frames, Interface


class RawFrames(NamedTuple):
    """The octets of `n` frames; frame `i` is ``data[start[i] : start[i] + captured_length[i]]``.

    Parameters
    ----------
    link_types : NDArray[np.int64]
        Of each of the capture's interfaces, shape ``(k,)``; the others have shape ``(n,)``.
    """

    data: NDArray[np.uint8]
    start: NDArray[Any]
    captured_length: NDArray[Any]
    original_length: NDArray[Any]
    interface: NDArray[Any]
    link_types: NDArray[np.int64]

    @classmethod
    def of(
        cls, frames: Frames, link_types: NDArray[np.int64], rows: slice | NDArray[np.int64] = slice(None)
    ) -> "RawFrames":
        """Those of a chunk, or of some rows of it."""
        return cls(
            frames.data,
            frames.start[rows],
            frames.captured_length[rows],
            frames.original_length[rows],
            frames.interface[rows],
            link_types,
        )


RAW_FRAMES = "RawFrames(u1[] i8[] u4[] u4[] u2[] i8[])"


def link_types_of(interfaces: Sequence[Interface]) -> NDArray[np.int64]:
    """List the link types of the interfaces, shape ``(k,)``."""
    return np.array([interface.link_type for interface in interfaces], np.int64)
