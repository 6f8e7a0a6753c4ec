"""K12: one dead path of several for tunnels without ports, where devices hash the inner packet."""

import zlib

from tests.reported.registry import pair
from tests.reported.talks import dns_talk, tcp_talk
from tests.reported.world import Transit, Tunnel, World


def world(seed: int, tunnel: Tunnel, count: int) -> World:
    w = World(seed, tunnel=tunnel, routed=True)
    n1, n2 = w.node("node1", "192.0.2.11", offset=3), w.node("node2", "198.51.100.12", offset=-9)
    ours = [n1.pod(f"10.12.1.{n}") for n in (5, 6, 7)]
    theirs = [n2.pod(f"10.12.2.{n}") for n in (7, 8, 9)]
    w.all_arp()
    for number in range(count):
        client, server = ours[number % 3], theirs[number // 3 % 3]
        tcp_talk(client, server, 8080, 0.1 + number * 0.12, answer=900, tries=3)
        dns_talk(client, theirs[1], f"n{number}.svc", 0.15 + number * 0.12, kinds=(1,), tries=1)
    return w


def flow_of(t: Transit) -> int:
    p = t.packet
    return zlib.crc32(repr((p.src, p.dst, p.proto, p.sport, p.dport)).encode())


@pair(
    "dead-path-of-ipip",
    root="ecmp-member-blocked",
    must=["ecmp-member-blocked@ab"],
    mustnot=["packet-loss", "flow-blocked", "path-blocked"],
    unsaid=["outer source port"],
    source="kube-router and Calico IPIP over a fabric that hashes the inner packet",
    story="A quarter of the inner flows is lost completely, whatever the service.",
)
def dead_path_of_ipip() -> World:
    w = world(121, Tunnel(kind="ipip"), 60)

    @w.fate
    def lose(t: Transit) -> None:
        t.lost = t.origin is w.nodes[0] and flow_of(t) % 4 == 1

    return w


@pair(
    "dead-path-of-gre-back",
    root="ecmp-member-blocked",
    must=["ecmp-member-blocked@ba"],
    mustnot=["packet-loss", "flow-blocked", "path-blocked"],
    unsaid=["outer source port"],
    source="GRE over a fabric that hashes the inner packet",
    story="An eighth of the inner flows of the answers is lost completely.",
)
def dead_path_of_gre_back() -> World:
    w = world(122, Tunnel(kind="gre"), 110)

    @w.fate
    def lose(t: Transit) -> None:
        t.lost = t.origin is w.nodes[1] and flow_of(t) % 8 == 3

    return w


@pair(
    "random-loss-under-ipip",
    root="packet-loss",
    must=["packet-loss@ab"],
    mustnot=["ecmp-member-blocked", "flow-blocked"],
    source="a bad link under IPIP",
    story="Every eighth packet is lost at random, of flows long and short.",
)
def random_loss_under_ipip() -> World:
    w = world(123, Tunnel(kind="ipip"), 60)

    @w.fate
    def lose(t: Transit) -> None:
        t.lost = t.origin is w.nodes[0] and w.random.random() < 0.12

    return w
