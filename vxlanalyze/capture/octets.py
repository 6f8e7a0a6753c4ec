"""Numbers out of raw octets, in either byte order, for the compiled readers of this package."""

from typing import Any

import numpy as np

from vxlanalyze.compiled import compiled

# What a compiled walk tells its caller when it stops.
FULL = 0  # no room for another row
MORE = 1  # the next record goes on behind the end of the buffer
BAD = 2  # what stands here cannot be a record
ODD = 3  # a record that contradicts itself, but may be meant so
BLOCK = 4  # a block that is left to Python

NS_PER_S = 1_000_000_000


@compiled
def u16(data: Any, at: int, big: bool) -> Any:
    """Read 16 bits at `at` as int64."""
    first, second = np.int64(data[at]), np.int64(data[at + 1])
    return first << 8 | second if big else second << 8 | first


@compiled
def u32(data: Any, at: int, big: bool) -> Any:
    """Read 32 bits at `at` as int64."""
    a, b, c, d = np.int64(data[at]), np.int64(data[at + 1]), np.int64(data[at + 2]), np.int64(data[at + 3])
    return a << 24 | b << 16 | c << 8 | d if big else d << 24 | c << 16 | b << 8 | a


@compiled
def copy_octets(out: Any, to: int, data: Any, at: int, count: int) -> None:
    """Copy ``data[at : at + count]`` to ``out[to:]``, without the copy between that a slice makes."""
    for k in range(count):
        out[to + k] = data[at + k]
