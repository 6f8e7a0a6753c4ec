"""Frames taken apart and put together again, plainly: what the network in user space needs.

One packet at a time and without numpy, so that it shares nothing with the decoder it helps to test.

Sources: RFC 791, RFC 8200, RFC 768, RFC 9293, RFC 1071 (checksum), RFC 1624 (its update),
RFC 7348 section 5 (VXLAN), RFC 8926 section 3 (Geneve).
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from typing import NamedTuple

ETHERNET_BYTES = 14
IPV4, IPV6 = 0x0800, 0x86DD
TRANSPARENT_ETHERNET = 0x6558
ICMP, IGMP, TCP, UDP, ESP, ICMPV6 = 1, 2, 6, 17, 50, 58
GENEVE_PORT = 6081
PROTOCOLS = {"icmp": ICMP, "tcp": TCP, "udp": UDP, "esp": ESP, "icmpv6": ICMPV6}
# Where the checksum stands in the header of a protocol.
CHECKSUM_AT = {ICMP: 2, TCP: 16, UDP: 6, ICMPV6: 2}


class Identity(NamedTuple):
    """What tells one innermost packet from another; ports are 0 and the IP ID is -1 where it has none."""

    src: str
    dst: str
    sport: int
    dport: int
    protocol: int
    ip_id: int


@dataclass(frozen=True)
class Ip:
    """One IP packet inside a frame; `at` and `payload_at` are offsets in that frame."""

    at: int
    payload_at: int
    end: int
    version: int
    protocol: int
    src: str
    dst: str
    ip_id: int
    fragment_bytes: int
    more_fragments: bool
    sport: int
    dport: int

    @property
    def length_bytes(self) -> int:
        """Total length, header included."""
        return self.end - self.at

    @property
    def is_fragment(self) -> bool:
        """Whether this is a piece of a larger packet."""
        return self.more_fragments or self.fragment_bytes > 0

    @property
    def checksum_at(self) -> int | None:
        """Offset of the transport checksum in the frame."""
        place = CHECKSUM_AT.get(self.protocol)
        if place is None or self.fragment_bytes:
            return None
        return self.payload_at + place

    @property
    def identity(self) -> Identity:
        """The packet's identity."""
        return Identity(self.src, self.dst, self.sport, self.dport, self.protocol, self.ip_id)


@dataclass(frozen=True)
class Packet:
    """A frame and the IP packets in it, from the outermost to the innermost."""

    frame: bytes
    layers: tuple[Ip, ...]
    vni_at: int | None

    @property
    def outer(self) -> Ip | None:
        """The outermost IP packet, if there is one."""
        return self.layers[0] if self.layers else None

    @property
    def tunnelled(self) -> Ip | None:
        """The innermost IP packet of a tunnel; None where there is no tunnel."""
        return self.layers[-1] if len(self.layers) > 1 else None

    @property
    def payload_bytes(self) -> int:
        """Octets after the innermost transport header."""
        ip = self.layers[-1]
        if ip.protocol == TCP:
            return ip.end - ip.payload_at - (self.frame[ip.payload_at + 12] >> 4) * 4
        return ip.end - ip.payload_at - 8


def parse(frame: bytes, ports: frozenset[int]) -> Packet:
    """Take a frame apart down to its innermost IP packet; UDP to one of `ports` is a tunnel."""
    layers: list[Ip] = []
    vni_at = None
    at = 0
    while (ip := _ip(frame, at)) is not None:
        layers.append(ip)
        if ip.protocol != UDP or ip.fragment_bytes or ip.dport not in ports:
            break
        header_at = ip.payload_at + 8
        if not _is_tunnel(frame, header_at, ip.dport):
            break
        vni_at = header_at + 4 if vni_at is None else vni_at
        at = header_at + 8
        if ip.dport == GENEVE_PORT:
            at += (frame[header_at] & 0x3F) * 4
    return Packet(frame, tuple(layers), vni_at)


def _is_tunnel(frame: bytes, at: int, dport: int) -> bool:
    if len(frame) < at + 8:
        return False
    if dport == GENEVE_PORT:
        return frame[at] >> 6 == 0 and frame[at + 2 : at + 4] == b"\x65\x58"
    return bool(frame[at] & 0x08)


def _ip(frame: bytes, ethernet_at: int) -> Ip | None:
    """Read the IP packet of the Ethernet frame at an offset."""
    at = ethernet_at + ETHERNET_BYTES
    if len(frame) < at + 20:
        return None
    kind = struct.unpack_from("!H", frame, at - 2)[0]
    if kind == IPV4:
        return _ipv4(frame, at)
    return _ipv6(frame, at) if kind == IPV6 and len(frame) >= at + 40 else None


