"""K20: packets that only stand in one place, and damaged ones, where no checksum tells them apart."""

from collections.abc import Callable

from tests.reported import frames as f
from tests.reported.frames import Packet
from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk, udp_listen
from tests.reported.world import Endpoint, Transit, Tunnel, World

Body = Callable[[World, int], bytes]


def encrypted(w: World, number: int) -> bytes:
    """As QUIC or a VPN writes it: no byte is like that of another datagram."""
    return w.random.randbytes(220)


def counted(w: World, number: int) -> bytes:
    """A measurement: time and counter in front, and always the same behind."""
    return f"{1_700_000_000_000 + 11 * number:016d}{number:08d}".encode() + b"\x5a" * 190


def stream(w: World, a: Endpoint, b: Endpoint, body: Body, count: int, sport: int = 41641) -> None:
    """Datagrams without checksum and without IP ID, as tunnels inside pods send them."""

    def one(number: int) -> None:
        datagram = f.Udp(sport, 51820, body(w, number), "zero")
        a.send(Packet(a.address, b.address, datagram, ident=0))

    udp_listen(b, 51820, None)
    for number in range(count):
        w.at(0.1 + 0.004 * number, lambda number=number: one(number))  # type: ignore[misc]


def world(seed: int, body: Body, count: int, tunnel: Tunnel) -> World:
    w = World(seed, tunnel=tunnel)
    n1 = w.node("node1", "10.74.0.21", "2001:db8:74::21", offset=7)
    n2 = w.node("node2", "10.74.0.22", "2001:db8:74::22", offset=-4)
    a, b, c = n1.pod("10.17.1.9"), n2.pod("10.17.2.9"), n2.pod("10.17.2.10")
    stream(w, a, b, body, count)
    for number in range(12):
        tcp_talk(a, c, 8443, 0.1 + 0.3 * number, answer=2500)
        dns_talk(c, a, f"d{number}.svc", 0.2 + 0.3 * number)
    ping(c, a, 0.3, count=8)
    return w


def is_stream(t: Transit) -> bool:
    return t.packet.proto == f.UDP and t.packet.dport == 51820


def loss_on_each_side(w: World) -> World:
    """The network loses some, and the sender's capture lacks others, often one next to the other."""
    numbers = {"seen": 0}

    @w.fate
    def fate(t: Transit) -> None:
        if is_stream(t):
            numbers["seen"] += 1
            turn = numbers["seen"] % 40
            if turn == 17:
                t.lost = True
            elif turn == 18:
                t.unseen.add("node1")

    return w


def flipped(w: World, every: int, bit: int = 0x20) -> World:
    """A bit of some datagrams changes on the way, behind all headers."""
    numbers = {"seen": 0}

    def damage(frame: bytes) -> bytes:
        return frame[:-60] + bytes([frame[-60] ^ bit]) + frame[-59:]

    @w.fate
    def fate(t: Transit) -> None:
        if is_stream(t):
            numbers["seen"] += 1
            if numbers["seen"] % every == 0:
                t.damage = damage

    return w


SIX = Tunnel("vxlan", 8472, 31, family=6)
OTHER = ["corrupted-in-transit", "duplication", "reordering", "no-common-traffic"]


@pair(
    "another-datagram-in-its-place-encrypted",
    root="packet-loss",
    must=["packet-loss@ab"],
    mustnot=OTHER,
    source="none: FIELD.md K20",
    story="Of each forty datagrams one is lost, and the sender's capture lacks the next; no checksum or ID.",
)
def encrypted_twice() -> World:
    return loss_on_each_side(world(2001, encrypted, 900, SIX))


@pair(
    "another-datagram-in-its-place-counted",
    root="packet-loss",
    must=["packet-loss@ab"],
    mustnot=OTHER,
    source="none: FIELD.md K20",
    story="The same with datagrams that differ in a time and a counter only.",
)
def counted_twice() -> World:
    return loss_on_each_side(world(2002, counted, 900, Tunnel("vxlan", 4789, 6, family=6)))


@pair(
    "a-bit-flips-without-checksum",
    root="corrupted-in-transit",
    must=["corrupted-in-transit@ab"],
    mustnot=["packet-loss", "capture-loss", "inner-checksum-bad"],
    says=[r"\b30 of\b|\b30 packets\b"],
    source="none: FIELD.md K20",
    story="One bit of every thirtieth datagram flips on the way; the datagrams have no checksum.",
)
def flips() -> World:
    return flipped(world(2003, encrypted, 900, SIX), 30)


@pair(
    "datagrams-without-checksum-healthy",
    root=None,
    mustnot=[*OTHER, "packet-loss", "capture-loss"],
    source="none: FIELD.md K20",
    story="The same datagrams, and nothing is wrong.",
)
def healthy() -> World:
    return world(2004, counted, 700, SIX)
