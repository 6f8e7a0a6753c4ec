"""Traffic that would be slow for a careless program: valid packets in numbers that no one expects."""

import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

_UDP, _TCP = 17, 6
_SYN, _RST_ACK, _ACK = 0x02, 0x14, 0x10
_PATH_US = 200
_MORE_FRAGMENTS = 0x2000


class Sight(NamedTuple):
    """A frame: when it is sent, from which of the two nodes, whether it arrives, and its interface."""

    time_us: int
    forward: bool
    frame: bytes
    arrives: bool = True
    interface: int = 0


Case = Callable[[int], Iterator[Sight]]


def _sum(data: bytes) -> int:
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def _ipv4(src: str, dst: str, protocol: int, payload: bytes, ip_id: int = 0, fragment: int = 0x4000) -> bytes:
    ends = socket.inet_aton(src) + socket.inet_aton(dst)
    head = struct.pack(">BBHHHBB", 0x45, 0, 20 + len(payload), ip_id & 0xFFFF, fragment, 64, protocol)
    return head + struct.pack(">H", _sum(head + ends)) + ends + payload


def _udp(sport: int, dport: int, payload: bytes) -> bytes:
    return struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload


def _tcp(src: str, dst: str, ports: tuple[int, int], seq: int, flags: int) -> bytes:
    head = struct.pack(">HHIIBBHHH", *ports, seq & 0xFFFFFFFF, 1, 0x50, flags, 500, 0, 0)
    pseudo = socket.inet_aton(src) + socket.inet_aton(dst) + struct.pack(">HH", _TCP, len(head))
    return _ipv4(src, dst, _TCP, head[:16] + struct.pack(">H", _sum(pseudo + head)) + head[18:], seq)


def _ethernet(payload: bytes, forward: bool) -> bytes:
    ends = b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01" if forward else b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02"
    return ends + b"\x08\0" + payload


def _tunnel(inner: bytes, forward: bool = True, ip_id: int = 0, far: str = "10.0.0.2") -> bytes:
    src, dst = ("10.0.0.1", far) if forward else (far, "10.0.0.1")
    vxlan = b"\x08\0\0\0\0\x01\0\0" + _ethernet(inner, forward)
    return _ethernet(_ipv4(src, dst, _UDP, _udp(40000, 8472, vxlan), ip_id), forward)


def _pod(number: int) -> str:
    return f"10.{64 + (number >> 16 & 63)}.{number >> 8 & 255}.{number & 255}"


def _datagram(number: int, ports: tuple[int, int], dst: str = "10.1.0.2") -> bytes:
    return _ipv4("10.1.0.1", dst, _UDP, _udp(*ports, number.to_bytes(8)), number)


def port_scan(frames: int) -> Iterator[Sight]:
    """SYNs to port after port, each answered by a reset."""
    for n in range(frames // 2):
        port = n % 65535 + 1
        syn = _tcp("10.1.0.1", "10.1.0.2", (40000 + n // 65535, port), 7, _SYN)
        reset = _tcp("10.1.0.2", "10.1.0.1", (port, 40000 + n // 65535), 0, _RST_ACK)
        yield Sight(n * 20, True, _tunnel(syn, ip_id=n))
        yield Sight(n * 20 + 500, False, _tunnel(reset, False, n))


def worm(frames: int) -> Iterator[Sight]:
    """One pod that calls a new address with every packet, and is never answered."""
    for n in range(frames):
        yield Sight(n * 10, True, _tunnel(_tcp("10.1.0.1", _pod(n), (40000, 445), 7, _SYN), ip_id=n))


def one_flow(frames: int) -> Iterator[Sight]:
    """One flow, a tenth of it lost."""
    for n in range(frames):
        yield Sight(n * 10, True, _tunnel(_datagram(n, (1000, 2000)), ip_id=n), n % 10 != 0)


def one_packet_a_flow(frames: int) -> Iterator[Sight]:
    """A flow for every packet, a tenth of them lost."""
    for n in range(frames):
        inner = _datagram(n, (1024 + n % 60000, 53), _pod(n // 60000))
        yield Sight(n * 10, True, _tunnel(inner, ip_id=n), n % 10 != 0)


def many_nodes(frames: int) -> Iterator[Sight]:
    """Every fourth packet goes to a node that was not seen before."""
    for n in range(frames):
        far = "10.0.0.2" if n % 4 else _pod(n // 4)
        yield Sight(n * 10, True, _tunnel(_datagram(n, (1000, 2000)), ip_id=n, far=far), n % 4 != 0)


def retransmissions(frames: int) -> Iterator[Sight]:
    """Segments that are sent a hundred times each and never arrive."""
    for n in range(frames):
        segment = _tcp("10.1.0.1", "10.1.0.2", (40000, 443), n // 100, _ACK)
        yield Sight(n * 10, True, _tunnel(segment, ip_id=n), arrives=False)


def open_fragments(frames: int) -> Iterator[Sight]:
    """First fragments of datagrams whose others never come."""
    for n in range(frames):
        whole = _udp(40000, 8472, b"\x08\0\0\0\0\x01\0\0" + _ethernet(_datagram(n, (1000, 2000)), True))
        outer = _ipv4("10.0.0.1", "10.0.0.2", _UDP, whole + bytes(-len(whole) % 8), n, _MORE_FRAGMENTS)
        yield Sight(n * 10, True, _ethernet(outer, True))


def clocks(frames: int) -> Iterator[Sight]:
    """Two directions whose time stamps contradict each other all the time."""
    random = Random(5)
    for n in range(frames):
        forward = n % 2 == 0
        ends = ("10.1.0.1", "10.1.0.2") if forward else ("10.1.0.2", "10.1.0.1")
        inner = _ipv4(*ends, _UDP, _udp(1000, 2000, n.to_bytes(8)), n)
        yield Sight(n * 20 + random.randrange(5000), forward, _tunnel(inner, forward, n))


def many_interfaces(frames: int) -> Iterator[Sight]:
    """A pcapng with an interface for every two hundredth frame."""
    for n in range(frames):
        yield Sight(n * 10, True, _tunnel(_datagram(n, (1000, 2000)), ip_id=n), interface=n // 200)


CASES: tuple[Case, ...] = (
    port_scan,
    worm,
    one_flow,
    one_packet_a_flow,
    many_nodes,
    retransmissions,
    open_fragments,
    clocks,
    many_interfaces,
)


def write(case: Case, frames: int, folder: Path) -> tuple[Path, Path]:
    """Write what two nodes capture of it."""
    sights = list(case(frames))
    here = [(s.time_us + (0 if s.forward else _PATH_US), s) for s in sights if s.forward or s.arrives]
    there = [(s.time_us + (_PATH_US if s.forward else 0), s) for s in sights if not s.forward or s.arrives]
    paths = folder / "node1.pcapng", folder / "node2.pcapng"
    for path, seen in zip(paths, (here, there), strict=True):
        seen.sort(key=lambda sight: sight[0])
        path.write_bytes(_pcapng(seen))
    return paths


def _pcapng(seen: list[tuple[int, Sight]]) -> bytes:
    interfaces = 1 + max((s.interface for _, s in seen), default=0)
    blocks = [_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))]
    blocks += [_block(1, struct.pack("<HHI", 1, 0, 0))] * interfaces
    for time_us, sight in seen:
        at = 1_700_000_000_000_000 + time_us
        size = len(sight.frame)
        head = struct.pack("<IIIII", sight.interface, at >> 32, at & 0xFFFFFFFF, size, size)
        blocks.append(_block(6, head + sight.frame))
    return b"".join(blocks)


def _block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length
