"""Headers as bytes, each as its standard draws it, with checksums right or as told: for forensics."""

import struct
from ipaddress import ip_address

MAC_A, MAC_B = bytes.fromhex("0200ac1a32c8"), bytes.fromhex("0200ac1a32c9")


def checksum(data: bytes) -> int:
    """Internet checksum, RFC 1071."""
    words = struct.unpack(f"!{len(data) // 2 + len(data) % 2}H", data + b"\0" * (len(data) % 2))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def ethernet(payload: bytes, *, ethertype: int = 0x0800) -> bytes:
    return MAC_B + MAC_A + struct.pack("!H", ethertype) + payload


def ipv4(src: str, dst: str, protocol: int, payload: bytes, *, ip_id: int = 1, ttl: int = 64) -> bytes:
    """RFC 791 section 3.1, without options."""
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), ip_id, 0, ttl, protocol, 0)
    head += ip_address(src).packed + ip_address(dst).packed
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def udp(src: str, dst: str, sport: int, dport: int, payload: bytes, *, stored: int | None = None) -> bytes:
    """RFC 768; `stored` is put into the checksum field instead of what is right."""
    length = 8 + len(payload)
    pseudo = ip_address(src).packed + ip_address(dst).packed + struct.pack("!BBH", 0, 17, length)
    head = struct.pack("!HHHH", sport, dport, length, 0)
    right = checksum(pseudo + head + payload) or 0xFFFF
    return head[:6] + struct.pack("!H", right if stored is None else stored) + payload


def vxlan(inner: bytes, *, vni: int = 1) -> bytes:
    """RFC 7348 section 5."""
    return struct.pack("!II", 0x08 << 24, vni << 8) + inner


def icmp(kind: int, code: int, quoted: bytes) -> bytes:
    """RFC 792, destination unreachable and its like: four unused bytes, then what is quoted."""
    body = struct.pack("!BBHI", kind, code, 0, 0) + quoted
    return body[:2] + struct.pack("!H", checksum(body)) + body[4:]
