"""K34: routers between the nodes say why they do not forward tunnel packets, of every kind of tunnel."""

import struct

from tests.reported import frames as f
from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk
from tests.reported.world import Transit, Tunnel, World


def world(seed: int, tunnel: Tunnel, nodes: tuple[str, str], inner: str = "10.61") -> World:
    w = World(seed, tunnel=tunnel, routed=True)
    n1, n2 = w.node("node1", nodes[0], offset=4), w.node("node2", nodes[1], offset=-3)
    a, b = n1.pod(f"{inner}.1.5"), n2.pod(f"{inner}.2.7")
    w.all_arp()
    for number in range(8):
        tcp_talk(a, b, 8080, 0.1 + number * 0.5, answer=900)
        dns_talk(b, a, f"n{number}.svc", 0.2 + number * 0.5)
    ping(a, b, 0.3, count=6)
    return w


def discard(w: World, router: str, kind: int, code: int, above: int = 0, mtu: int = 0) -> None:
    """A router discards what node1 sends above a size, and says so of some packets."""

    @w.fate
    def stop(t: Transit) -> None:
        if t.origin is w.nodes[0] and t.tunnel is not None and t.size > above:
            t.lost = True

    @w.observers.append
    def say(t: Transit) -> None:
        if t.lost and t.number % 2:
            about = t.wire_packet()
            rest = struct.pack("!I", mtu)
            error = f.icmp_error(router, t.outer_src, about, kind, code, rest, quote=None if mtu else 48)
            w.seen_by(w.nodes[0], error)


@pair(
    "router-rejects-gre",
    root="path-blocked",
    must=["path-blocked@ab"],
    mustnot=["port-unreachable", "mtu-blackhole"],
    says=[r"203\.0\.113\.61", "prohibited", "GRE"],
    unsaid=["security group"],
    source="Cisco: access lists that deny answer ICMP 3/13 unless `no ip unreachables`",
    story="An access list on the way forbids GRE and says so.",
)
def router_rejects_gre() -> World:
    w = world(341, Tunnel(kind="gre"), ("192.0.2.14", "198.51.100.14"))
    discard(w, "203.0.113.61", 3, 13)
    return w


@pair(
    "router-finds-no-host",
    root="path-blocked",
    must=["path-blocked@ab"],
    mustnot=["port-unreachable"],
    says=[r"2001:db8:9::1\b", "unreachable"],
    source="RFC 4443 section 3.1, address unreachable",
    story="The last router has no neighbour entry for node2: address unreachable, over IPv6.",
)
def router_finds_no_host() -> World:
    w = world(342, Tunnel(vni=7, port=6081, kind="geneve", family=6), ("2001:db8:1::4", "2001:db8:2::4"))
    discard(w, "2001:db8:9::1", 1, 3)
    return w


@pair(
    "too-big-for-ipip",
    root="mtu-icmp-needed",
    must=["mtu-icmp-needed@ab"],
    mustnot=["mtu-blackhole", "packet-loss", "path-blocked"],
    says=[r"1,?452", r"1,?432"],
    source="kube-router issue 685",
    story="A router says fragmentation needed (1452) of IP in IP packets; node1 goes on sending them.",
)
def too_big_for_ipip() -> World:
    w = world(343, Tunnel(kind="ipip"), ("10.5.0.4", "10.6.0.4"))
    for number in range(4):
        tcp_talk(*list(w.endpoints.values())[:2], 9000, 0.4 + number, request=6000, answer=100)
    discard(w, "203.0.113.9", 3, 4, above=1452, mtu=1452)
    return w


@pair(
    "too-big-for-esp",
    root="mtu-icmp-needed",
    must=["mtu-icmp-needed@ab"],
    mustnot=["mtu-blackhole", "packet-loss", "path-blocked"],
    says=[r"1,?400"],
    source="libreswan and strongSwan: path MTU of ESP",
    story="A router says fragmentation needed (1400) of ESP packets.",
)
def too_big_for_esp() -> World:
    w = world(344, Tunnel(kind="esp", vni=0xC1A50001), ("10.5.0.4", "10.6.0.4"))
    for number in range(4):
        tcp_talk(*list(w.endpoints.values())[:2], 9000, 0.4 + number, request=6000, answer=100)
    discard(w, "203.0.113.9", 3, 4, above=1400, mtu=1400)
    return w
