"""Real frames, byte by byte: Ethernet to tunnels, from nothing but the standards.

Nothing here comes from the program under test: what both got wrong would be right.
A :class:`Packet` is an IP packet of which every field can be said; what is not said is what a Linux host
would send. ``packet.alter(dst=..., dport=..., ttl=...)`` is the same packet with other fields and right
checksums, ``bytes(packet)`` is what goes over the wire.
"""

import ipaddress
import struct
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

Checksum = int | str | None
"""A checksum: a number, ``None`` right, ``"zero"``, ``"bad"``, ``"partial"`` (pseudo header)."""

ICMP, IPIP, TCP, UDP, IP6IN4, GRE, ESP, ICMP6 = 1, 4, 6, 17, 41, 47, 50, 58
FIN, SYN, RST, PSH, ACK, ECE, CWR = 1, 2, 4, 8, 16, 64, 128
BROADCAST = "ff:ff:ff:ff:ff:ff"
A, CNAME, AAAA = 1, 5, 28


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def address(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def is_ip6(text: str) -> bool:
    return ":" in text


def ones_sum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def internet_checksum(data: bytes) -> int:
    return ~ones_sum(data) & 0xFFFF


def pseudo_header(src: str, dst: str, protocol: int, length: int) -> bytes:
    both = address(src) + address(dst)
    return both + (
        struct.pack("!IHBB", length, 0, 0, protocol)
        if is_ip6(src)
        else struct.pack("!BBH", 0, protocol, length)
    )


def _checksum(wanted: Checksum, pseudo: bytes, segment: bytes, udp: bool = False) -> int:
    if isinstance(wanted, int):
        return wanted
    if wanted == "zero":
        return 0
    if wanted == "partial":  # what a kernel leaves for its NIC to complete
        return ones_sum(pseudo)
    right = internet_checksum(pseudo + segment)
    if wanted == "bad":
        return right ^ 0x5A31
    return right or (0xFFFF if udp else 0)


# ------------------------------------------------------------------------------------------ transport


@dataclass(frozen=True)
class Raw:
    """What follows the IP header, as it is."""

    payload: bytes = b""

    def encode(self, src: str, dst: str) -> bytes:
        return self.payload


@dataclass(frozen=True)
class Udp:
    sport: int
    dport: int
    payload: bytes = b""
    checksum: Checksum = None
    length: int | None = None

    protocol = UDP

    def encode(self, src: str, dst: str) -> bytes:
        size = 8 + len(self.payload)
        head = struct.pack("!HHH", self.sport, self.dport, size if self.length is None else self.length)
        pseudo = pseudo_header(src, dst, UDP, size)
        total = _checksum(self.checksum, pseudo, head + b"\0\0" + self.payload, udp=True)
        return head + struct.pack("!H", total) + self.payload


def tcp_options(
    mss: int | None = None,
    sack_permitted: bool = False,
    timestamps: tuple[int, int] | None = None,
    window_scale: int | None = None,
    sack: tuple[tuple[int, int], ...] = (),
    other: bytes = b"",
) -> bytes:
    """Write TCP options in the order and padding of Linux."""
    out = struct.pack("!BBH", 2, 4, mss) if mss is not None else b""
    if timestamps:
        out += (b"\x04\x02" if sack_permitted else b"\x01\x01") + struct.pack("!BBII", 8, 10, *timestamps)
    elif sack_permitted:
        out += b"\x01\x01\x04\x02"
    if window_scale is not None:
        out += struct.pack("!BBBB", 1, 3, 3, window_scale)
    if sack:
        out += struct.pack("!BBBB", 1, 1, 5, 2 + 8 * len(sack)) + b"".join(
            struct.pack("!II", *b) for b in sack
        )
    out += other
    return out + b"\x01" * (-len(out) % 4)


@dataclass(frozen=True)
class Tcp:
    sport: int
    dport: int
    seq: int = 0
    ack: int = 0
    flags: int = ACK
    window: int = 502
    options: bytes = b""
    payload: bytes = b""
    urgent: int = 0
    checksum: Checksum = None

    protocol = TCP

    def encode(self, src: str, dst: str) -> bytes:
        options = self.options + b"\0" * (-len(self.options) % 4)
        head = struct.pack(
            "!HHIIBBH",
            self.sport,
            self.dport,
            self.seq % 2**32,
            self.ack % 2**32,
            (5 + len(options) // 4) << 4,
            self.flags,
            self.window,
        )
        tail = struct.pack("!H", self.urgent) + options + self.payload
        pseudo = pseudo_header(src, dst, TCP, len(head) + 2 + len(tail))
        return head + struct.pack("!H", _checksum(self.checksum, pseudo, head + b"\0\0" + tail)) + tail


@dataclass(frozen=True)
class Icmp:
    """ICMP, or ICMPv6 in an IPv6 packet; ``rest`` are the four bytes behind the checksum."""

    type: int
    code: int = 0
    rest: bytes = b"\0\0\0\0"
    payload: bytes = b""
    checksum: Checksum = None

    def encode(self, src: str, dst: str) -> bytes:
        head, tail = struct.pack("!BB", self.type, self.code), self.rest + self.payload
        pseudo = pseudo_header(src, dst, ICMP6, len(tail) + 4) if is_ip6(src) else b""
        return head + struct.pack("!H", _checksum(self.checksum, pseudo, head + b"\0\0" + tail)) + tail


Body = Raw | Udp | Tcp | Icmp


# --------------------------------------------------------------------------------------------- packet


@dataclass(frozen=True)
class Packet:
    """An IPv4 or IPv6 packet (by its addresses)."""

    src: str
    dst: str
    body: Body
    protocol: int | None = None  # None: what the body is
    ttl: int = 64
    ident: int = 0
    dont_fragment: bool = True
    more_fragments: bool = False
    offset: int = 0  # bytes
    tos: int = 0  # DSCP and ECN, or the traffic class
    options: bytes = b""  # of IPv4
    extensions: tuple[tuple[int, bytes], ...] = ()  # of IPv6: type, what follows its two first bytes
    flow_label: int = 0
    header_checksum: Checksum = None
    length: int | None = None
    payload_override: bytes | None = field(default=None, repr=False)  # a fragment's bytes

    @property
    def ip6(self) -> bool:
        return is_ip6(self.src)

    @property
    def proto(self) -> int:
        if self.protocol is not None:
            return self.protocol
        if isinstance(self.body, Icmp):
            return ICMP6 if self.ip6 else ICMP
        return int(getattr(self.body, "protocol", 59))

    @property
    def sport(self) -> int:
        return int(getattr(self.body, "sport", 0))

    @property
    def dport(self) -> int:
        return int(getattr(self.body, "dport", 0))

    @property
    def tcp(self) -> Tcp:
        assert isinstance(self.body, Tcp), "no TCP packet"
        return self.body

    @property
    def payload(self) -> bytes:
        """What the transport carries."""
        return self.body.payload

    def alter(self, **changes: Any) -> Self:
        """Return this packet with other fields, its own or its transport's."""
        mine = {f.name for f in fields(self)} - {"payload"}
        own = {k: v for k, v in changes.items() if k in mine}
        theirs = {k: v for k, v in changes.items() if k not in mine}
        if theirs:
            own["body"] = replace(self.body, **theirs)
        return replace(self, **own)

    def transport(self) -> bytes:
        if self.payload_override is not None:
            return self.payload_override
        return self.body.encode(self.src, self.dst)

    def __bytes__(self) -> bytes:
        return self._ip6() if self.ip6 else self._ip4()

    def __len__(self) -> int:
        return len(bytes(self))

    def _ip4(self) -> bytes:
        data = self.transport()
        options = self.options + b"\0" * (-len(self.options) % 4)
        size = 20 + len(options) + len(data)
        flags = self.dont_fragment << 14 | self.more_fragments << 13 | self.offset // 8
        head = struct.pack(
            "!BBHHHBB",
            0x45 + len(options) // 4,
            self.tos,
            size if self.length is None else self.length,
            self.ident & 0xFFFF,
            flags,
            self.ttl,
            self.proto,
        )
        tail = address(self.src) + address(self.dst) + options
        return (
            head
            + struct.pack("!H", _checksum(self.header_checksum, b"", head + b"\0\0" + tail))
            + tail
            + data
        )

    def _ip6(self) -> bytes:
        data, following = self.transport(), self.proto
        chain = list(self.extensions)
        if self.more_fragments or self.offset:
            chain.append((44, struct.pack("!HI", self.offset | self.more_fragments, self.ident)))
        for kind, rest in reversed(chain):
            rest += b"\0" * (-(len(rest) + 2) % 8)
            size = 0 if kind == 44 else (len(rest) + 2) // 8 - 1
            data, following = bytes([following, size]) + rest + data, kind
        first = 6 << 28 | self.tos << 20 | self.flow_label
        size = len(data) if self.length is None else self.length
        return (
            struct.pack("!IHBB", first, size, following, self.ttl)
            + address(self.src)
            + address(self.dst)
            + data
        )


def fragments(packet: Packet, mtu: int, ident: int | None = None) -> list[Packet]:
    """Cut a packet as a host or a router with this MTU does."""
    if len(packet) <= mtu:
        return [packet]
    data = packet.transport()
    room = (mtu - (48 if packet.ip6 else 20 + len(packet.options))) // 8 * 8
    pieces = [data[at : at + room] for at in range(0, len(data), room)]
    ident = packet.ident if ident is None else ident
    return [
        replace(
            packet,
            payload_override=piece,
            offset=i * room,
            more_fragments=i < len(pieces) - 1,
            dont_fragment=False,
            ident=ident,
            protocol=packet.proto,
        )
        for i, piece in enumerate(pieces)
    ]


def echo(
    src: str, dst: str, identifier: int, sequence: int, payload: bytes, reply: bool = False, **ip: Any
) -> Packet:
    kind = (129 if reply else 128) if is_ip6(src) else (0 if reply else 8)
    return Packet(src, dst, Icmp(kind, 0, struct.pack("!HH", identifier, sequence), payload), **ip)


def icmp_error(
    src: str,
    dst: str,
    about: Packet | bytes,
    type: int,
    code: int,
    rest: bytes = b"\0\0\0\0",
    quote: int | None = None,
    **ip: Any,
) -> Packet:
    """Write an ICMP or ICMPv6 error that quotes a packet (as much as Linux quotes, or ``quote`` bytes)."""
    most = (1240 if is_ip6(src) else 548) if quote is None else quote
    ip.setdefault("tos", 0 if is_ip6(src) else 0xC0)
    ip.setdefault("dont_fragment", False)
    return Packet(src, dst, Icmp(type, code, rest, bytes(about)[:most]), **ip)


# ---------------------------------------------------------------------------------------------- links


def ethernet(
    dst: str, src: str, payload: Packet | bytes, kind: int | None = None, vlan: tuple[int, ...] = ()
) -> bytes:
    """Write a frame; ``vlan`` are tags (priority in the upper bits), outermost first."""
    if kind is None:
        kind = (0x86DD if payload.ip6 else 0x0800) if isinstance(payload, Packet) else 0x0800
    tags = b"".join(struct.pack("!HH", 0x8100, tag) for tag in vlan)
    return mac(dst) + mac(src) + tags + struct.pack("!H", kind) + bytes(payload)


def arp(op: int, sender_mac: str, sender: str, target_mac: str, target: str) -> bytes:
    head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, op)
    return head + mac(sender_mac) + address(sender) + mac(target_mac) + address(target)


def arp_request(sender_mac: str, sender: str, target: str) -> bytes:
    """Write the whole frame of a request; with ``sender == target`` it is an announcement."""
    return ethernet(BROADCAST, sender_mac, arp(1, sender_mac, sender, "00:00:00:00:00:00", target), 0x0806)


def arp_reply(sender_mac: str, sender: str, target_mac: str, target: str) -> bytes:
    return ethernet(target_mac, sender_mac, arp(2, sender_mac, sender, target_mac, target), 0x0806)


def sll2(
    protocol: int, index: int, outgoing: bool, link_address: str, payload: bytes, kind: int | None = None
) -> bytes:
    """Write the header of ``tcpdump -i any`` (LINUX_SLL2) before a packet."""
    to = (4 if outgoing else 0) if kind is None else kind
    return struct.pack("!HHIHBB", protocol, 0, index, 1, to, 6) + mac(link_address) + b"\0\0" + payload


# -------------------------------------------------------------------------------------------- tunnels


def vxlan(vni: int, frame: bytes, flags: int = 0x08, group: int | None = None) -> bytes:
    """Write VXLAN, with ``group`` the group policy extension."""
    if group is not None:
        flags |= 0x80
    return struct.pack("!BBHI", flags, 0, group or 0, vni << 8) + frame


def geneve(
    vni: int,
    payload: bytes,
    options: tuple[tuple[int, int, bytes], ...] = (),
    kind: int = 0x6558,
    flags: int = 0,
) -> bytes:
    """Write Geneve; options are class, type, data (padded to four bytes)."""
    coded = b""
    for group, option, data in options:
        data += b"\0" * (-len(data) % 4)
        coded += struct.pack("!HBB", group, option, len(data) // 4) + data
    if any(option & 0x80 for _, option, _ in options):
        flags |= 0x40
    return struct.pack("!BBHI", len(coded) // 4, flags, kind, vni << 8) + coded + payload


def gre(
    kind: int, payload: bytes, key: int | None = None, sequence: int | None = None, checksum: bool = False
) -> bytes:
    flags = checksum << 15 | (key is not None) << 13 | (sequence is not None) << 12
    rest = (b"" if key is None else struct.pack("!I", key)) + (
        b"" if sequence is None else struct.pack("!I", sequence)
    )
    head = struct.pack("!HH", flags, kind)
    if not checksum:
        return head + rest + payload
    total = internet_checksum(head + b"\0\0\0\0" + rest + payload)
    return head + struct.pack("!HH", total, 0) + rest + payload


def erspan1(frame: bytes) -> bytes:
    return gre(0x88BE, frame)


def erspan2(frame: bytes, session: int, sequence: int, vlan: int = 0, index: int = 0) -> bytes:
    return gre(0x88BE, struct.pack("!HHI", 1 << 12 | vlan, session & 0x3FF, index) + frame, sequence=sequence)


def erspan3(
    frame: bytes, session: int, sequence: int, timestamp: int, vlan: int = 0, outgoing: bool = False
) -> bytes:
    tail = 1 << 15 | (1 if outgoing else 0) << 3 | 2 << 1  # an Ethernet frame, 1588 time
    head = struct.pack("!HHIHH", 2 << 12 | vlan, session & 0x3FF, timestamp & 0xFFFFFFFF, 0, tail)
    return gre(0x22EB, head + frame, sequence=sequence)


def esp(spi: int, sequence: int, ciphertext: bytes) -> Raw:
    return Raw(struct.pack("!II", spi, sequence) + ciphertext)


def wireguard_data(receiver: int, counter: int, ciphertext: bytes) -> bytes:
    return struct.pack("<IIQ", 4, receiver, counter) + ciphertext


def wireguard_size(inner: int, mtu: int = 1420) -> int:
    """Return how long the ciphertext of a packet is: padded to 16 bytes up to the MTU, with its tag."""
    return max(min(-(-inner // 16) * 16, mtu), inner) + 16


# ------------------------------------------------------------------------------------------------ DNS


def dns_name(name: str) -> bytes:
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def dns_query(ident: int, name: str, kind: int = A, edns: int | None = None, flags: int = 0x0100) -> bytes:
    extra = b"" if edns is None else b"\0" + struct.pack("!HHIH", 41, edns, 0, 0)
    return (
        struct.pack("!HHHHHH", ident, flags, 1, 0, 0, bool(extra))
        + dns_name(name)
        + struct.pack("!HH", kind, 1)
        + extra
    )


def dns_answer(
    query: bytes, records: list[str], code: int = 0, ttl: int = 30, authoritative: bool = True
) -> bytes:
    """Answer a query with addresses; without any, with its code (0: no data, 3: no such name)."""
    end = query.index(b"\0", 12) + 5
    kind = struct.unpack("!H", query[end - 4 : end - 2])[0]
    flags = 0x8180 | authoritative << 10 | code
    head = query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + query[12:end]
    coded = [address(record) for record in records]
    return head + b"".join(struct.pack("!HHHIH", 0xC00C, kind, 1, ttl, len(data)) + data for data in coded)
