"""The key of a wire packet: everything that a working network leaves unchanged.

Inner addresses, protocol and ports (as ``Flows.identity``), IP ID, length, TCP sequence and
acknowledgement number, and a digest of the payload. Not TTL, TOS, header checksums, the VNI (where it
carries identity) or anything of the outer header, except as a tie-breaker in the first round.

Each level of `Level` drops something that the one before still relied on:

``OUTER``     everything, and the outer IP ID and source port, which distinguish equal packets
``INNER``     without the outer header (it may have been rewritten)
``BYTELESS``  without the payload's digest, for damaged or cut packets and for datagrams of a
              super-packet; TCP without IP ID
``LOOSE``     without both
``WRAPPED``   the outer header alone, for packets whose inner header was damaged

Where addresses or ports are translated between the points, `translation` has already given both flows one
identity.

Sources: RFC 6864 section 4 (an IP ID means nothing in atomic packets), RFC 9293 section 3.4.
"""

from enum import Enum, IntFlag
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.arrays import I32, U8, U16, U32, U64
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire.hashing import GOLDEN, MIX_1, MIX_2
from vxlanalyze.wire.model import Decoded
from vxlanalyze.wire.protocols import ICMP, ICMPV6, TCP

_30 = np.uint64(30)
_27 = np.uint64(27)
_31 = np.uint64(31)
_32 = np.uint64(32)
_16 = np.uint64(16)


class KeyPart(IntFlag):
    """Parts of a key, in addition to length, TCP sequence and acknowledgement, and ICMP sequence number."""

    FLOW = 1  # inner addresses, protocol and ports
    OUTER_ADDRESSES = 2
    OUTER_NUMBER = 4  # outer IP ID and source port
    DIGEST = 8  # of the payload, except for TCP
    TCP_NUMBER = 16  # inner IP ID of TCP; for all else it always counts


_FLOW, _OUTER_ADDRESSES, _OUTER_NUMBER = (
    int(p) for p in (KeyPart.FLOW, KeyPart.OUTER_ADDRESSES, KeyPart.OUTER_NUMBER)
)
_DIGEST, _TCP_NUMBER = int(KeyPart.DIGEST), int(KeyPart.TCP_NUMBER)


class Level(Enum):
    """How much of a packet must agree; see the module."""

    OUTER = KeyPart.FLOW | KeyPart.OUTER_NUMBER | KeyPart.DIGEST | KeyPart.TCP_NUMBER
    INNER = KeyPart.FLOW | KeyPart.DIGEST | KeyPart.TCP_NUMBER
    BYTELESS = KeyPart.FLOW | KeyPart.OUTER_NUMBER
    LOOSE = KeyPart.FLOW
    WRAPPED = KeyPart.OUTER_ADDRESSES | KeyPart.OUTER_NUMBER


@compiled
def _mix(state: np.uint64, value: np.uint64) -> np.uint64:
    state = (state ^ value) + GOLDEN
    state = (state ^ (state >> _30)) * MIX_1
    state = (state ^ (state >> _27)) * MIX_2
    return state ^ (state >> _31)


class _Rows(NamedTuple):
    """The columns of the index that keys are made of."""

    flow: I32
    segment_bytes: U16
    seq: U32
    ack: U32
    length: U32
    payload_length: U32
    outer_length: U32
    digest: U32
    digest_length: U32
    ip_id: U16
    outer_ip_id: U16


class _Flows(NamedTuple):
    """The columns of flows that keys are made of."""

    identity: U64
    protocol: U8
    outer_sport: U16
    outer_identity: U64


