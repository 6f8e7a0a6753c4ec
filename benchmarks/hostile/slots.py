"""Floods of one slot of each hash table, for whoever does not know the secret of the run.

The tables are those of `wire.flow_table` (flows by what they are), `pairing.match` (packets by their key)
and `pairing.tuples` (rows of bytes); each places its keys by a secret. What is made here falls into one slot
where the secret is 0 or, where it is a factor, 1. Python's own tables place text and bytes by a secret too.
"""

import socket
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.hostile.frames import ACK, TCP, UDP, Case, Sight, ethernet, ipv4, tcp, tunnel, udp, write
from vxlanalyze import wire
from vxlanalyze.capture import open_sources
from vxlanalyze.pairing.identity import Level, frame_keys

_64 = (1 << 64) - 1
_GOLDEN, _MIX_1, _MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_ENDS = ("10.1.0.1", "10.1.0.2")


def of_flows(frames: int) -> Iterator[Sight]:
    """Flows whose hash is the same: one half of each word that differs is 0, and multiplies the other."""
    far = b"\0\0\0\0" + bytes(11) + b"\2"
    for n in range(frames):
        yield Sight(n * 10, True, _ipv6(b"\0\0\0\0" + n.to_bytes(4) + bytes(8), far, n), n % 10 != 0)


def of_rows(frames: int) -> Iterator[Sight]:
    """Rows of addresses and ports whose hash is the same: the far address undoes what the near one does.

    A row is a family, two addresses, a protocol and two ports, in words of eight bytes.
    """
    inverse, odd = pow(_GOLDEN, -1, 1 << 64), _GOLDEN
    for n in range(frames):
        near = b"\xfd" + n.to_bytes(4) + bytes(11)
        row = b"\6" + near + b"\xfd" + bytes(6)
        state = 0
        for word in struct.unpack("<3Q", row):
            state = (state ^ word) * odd & _64
            state ^= state >> 32
        wanted = 0x1234_5678
        undone = (wanted ^ wanted >> 32) * inverse & _64
        far = b"\xfd" + bytes(6) + struct.pack("<Q", undone ^ state) + b"\2"
        yield Sight(n * 10, True, _ipv6(near, far, n), n % 10 != 0)


def of_keys(frames: int) -> Iterator[Sight]:
    """Packets whose keys differ in their lowest bits alone, by sequence and acknowledgement numbers."""
    state, outer = _of_first_segment()
    for n in range(frames):
        numbers = _unmixed(_unmixed(n) ^ outer) ^ state
        segment = tcp(*_ENDS, (40000, 443), numbers >> 32, ACK, numbers & 0xFFFFFFFF)
        yield Sight(n * 10, True, tunnel(_numbered(segment), ip_id=7), n % 10 != 0)


def _ipv6(near: bytes, far: bytes, number: int) -> bytes:
    datagram = udp(1000, 2000, number.to_bytes(8))
    inner = struct.pack(">IHBB", 6 << 28, len(datagram), UDP, 64) + near + far + datagram
    vxlan = b"\x08\0\0\0\0\x01\0\0" + ethernet(inner, True, b"\x86\xdd")
    return ethernet(ipv4("10.0.0.1", "10.0.0.2", UDP, udp(40000, 8472, vxlan), number), True)


def _numbered(segment: bytes) -> bytes:
    """Give the segment's packet one IP ID, whatever its sequence number is."""
    return ipv4(socket.inet_ntoa(segment[12:16]), socket.inet_ntoa(segment[16:20]), TCP, segment[20:], 7)


def _of_first_segment() -> tuple[int, int]:
    """Give the state of a key before its numbers, and what is mixed into it last: see `pairing.identity`."""

    def one(frames: int) -> Iterator[Sight]:
        yield Sight(0, True, tunnel(_numbered(tcp(*_ENDS, (40000, 443), 0, ACK, 0)), ip_id=7))

    with tempfile.TemporaryDirectory() as folder:
        path, _ = write(one, 1, Path(folder))
        (source,) = open_sources((str(path),))
        decoded = wire.decode(source)
        source.close()
    index, flows = decoded.index, decoded.flows
    flow = index.flow[0]
    outer = int(index.outer_ip_id[0]) << 16 | int(flows.outer_sport[flow])
    key = int(frame_keys(Level.OUTER, decoded, np.zeros(1, np.int32))[0])
    return _unmixed(_unmixed(key) ^ outer), outer


def _unmixed(key: int) -> int:
    """Undo a step of splitmix64: the word that went into it."""
    key = _unshifted(key, 31) * pow(_MIX_2, -1, 1 << 64) & _64
    key = _unshifted(key, 27) * pow(_MIX_1, -1, 1 << 64) & _64
    return (_unshifted(key, 30) - _GOLDEN) & _64


def _unshifted(word: int, by: int) -> int:
    found = word
    for _ in range(3):
        found = word ^ found >> by
    return found


CASES: tuple[Case, ...] = (of_flows, of_rows, of_keys)
