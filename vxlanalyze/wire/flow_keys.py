"""Keys of flows: 16 words with all that `Flows` says about one, packed by kernels and unpacked here."""

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
_FLOW_OF_PORTS = -(1 << 32) | 0xFF  # both ports and the protocol, of the third word


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