@compiled(
    "u8[] i8 (i4[] u2[]) _Rows(i4[] u2[] u4[] u4[] u4[] u4[] u4[] u4[] u4[] u2[] u2[])"
    " _Flows(u8[] u1[] u2[] u8[])"
)
def _fill_keys(keys: U64, parts: int, packets: tuple[I32, U16], index: _Rows, flows: _Flows) -> None:
    rows, segments = packets
    for i in range(len(rows)):
        r = rows[i]
        f = index.flow[r]
        size = index.segment_bytes[r]
        k = np.uint32(segments[i])
        whole = index.length[r]
        if size != 0:
            payload = index.payload_length[r]
            rest = payload - size * k
            whole = whole - payload + min(rest, np.uint32(size))
        number = np.uint64(np.uint16(index.ip_id[r] + k))
        outer_number = np.uint64(np.uint16(index.outer_ip_id[r] + k))
        if parts & _OUTER_ADDRESSES:
            grown = index.outer_length[r] - index.length[r] + whole
            tail = outer_number << _16 | np.uint64(flows.outer_sport[f])
            keys[i] = _mix(flows.outer_identity[f], np.uint64(grown) << _32 | tail)
            continue
        tcp = flows.protocol[f] == TCP
        if tcp and not parts & _TCP_NUMBER:
            number = np.uint64(0)
        key = _mix(flows.identity[f], np.uint64(whole) << _32 | number)
        if tcp:
            place = np.uint64(np.uint32(index.seq[r] + np.uint32(size) * k))
            key = _mix(key, place << _32 | np.uint64(index.ack[r]))
        elif flows.protocol[f] == ICMP or flows.protocol[f] == ICMPV6:
            key = _mix(key, np.uint64(index.seq[r]))
        else:  # the DNS ID, where there is one: flags may be rewritten
            key = _mix(key, np.uint64(index.seq[r]) >> _16)
        if parts & _DIGEST and not tcp and size == 0:
            key = _mix(key, np.uint64(index.digest[r]) << _32 | np.uint64(index.digest_length[r]))
        if parts & _OUTER_NUMBER:
            key = _mix(key, outer_number << _16 | np.uint64(flows.outer_sport[f]))
        keys[i] = key


def keys(
    level: Level,
    decoded: Decoded,
    rows: NDArray[np.int32],
    segments: NDArray[np.uint16],
    segment_bytes: NDArray[np.uint16],
) -> NDArray[np.uint64]:
    """Keys of wire packets, one for each row and segment given.

    Parameters
    ----------
    level : Level
        How much must agree.
    decoded : Decoded
        The capture.
    rows, segments
        Shape ``(k,)``: index rows (each with a flow) and positions inside their super-packets.
    segment_bytes
        Shape ``(n,)``, by index row; see `pairing.model.Point`.

    Returns
    -------
    NDArray[np.uint64]
        Shape ``(k,)``.
    """
    index, flows = decoded.index, decoded.flows
    result = np.empty(len(rows), dtype=np.uint64)
    outer = outer_identity(decoded) if level is Level.WRAPPED else flows.identity
    columns = _Rows(
        index.flow, segment_bytes, index.seq, index.ack, index.length, index.payload_length,
        index.outer_length, index.digest, index.digest_length, index.ip_id, index.outer_ip_id,
    )  # fmt: skip
    of_flows = _Flows(flows.identity, flows.protocol, flows.outer_sport, outer)
    _fill_keys(result, int(level.value), (rows, segments), columns, of_flows)
    return result


def frame_keys(level: Level, decoded: Decoded, rows: NDArray[np.int32]) -> NDArray[np.uint64]:
    """Keys of frames, each treated as one wire packet, shape of `rows`."""
    whole = np.zeros(len(rows), np.uint16), np.zeros(len(decoded.index), np.uint16)
    return keys(level, decoded, rows, *whole)


def outer_identity(decoded: Decoded) -> NDArray[np.uint64]:
    """Hash of the outer addresses, protocol and destination port of each flow, shape ``(f,)``."""
    flows = decoded.flows
    words = np.concatenate([flows.outer_src, flows.outer_dst], axis=1).view(np.uint64)
    tail = flows.outer_dport.astype(np.uint64) << np.uint64(8) | flows.outer_protocol
    return _hashes(np.column_stack([words, tail]))


def _hashes(words: U64) -> U64:
    result = np.empty(len(words), dtype=np.uint64)
    _hash_rows(np.ascontiguousarray(words), result)
    return result


@compiled("u8[,] u8[]")
def _hash_rows(words: U64, result: U64) -> None:
    for i in range(len(words)):
        state = np.uint64(0)
        for j in range(words.shape[1]):
            state = _mix(state, words[i, j])
        result[i] = state
