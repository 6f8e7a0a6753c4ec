"""The key of a wire packet: what no honest network changes.

Inner addresses, protocol and ports (as ``Flows.identity``), IP ID, length, TCP sequence and
acknowledgement number, and a digest of the payload. Not TTL, TOS, header checksums, the VNI (where it
carries identity) or anything of the outer header, except as a tie breaker in the first round.

Each level of `Level` leaves out what the one before still trusted:

``OUTER``     everything, and the outer IP ID and source port, which tell equal packets apart
``INNER``     without the outer header (it may have been rewritten)
``BYTELESS``  without the payload's digest, for damaged or cut packets and for datagrams of a
              super-packet; TCP without IP ID
``LOOSE``     without both
``WRAPPED``   the outer header alone, for packets whose inner header was damaged
``SOURCE``    as ``INNER``, but of the addresses and ports only the source's: the destination was translated
``TARGET``    likewise only the destination's

Sources: RFC 6864 section 4 (an IP ID means nothing in atomic packets), RFC 9293 section 3.4.
"""

from enum import IntEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire.model import UNKNOWN_LENGTH, Anomaly, Decoded

I32: TypeAlias = NDArray[np.int32]
U16: TypeAlias = NDArray[np.uint16]
U32: TypeAlias = NDArray[np.uint32]
U64: TypeAlias = NDArray[np.uint64]

TCP = 6
ICMP = 1
ICMPV6 = 58

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # splitmix64, Steele, Lea and Flood 2014
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_30 = np.uint64(30)
_27 = np.uint64(27)
_31 = np.uint64(31)
_32 = np.uint64(32)
_16 = np.uint64(16)

_PARTIAL_PAYLOAD = np.uint32(Anomaly.CUT | Anomaly.FIRST_FRAGMENT)
_UNKNOWN = np.uint32(UNKNOWN_LENGTH)


class Level(IntEnum):
    """How much of a packet must agree; see the module."""

    OUTER = 0
    INNER = 1
    BYTELESS = 2
    LOOSE = 3
    WRAPPED = 4
    SOURCE = 5
    TARGET = 6


@compiled
def _mix(state: np.uint64, value: np.uint64) -> np.uint64:
    state = (state ^ value) + _GOLDEN
    state = (state ^ (state >> _30)) * _MIX_1
    state = (state ^ (state >> _27)) * _MIX_2
    return state ^ (state >> _31)


@compiled("u8[] i8 i4[] u2[] u2[] i4[] u4[] u4[] u4[] u4[] u4[] u4[] u4[] u2[] u2[] u8[] u1[] u2[] u8[]")
def _fill_keys(
    keys: U64, level: int, rows: I32, segments: U16, segment_bytes: U16,
    flow: I32, seq: U32, ack: U32, length: U32, payload_length: U32, outer_length: U32,
    digest: U32, digest_length: U32, ip_id: U16, outer_ip_id: U16,
    identity: U64, protocol: NDArray[np.uint8], outer_sport: U16, outer_identity: U64,
) -> None:  # fmt: skip
    for i in range(len(rows)):
        r = rows[i]
        f = flow[r]
        size = segment_bytes[r]
        k = np.uint32(segments[i])
        whole = length[r]
        if size != 0:
            payload = payload_length[r]
            rest = payload - size * k
            whole = whole - payload + min(rest, np.uint32(size))
        number = np.uint64(np.uint16(ip_id[r] + k))
        outer_number = np.uint64(np.uint16(outer_ip_id[r] + k))
        if level == 4:
            grown = outer_length[r] - length[r] + whole
            key = _mix(
                outer_identity[f], np.uint64(grown) << _32 | outer_number << _16 | np.uint64(outer_sport[f])
            )
            keys[i] = key
            continue
        tcp = protocol[f] == TCP
        if 2 <= level < 5 and tcp:
            number = np.uint64(0)
        key = _mix(identity[f], np.uint64(whole) << _32 | number)
        if tcp:
            place = np.uint64(np.uint32(seq[r] + np.uint32(size) * k))
            key = _mix(key, place << _32 | np.uint64(ack[r]))
        elif protocol[f] == ICMP or protocol[f] == ICMPV6:
            key = _mix(key, np.uint64(seq[r]))
        if (level < 2 or level >= 5) and not tcp and size == 0:
            key = _mix(key, np.uint64(digest[r]) << _32 | np.uint64(digest_length[r]))
        if level == 0 or level == 2:
            key = _mix(key, outer_number << _16 | np.uint64(outer_sport[f]))
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
        Shape ``(k,)``: index rows (each with a flow) and places inside their super-packets.
    segment_bytes
        Shape ``(n,)``, by index row; see `pairing.model.Point`.

    Returns
    -------
    NDArray[np.uint64]
        Shape ``(k,)``.
    """
    index, flows = decoded.index, decoded.flows
    result = np.empty(len(rows), dtype=np.uint64)
    outer = outer_identity(decoded) if level == Level.WRAPPED else flows.identity
    inner = end_identity(decoded, level == Level.SOURCE) if level >= Level.SOURCE else flows.identity
    _fill_keys(
        result, int(level), rows, segments, segment_bytes,
        index.flow, index.seq, index.ack, index.length, index.payload_length, index.outer_length,
        index.digest, index.digest_length, index.ip_id, index.outer_ip_id,
        inner, flows.protocol, flows.outer_sport, outer,
    )  # fmt: skip
    return result


def frame_keys(level: Level, decoded: Decoded, rows: NDArray[np.int32]) -> NDArray[np.uint64]:
    """Keys of frames taken for one wire packet each, shape of `rows`."""
    whole = np.zeros(len(rows), np.uint16), np.zeros(len(decoded.index), np.uint16)
    return keys(level, decoded, rows, *whole)


def outer_identity(decoded: Decoded) -> NDArray[np.uint64]:
    """Hash of the outer addresses, protocol and destination port of each flow, shape ``(f,)``."""
    flows = decoded.flows
    words = np.concatenate([flows.outer_src, flows.outer_dst], axis=1).view(np.uint64)
    tail = flows.outer_dport.astype(np.uint64) << np.uint64(8) | flows.outer_protocol
    return _hashes(np.column_stack([words, tail]))


def end_identity(decoded: Decoded, source: bool) -> NDArray[np.uint64]:
    """Hash of one end of each flow: its address, port and the protocol, shape ``(f,)``.

    For ICMP, where both ports describe the message, both count.
    """
    flows = decoded.flows
    address, port = (flows.src, flows.sport) if source else (flows.dst, flows.dport)
    other = np.where(np.isin(flows.protocol, (ICMP, ICMPV6)), flows.dport if source else flows.sport, 0)
    tail = flows.family.astype(np.uint64) << np.uint64(48) | flows.protocol.astype(np.uint64) << np.uint64(32)
    tail |= port.astype(np.uint64) << np.uint64(16) | other.astype(np.uint64)
    return _hashes(np.column_stack([address.view(np.uint64), tail]))


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
