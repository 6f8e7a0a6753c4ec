"""Sound captures of senseless traffic: random worlds whose shapes no network would have on purpose.

A world is packets made by a mixture of shapes, seen by clocks that may be odd, and written into files that
may be odd. The bytes are right: damaged ones are the other subjects'.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

MOST_PACKETS = 400
_UDP, _TCP, _ICMP, _SCTP, _GRE, _IPIP, _ICMPV6 = 17, 6, 1, 132, 47, 4, 58
_LINKS = {1: 14, 101: 0, 113: 16, 276: 20}
_ETHERTYPES = {4: 0x0800, 6: 0x86DD}


@dataclass(frozen=True)
class Sight:
    """An inner packet when it is sent, and its way: 0 forward, 1 backward, 2 from a third node."""

    time_us: int
    way: int
    inner: bytes
    family: int


@dataclass
class World:
    """What one world has chosen for all of its packets."""

    random: Random
    tunnel: str
    outer_family: int
    vni: int
    ids: Iterator[int] = field(default_factory=lambda: iter(range(1 << 40)))

    def address(self, family: int, number: int) -> bytes:
        return number.to_bytes(4 if family == 4 else 16, "big")


def captures(random: Random) -> dict[str, bytes]:
    """Give the files of a random world, by name in path order."""
    tunnel = random.choice(tuple(_TUNNELS))
    world = World(random, tunnel, random.choice((4, 4, 4, 6)), random.choice((0, 1, 7, 0xFFFFFF)))
    sights = _sights(world)
    points = random.choice((1, 2, 2, 2, 2, 2, 3))
    fate, delay = random.choice(_FATES)(random), random.choice(_DELAYS)(random)
    seen: list[list[tuple[int, bytes]]] = [[] for _ in range(points)]
    for number, sight in enumerate(sights):
        frame = _TUNNELS[tunnel](world, sight)
        order = range(points) if sight.way != 1 else range(points - 1, -1, -1)
        at_us = sight.time_us
        for place, point in enumerate(order):
            if place and fate(number, sight, len(frame)):
                break
            seen[point] += [(at_us, frame)] * (1 + (random.random() < 0.01))
            at_us += delay(number)
    return {f"n{k}.cap": _file(world, frames) for k, frames in enumerate(seen)}


def _sights(world: World) -> list[Sight]:
    random = world.random
    wanted = random.choice((0, 1, 2, 5, 30, 120, MOST_PACKETS))
    shapes = random.choices(tuple(_SHAPES), k=random.choice((1, 1, 2, 4)))
    gap_us = random.choice((0, 1, 10, 300, 40_000, 3_000_000))
    made: list[Sight] = []
    for shape in shapes:
        time_us = random.randrange(1000)
        for way, inner, family in shape(world, wanted // len(shapes)):
            made.append(Sight(time_us, way, inner, family))
            time_us += gap_us + (random.randrange(gap_us) if gap_us > 1 else 0)
    return sorted(made, key=lambda sight: sight.time_us)


# Inner packets


def _ip(
    family: int, src: bytes, dst: bytes, protocol: int, payload: bytes, number: int, bits: int = 0
) -> bytes:
    if family == 6:
        head = struct.pack(">IHBB", 6 << 28, len(payload) & 0xFFFF, protocol, number % 3 and 64)
        return head + src + dst + payload
    total = (20 + len(payload)) & 0xFFFF
    head = struct.pack(">BBHHHBB", 0x45, 0, total, number & 0xFFFF, bits, number % 7 and 64, protocol)
    return head + struct.pack(">H", _sum(head + src + dst)) + src + dst + payload


def _sum(data: bytes) -> int:
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def _udp(sport: int, dport: int, payload: bytes) -> bytes:
    return struct.pack(">HHHH", sport & 0xFFFF, dport & 0xFFFF, (8 + len(payload)) & 0xFFFF, 0) + payload


def _tcp(sport: int, dport: int, seq: int, ack: int, flags: int, window: int, payload: bytes = b"") -> bytes:
    words = (sport & 0xFFFF, dport & 0xFFFF, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF)
    return struct.pack(">HHIIBBHHH", *words, 0x50, flags, window, 0, 0) + payload


Packet = tuple[int, bytes, int]
Shape = Callable[[World, int], Iterator[Packet]]


def _ends(world: World, family: int, way: int) -> tuple[bytes, bytes]:
    near, far = (world.address(family, (10 << 24) + (1 << 16) + n) for n in (1, 2))
    return (near, far) if way == 0 else (far, near)


def _packet(world: World, way: int, protocol: int, payload: bytes, bits: int = 0) -> Packet:
    family = 6 if world.vni == 7 else 4
    return way, _ip(family, *_ends(world, family, way), protocol, payload, next(world.ids), bits), family


def scan(world: World, count: int) -> Iterator[Packet]:
    """Port after port, each answered by a reset, or by nothing."""
    answered = world.random.random() < 0.5
    for n in range(count):
        yield _packet(world, 0, _TCP, _tcp(40000, n, 7, 0, 2, 500))
        if answered:
            yield _packet(world, 1, _TCP, _tcp(n, 40000, 0, 8, 0x14, 0))


def worm(world: World, count: int) -> Iterator[Packet]:
    """A new address with every packet."""
    for n in range(count):
        src, _ = _ends(world, 4, 0)
        yield 0, _ip(4, src, world.address(4, world.random.getrandbits(32)), _UDP, _udp(n, 53, b"x"), n), 4


def equal(world: World, count: int) -> Iterator[Packet]:
    """The same packet again and again, to the byte."""
    packet = _packet(world, world.random.randrange(2), _UDP, _udp(5, 6, b"same"))
    yield from [packet] * count


def transfer(world: World, count: int) -> Iterator[Packet]:
    """A TCP stream with numbers that wrap, jump, go back, and windows of zero."""
    random = world.random
    seq, ack = random.choice((0, 0xFFFFFF00, 1 << 31)), random.getrandbits(32)
    yield _packet(world, 0, _TCP, _tcp(1000, 80, seq - 1, 0, 2, 0xFFFF))
    yield _packet(world, 1, _TCP, _tcp(80, 1000, ack - 1, seq, 0x12, 0))
    for _ in range(count):
        size = random.choice((0, 1, 100, 1400, 9000))
        yield _packet(
            world, 0, _TCP, _tcp(1000, 80, seq, ack, 0x18, random.choice((0, 1, 65535)), bytes(size))
        )
        seq += random.choice((size, size, size, 0, -size, 1 << 30))
        if random.random() < 0.5:
            flags = random.choice((0x10, 0x10, 0x10, 0x14, 0x11, 0xFF, 0))
            yield _packet(world, 1, _TCP, _tcp(80, 1000, ack, seq, flags, random.choice((0, 500))))


def questions(world: World, count: int) -> Iterator[Packet]:
    """DNS queries, some answered, some twice, some by another transaction."""
    for n in range(count):
        query = struct.pack(">HHHHHH", n & 0xFF, 0x0100, 1, 0, 0, 0) + b"\1a\0\0\1\0\1"
        yield _packet(world, 0, _UDP, _udp(1024 + n % 9, 53, query))
        for _ in range(world.random.choice((0, 1, 1, 2))):
            yield _packet(world, 1, _UDP, _udp(53, 1024 + n % 9, b"\0\0\x81\x83" + query[4:]))


def echoes(world: World, count: int) -> Iterator[Packet]:
    """Pings and every other kind of ICMP, with what they quote cut anywhere."""
    quoted = _packet(world, 1, _UDP, _udp(53, 1024, bytes(30)))[1]
    for n in range(count):
        kind = world.random.choice((8, 0, 3, 11, 5, 12, n & 0xFF))
        body = quoted[: world.random.randrange(len(quoted))] if kind not in (0, 8) else b"ping"
        code = world.random.choice((0, 1, 3, 4))
        yield _packet(world, n & 1, _ICMP, struct.pack(">BBHHH", kind, code, 0, 1, n & 0xFFFF) + body)


def fragments(world: World, count: int) -> Iterator[Packet]:
    """Inner fragments that overlap, repeat, or never complete."""
    for _ in range(count):
        bits = world.random.choice((0x2000, 0x2001, 0x0001, 0x00B9, 0x1FFF))
        yield _packet(world, 0, _UDP, bytes(8 * world.random.randrange(1, 6)), bits)


def others(world: World, count: int) -> Iterator[Packet]:
    """Protocols by the number, payloads of any size, down to none."""
    for n in range(count):
        yield _packet(world, n & 1, n & 0xFF, world.random.randbytes(world.random.randrange(60)))


def address_requests(world: World, count: int) -> Iterator[Packet]:
    """ARP: who has which address, claimed by two."""
    for n in range(count):
        sender = bytes([2, 0, 0, 0, 0, 1 + n % 3]) + world.address(4, (10 << 24) + 1)
        yield n & 1, struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1 + (n & 1)) + sender + bytes(6) + bytes(4), 0


def nested(world: World, count: int) -> Iterator[Packet]:
    """Tunnels in tunnels of all kinds, deeper than anything is decoded."""
    for n in range(count):
        sight = Sight(0, *_packet(world, n & 1, _UDP, _udp(1, 2, b"deep")))
        for _ in range(world.random.randrange(8)):
            kind = world.random.choice(tuple(_TUNNELS))
            frame = _TUNNELS[kind](world, sight)
            sight = Sight(0, n & 1, frame[14:], 6 if frame[12:14] == b"\x86\xdd" else 4)
        yield n & 1, sight.inner[:60000], sight.family


def third_party(world: World, count: int) -> Iterator[Packet]:
    """What a node sends that nobody captured."""
    for n in range(count):
        yield 2, *_packet(world, 0, _UDP, _udp(n, 9, b"third"))[1:]


_MESSAGES = (
    b"GET /a HTTP/1.1\r\nContent-Length: 9\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    *(
        bytes((0, 0, 4, kind, flags, 0, 0, 0, 1)) + b"\0\0\0\0"
        for kind in (0, 1, 3)
        for flags in (0, 1, 4, 5)
    ),
    bytes((0, 0, 1, 1, 5, 0, 0, 0, 3, 0x82)) * 140,
    *(bytes((kind, 3, 3, 0, 9, 1)) + bytes(8) for kind in (20, 21, 22, 23)),
)


def messages(world: World, count: int) -> Iterator[Packet]:
    """HTTP/1, HTTP/2 and TLS on one connection, whole or cut, in any order, with holes and repetitions."""
    random = world.random
    seq = [random.choice((0, 0xFFFFFFF0)), 0]
    kept = random.sample(_MESSAGES, random.choice((2, 5, len(_MESSAGES))))
    for _ in range(count):
        way = random.randrange(2)
        octets = random.choice(kept) * random.choice((1, 1, 2))
        octets = octets[: random.choice((len(octets), len(octets), random.randrange(len(octets))))]
        ports = (1000, 80) if way == 0 else (80, 1000)
        yield _packet(world, way, _TCP, _tcp(*ports, seq[way], seq[1 - way], 0x18, 500, octets))
        seq[way] += random.choice((len(octets),) * 9 + (0, 5000, -3))


_SHAPES: tuple[Shape, ...] = (
    *(scan, worm, equal, transfer, transfer, questions, echoes, fragments, others),
    *(address_requests, nested, third_party, messages),
)


# Tunnels around them


def _mac(way: int, number: int = 0) -> bytes:
    ends = bytes([2, 0, 0, 0, number, 1]), bytes([2, 0, 0, 0, number, 2])
    return ends[1] + ends[0] if way == 0 else ends[0] + ends[1]


def _inside(sight: Sight) -> bytes:
    return _mac(sight.way, 9) + _ETHERTYPES.get(sight.family, 0x0806).to_bytes(2, "big") + sight.inner


def _outside(world: World, sight: Sight, protocol: int, payload: bytes) -> bytes:
    family, number = world.outer_family, next(world.ids)
    near, far, third = (world.address(family, (192 << 24) + (168 << 16) + n) for n in (1, 2, 3))
    src, dst = ((near, far), (far, near), (third, far))[sight.way]
    packet = _ip(family, src, dst, protocol, payload[:60000], number | 1)
    return _mac(sight.way) + _ETHERTYPES[family].to_bytes(2, "big") + packet


def _in_udp(world: World, sight: Sight, port: int, header: bytes) -> bytes:
    port_of_flow = 0xC000 | sum(sight.inner[:24]) & 0x3FFF
    return _outside(world, sight, _UDP, _udp(port_of_flow, port, header + _inside(sight)))


def _vxlan(port: int) -> Callable[[World, Sight], bytes]:
    return lambda world, sight: _in_udp(world, sight, port, struct.pack(">II", 8 << 24, world.vni << 8))


def _geneve(world: World, sight: Sight) -> bytes:
    words = world.random.choice((0, 0, 1, 5))
    header = struct.pack(">BBHI", words, 0, 0x6558, world.vni << 8) + struct.pack(">HBB", 1, 2, 0) * words
    return _in_udp(world, sight, 6081, header)


def _gre(world: World, sight: Sight) -> bytes:
    header = struct.pack(">HHI", 0x2000, 0x6558, world.vni << 8 | 1)
    return _outside(world, sight, _GRE, header + _inside(sight))


def _ipip(world: World, sight: Sight) -> bytes:
    return _outside(world, sight, {4: _IPIP, 6: 41}.get(sight.family, 59), sight.inner)


def _bare(world: World, sight: Sight) -> bytes:
    return _inside(sight)


_TUNNELS: dict[str, Callable[[World, Sight], bytes]] = {
    "flannel": _vxlan(8472),
    "vxlan": _vxlan(4789),
    "odd port": _vxlan(31337),
    "geneve": _geneve,
    "gre": _gre,
    "ipip": _ipip,
    "bare": _bare,
}


# What becomes of them: whether packet `number` is lost, and how long it takes

Fate = Callable[[int, Sight, int], bool]
Delay = Callable[[int], int]
_FATES: tuple[Callable[[Random], Fate], ...] = (
    lambda random: lambda number, sight, size: False,
    lambda random: lambda number, sight, size: True,
    lambda random: lambda number, sight, size: random.random() < 0.1,
    lambda random: lambda number, sight, size: sight.way == 1,
    lambda random: lambda number, sight, size: size > 900,
    lambda random: lambda number, sight, size: number % 7 == 3,
    lambda random: lambda number, sight, size: 40 < number < 90,
    lambda random: lambda number, sight, size: sight.inner[-1:] < b"\x40",
)
_DELAYS: tuple[Callable[[Random], Delay], ...] = (
    lambda random: lambda number: 200,
    lambda random: lambda number: 0,
    lambda random: lambda number: random.randrange(5000),
    lambda random: lambda number: 5_000_000 if number % 50 == 7 else 300,
    lambda random: lambda number: number * 3,
    lambda random: lambda number: -1000,
)


# Clocks and files

_EPOCHS_US = (0, 1_700_000_000_000_000, 0xFFFFFFFF * 10**6, -5, 9_223_372_036_854_775)
_CLOCKS: tuple[Callable[[Random], Callable[[int], int]], ...] = (
    lambda random: lambda at: at,
    lambda random: lambda at: at + 3_200_000,
    lambda random: lambda at: at - at % 1000,
    lambda random: lambda at: at + at // 1000,
    lambda random: lambda at: at + random.randrange(-4000, 4000),
    lambda random: lambda at: at if at < 20_000 else at - 3600 * 10**6,
    lambda random: lambda at: at + 2**40 * (at % 97 == 5),
    lambda random: lambda at: 0,
    lambda random: lambda at: -at,
)


def _file(world: World, frames: list[tuple[int, bytes]]) -> bytes:
    random = world.random
    clock = random.choice(_CLOCKS if random.random() < 0.5 else _CLOCKS[:1])(random)
    epoch_us = random.choice(_EPOCHS_US) if random.random() < 0.2 else _EPOCHS_US[1]
    seen = [(max(epoch_us + clock(at), 0), frame) for at, frame in frames]
    if random.random() < 0.8:
        seen.sort(key=lambda entry: entry[0])
    link = random.choice((1, 1, 1, 1, 101, 113, 276))
    snaplen = random.choice((0, 0, 0, 0, 60, 96, 130, 1, 14, 42))
    packets = [(at, _linked(link, frame)) for at, frame in seen]
    if random.random() < 0.5:
        return _pcap(link, snaplen, packets)
    return _pcapng(random, link, snaplen, packets)


def _linked(link: int, frame: bytes) -> bytes:
    if link == 1:
        return frame
    ethertype, packet = frame[12:14], frame[14:]
    if link == 113:
        return struct.pack(">HHH", frame[5] & 1 and 4, 1, 6) + frame[6:12] + bytes(2) + ethertype + packet
    if link == 276:
        head = ethertype + struct.pack(">HIHBB", 0, frame[5], 1, frame[5] & 1 and 4, 6)
        return head + frame[6:12] + bytes(2) + packet
    return packet


def _pcap(link: int, snaplen: int, packets: list[tuple[int, bytes]]) -> bytes:
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, snaplen or 262144, link)
    parts = [head]
    for at, frame in packets:
        kept = frame[: snaplen or len(frame)]
        times = at // 10**6 & 0xFFFFFFFF, at % 10**6
        parts.append(struct.pack("<IIII", *times, len(kept), len(frame)) + kept)
    return b"".join(parts)


def _block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length


def _pcapng(random: Random, link: int, snaplen: int, packets: list[tuple[int, bytes]]) -> bytes:
    interfaces = random.choice((1, 1, 2, 300))
    resolution = random.choice((6, 9, 3, 0, 0x8A, 12))
    option = struct.pack("<HHBxxxHH", 9, 1, resolution, 0, 0)
    parts = [_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))]
    parts += [_block(1, struct.pack("<HHI", link, 0, snaplen) + option)] * interfaces
    for number, (at, frame) in enumerate(packets):
        kept = frame[: snaplen or len(frame)]
        units = _units(at, resolution) & 0xFFFFFFFFFFFFFFFF
        head = (number % interfaces, units >> 32, units & 0xFFFFFFFF, len(kept), len(frame))
        parts.append(_block(6, struct.pack("<IIIII", *head) + kept))
        if random.random() < 0.02:
            dropped = struct.pack("<HHQHH", 5, 8, number, 0, 0)
            parts.append(_block(5, struct.pack("<III", number % interfaces, 0, 0) + dropped))
    return b"".join(parts)


def _units(time_us: int, resolution: int) -> int:
    if resolution & 0x80:
        return time_us * 2 ** (resolution & 0x7F) // 10**6
    return time_us * 10**resolution // 10**6
