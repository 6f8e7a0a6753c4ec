"""Ones' complement sums, CRC32c, and the payload digest, over bytes loaded eight at a time.

A sum is kept as the sum of little-endian 32-bit words in 64 bits and folded at the end: the ones' complement
sum does not depend on byte order or word size (RFC 1071 section 2). The digest is a sum of products of the
two halves of each 8-byte word, after a position-dependent key was added (the NH hash of UMAC, RFC 4418
section 5.2.2), so both process the bytes in a single vectorised pass.

Sources: RFC 1071; RFC 4418; RFC 9260 appendix A (CRC32c); Steele, Lea, Flood, "Fast splittable
pseudorandom number generators" (the finisher).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire.hashing import GOLDEN, MIX_1, MIX_2, PRIME_2
from vxlanalyze.wire.octets import Octets, byte, le16, le32, le64

_LOW_32 = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_27 = np.uint64(27)
_30 = np.uint64(30)
_31 = np.uint64(31)


@compiled
def tail(data: Octets, at: int, length: int) -> np.uint64:
    """Load the last `length` < 8 bytes from `at` as one little-endian word, padded with zeros."""
    value = np.uint64(0)
    shift = np.uint64(0)
    if length & 4:
        value = np.uint64(le32(data, at))
        shift = _32
        at += 4
    if length & 2:
        value |= np.uint64(le16(data, at)) << shift
        shift += np.uint64(16)
        at += 2
    if length & 1:
        value |= np.uint64(byte(data, at)) << shift
    return value


@compiled
def add(data: Octets, start: int, end: int) -> np.uint64:
    """Sum the bytes from `start` up to `end`; not folded."""
    total = np.uint64(0)
    length = max(end - start, 0)
    for word in range(length >> 3):
        value = le64(data, start + (word << 3))
        total += (value & _LOW_32) + (value >> _32)
    value = tail(data, start + (length & ~7), length & 7)
    return total + (value & _LOW_32) + (value >> _32)


@compiled
def add_and_digest(data: Octets, start: int, end: int) -> tuple[np.uint64, Any]:
    """Sum the bytes as `add` does, and digest them to 32 bits; no bytes digest to 0."""
    total = np.uint64(0)
    products = np.uint64(0)
    key = PRIME_2  # GOLDEN, which is added to it, is odd: no two positions have the same key
    length = max(end - start, 0)
    for word in range(length >> 3):
        value = le64(data, start + (word << 3))
        total += (value & _LOW_32) + (value >> _32)
        keyed = value + key
        products += (keyed & _LOW_32) * (keyed >> _32)
        key += GOLDEN
    value = tail(data, start + (length & ~7), length & 7)
    total += (value & _LOW_32) + (value >> _32)
    keyed = value + key
    products += (keyed & _LOW_32) * (keyed >> _32)
    if length == 0:
        return total, 0
    return total, np.int64(mix(products + np.uint64(length) * GOLDEN) >> _32)


@compiled
def mix(value: np.uint64) -> np.uint64:
    """Spread every bit of a 64-bit word over the entire word."""
    value = (value ^ (value >> _30)) * MIX_1
    value = (value ^ (value >> _27)) * MIX_2
    return value ^ (value >> _31)


@compiled
def fold(total: np.uint64) -> int:
    """Fold a sum of little-endian words to 16 bits, in the order of the bytes."""
    value: Any = np.int64((total & _LOW_32) + (total >> _32))
    value = (value & 0xFFFF) + (value >> 16)
    value = (value & 0xFFFF) + (value >> 16)
    value = (value & 0xFFFF) + (value >> 16)
    return swap(value)


@compiled
def swap(value: int) -> int:
    """Swap the two bytes of a 16-bit value; also gives the sum of the same bytes at an odd offset."""
    return ((value & 0xFF) << 8) | (value >> 8)


@compiled
def join(first: int, second: int, second_offset: int) -> int:
    """Add two folded sums, the second of bytes that begin `second_offset` after the first's start."""
    total = first + (swap(second) if second_offset & 1 else second)
    return (total & 0xFFFF) + (total >> 16)


def _crc32c_table() -> NDArray[np.int64]:
    table = np.arange(256, dtype=np.int64)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ 0x82F63B78, table >> 1)
    return table


_CRC32C = _crc32c_table()


@compiled
def crc32c(data: Octets, start: int, end: int, zero_at: int) -> int:
    """CRC32c of the bytes, with the four at `zero_at` (the checksum itself) treated as zero."""
    crc = 0xFFFFFFFF
    for at in range(start, end):
        value = 0 if zero_at <= at < zero_at + 4 else byte(data, at)
        crc = _CRC32C[(crc ^ value) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF
