"""Loss above a rate, in bursts, in turn and of one path of many (K11, K12, K26)."""

from tests.reported.registry import pair
from tests.reported.talks import ping, tcp_talk, udp_talk
from tests.reported.world import Endpoint, Transit, Tunnel, World

SECOND = 1_000_000_000


def two(seed: int, **tunnel: object) -> tuple[World, Endpoint, Endpoint, Endpoint]:
    """Two nodes: a sender, a receiver, and a bystander beside the sender."""
    w = World(seed, tunnel=Tunnel(**tunnel))  # type: ignore[arg-type]
    n1, n2 = w.node("node1", "198.51.100.7", offset=-11), w.node("node2", "198.51.100.8")
    return w, n1.pod("10.128.4.11"), n2.pod("10.129.6.40"), n1.pod("10.128.4.12")


class Bucket:
    """A token bucket for some packets."""

    def __init__(self, rate: float, depth: float) -> None:
        self.rate, self.depth, self.tokens, self.at = rate, depth, depth, 0

    def takes(self, t: Transit) -> bool:
        self.tokens = min(self.depth, self.tokens + self.rate * (t.at - self.at) / SECOND)
        self.at = t.at
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


def policed(w: World, bucket: Bucket, source: str | None = None) -> None:
    @w.fate
    def policer(t: Transit) -> None:
        mine = source is None or t.packet.src == source
        if t.direction == ("node1", "node2") and mine and not bucket.takes(t):
            t.lost = True


def bursts(a: Endpoint, b: Endpoint, number: int, size: int, gap: float) -> None:
    for n in range(number):
        udp_talk(a, b, 9000, 0.2 + n * 0.9, count=size, gap=gap, size=180)


@pair(
    "k11-policer-of-all",
    root="rate-limited",
    must=["rate-limited@ab"],
    mustnot=["packet-loss@ab", "burst-outage", "flow-blocked"],
    source="tailscale issue 11137",
    story="An allowance of 500 packets a second with a burst of 60 takes the end of each burst.",
)
def of_all() -> World:
    w, a, b, _ = two(111, vni=7, port=4789)
    bursts(a, b, 8, 150, 0.0003)
    ping(a, b, 0.1, count=20, gap=0.35)
    policed(w, Bucket(500, 60))
    return w


@pair(
    "k11-policer-of-a-source",
    root="rate-limited",
    must=["rate-limited@ab"],
    mustnot=["packet-loss@ab", "burst-outage"],
    source="AWS, pps_allowance_exceeded",
    story="One source is limited; another that sends as fast loses nothing.",
)
def of_a_source() -> World:
    w, a, b, other = two(112, kind="geneve", vni=5, port=6081)
    bursts(a, b, 7, 120, 0.0005)
    for n in range(7):
        udp_talk(other, b, 9100, 0.6 + n * 0.9, count=120, gap=0.0005, size=180)
    policed(w, Bucket(300, 45), a.address)
    return w


@pair(
    "k11-policer-full",
    root="rate-limited",
    must=["rate-limited@ab"],
    mustnot=["packet-loss@ab", "burst-outage", "path-blocked"],
    source="og-aws issue 699",
    story="After 80 packets of a burst nothing more passes until it ends.",
)
def nothing_passes() -> World:
    w, a, b, _ = two(113)
    bursts(a, b, 9, 200, 0.0002)
    tcp_talk(a, b, 8080, 0.05, answer=900)
    policed(w, Bucket(90, 80), a.address)
    return w


@pair(
    "k11-healthy-bursts",
    root=None,
    mustnot=["rate-limited", "packet-loss"],
    source="none",
    story="The same bursts within the allowance.",
)
def healthy_bursts() -> World:
    w, a, b, _ = two(114, vni=7, port=4789)
    bursts(a, b, 8, 150, 0.0003)
    policed(w, Bucket(500, 400))
    return w


def by_turns(seed: int, every: int) -> World:
    w, a, b, other = two(seed)
    for n in range(20):
        udp_talk(a, b, 9000, 0.1 + n * 0.21, count=9, gap=0.011, size=100 + 17 * n)
        udp_talk(other, b, 9200, 0.13 + n * 0.19, count=7, gap=0.007, size=300)
    sent = [0]

    @w.fate
    def bond(t: Transit) -> None:
        if t.direction == ("node1", "node2"):
            sent[0] += 1
            t.lost = sent[0] % every == 0

    return w


def turn(name: str, every: int) -> None:
    @pair(
        name,
        root="ecmp-member-blocked",
        must=["ecmp-member-blocked@ab"],
        mustnot=["packet-loss@ab", "header-blocked", "rate-limited", "flow-blocked"],
        source="bond-cni 22; vpp 3008",
        story=f"A bond in round robin over {every} members, one of them dead.",
    )
    def made() -> World:
        return by_turns(260 + every, every)


for members in (2, 3, 4):
    turn(f"k26-round-robin-{members}", members)


def light(seed: int, paths: int, dead: int | None) -> World:
    """Several hundred flows of two datagrams each, over a number of paths."""
    w, a, b, other = two(seed)
    for n in range(320):
        for sender, port in ((a, 9000 + n % 3), (other, 9050)):
            udp_talk(sender, b, port, 0.1 + n * 0.013, count=2, gap=1.9 + 0.003 * n, size=90)

    @w.fate
    def fabric(t: Transit) -> None:
        if t.direction == ("node1", "node2") and (t.sport * 0x9E3779B1 >> 16) % paths == dead:
            t.lost = True

    return w


def path(name: str, seed: int, paths: int, dead: int | None, *, right: bool) -> None:
    @pair(
        name,
        root="ecmp-member-blocked" if right else None,
        must=["ecmp-member-blocked@ab"] if right else [],
        mustnot=["packet-loss@ab", "flow-blocked", "rate-limited"],
        source="K12 of FIELD.md",
        story=f"One of {paths} paths is dead, among light flows." if right else "Light flows, all well.",
    )
    def made() -> World:
        return light(seed, paths, dead)


path("k12-one-path-of-8", 121, 8, 3, right=True)
path("k12-one-path-of-16", 122, 16, 5, right=True)
path("k12-one-path-of-32", 123, 32, 11, right=True)
path("k12-healthy-light", 124, 8, None, right=False)
