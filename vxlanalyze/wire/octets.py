"""Loads of 1 to 8 bytes from a buffer, in network or in little-endian order.

A compiled load is one machine instruction, checks nothing and needs no alignment: the caller must ensure that
the bytes exist (``fields.holds``). With ``NUMBA_BOUNDSCHECK=1`` and ``NUMBA_DISABLE_JIT=1`` every byte is
read by index instead, so that the tests can prove it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.decorator import compiled

Octets = NDArray[np.uint8]  # a buffer of packet bytes, shape (k,)
Load = Callable[[Octets, int], Any]


def _make(size_bytes: int, network_order: bool) -> Load:
    """Create a load from individually indexed bytes; 64-bit results are unsigned, shorter ones int64."""
    wide = np.uint64 if size_bytes == 8 else np.int64
    step = wide(8)

    def load(data: Octets, at: int) -> Any:
        value = wide(0)
        for place in range(size_bytes):
            index = at + place if network_order else at + size_bytes - 1 - place
            value = (value << step) | wide(data[index])
        return value

    # What the compiler makes of it instead: bits, and whether they are in network order.
    load.instruction = 8 * size_bytes, network_order  # type: ignore[attr-defined]
    return compiled(load)


byte = _make(1, True)
be16 = _make(2, True)
be32 = _make(4, True)
le16 = _make(2, False)
le32 = _make(4, False)
le64 = _make(8, False)


@compiled
def be24(data: Octets, at: int) -> int:
    """Load 3 bytes in network order."""
    return (be16(data, at) << 8) | byte(data, at + 2)


@compiled
def be48(data: Octets, at: int) -> int:
    """Load 6 bytes in network order: a MAC address."""
    return (be32(data, at) << 16) | be16(data, at + 4)
