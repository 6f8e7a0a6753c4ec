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
