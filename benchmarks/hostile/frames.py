"""Frames of a VXLAN tunnel between two nodes, and the captures that both take of them."""

import socket
import struct
from collections.abc import Callable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

UDP, TCP, ICMP = 17, 6, 1
SYN, RST_ACK, SYN_ACK, ACK, FIN_ACK = 0x02, 0x14, 0x12, 0x10, 0x11
PATH_US = 200


class Sight(NamedTuple):
    """A frame: when it is sent, from which of the two nodes, whether it arrives, its interface.

    `before` are blocks that stand before it in either file; `seen_us` is added to the time stamp where it
    arrives.
    """

    time_us: int
    forward: bool
    frame: bytes
    arrives: bool = True
    interface: int = 0
    before: bytes = b""
    seen_us: int = 0


Case = Callable[[int], Iterator[Sight]]


def pod(number: int) -> str:
    """Give the address of a pod by its number."""
    return f"10.{64 + (number >> 16 & 63)}.{number >> 8 & 255}.{number & 255}"


def ipv4(src: str, dst: str, protocol: int, payload: bytes, ip_id: int = 0, fragment: int = 0x4000) -> bytes:
    """Make an IPv4 packet."""
    ends = socket.inet_aton(src) + socket.inet_aton(dst)
    head = struct.pack(">BBHHHBB", 0x45, 0, 20 + len(payload), ip_id & 0xFFFF, fragment, 64, protocol)
    return head + struct.pack(">H", _sum(head + ends)) + ends + payload


def udp(sport: int, dport: int, payload: bytes) -> bytes:
    """Make a UDP datagram without a checksum."""
    return struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload


def tcp(src: str, dst: str, ports: tuple[int, int], seq: int, flags: int, ack: int = 1) -> bytes:
    """Make an IPv4 packet that holds a segment without data."""
    head = struct.pack(">HHIIBBHHH", *ports, seq & 0xFFFFFFFF, ack, 0x50, flags, 500, 0, 0)
    pseudo = socket.inet_aton(src) + socket.inet_aton(dst) + struct.pack(">HH", TCP, len(head))
    return ipv4(src, dst, TCP, head[:16] + struct.pack(">H", _sum(pseudo + head)) + head[18:], seq)


def icmp(kind: int, code: int, rest: int, payload: bytes) -> bytes:
    """Make an ICMP message."""
    head = struct.pack(">BBHI", kind, code, 0, rest)
    return head[:2] + struct.pack(">H", _sum(head + payload)) + head[4:] + payload


def datagram(number: int, ports: tuple[int, int], dst: str = "10.1.0.2") -> bytes:
    """Make an IPv4 packet with a small datagram that no other equals."""
    return ipv4("10.1.0.1", dst, UDP, udp(*ports, number.to_bytes(8)), number)


def ethernet(payload: bytes, forward: bool, ethertype: bytes = b"\x08\0", macs: int = 0) -> bytes:
    """Make a frame between the ends; `macs` numbers further pairs of ends."""
    near, far = (b"\x02" + macs.to_bytes(4) + end for end in (b"\x01", b"\x02"))
    return (far + near if forward else near + far) + ethertype + payload


def tunnel(
    inner: bytes, forward: bool = True, ip_id: int = 0, far: str = "10.0.0.2", vni: int = 1, macs: int = 0
) -> bytes:
    """Make a frame of the nodes around an inner IPv4 packet."""
    return around(ethernet(inner, forward, macs=macs), forward, ip_id, far, vni)


def around(frame: bytes, forward: bool, ip_id: int, far: str = "10.0.0.2", vni: int = 1) -> bytes:
    """Make a frame of the nodes around an inner frame."""
    src, dst = ("10.0.0.1", far) if forward else (far, "10.0.0.1")
    vxlan = b"\x08\0\0\0" + vni.to_bytes(3) + b"\0" + frame
    return ethernet(ipv4(src, dst, UDP, udp(40000, 8472, vxlan), ip_id), forward)


def write(case: Case, frames: int, folder: Path) -> tuple[Path, Path]:
    """Write what two nodes capture of it."""
    here: list[tuple[int, Sight]] = []
    there: list[tuple[int, Sight]] = []
    for sight in case(frames):
        first, second = (here, there) if sight.forward else (there, here)
        first.append((sight.time_us, sight))
        if sight.arrives:
            second.append((sight.time_us + PATH_US + sight.seen_us, sight))
    paths = folder / "node1.pcapng", folder / "node2.pcapng"
    for path, seen in zip(paths, (here, there), strict=True):
        seen.sort(key=itemgetter(0))
        path.write_bytes(_pcapng(seen))
    return paths


def _pcapng(seen: list[tuple[int, Sight]]) -> bytes:
    interfaces = 1 + max((s.interface for _, s in seen), default=0)
    blocks = [block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))]
    blocks += [block(1, struct.pack("<HHI", 1, 0, 0))] * interfaces
    for time_us, sight in seen:
        at = 1_700_000_000_000_000 + time_us
        size = len(sight.frame)
        head = struct.pack("<IIIII", sight.interface, at >> 32, at & 0xFFFFFFFF, size, size)
        blocks += [sight.before, block(6, head + sight.frame)]
    return b"".join(blocks)


def block(kind: int, body: bytes) -> bytes:
    """Make a block of a pcapng."""
    body += bytes(-len(body) % 4)
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length


def _sum(data: bytes) -> int:
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
