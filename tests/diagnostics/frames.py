"""Whole frames as bytes, for diagnostics that look into payloads: inner packets by dpkt, in a VXLAN."""

import socket
import struct
from ipaddress import ip_address
from pathlib import Path

import dpkt

from tests.simulate import NODE1, NODE2, POD1, POD2

SLL2 = 276


def udp(payload: bytes, src: str = POD1, dst: str = POD2, sport: int = 41000, dport: int = 53) -> bytes:
    """A bare IPv4 packet with a UDP datagram."""
    datagram = dpkt.udp.UDP(sport=sport, dport=dport, data=payload, ulen=8 + len(payload))
    return ipv4(bytes(datagram), dpkt.ip.IP_PROTO_UDP, src, dst)


def ipv4(data: bytes, protocol: int, src: str, dst: str) -> bytes:
    packet = dpkt.ip.IP(src=socket.inet_aton(src), dst=socket.inet_aton(dst), p=protocol, data=data)
    packet.len = 20 + len(data)
    return bytes(packet)


def icmp_error(quoted: bytes, code: int, src: str = POD2, dst: str = POD1) -> bytes:
    """An ICMP destination unreachable that quotes the beginning of a packet (RFC 792)."""
    body = struct.pack(">BBHI", 3, code, 0, 0) + quoted[:64]
    return ipv4(body, dpkt.ip.IP_PROTO_ICMP, src, dst)


def in_vxlan(packet: bytes, outer_src: str = NODE1, outer_dst: str = NODE2) -> bytes:
    """The frame that carries an inner IP packet on port 8472 (RFC 7348 section 5)."""
    version = packet[0] >> 4
    ethertype = b"\x08\x00" if version == 4 else b"\x86\xdd"
    inner = bytes.fromhex("0e00000000020e0000000001") + ethertype + packet
    vxlan = bytes.fromhex("0800000000000100") + inner
    outer = udp(vxlan, outer_src, outer_dst, 40123, 8472)
    assert ip_address(outer_src).version == 4
    return bytes.fromhex("0200ac1a32c90200ac1a32c80800") + outer


def cooked(packet: bytes, interface: int, kind: int) -> bytes:
    """A frame as `tcpdump -i any` writes it (LINKTYPE_LINUX_SLL2)."""
    return struct.pack(">HHIHBB8s", 0x0800, 0, interface, 1, kind, 6, bytes(8)) + packet


def pcap(path: Path, frames: list[tuple[float, bytes]], link: int = SLL2, in_time: bool = True) -> Path:
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link)]
    for seconds, data in sorted(frames, key=lambda f: f[0]) if in_time else frames:
        whole, fraction = divmod(round(1_700_000_000e6 + seconds * 1e6), 1_000_000)
        out.append(struct.pack("<IIII", whole, fraction, len(data), len(data)) + data)
    path.write_bytes(b"".join(out))
    return path
