"""What is damaged: short captures of every kind that the program reads, as frames by point.

The frames come from the recorded captures (``sample_pcaps/``, ``tests/captures/``), cut to their first
dozens, and from each tunnel and link layer put around one recorded packet.
"""

import gzip
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.capture.build import START_S, Packet

ROOT = Path(__file__).parents[2]
SAMPLES, RECORDED = ROOT / "sample_pcaps", ROOT / "tests" / "captures"
ETHERNET, NULL, RAW_IP, LINUX_SLL, LINUX_SLL2 = 1, 0, 101, 113, 276
FRAMES = 36
SHORT = 300  # of long frames every other one is cut, as a snap length does

_PAIRS = (
    *("seed", "checksum", "mtu-blackhole", "four-points"),
    *("any-interface-loss", "forward-dropped-any", "healthy-nested", "healthy-geneve", "healthy-merged"),
    *("healthy-ipv6-underlay", "healthy-ipv6-pods", "esp-underlay", "wireguard-underlay"),
    *("fragmented-on-the-way", "fragments-lost", "mtu-icmp", "pod-refuses", "receiver-firewall"),
    *("short-snaplen", "clock-steps", "three-points", "dns-server-silent", "loss-of-segmented-udp"),
)


@dataclass(frozen=True)
class Point:
    """What one capture holds."""

    link_type: int
    frames: tuple[Packet, ...]


@dataclass(frozen=True)
class Seed:
    """The captures of one comparison, in path order."""

    name: str
    points: tuple[Point, ...]


@cache
def seeds() -> tuple[Seed, ...]:
    """Give all of them; the same in every run."""
    return (*(_recorded(name) for name in _PAIRS), *_tunnels(), *_links())


def _recorded(name: str) -> Seed:
    folder = SAMPLES / name if (SAMPLES / name).is_dir() else RECORDED / name
    files = sorted(path for path in folder.glob("*.pcap.gz"))
    return Seed(name, tuple(_cut(gzip.decompress(path.read_bytes())) for path in files))


def _cut(content: bytes) -> Point:
    """Read the first frames of a little-endian pcap, plainly."""
    frames: list[Packet] = []
    at = 24
    while at < len(content) and len(frames) < FRAMES:
        seconds, fraction, captured, original = struct.unpack_from("<IIII", content, at)
        kept = SHORT if captured > SHORT and len(frames) % 2 else captured
        data = content[at + 16 : at + 16 + kept]
        frames.append(Packet(seconds, fraction % 1_000_000, data, original))
        at += 16 + captured
    return Point(struct.unpack_from("<I", content, 20)[0], tuple(frames))


def _tunnels() -> list[Seed]:
    """Put each tunnel around the same inner frames."""
    inner = [
        frame.data[50:]
        for frame in _recorded("checksum").points[0].frames
        if len(frame.data) > 110 and frame.data[12:14] == b"\x08\x00" and frame.data[23] == 17
    ]
    ip = [data[14:] for data in inner if data[12:14] == b"\x08\x00"]
    vxlan, gpe = struct.pack("!II", 0x08000000, 77 << 8), struct.pack("!II", 0x0C000003, 77 << 8)
    geneve = struct.pack("!BBHI", 1, 0, 0x6558, 77 << 8) + b"\x01\x02\x03\x01abcd"
    gre, nvgre = struct.pack("!HHI", 0x2000, 0x0800, 5), struct.pack("!HHI", 0x2000, 0x6558, 7700 << 8)
    return [
        _pair("gpe", [_ether(_ipv4(17, _udp(4790, gpe + data))) for data in inner]),
        _pair("geneve", [_ether(_ipv4(17, _udp(6081, geneve + data))) for data in inner]),
        _pair("gre", [_ether(_ipv4(47, gre + data)) for data in ip]),
        _pair("nvgre", [_ether(_ipv4(47, nvgre + data)) for data in inner]),
        _pair("ipip", [_ether(_ipv4(4, data)) for data in ip]),
        _pair("deep", [_ether(_ipv4(17, _udp(4789, vxlan + _nested(data, 9)))) for data in inner]),
        _pair("vlan", [_ether(_ipv4(17, _udp(8472, vxlan + data)), tags=2) for data in inner]),
        _pair("ipv6", [_ether(_ipv6(_udp(4789, vxlan + data)), kind=0x86DD) for data in inner]),
    ]


def _links() -> list[Seed]:
    """Put each link layer around the same tunnel packets."""
    packets = [frame.data[14:] for frame in _recorded("checksum").points[0].frames]
    sll = struct.pack("!HHH8sH", 0, 1, 6, bytes(8), 0x0800)
    sll2 = struct.pack("!HHIHBB8s", 0x0800, 0, 3, 1, 4, 6, bytes(8))
    return [
        _pair("raw", packets, RAW_IP),
        _pair("null", [struct.pack("<I", 2) + packet for packet in packets], NULL),
        _pair("sll", [sll + packet for packet in packets], LINUX_SLL),
        _pair("sll2", [sll2 + packet for packet in packets], LINUX_SLL2),
        _pair("unknown-link", packets, 147),
    ]


def _pair(name: str, frames: list[bytes], link_type: int = ETHERNET) -> Seed:
    first = tuple(Packet(START_S, 1000 * k, data, len(data)) for k, data in enumerate(frames))
    second = tuple(Packet(START_S, 1000 * k + 300, data, len(data)) for k, data in enumerate(frames[1:], 1))
    return Seed(name, (Point(link_type, first), Point(link_type, second)))


def _ether(packet: bytes, *, kind: int = 0x0800, tags: int = 0) -> bytes:
    tagged = b"".join(struct.pack("!HH", 0x8100, 7 + k) for k in range(tags))
    return bytes(range(2, 14)) + tagged + struct.pack("!H", kind) + packet


def _ipv4(protocol: int, payload: bytes) -> bytes:
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), len(payload), 0, 64, protocol, 0)
    return header + bytes((10, 0, 0, 1, 10, 0, 0, 2)) + payload


def _ipv6(payload: bytes) -> bytes:
    header = struct.pack("!IHBB", 6 << 28, len(payload), 17, 64)
    return header + bytes(15) + b"\x01" + bytes(15) + b"\x02" + payload


def _udp(port: int, payload: bytes) -> bytes:
    return struct.pack("!HHHH", 40000 + len(payload) % 99, port, 8 + len(payload), 0) + payload


def _nested(data: bytes, depth: int) -> bytes:
    for _ in range(depth):
        data = _ether(_ipv4(17, _udp(4789, struct.pack("!II", 0x08000000, 9 << 8) + data)))
    return data
