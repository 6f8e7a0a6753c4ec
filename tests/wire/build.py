"""Headers written by hand from their standards, for what no kernel at hand sends.

Nothing here imports what is tested, and `test_against_tshark` asks tshark about all that is built, so that this
is no second opinion of our own. Sources: the RFC named at each function; checksums by RFC 1071 and RFC 9260
appendix A.
"""

import struct
from ipaddress import ip_address

IPV4, IPV6, ARP, TAG, SERVICE_TAG, TRANSPARENT = 0x0800, 0x86DD, 0x0806, 0x8100, 0x88A8, 0x6558
ICMP, IPIP, TCP, UDP, IN_IPV6, GRE, ESP, AH, ICMPV6, SCTP = 1, 4, 6, 17, 41, 47, 50, 51, 58, 132
NODE1, NODE2, NODE1_6, NODE2_6 = "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"
POD1, POD2, POD1_6, POD2_6 = "10.0.0.1", "10.0.1.2", "fd00::1", "fd00::2"
MAC1, MAC2 = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


def internet_checksum(data: bytes) -> int:
    words = struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def crc32c(data: bytes) -> int:
    """Bit by bit, polynomial 0x1EDC6F41 reflected; test vector "123456789": 0xE3069283."""
    crc = 0xFFFFFFFF
    for octet in data:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def ethernet(payload: bytes, ethertype: int = IPV4, tags: bytes = b"") -> bytes:
    """IEEE 802.3 clause 3; `tags` stand before the type, each with its own TPID."""
    return MAC2 + MAC1 + tags + struct.pack("!H", ethertype) + payload


def tag(identifier: int, kind: int = TAG) -> bytes:
    """IEEE 802.1Q clause 9.6: TPID, then priority, DEI and VLAN identifier."""
    return struct.pack("!HH", kind, identifier)


def ipv4(
    payload: bytes,
    protocol: int = UDP,
    src: str = NODE1,
    dst: str = NODE2,
    *,
    options: bytes = b"",
    fragment: int = 0,
    ip_id: int = 7,
    total: int | None = None,
) -> bytes:
    """RFC 791 section 3.1; `fragment` is flags and offset as they stand in the header."""
    words = 5 + len(options) // 4
    length = 4 * words + len(payload) if total is None else total
    head = struct.pack("!BBHHHBBH", 0x40 | words, 0, length, ip_id, fragment, 64, protocol, 0)
    head += ip_address(src).packed + ip_address(dst).packed + options
    return head[:10] + struct.pack("!H", internet_checksum(head)) + head[12:] + payload


def ipv6(
    payload: bytes, protocol: int = UDP, src: str = NODE1_6, dst: str = NODE2_6, *, length: int | None = None
) -> bytes:
    """RFC 8200 section 3; extension headers are part of the payload."""
    head = struct.pack("!IHBB", 6 << 28, len(payload) if length is None else length, protocol, 64)
    return head + ip_address(src).packed + ip_address(dst).packed + payload


def with_checksum(
    data: bytes, at: int, protocol: int, src: str, dst: str, stored: int | None = None
) -> bytes:
    """Put the checksum over pseudo-header and data at `at`, or `stored` in its place (RFC 8200 section 8.1)."""
    pseudo = ip_address(src).packed + ip_address(dst).packed + struct.pack("!II", len(data), protocol)
    right = internet_checksum(pseudo + data)
    if protocol == UDP and right == 0:
        right = 0xFFFF
    return data[:at] + struct.pack("!H", right if stored is None else stored) + data[at + 2 :]


def udp(
    payload: bytes,
    src: str = NODE1,
    dst: str = NODE2,
    *,
    sport: int = 40000,
    dport: int = 7000,
    stored: int | None = None,
) -> bytes:
    """RFC 768."""
    head = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0)
    return with_checksum(head + payload, 6, UDP, src, dst, stored)


def tcp(
    payload: bytes = b"",
    src: str = POD1,
    dst: str = POD2,
    *,
    flags: int = 0x18,
    options: bytes = b"",
    stored: int | None = None,
) -> bytes:
    """RFC 9293 section 3.1."""
    words = 5 + len(options) // 4
    head = struct.pack("!HHIIHHHH", 50000, 443, 0x01020304, 0x05060708, words << 12 | flags, 502, 0, 0)
    return with_checksum(head + options + payload, 16, TCP, src, dst, stored)


def icmp(kind: int, code: int, rest: bytes) -> bytes:
    """RFC 792; `rest` begins behind the checksum."""
    head = struct.pack("!BBH", kind, code, 0) + rest
    return head[:2] + struct.pack("!H", internet_checksum(head)) + head[4:]


def icmpv6(kind: int, code: int, rest: bytes, src: str = POD1_6, dst: str = POD2_6) -> bytes:
    """RFC 4443 section 2.1."""
    return with_checksum(struct.pack("!BBH", kind, code, 0) + rest, 2, ICMPV6, src, dst)


def sctp(chunks: bytes) -> bytes:
    """RFC 9260 section 3.1; the CRC32c stands with its lowest octet first."""
    head = struct.pack("!HHII", 5000, 36412, 0xCAFE0001, 0) + chunks
    return head[:8] + struct.pack("<I", crc32c(head)) + head[12:]


def arp(operation: int = 1, sender: str = POD1, target: str = POD2) -> bytes:
    """RFC 826, IPv4 over Ethernet."""
    return (
        struct.pack("!HHBBH", 1, IPV4, 6, 4, operation)
        + (MAC1 + ip_address(sender).packed)
        + (bytes(6) + ip_address(target).packed)
    )


def vxlan(inner: bytes, vni: int = 100, *, dport: int = 4789, first: int = 0x08, second: int = 0) -> bytes:
    """RFC 7348 section 5 in an IPv4 datagram; `first` and `second` are the header's first two halves' values."""
    header = struct.pack("!BBHI", first, 0, second, vni << 8)
    return ipv4(udp(header + inner, dport=dport))


def geneve(
    inner: bytes, kind: int = TRANSPARENT, vni: int = 100, options: bytes = b"", *, dport: int = 6081
) -> bytes:
    """RFC 8926 section 3.4 in an IPv4 datagram."""
    header = struct.pack("!BBHI", len(options) // 4, 0, kind, vni << 8) + options
    return ipv4(udp(header + inner, dport=dport))


def small_packet(src: str = POD1, dst: str = POD2) -> bytes:
    """An inner packet as short as they come that still has ports and payload."""
    return ipv4(udp(b"inside", src, dst, sport=1234, dport=5678), src=src, dst=dst)


def small_packet6() -> bytes:
    return ipv6(udp(b"inside", POD1_6, POD2_6, sport=1234, dport=5678), src=POD1_6, dst=POD2_6)


def gue(inner: bytes, *, header: bytes = b"", dport: int = 6080) -> bytes:
    """draft-ietf-intarea-gue-09 section 3.2 in an IPv4 datagram; without a header, variant 1."""
    return ipv4(udp(header + inner, dport=dport))