def _ipv4(frame: bytes, at: int) -> Ip:
    payload_at = at + (frame[at] & 15) * 4
    total, ip_id, flags = struct.unpack_from("!HHH", frame, at + 2)
    fragment_bytes = (flags & 0x1FFF) * 8
    sport, dport = _ports(frame, payload_at, frame[at + 9], fragment_bytes)
    src, dst = (str(ipaddress.IPv4Address(frame[at + i : at + i + 4])) for i in (12, 16))
    more = bool(flags & 0x2000)
    end = min(at + total, len(frame))
    return Ip(at, payload_at, end, 4, frame[at + 9], src, dst, ip_id, fragment_bytes, more, sport, dport)


def _ipv6(frame: bytes, at: int) -> Ip:
    length = struct.unpack_from("!H", frame, at + 4)[0]
    sport, dport = _ports(frame, at + 40, frame[at + 6], 0)
    src, dst = (str(ipaddress.IPv6Address(frame[at + i : at + i + 16])) for i in (8, 24))
    end = min(at + 40 + length, len(frame))
    return Ip(at, at + 40, end, 6, frame[at + 6], src, dst, -1, 0, False, sport, dport)


def _ports(frame: bytes, at: int, protocol: int, fragment_bytes: int) -> tuple[int, int]:
    if protocol not in (TCP, UDP) or fragment_bytes or len(frame) < at + 4:
        return 0, 0
    sport, dport = struct.unpack_from("!HH", frame, at)
    return sport, dport


def checksum(data: bytes) -> int:
    """Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def replace(frame: bytes, at: int, new: bytes, *checksums: int | None) -> bytes:
    """Overwrite even-aligned octets and bring the checksums at the given offsets up to date (RFC 1624).

    A UDP checksum of 0 means "none" and stays 0; the caller leaves it out then.
    """
    changed = bytearray(frame)
    old = bytes(changed[at : at + len(new)])
    changed[at : at + len(new)] = new
    words = struct.Struct(f"!{len(new) // 2}H")
    for place in checksums:
        if place is None:
            continue
        stored = struct.unpack_from("!H", changed, place)[0]
        total = ~stored & 0xFFFF
        total += sum(~word & 0xFFFF for word in words.unpack(old)) + sum(words.unpack(new))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        struct.pack_into("!H", changed, place, ~total & 0xFFFF)
    return bytes(changed)


def flip(frame: bytes, at: int, mask: bytes) -> bytes:
    """Invert the bits of `mask` at an offset, and nothing else: damage."""
    changed = bytearray(frame)
    for i, bits in enumerate(mask):
        changed[at + i] ^= bits
    return bytes(changed)


def ipv4_header(src: str, dst: str, protocol: int, payload_bytes: int, ip_id: int, flags: int = 0) -> bytes:
    """Build an IPv4 header without options, checksum filled in."""
    addresses = ipaddress.IPv4Address(src).packed + ipaddress.IPv4Address(dst).packed
    total = 20 + payload_bytes
    head = struct.pack("!BBHHHBBH", 0x45, 0, total, ip_id, flags, 64, protocol, 0) + addresses
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:]


def fragments(packet: Packet, mtu_bytes: int) -> list[bytes]:
    """Cut a frame's outer IPv4 packet into pieces as a router does (RFC 791 section 3.2)."""
    ip = packet.outer
    if ip is None or ip.version != 4 or ip.length_bytes <= mtu_bytes:
        return [packet.frame]
    head = packet.frame[ip.at : ip.payload_at]
    payload = packet.frame[ip.payload_at : ip.end]
    step = (mtu_bytes - len(head)) // 8 * 8
    pieces = []
    for start in range(0, len(payload), step):
        piece = payload[start : start + step]
        more = start + step < len(payload) or ip.more_fragments
        flags = (0x2000 if more else 0) | (ip.fragment_bytes + start) // 8
        new = bytearray(head)
        struct.pack_into("!H", new, 2, len(head) + len(piece))
        struct.pack_into("!H", new, 6, flags)
        struct.pack_into("!H", new, 10, 0)
        struct.pack_into("!H", new, 10, checksum(bytes(new)))
        pieces.append(packet.frame[: ip.at] + bytes(new) + piece)
    return pieces


def traffic_class(frame: bytes, ip: Ip) -> int:
    """DSCP and ECN of an IP packet."""
    if ip.version == 4:
        return frame[ip.at + 1]
    return struct.unpack_from("!H", frame, ip.at)[0] >> 4 & 0xFF  # type: ignore[no-any-return]


