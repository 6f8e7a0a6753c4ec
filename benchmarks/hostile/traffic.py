"""Valid packets in numbers that no one expects."""

from collections.abc import Iterator
from random import Random

from benchmarks.hostile.frames import (
    ACK,
    ICMP,
    RST_ACK,
    SYN,
    SYN_ACK,
    UDP,
    Case,
    Sight,
    around,
    block,
    datagram,
    ethernet,
    icmp,
    ipv4,
    pod,
    tcp,
    tunnel,
    udp,
)

_MORE_FRAGMENTS = 0x2000
_TO = ("10.1.0.1", "10.1.0.2")
_BACK = ("10.1.0.2", "10.1.0.1")


def port_scan(frames: int) -> Iterator[Sight]:
    """SYNs to port after port, each answered by a reset."""
    for n in range(frames // 2):
        port, own = n % 65535 + 1, 40000 + n // 65535
        yield Sight(n * 20, True, tunnel(tcp(*_TO, (own, port), 7, SYN), ip_id=n))
        yield Sight(n * 20 + 500, False, tunnel(tcp(*_BACK, (port, own), 0, RST_ACK), False, n))


def udp_scan(frames: int) -> Iterator[Sight]:
    """Datagrams to port after port, each answered by "port unreachable"."""
    for n in range(frames // 2):
        asked = datagram(n, (40000 + n // 65535, n % 65535 + 1))
        refusal = ipv4(*_BACK, ICMP, icmp(3, 3, 0, asked[:28]), n)
        yield Sight(n * 20, True, tunnel(asked, ip_id=n))
        yield Sight(n * 20 + 500, False, tunnel(refusal, False, n))


def worm(frames: int) -> Iterator[Sight]:
    """One pod that calls a new address with every packet, and is never answered."""
    for n in range(frames):
        yield Sight(n * 10, True, tunnel(tcp("10.1.0.1", pod(n), (40000, 445), 7, SYN), ip_id=n))


def connections(frames: int) -> Iterator[Sight]:
    """A connection for every four packets, which never ends."""
    for n in range(frames // 4):
        ports, at = (1024 + n % 60000, 80 + n // 60000), n * 40
        yield Sight(at, True, tunnel(tcp(*_TO, ports, 7, SYN), ip_id=n))
        yield Sight(at + 400, False, tunnel(tcp(*_BACK, ports[::-1], 9, SYN_ACK, 8), False, n))
        yield Sight(at + 900, True, tunnel(tcp(*_TO, ports, 8, ACK, 10), ip_id=n))
        yield Sight(at + 1900, True, tunnel(tcp(*_TO, ports, 8 + n % 7, ACK, 10), ip_id=n), n % 5 != 0)


def one_flow(frames: int) -> Iterator[Sight]:
    """One flow, a tenth of it lost."""
    for n in range(frames):
        yield Sight(n * 10, True, tunnel(datagram(n, (1000, 2000)), ip_id=n), n % 10 != 0)


def one_packet_a_flow(frames: int) -> Iterator[Sight]:
    """A flow for every packet, a tenth of them lost."""
    for n in range(frames):
        inner = datagram(n, (1024 + n % 60000, 53), pod(n // 60000))
        yield Sight(n * 10, True, tunnel(inner, ip_id=n), n % 10 != 0)


def many_nodes(frames: int) -> Iterator[Sight]:
    """Every fourth packet goes to a node that was not seen before."""
    for n in range(frames):
        far = "10.0.0.2" if n % 4 else pod(n // 4)
        yield Sight(n * 10, True, tunnel(datagram(n, (1000, 2000)), ip_id=n, far=far), n % 4 != 0)


def many_macs(frames: int) -> Iterator[Sight]:
    """Every other packet has MAC addresses that were not seen before."""
    for n in range(frames):
        there = n % 2 == 0
        inner = ipv4(*(_TO if there else _BACK), UDP, udp(1000, 2000, n.to_bytes(8)), n)
        yield Sight(n * 10, there, tunnel(inner, there, n, macs=n // 2), n % 10 != 0)


def strangers(frames: int) -> Iterator[Sight]:
    """Packets that have nothing in common: other nodes, other pods, other networks."""
    for n in range(frames):
        vxlan = b"\x08\0\0\0" + n.to_bytes(3) + b"\0" + ethernet(_stranger(n, 1, 2), True, macs=n)
        outer = ipv4(_node(2 * n), _node(2 * n + 1), UDP, udp(32768 + n % 32768, 8472, vxlan), n)
        yield Sight(n * 10, True, ethernet(outer, True, macs=n), n % 10 != 0)


def _stranger(number: int, *ends: int) -> bytes:
    near, far = (f"10.{64 * end + (number >> 16)}.{number >> 8 & 255}.{number & 255}" for end in ends)
    return ipv4(near, far, UDP, udp(1024 + number % 60000, 1024 + number % 50000, number.to_bytes(8)), number)


def _node(number: int) -> str:
    return f"172.{16 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def spoofed(frames: int) -> Iterator[Sight]:
    """Requests from address after address that a service ignores, while it answers somebody."""
    for n in range(frames // 4):
        for turn in range(4):
            at, ports = (turn * frames + n) * 10, (1024 + n % 60000, 443)
            client = "10.1.0.1" if n % 10 == 0 else pod(n)
            yield Sight(at, True, tunnel(tcp(client, "10.1.0.2", ports, 7 + n, SYN), ip_id=n))
            if n % 10 == 0:
                answer = tcp("10.1.0.2", client, ports[::-1], 9, SYN_ACK, 8 + n)
                yield Sight(at + 400, False, tunnel(answer, False, n))


def ignored_sockets(frames: int) -> Iterator[Sight]:
    """Queries of socket after socket that are ignored, while others are answered."""
    for n in range(frames // 4):
        for turn in range(4):
            at, ports = (turn * frames + n) * 10, (1024 + n % 60000, 2000 + n // 60000)
            asked = ipv4(*_TO, UDP, udp(*ports, bytes([turn]) * 8), n)
            yield Sight(at, True, tunnel(asked, ip_id=n))
            if n % 10 == 0:
                answer = ipv4(*_BACK, UDP, udp(*ports[::-1], bytes([turn]) * 9), n)
                yield Sight(at + 400, False, tunnel(answer, False, n))


def resets(frames: int) -> Iterator[Sight]:
    """Connections to service after service, each reset in the middle."""
    for n in range(frames // 4):
        ports, at = (1024 + n % 60000, 80 + n % 60000), n * 40
        yield Sight(at, True, tunnel(tcp(*_TO, ports, 7, SYN), ip_id=n))
        yield Sight(at + 400, False, tunnel(tcp(*_BACK, ports[::-1], 9, SYN_ACK, 8), False, n))
        yield Sight(at + 900, True, tunnel(tcp(*_TO, ports, 8, ACK, 10), ip_id=n))
        yield Sight(at + 1900, False, tunnel(tcp(*_BACK, ports[::-1], 10, RST_ACK, 8), False, n))


def many_vnis(frames: int) -> Iterator[Sight]:
    """Every packet is of a VNI that was not seen before."""
    for n in range(frames):
        yield Sight(n * 10, True, tunnel(datagram(n, (1000, 2000)), ip_id=n, vni=n), n % 10 != 0)


def claims(frames: int) -> Iterator[Sight]:
    """ARP announcements: many addresses, each claimed by four MACs."""
    for n in range(frames):
        sender = b"\x02" + n.to_bytes(4) + b"\x01\x0a" + (n % (frames // 4)).to_bytes(3)
        announcement = b"\0\x01\x08\0\x06\x04\0\x01" + sender + bytes(6) + sender[6:]
        yield Sight(n * 10, True, around(ethernet(announcement, True, b"\x08\x06", n), True, n))


def retransmissions(frames: int) -> Iterator[Sight]:
    """Segments that are sent a hundred times each and never arrive."""
    for n in range(frames):
        segment = tcp(*_TO, (40000, 443), n // 100, ACK)
        yield Sight(n * 10, True, tunnel(segment, ip_id=n), arrives=False)


def copies(frames: int) -> Iterator[Sight]:
    """Packets that are there a hundred times each, to the byte."""
    for n in range(frames):
        yield Sight(n * 10, True, tunnel(datagram(n // 100, (1000, 2000)), ip_id=n // 100), n % 7 != 0)


def outages(frames: int) -> Iterator[Sight]:
    """A path that fails for every other ten packets, in both directions by turns."""
    for n in range(frames):
        there = n % 2 == 0
        inner = ipv4(*(_TO if there else _BACK), UDP, udp(1000, 2000, n.to_bytes(8)), n)
        yield Sight(n * 1000, there, tunnel(inner, there, n), n // 10 % 2 == 0)


def open_fragments(frames: int) -> Iterator[Sight]:
    """First fragments of datagrams whose others never come."""
    for n in range(frames):
        whole = udp(40000, 8472, b"\x08\0\0\0\0\x01\0\0" + ethernet(datagram(n, (1000, 2000)), True))
        outer = ipv4("10.0.0.1", "10.0.0.2", UDP, whole + bytes(-len(whole) % 8), n, _MORE_FRAGMENTS)
        yield Sight(n * 10, True, ethernet(outer, True))


def fragments_of_one(frames: int) -> Iterator[Sight]:
    """Fragments of one identification, all different, that never make a datagram."""
    for n in range(frames):
        piece = bytes(8 + n // 8000 * 8)
        outer = ipv4("10.0.0.1", "10.0.0.2", UDP, piece, 7, _MORE_FRAGMENTS | n % 8000)
        yield Sight(n * 10, True, ethernet(outer, True))


def many_interfaces(frames: int) -> Iterator[Sight]:
    """A pcapng with an interface for every other frame, up to as many as it can number."""
    for n in range(frames):
        yield Sight(n * 10, True, tunnel(datagram(n, (1000, 2000)), ip_id=n), interface=n // 2 % 65000)


def blocks_without_packets(frames: int) -> Iterator[Sight]:
    """A block that holds no packet before each packet."""
    custom = block(0xBAD, b"\0\0\x7f\xed" + bytes(8))
    for n in range(frames):
        yield Sight(n * 10, True, tunnel(datagram(n, (1000, 2000)), ip_id=n), before=custom)


def empty_frames(frames: int) -> Iterator[Sight]:
    """Frames of which not one byte was captured."""
    for n in range(frames):
        yield Sight(n * 10, True, b"")


def many_mirrors(frames: int) -> Iterator[Sight]:
    """Copies of tunnel packets, each to a collector that was not seen before."""
    for n in range(frames):
        copy = tunnel(datagram(n, (1000, 2000)), ip_id=n)
        yield Sight(n * 10, True, around(copy, True, n, pod(n)))


def two_ways(frames: int) -> Iterator[Sight]:
    """As many packets there as back, by good clocks: what the cases of bad clocks are compared with."""
    for n in range(frames):
        there = n % 2 == 0
        inner = ipv4(*(_TO if there else _BACK), UDP, udp(1000, 2000, n.to_bytes(8)), n)
        yield Sight(n * 20, there, tunnel(inner, there, n))


def late_stamps(frames: int) -> Iterator[Sight]:
    """Time stamps that are made some milliseconds late, so that two directions contradict each other."""
    random = Random(5)
    for sight in two_ways(frames):
        yield sight._replace(time_us=sight.time_us + random.randrange(5000), seen_us=-random.randrange(5000))


def coarse_stamps(frames: int) -> Iterator[Sight]:
    """Time stamps that tick every 4 ms."""
    for sight in two_ways(frames):
        ticking = sight.time_us - sight.time_us % 4000
        yield sight._replace(time_us=ticking, seen_us=-(sight.time_us % 3000))


def two_queues(frames: int) -> Iterator[Sight]:
    """Two queues at the receiver, whose clocks differ by 3 ms."""
    for n, sight in enumerate(two_ways(frames)):
        yield sight._replace(seen_us=3000 * (n // 2 % 2))


def set_clocks(frames: int) -> Iterator[Sight]:
    """A clock that is set every hundred packets, by random amounts."""
    random, moved_us = Random(5), 0
    for n, sight in enumerate(two_ways(frames)):
        moved_us = random.randrange(-(10**6), 10**6) if n % 100 == 0 else moved_us
        yield sight._replace(seen_us=moved_us if sight.forward else -moved_us)


CASES: tuple[Case, ...] = (
    port_scan,
    udp_scan,
    worm,
    connections,
    one_flow,
    one_packet_a_flow,
    many_nodes,
    many_macs,
    strangers,
    spoofed,
    ignored_sockets,
    resets,
    many_vnis,
    claims,
    retransmissions,
    copies,
    outages,
    open_fragments,
    fragments_of_one,
    many_interfaces,
    blocks_without_packets,
    empty_frames,
    many_mirrors,
)
CLOCKS: tuple[Case, ...] = (late_stamps, coarse_stamps, two_queues, set_clocks)
