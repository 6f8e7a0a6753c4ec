"""Flows by number: an open-addressing hash table that a kernel fills and Python grows.

A flow's key is 16 words with everything that `Flows` says about it. Keys are in the order of their first
packet; `slots` maps a hash to their row. The hash adds a secret key to each word before multiplying (NH, RFC
4418 section 5.2.2), so a crafted capture cannot cause collisions: a flood of flows costs time linear in its
packets. Numbers do not depend on the secret.
"""

import secrets
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire.checksum import mix
from vxlanalyze.wire.fields import (
    DEPTH,
    DPORT,
    DST,
    DST_MAC,
    DST_REST,
    ENCRYPTION,
    FAMILY,
    IF_INDEX,
    OUTER,
    PACKET_TYPE,
    PROTOCOL,
    SPORT,
    SRC,
    SRC_MAC,
    SRC_REST,
    TUNNEL,
    VNI,
)
from vxlanalyze.wire.hashing import GOLDEN
from vxlanalyze.wire.model import NO_VNI, Flows

_Scalar = TypeVar("_Scalar", bound=np.generic)

KEY_WORDS = 16
_EMPTY = -1
_FIRST_CAPACITY = 1024
_FLOW_OF_PORTS = -(1 << 32) | 0xFF  # both ports and the protocol, of the third word
_LOW_32 = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


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
            self.count = _add_all(keys, mss, self.secret, self.slots, self.keys, self.mss, self.count, rows)
        return rows

    def flows(self) -> Flows:
        """Unpack the keys."""
        return unpack(self.keys[: self.count], self.mss[: self.count].copy())


@compiled
def key_of(found: NDArray[np.int64], base: int, interface: Any, key: NDArray[np.int64]) -> None:
    """Pack what a flow's packets share into `key`, shape (1, KEY_WORDS); absent fields count as 0."""
    tunnelled = found[DEPTH] > 0
    key[0, 0] = (
        interface
        | (found[PACKET_TYPE] & 0xFF) << 16
        | found[TUNNEL] << 24
        | found[DEPTH] << 32
        | found[ENCRYPTION] << 40
        | (found[OUTER + FAMILY] if tunnelled else 0) << 48
        | found[base + FAMILY] << 52
    )
    key[0, 1] = max(found[IF_INDEX], 0) | (found[VNI] & 0xFFFFFFFF) << 32
    ports = max(found[base + SPORT], 0) << 32 | max(found[base + DPORT], 0) << 48
    key[0, 2] = ports | max(found[base + PROTOCOL], 0)
    key[0, 3] = found[base + SRC]
    key[0, 4] = found[base + SRC_REST]
    key[0, 5] = found[base + DST]
    key[0, 6] = found[base + DST_REST]
    key[0, 7] = max(found[OUTER + SRC_MAC], 0)
    key[0, 8] = max(found[OUTER + DST_MAC], 0)
    for word in range(9, KEY_WORDS):
        key[0, word] = 0
    if tunnelled:
        key[0, 2] |= max(found[OUTER + PROTOCOL], 0) << 8
        key[0, 9] = max(found[OUTER + SPORT], 0) | max(found[OUTER + DPORT], 0) << 16
        key[0, 10] = found[OUTER + SRC]
        key[0, 11] = found[OUTER + SRC_REST]
        key[0, 12] = found[OUTER + DST]
        key[0, 13] = found[OUTER + DST_REST]
        key[0, 14] = max(found[base + SRC_MAC], 0)
        key[0, 15] = max(found[base + DST_MAC], 0)


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


@compiled("i8[,] u2[] u8[] i4[] i8[,] u2[] i8 i4[]")
def _add_all(
    others: NDArray[np.int64],
    others_mss: NDArray[np.uint16],
    secret: NDArray[np.uint64],
    slots: NDArray[np.int32],
    keys: NDArray[np.int64],
    mss: NDArray[np.uint16],
    count: int,
    rows: NDArray[np.int32],
) -> int:
    """Find or add each key, for which there must be room; return the resulting number of flows."""
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


def unpack(keys: NDArray[np.int64], mss: NDArray[np.uint16]) -> Flows:
    """Unpack keys, shape ``(f, KEY_WORDS)``, into columns."""
    words = keys.view(np.uint64)
    first, second, third, ports = words[:, 0], words[:, 1], words[:, 2], words[:, 9]
    vni = _bits(second, 32, np.uint32)
    packed = Flows(
        interface=_bits(first, 0, np.uint16),
        if_index=_bits(second, 0, np.uint32),
        packet_type=_bits(first, 16, np.uint8),
        tunnel=_bits(first, 24, np.uint8),
        tunnel_depth=_bits(first, 32, np.uint8),
        encryption=_bits(first, 40, np.uint8),
        vni=vni,
        outer_family=_bits(first, 48, np.uint8) & np.uint8(15),
        outer_src=_octets(keys, 10),
        outer_dst=_octets(keys, 12),
        outer_protocol=_bits(third, 8, np.uint8),
        outer_sport=_bits(ports, 0, np.uint16),
        outer_dport=_bits(ports, 16, np.uint16),
        outer_src_mac=words[:, 7].copy(),
        outer_dst_mac=words[:, 8].copy(),
        inner_src_mac=words[:, 14].copy(),
        inner_dst_mac=words[:, 15].copy(),
        family=_bits(first, 52, np.uint8) & np.uint8(15),
        src=_octets(keys, 3),
        dst=_octets(keys, 5),
        protocol=_bits(third, 0, np.uint8),
        sport=_bits(third, 32, np.uint16),
        dport=_bits(third, 48, np.uint16),
        mss=mss,
        identity=identity_of(keys),
    )
    assert np.iinfo(vni.dtype).max == NO_VNI  # the value that an absent VNI was packed as
    return packed


def identity_of(keys: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Hash family, addresses, protocol and ports of packed keys; the same in every run and capture."""
    identity = np.empty(len(keys), np.uint64)
    with np.errstate(over="ignore"):
        _identities(keys, identity)
    return identity


@compiled("i8[,] u8[]")
def _identities(keys: NDArray[np.int64], identity: NDArray[np.uint64]) -> None:
    for row in range(len(keys)):
        value = mix(np.uint64(keys[row, 0] >> 52) + GOLDEN)
        value = mix((value ^ np.uint64(keys[row, 2] & _FLOW_OF_PORTS)) + GOLDEN)
        for word in range(3, 7):
            value = mix((value ^ np.uint64(keys[row, word])) + GOLDEN)
        identity[row] = value


def _bits(words: NDArray[np.uint64], shift: int, dtype: type[_Scalar]) -> NDArray[_Scalar]:
    return (words >> np.uint64(shift)).astype(dtype)


def _octets(keys: NDArray[np.int64], word: int) -> NDArray[np.uint8]:
    pair = np.ascontiguousarray(keys[:, word : word + 2]).astype("<i8")
    return pair.view(np.uint8).reshape(len(keys), 16)
