"""Three pairs that show how one is written."""

from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk, udp_talk
from tests.reported.world import Endpoint, Transit, World


def usual(seed: int) -> tuple[World, list[Endpoint], list[Endpoint]]:
    """Make two nodes with two pods each, and some traffic both ways."""
    w = World(seed)
    n1, n2 = w.node("node1", "192.168.70.21", offset=1.7), w.node("node2", "192.168.70.22", drift=4)
    ours = [n1.pod("10.244.1.5", "web-0"), n1.pod("10.244.1.9", "client-0")]
    theirs = [n2.pod("10.244.3.4", "coredns-0"), n2.pod("10.244.3.8", "api-0")]
    w.all_arp()
    for n in range(12):
        tcp_talk(ours[n % 2], theirs[1], 8080, 0.1 + n * 0.31, answer=700 + 4000 * (n % 3))
        dns_talk(ours[n % 2], theirs[0], f"svc-{n}.default.svc.cluster.local", 0.05 + n * 0.3)
        tcp_talk(theirs[1], ours[0], 80, 0.2 + n * 0.33, answer=1500)
    ping(ours[1], theirs[1], 0.3, count=4)
    udp_talk(theirs[1], ours[1], 5000, 0.4, count=40)
    return w, ours, theirs


@pair(
    "demo-healthy",
    root=None,
    mustnot=["packet-loss", "path-blocked"],
    lost="world",
    kube="both",
    source="none",
    story="Two nodes, ordinary traffic: all is well.",
)
def healthy() -> World:
    return usual(1)[0]


@pair(
    "demo-path-blocked",
    root="path-blocked",
    must=["path-blocked@ab"],
    mustnot=["path-blocked@ba"],
    lost="world",
    source="none",
    story="A firewall between the nodes drops the tunnel's port one way.",
)
def path_blocked() -> World:
    w = usual(2)[0]

    @w.fate
    def firewall(transit: Transit) -> None:
        transit.lost = transit.direction == ("node1", "node2") and transit.tunnel is not None

    return w


@pair(
    "demo-packet-loss",
    root="packet-loss",
    must=["packet-loss@ba"],
    mustnot=["packet-loss@ab", "mtu-blackhole"],
    lost="world",
    source="none",
    story="A tenth of what node2 sends is lost.",
)
def packet_loss() -> World:
    w = usual(3)[0]

    @w.fate
    def bad_link(transit: Transit) -> None:
        transit.lost = transit.origin.name == "node2" and w.random.random() < 0.1

    return w
