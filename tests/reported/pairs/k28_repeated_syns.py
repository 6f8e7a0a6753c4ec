"""K28: a SYN is repeated until it is taken: the listen queue of a server is full for a time."""

from tests.reported import frames as f
from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk
from tests.reported.world import Transit, Tunnel, World

_MUSTNOT = [
    "path-blocked",
    "packet-loss",
    "not-answered",
    "answer-not-accepted",
    "capture-loss",
    "flow-blocked",
]


def world(seed: int, tunnel: Tunnel, until: float, port: int = 8080) -> World:
    """Connections all the time; until a moment, SYNs to one port die behind the card of node2."""
    w = World(seed, tunnel=tunnel)
    n1, n2 = w.node("node1", "10.28.0.4", offset=11), w.node("node2", "10.28.0.8")
    a, b, c = n1.pod("10.128.1.4"), n1.pod("10.128.1.5"), n2.pod("10.128.2.6")
    w.all_arp()
    for number in range(16):
        tcp_talk((a, b)[number % 2], c, port, 0.2 + 0.4 * number, answer=1500)
        tcp_talk(a, c, 9100, 0.3 + 0.4 * number, answer=700)
    dns_talk(c, a, "x.svc", 0.4)
    ping(a, c, 0.2, count=10)

    @w.fate
    def queue(t: Transit) -> None:
        packet = t.packet
        opens = packet.proto == f.TCP and packet.dport == port and packet.tcp.flags & (f.SYN | f.ACK) == f.SYN
        if opens and 1.0 < w.elapsed < until:
            t.accepted = False

    return w


def full(name: str, seed: int, tunnel: Tunnel, until: float, port: int) -> None:
    @pair(
        name,
        root=["slow-answer", "endpoint-silent"],
        mustnot=_MUSTNOT,
        says=[str(port), r"somaxconn|ListenOverflows|listen queue|accept queue"],
        source="kubernetes/kubernetes 76699",
        story="A listen queue is full for some seconds: SYNs are repeated until they are taken.",
    )
    def made() -> World:
        return world(seed, tunnel, until, port)


full("listen-queue-full-vxlan", 2801, Tunnel(vni=5, port=4789), 4.5, 8080)
full("listen-queue-full-geneve", 2802, Tunnel("geneve", 6081, 3), 3.0, 5432)


@pair(
    "listen-queue-healthy",
    root=None,
    mustnot=[*_MUSTNOT, "slow-answer", "endpoint-silent"],
    source="none",
    story="The same connections to a server that takes each at once.",
)
def healthy() -> World:
    return world(2803, Tunnel(vni=5, port=4789), 0)
