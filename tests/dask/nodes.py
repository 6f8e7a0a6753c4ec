"""Captures of the nodes of a small cluster: each asks each other, and some of it is lost.

Every node has a clock of its own. What the packets hold (VXLAN, RFC 7348; UDP, RFC 768) is right to the last
checksum, so that nothing is wrong but what was asked for.
"""

import random
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path

START_NS = 1_790_000_000_000_000_000
GAP_NS, WAY_NS = 400_000, 250_000
SIZES = (80, 1400, 400)  # payload bytes of requests and answers, in turn


@dataclass
class Nodes:
    """A cluster of `count` nodes; `lost` maps a direction such as ``node1>node2`` to what is lost of it.

    What is lost is a share of the packets, or with ``">700"`` those with more payload than that.
    """

    count: int = 4
    requests: int = 40  # of each node to each other
    lost: Mapping[str, float | str] = field(default_factory=dict)
    apart: tuple[frozenset[int], ...] = ()  # pairs of nodes that have nothing to do with each other

    def write(self, folder: Path) -> list[Path]:
        """Write ``node1.pcap`` and so on, and give their paths."""
        draw = random.Random(7)
        records: list[list[tuple[int, bytes]]] = [[] for _ in range(self.count)]
        ip_id = iter(range(1, 65000))
        pairs = [p for p in permutations(range(self.count), 2) if frozenset(p) not in self.apart]
        for number in range(self.requests):
            draw.shuffle(pairs)
            for at, (a, b) in enumerate(pairs):
                now = START_NS + (number * len(pairs) + at) * GAP_NS
                size = SIZES[number % len(SIZES)]
                if self._send(records, draw, now, (a, b), (40000 + a, 9000), size, next(ip_id)):
                    self._send(records, draw, now + WAY_NS * 2, (b, a), (9000, 40000 + a), size, next(ip_id))
        folder.mkdir(exist_ok=True)
        paths = [folder / f"node{node + 1}.pcap" for node in range(self.count)]
        for node, path in enumerate(paths):
            path.write_bytes(_pcap(sorted(records[node], key=lambda record: record[0]), node))
        return paths

    def _send(
        self,
        records: list[list[tuple[int, bytes]]],
        draw: random.Random,
        now_ns: int,
        way: tuple[int, int],
        ports: tuple[int, int],
        size: int,
        ip_id: int,
    ) -> bool:
        """Send one packet and tell whether it arrives."""
        a, b = way
        frame = _frame(a, b, ports, draw.randbytes(size), ip_id)
        records[a].append((now_ns, frame))
        lost = self.lost.get(f"node{a + 1}>node{b + 1}", 0.0)
        gone = size > int(lost[1:]) if isinstance(lost, str) else draw.random() < lost
        if not gone:
            records[b].append((now_ns + WAY_NS + draw.randrange(20_000), frame))
        return not gone


def _frame(a: int, b: int, ports: tuple[int, int], payload: bytes, ip_id: int) -> bytes:
    source, target = (bytes([10, 244, node, 10]) for node in (a, b))
    udp = struct.pack(">HHHH", *ports, 8 + len(payload), 0) + payload
    pseudo = source + target + struct.pack(">BBH", 0, 17, len(udp))
    udp = udp[:6] + struct.pack(">H", _checksum(pseudo + udp) or 0xFFFF) + udp[8:]
    inner = _mac(b, 14) + _mac(a, 14) + b"\x08\x00" + _ipv4(source, target, udp, ip_id)
    vxlan = struct.pack(">II", 0x08 << 24, 1 << 8) + inner
    outer = struct.pack(">HHHH", 32768 + ports[0] % 1000, 8472, 8 + len(vxlan), 0) + vxlan
    underlay = [bytes([172, 16, 0, 10 + node]) for node in (a, b)]
    return _mac(b, 2) + _mac(a, 2) + b"\x08\x00" + _ipv4(underlay[0], underlay[1], outer, ip_id)


def _ipv4(source: bytes, target: bytes, payload: bytes, ip_id: int) -> bytes:
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), ip_id, 0x4000, 64, 17, 0) + source + target
    return head[:10] + struct.pack(">H", _checksum(head)) + head[12:] + payload


def _mac(node: int, kind: int) -> bytes:
    return bytes([kind, 0, 0, 0, 0, node + 1])


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _pcap(records: list[tuple[int, bytes]], node: int) -> bytes:
    parts = [struct.pack("<IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)]
    for time_ns, frame in records:
        seconds, rest = divmod(time_ns + node * 3_141_592_653, 10**9)
        parts += [struct.pack("<IIII", seconds, rest, len(frame), len(frame)), frame]
    return b"".join(parts)
