"""K7: a router discards tunnel packets because their TTL is used up."""

from tests.reported import frames as f
from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk
from tests.reported.world import Transit, Tunnel, World


def world(seed: int, tunnel: Tunnel, nodes: tuple[str, str]) -> World:
    w = World(seed, tunnel=tunnel, routed=True)
    n1, n2 = w.node("node1", nodes[0], offset=3), w.node("node2", nodes[1], offset=-2)
    a, b = n1.pod("10.61.1.5", "web-0"), n2.pod("10.61.2.7", "api-0")
    w.all_arp()
    for number in range(8):
        tcp_talk(a, b, 8080, 0.1 + number * 0.4, answer=900)
        dns_talk(b, a, f"n{number}.svc", 0.2 + number * 0.4)
    ping(a, b, 0.3, count=6)
    return w


def discard(w: World, router: str, ttl: int | None) -> None:
    """The router discards what node1 sends, and says so."""

    @w.fate
    def use_up(t: Transit) -> None:
        if t.origin is w.nodes[0] and t.tunnel is not None:
            if ttl is not None:
                t.outer["ttl"] = ttl
            t.lost = True

    @w.observers.append
    def say(t: Transit) -> None:
        if t.lost and t.number % 2:
            kind, code = (3, 0) if ":" in router else (11, 0)
            about = t.wire_packet().alter(ttl=1)
            w.seen_by(w.nodes[0], f.icmp_error(router, t.outer_src, about, kind, code, quote=None))


@pair(
    "ttl-of-16",
    root="ttl-exceeded",
    must=["ttl-exceeded@ab"],
    says=[r"203\.0\.113\.61", r"TTL of 16\b", r"ttl 64"],
    source="vyos/vyos-1x pull request 5094",
    story="The VXLAN interface of node1 has a TTL of 16, and the network has more routers than that.",
)
def ttl_of_16() -> World:
    w = world(71, Tunnel(vni=10, port=4789), ("192.0.2.14", "198.51.100.14"))
    discard(w, "203.0.113.61", 16)
    return w


@pair(
    "routing-loop",
    root="ttl-exceeded",
    must=["ttl-exceeded@ab"],
    says=[r"203\.0\.113\.77", r"TTL of 64\b", "loop"],
    source="after FRRouting/frr issue 15909",
    story="Two routers send the packets for node2 to each other.",
)
def routing_loop() -> World:
    w = world(72, Tunnel(vni=1, port=8472), ("10.5.0.4", "10.6.0.4"))
    discard(w, "203.0.113.77", None)
    return w


def pods_ttl(w: World, router: str, port: int, ttl: int = 1) -> None:
    """Connections of node1's pods to a port leave with a small TTL; node2 discards them and says so."""

    @w.fate
    def use_up(t: Transit) -> None:
        if t.origin is w.nodes[0] and t.packet.proto == f.TCP and t.packet.tcp.dport == port:
            t.packet = t.packet.alter(ttl=ttl)
            t.accepted = False

    @w.observers.append
    def say(t: Transit) -> None:
        if not t.accepted:
            kind = 3 if ":" in router else 11
            error = f.icmp_error(router, t.packet.src, t.packet, kind, 0, quote=None if kind == 3 else 48)
            w.after(0.0005, lambda: w.transmit(error, speaker))

    speaker = w.nodes[1].pod(router)


@pair(
    "ebgp-without-multihop",
    root="ttl-exceeded",
    must=["ttl-exceeded@ab"],
    mustnot=["not-answered", "packet-loss"],
    says=[r"10\.61\.2\.1\b", r"TTL of 1\b", "ebgp-multihop"],
    source="BIRD and FRR: eBGP leaves with TTL 1 unless multihop",
    story="A pod of node1 opens eBGP to a pod of node2 with TTL 1; node2, which routes, discards each SYN.",
)
def ebgp_without_multihop() -> World:
    w = world(73, Tunnel(vni=1, port=8472), ("10.5.0.4", "10.5.0.5"))
    a, b = list(w.endpoints.values())[:2]
    for number in range(3):
        tcp_talk(a, b, 179, 0.5 + number * 2, request=45, answer=45, tries=2)
    pods_ttl(w, "10.61.2.1", 179)
    return w


@pair(
    "application-sets-hop-limit",
    root="ttl-exceeded",
    must=["ttl-exceeded@ab"],
    mustnot=["not-answered", "packet-loss"],
    says=[r"fd00:61:2::1\b", r"TTL \(IPv6: hop limit\) of 2\b", "hop_limit"],
    source="RFC 4443 section 3.3",
    story="An application limits its hops to 2, over Geneve and IPv6.",
)
def application_sets_hop_limit() -> World:
    w = World(
        74, tunnel6=Tunnel(kind="geneve", port=6081, vni=4), tunnel=Tunnel(kind="geneve", port=6081, vni=4)
    )
    n1, n2 = w.node("node1", "10.5.0.4"), w.node("node2", "10.5.0.5", offset=7)
    a, b = n1.pod("fd00:61:1::5"), n2.pod("fd00:61:2::7")
    w.all_arp()
    for number in range(6):
        tcp_talk(a, b, 8080, 0.1 + number * 0.4, answer=900)
        tcp_talk(a, b, 7443, 0.3 + number, request=45, answer=45, tries=2)
    pods_ttl(w, "fd00:61:2::1", 7443, ttl=2)
    return w
