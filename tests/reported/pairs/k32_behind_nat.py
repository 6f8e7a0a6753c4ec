"""K32: WireGuard between nodes of which one is behind a NAT; the inside cannot be read."""

from tests.reported.registry import pair
from tests.reported.talks import dns_talk, tcp_talk
from tests.reported.world import Transit, Tunnel, World

PUBLIC = "198.51.100.9"
FALSE = ["packet-loss", "path-blocked", "no-common-traffic", "capture-loss", "service-translation"]


def behind_nat(seed: int, inside: str, dead: tuple[float, float] = (0, 0)) -> World:
    """One node has a private address that the other sees as PUBLIC; answers may die for a time."""
    w = World(seed, tunnel=Tunnel("wireguard", port=51820))
    n1, n2 = w.node("node1", "192.168.77.7", offset=12), w.node("node2", "203.0.113.8", offset=-5)
    a, b = n1.pod("10.42.1.4"), n2.pod("10.42.2.4")
    for n in range(15):
        tcp_talk(a, b, 8080, 0.1 + n * 0.4, answer=3000)
        dns_talk(b, a, f"n{n}.svc", 0.2 + n * 0.4)
    private = "192.168.77.7" if inside == "node1" else "203.0.113.8"

    @w.fate
    def nat(t: Transit) -> None:
        if t.origin.name == inside:
            t.arrival = {"src": PUBLIC}
        else:
            t.outer, t.arrival = {"dst": PUBLIC}, {"dst": private}
            t.lost = dead[0] <= (t.at - w.start) / 1e9 < dead[1]

    return w


@pair(
    "wireguard-nat-first",
    root=None,
    must=["outer-address-rewritten@ab", "outer-address-rewritten@ba"],
    mustnot=FALSE,
    says=[r"192\.168\.77\.7", r"198\.51\.100\.9"],
    source="wireguard.com, Built-in roaming; kilo and tailscale behind NAT",
    story="node1 is behind a NAT, and all is well.",
)
def first() -> World:
    return behind_nat(3211, "node1")


@pair(
    "wireguard-nat-second",
    root=None,
    must=["outer-address-rewritten@ab", "outer-address-rewritten@ba"],
    mustnot=FALSE,
    says=[r"203\.0\.113\.8", r"198\.51\.100\.9"],
    source="wireguard.com, Built-in roaming",
    story="node2 is behind a NAT, and all is well.",
)
def second() -> World:
    return behind_nat(3212, "node2")


@pair(
    "wireguard-nat-outage",
    root="burst-outage",
    must=["burst-outage@ba", "outer-address-rewritten@ab"],
    mustnot=["path-blocked", "no-common-traffic", "capture-loss", "service-translation"],
    source="wireguard.com, NAT and firewall traversal persistence",
    story="What node2 sends dies for 1.5 s: the NAT has no mapping.",
)
def outage() -> World:
    return behind_nat(3213, "node1", (2.0, 3.5))
