"""K26: packets take several paths in strict turn, and one of them is dead."""

from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk, udp_talk
from tests.reported.world import Transit, Tunnel, World

_MUSTNOT = [
    "path-blocked",
    "packet-loss",
    "flow-blocked",
    "protocol-blocked",
    "rate-limited",
    "mtu-blackhole",
]


def world(seed: int, tunnel: Tunnel, nodes: tuple[str, str]) -> World:
    """Even talk between two pods of each node, most of it in datagrams."""
    w = World(seed, tunnel=tunnel)
    n1, n2 = w.node("node1", nodes[0], offset=3), w.node("node2", nodes[1], offset=-9)
    a, b = n1.pod("10.126.1.5"), n1.pod("10.126.1.6")
    c, d = n2.pod("10.126.2.7"), n2.pod("10.126.2.8")
    for number in range(6):
        udp_talk(a, c, 5060 + number, 0.1 + 0.05 * number, count=30, gap=0.1, size=160 + 30 * number)
        dns_talk(b, d, f"t{number}.svc", 0.2 + 0.5 * number)
        tcp_talk(d, a, 8080, 0.3 + 0.5 * number, answer=3000)
    ping(b, c, 0.2, count=20, gap=0.15)
    return w


def every(w: World, sender: str, paths: int, dead: int) -> World:
    """Let packets of a node take so many paths in turn, one of which is dead."""
    sent = {"packets": 0}

    @w.fate
    def path(t: Transit) -> None:
        if t.direction[0] == sender:
            t.lost = sent["packets"] % paths == dead
            sent["packets"] += 1

    return w


@pair(
    "every-second-packet",
    root="ecmp-member-blocked",
    must=["ecmp-member-blocked@ab"],
    mustnot=_MUSTNOT,
    source="FDio vpp 3008",
    story="A bond of two links in round robin, and one of them is dead: every second packet is lost.",
)
def second() -> World:
    return every(world(2601, Tunnel(vni=12, port=4789), ("192.0.2.11", "192.0.2.12")), "node1", 2, 1)


@pair(
    "every-third-packet-geneve",
    root="ecmp-member-blocked",
    must=["ecmp-member-blocked@ba"],
    mustnot=_MUSTNOT,
    source="k8snetworkplumbingwg/bond-cni 22",
    story="Three links in turn at node2, one of them dead; the tunnel is Geneve.",
)
def third() -> World:
    return every(world(2602, Tunnel("geneve", 6081, 77), ("10.3.3.3", "10.3.3.9")), "node2", 3, 0)


@pair(
    "every-fourth-packet-ipv6",
    root="ecmp-member-blocked",
    must=["ecmp-member-blocked@ab"],
    mustnot=_MUSTNOT,
    source="k8snetworkplumbingwg/bond-cni 22",
    story="Four paths in turn over IPv6, one of them dead.",
)
def fourth() -> World:
    tunnel = Tunnel(vni=9, port=8472, family=6)
    return every(world(2603, tunnel, ("2001:db8:26::1", "2001:db8:26::2")), "node1", 4, 2)


@pair(
    "in-turns-healthy",
    root=None,
    mustnot=[*_MUSTNOT, "ecmp-member-blocked"],
    source="none",
    story="The same talk over paths that all work.",
)
def healthy() -> World:
    return world(2604, Tunnel(vni=12, port=4789), ("192.0.2.11", "192.0.2.12"))
