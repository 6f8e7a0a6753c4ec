"""Flows by number: an open-addressing hash table that a kernel fills and Python grows.

Keys (`flow_keys`) are in the order of their first packet; `slots` maps a hash to their row. The hash adds a
secret key to each word before multiplying (NH, RFC 4418 section 5.2.2), so a crafted capture cannot cause
collisions: a flood of flows costs time linear in its packets. Numbers do not depend on the secret.
"""

import secrets
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire.checksum import mix
from vxlanalyze.wire.flow_keys import KEY_WORDS, unpack
from vxlanalyze.wire.model import Flows

_EMPTY = -1
_FIRST_CAPACITY = 1024
_LOW_32 = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


class FlowArrays(NamedTuple):
    """A `FlowTable` for compiled functions, which return its new number of flows."""

    secret: NDArray[np.uint64]
    slots: NDArray[np.int32]
    keys: NDArray[np.int64]
    mss: NDArray[np.uint16]
    flows: int


FLOW_ARRAYS = "FlowArrays(u8[] i4[] i8[,] u2[] i8)"


@dataclass(slots=True)
class FlowTable:
    """The flows seen so far; `count` rows of `keys` and `mss` are in use."""

    secret: NDArray[np.uint64]  # shape (KEY_WORDS,)
    slots: NDArray[np.int32]  # shape (4 * capacity,), a power of two
    keys: NDArray[np.int64]  # shape (capacity, KEY_WORDS)
    mss: NDArray[np.uint16]  # shape (capacity,)
    count: int = 0

    @classmethod
    def empty(cls, flows: int = 0) -> "FlowTable":
        """Create a table with room for a number of flows, and for a few more."""
        capacity = max(_FIRST_CAPACITY, 1 << flows.bit_length())
        words = [secrets.randbits(64) for _ in range(KEY_WORDS)]
        return cls(
            np.array(words, np.uint64),
            np.full(4 * capacity, _EMPTY, np.int32),
            np.zeros((capacity, KEY_WORDS), np.int64),
            np.zeros(capacity, np.uint16),
        )

    @property
    def arrays(self) -> FlowArrays:
        """The table for compiled functions, valid until it grows."""
        return FlowArrays(self.secret, self.slots, self.keys, self.mss, self.count)

    def grow(self) -> None:
        """Double the capacity."""
        capacity = 2 * len(self.keys)
        keys, mss = np.zeros((capacity, KEY_WORDS), np.int64), np.zeros(capacity, np.uint16)
        keys[: len(self.keys)], mss[: len(self.mss)] = self.keys, self.mss  # the rest is not in memory yet
        self.keys, self.mss = keys, mss
        self.slots = np.full(4 * capacity, _EMPTY, np.int32)
        place_again(self.keys, self.count, self.slots, self.secret)

    def take_over(self, keys: NDArray[np.int64], mss: NDArray[np.uint16]) -> NDArray[np.int32]:
        """Append the flows of another table.

        Parameters
        ----------
        keys : NDArray[np.int64]
            Shape ``(k, KEY_WORDS)``; need not be distinct.
        mss : NDArray[np.uint16]
            Of each; 0 where none was seen later than the one known here.

        Returns
        -------
        NDArray[np.int32]
            The row here of each, shape ``(k,)``.
        """
        while self.count + len(keys) > len(self.keys):
            self.grow()
        rows = np.empty(len(keys), np.int32)
        with np.errstate(over="ignore"):
            self.count = _add_all(keys, mss, self.arrays, rows)
        return rows

    def flows(self) -> Flows:
        """Unpack the keys."""
        return unpack(self.keys[: self.count], self.mss[: self.count].copy())


@compiled
def hash_of(keys: NDArray[np.int64], row: int, secret: NDArray[np.uint64]) -> np.uint64:
    """Hash a row of keys under the table's secret."""
    total = np.uint64(0)
    for word in range(KEY_WORDS):
        keyed = np.uint64(keys[row, word]) + secret[word]
        total += (keyed & _LOW_32) * (keyed >> _32)
    return mix(total)


@compiled
def first_slot(
    keys: NDArray[np.int64], row: int, secret: NDArray[np.uint64], slots: NDArray[np.int32]
) -> Any:
    """Give the first slot to probe for a row of keys."""
    return np.int64(hash_of(keys, row, secret) & np.uint64(len(slots) - 1))


@compiled
def of_same_ends(wanted: NDArray[np.int64], row: int, keys: NDArray[np.int64], number: Any) -> Any:
    """Return the row `number` of `keys` where it begins and ends as a wanted key does; else -1, as for -1."""
    place: Any = max(np.int64(number), 0)
    first, last = wanted[row, 0] ^ keys[place, 0], wanted[row, -1] ^ keys[place, -1]
    return number if first | last == 0 else _EMPTY


@compiled
def difference(some: NDArray[np.int64], row: int, others: NDArray[np.int64], other: Any) -> Any:
    """Return the bits in which two keys differ; without a branch, which would end what is done ahead."""
    bits = np.int64(0)
    for word in range(KEY_WORDS):
        bits |= some[row, word] ^ others[other, word]
    return bits


@compiled
def find_or_add(
    key: NDArray[np.int64],
    slot: int,
    slots: NDArray[np.int32],
    keys: NDArray[np.int64],
    count: int,
) -> Any:
    """Return the row of a key; if it was absent, it is added in row `count`.

    `slot` is the first one to probe. There must be room: ``count < len(keys)``.
    """
    mask = len(slots) - 1
    while True:
        row = np.int64(slots[slot])
        if row == _EMPTY:
            slots[slot] = count
            for word in range(KEY_WORDS):
                keys[count, word] = key[0, word]
            return count
        if difference(key, 0, keys, row) == 0:
            return row
        slot = (slot + 1) & mask


@compiled(f"i8[,] u2[] {FLOW_ARRAYS} i4[]")
def _add_all(
    others: NDArray[np.int64], others_mss: NDArray[np.uint16], table: FlowArrays, rows: NDArray[np.int32]
) -> int:
    """Find or add each key, for which there must be room; return the resulting number of flows."""
    secret, slots, keys, mss, count = table
    for other in range(len(others)):
        slot = first_slot(others, other, secret, slots)
        row = find_or_add(others[other : other + 1], slot, slots, keys, count)
        count = max(count, row + 1)
        rows[other] = row
        if others_mss[other] > 0:
            mss[row] = others_mss[other]
    return count


@compiled("i8[,] i8 i4[] u8[]")
def place_again(
    keys: NDArray[np.int64], count: int, slots: NDArray[np.int32], secret: NDArray[np.uint64]
) -> None:
    """Enter the first `count` keys, all distinct, into empty slots."""
    mask = len(slots) - 1
    for row in range(count):
        slot = first_slot(keys, row, secret, slots)
        while slots[slot] != _EMPTY:
            slot = (slot + 1) & mask
        slots[slot] = row
