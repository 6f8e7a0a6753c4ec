"""What the compiled readers of this package share: what they read and copy to, and numbers in octets."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.decorator import compiled

# The reason why a compiled walk stops.
FULL = 0  # no room for another row
MORE = 1  # the next record extends beyond the buffer
BAD = 2  # this cannot be a record
ODD = 3  # a record that contradicts itself, possibly on purpose
BLOCK = 4  # a block that is left to Python

NS_PER_S = 1_000_000_000


class Span(NamedTuple):
    """Octets of a file in memory.

    They are ``data[at:end]``; ``data[0]`` lies at `base`. The file has none after `end` if `at_end`.
    """

    data: NDArray[np.uint8]
    at: int
    end: int
    base: int
    at_end: bool


SPAN = "Span(u1[] i8 i8 i8 b1)"


class Target(NamedTuple):
    """Arrays for the frames that are copied, and the buffer for their octets."""

    start: NDArray[np.int64]
    captured_length: NDArray[np.uint32]
    original_length: NDArray[np.uint32]
    time_ns: NDArray[np.int64]
    interface: NDArray[np.uint16]
    data: NDArray[np.uint8]


TARGET = "Target(i8[] u4[] u4[] i8[] u2[] u1[])"


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
