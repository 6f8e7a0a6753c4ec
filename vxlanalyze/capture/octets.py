"""Read numbers from raw octets, in either byte order, for the compiled readers of this package."""

from typing import Any

import numpy as np

from vxlanalyze.kernels.decorator import compiled

# The reason why a compiled walk stops.
FULL = 0  # no room for another row
MORE = 1  # the next record extends beyond the buffer
BAD = 2  # this cannot be a record
ODD = 3  # a record that contradicts itself, possibly on purpose
BLOCK = 4  # a block that is left to Python

NS_PER_S = 1_000_000_000


@compiled
def u16(data: Any, at: int, big: bool) -> Any:
    """Read 16 bits at `at` as int64."""
    place = np.uint64(at)  # an unsigned index needs no check for negative values, and the loads are combined
    value = np.uint32(data[place]) | np.uint32(data[place + np.uint64(1)]) << np.uint32(8)
    if big:
        value = (value >> np.uint32(8)) | (value & np.uint32(0xFF)) << np.uint32(8)
    return np.int64(value)


@compiled("u1[] i8 b1")
def u32(data: Any, at: int, big: bool) -> Any:
    """Read 32 bits at `at` as int64."""
    place = np.uint64(at)
    value = (
        np.uint32(data[place])
        | np.uint32(data[place + np.uint64(1)]) << np.uint32(8)
        | np.uint32(data[place + np.uint64(2)]) << np.uint32(16)
        | np.uint32(data[place + np.uint64(3)]) << np.uint32(24)
    )
    if big:
        value = (
            value >> np.uint32(24)
            | (value >> np.uint32(8)) & np.uint32(0xFF00)
            | (value & np.uint32(0xFF00)) << np.uint32(8)
            | (value & np.uint32(0xFF)) << np.uint32(24)
        )
    return np.int64(value)


@compiled
def copy_octets(out: Any, to: int, data: Any, at: int, count: int) -> None:
    """Copy ``data[at : at + count]`` to ``out[to:]``, without the intermediate copy of a slice."""
    for k in range(count):
        out[to + k] = data[at + k]