def unreachable(packet: Packet, router: str, code: int, mtu_bytes: int = 0) -> bytes:
    """Build the frame in which a router tells the sender that a packet was not forwarded.

    ICMP destination unreachable with `code` (RFC 792; RFC 1191 section 4 for the MTU), or over
    IPv6 packet too big (RFC 4443 section 3.2) where an MTU is given, else destination unreachable.
    """
    if packet.outer is not None and packet.outer.version == 6 and mtu_bytes:
        return _error(packet, router, (2, 0), mtu_bytes)
    return _error(packet, router, (3 if packet.outer and packet.outer.version == 4 else 1, code), mtu_bytes)


def time_exceeded(packet: Packet, router: str) -> bytes:
    """Build the frame in which a router says that the hops of a packet are used up (RFC 792, RFC 4443)."""
    return _error(packet, router, (11 if packet.outer and packet.outer.version == 4 else 3, 0), 0)


def _error(packet: Packet, router: str, kind: tuple[int, int], value: int) -> bytes:
    ip = packet.outer
    if ip is None:
        raise ValueError("only IP packets are answered by ICMP")
    ethernet = packet.frame[6:12] + packet.frame[0:6] + packet.frame[12:14]
    if ip.version == 4:
        message = struct.pack("!BBHHH", *kind, 0, 0, value) + packet.frame[ip.at : ip.payload_at + 8]
        message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
        return ethernet + ipv4_header(router, ip.src, ICMP, len(message), ip.ip_id ^ 0x5555) + message
    message = struct.pack("!BBHI", *kind, 0, value) + packet.frame[ip.at : ip.at + 1232]
    addresses = ipaddress.IPv6Address(router).packed + ipaddress.IPv6Address(ip.src).packed
    pseudo = addresses + struct.pack("!II", len(message), ICMPV6)
    message = message[:2] + struct.pack("!H", checksum(pseudo + message)) + message[4:]
    return ethernet + struct.pack("!IHBB", 0x60000000, len(message), ICMPV6, 64) + addresses + message


def reported_groups(packet: Packet) -> list[str]:
    """Return the groups that an IGMP report names (RFC 2236 section 2, RFC 3376 section 4.2)."""
    ip = packet.layers[0]
    kind = packet.frame[ip.payload_at]
    if kind == 0x16:
        places = [ip.payload_at + 4]
    elif kind == 0x22:
        records = struct.unpack_from("!H", packet.frame, ip.payload_at + 6)[0]
        places = [ip.payload_at + 12 + 8 * n for n in range(records)]  # the kernel names no sources
    else:
        places = []
    return [str(ipaddress.IPv4Address(packet.frame[at : at + 4])) for at in places]


def reset(packet: Packet) -> bytes | None:
    """Build the frame of a reset that answers a tunnelled TCP segment over IPv4 (RFC 9293 section 3.10.7).

    Outer and inner headers are those of the segment, turned round; the outer UDP checksum is left out.
    """
    outer, inner = packet.outer, packet.tunnelled
    if outer is None or inner is None or {outer.version, inner.version} != {4} or inner.protocol != TCP:
        return None
    frame = packet.frame
    sequence, acknowledged, _, flags = struct.unpack_from("!IIBB", frame, inner.payload_at + 4)
    counted = packet.payload_bytes + bool(flags & 0x02) + bool(flags & 0x01)
    segment = struct.pack(
        "!HHIIBBHHH",
        inner.dport,
        inner.sport,
        acknowledged if flags & 0x10 else 0,
        (sequence + counted) & 0xFFFFFFFF,
        5 << 4,
        0x14,
        0,
        0,
        0,
    )
    addresses = ipaddress.IPv4Address(inner.dst).packed + ipaddress.IPv4Address(inner.src).packed
    pseudo = addresses + struct.pack("!HH", TCP, len(segment))
    segment = segment[:16] + struct.pack("!H", checksum(pseudo + segment)) + segment[18:]
    carried = ipv4_header(inner.dst, inner.src, TCP, len(segment), 0, 0x4000) + segment
    between_at = outer.payload_at + 8
    ethernet_at = inner.at - ETHERNET_BYTES
    macs = frame[ethernet_at + 6 : ethernet_at + 12] + frame[ethernet_at : ethernet_at + 6]
    content = frame[between_at:ethernet_at] + macs + frame[inner.at - 2 : inner.at] + carried
    datagram = struct.pack("!HHHH", outer.sport, outer.dport, 8 + len(content), 0) + content
    whole = ipv4_header(outer.dst, outer.src, UDP, len(datagram), outer.ip_id ^ 0x5555) + datagram
    return frame[6:12] + frame[0:6] + frame[12:14] + whole
