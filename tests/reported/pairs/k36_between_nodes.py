"""K36: a capture between the nodes (router, leaf, mirror port), which has no address in the tunnel."""

from tests.reported import frames as f
from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk
from tests.reported.world import MICRO, Node, Transit, Tunnel, World


def world(
    seed: int, tunnel: Tunnel, between: tuple[str, ...], nodes: tuple[str, str], count: int = 12
) -> World:
    """Two nodes, and captures between them in path order."""
    w = World(seed, tunnel=tunnel, routed=True, delay=0.6)
    n1, n2 = w.node("1-node", nodes[0], offset=3), w.node("9-node", nodes[1], offset=-8)
    points = [w.node(name, f"10.99.{n}.1", offset=900 * n) for n, name in enumerate(between, 1)]
    a, b = n1.pod("10.36.1.5"), n2.pod("10.36.2.7")
    for number in range(count):
        tcp_talk(a, b, 8080, 0.1 + number * 0.3, answer=1900)
        dns_talk(b, a, f"n{number}.svc", 0.2 + number * 0.3)
    ping(a, b, 0.3, count=6)
    w.observers.append(lambda t: pass_by(w, t, points))
    return w


def pass_by(w: World, t: Transit, points: list[Node]) -> None:
    """Show a packet at the points between, as far as it comes (`t.outer["ttl"]` is not altered)."""
    if t.tunnel is None or t.unsent:
        return
    forward = t.origin is w.nodes[0]
    for step, point in enumerate(points if forward else points[::-1], 1):
        if t.lost and point.name in t.unseen:
            return
        frame = f.ethernet(point.mac, t.outer_macs[1], t.wire_packet().alter(ttl=64 - step))
        w.record(point, frame, w.now + step * 150 * MICRO, outgoing=False)


HEALTHY = ["packet-loss", "path-blocked", "no-common-traffic", "not-answered", "wrong-tunnel-endpoint"]


@pair(
    "router-between",
    root=None,
    mustnot=HEALTHY,
    source="tcpdump on the router between two nodes",
    story="Both nodes and the router between them were captured. All is well.",
)
def router_between() -> World:
    return world(361, Tunnel(vni=4096, port=4789), ("5-router",), ("192.0.2.4", "198.51.100.4"))


@pair(
    "leaf-and-spine-between",
    root=None,
    mustnot=HEALTHY,
    source="mirror ports of a leaf and a spine",
    story="Four captures: node, leaf, spine, node. All is well.",
)
def leaf_and_spine_between() -> World:
    return world(
        362, Tunnel(kind="geneve", vni=9, port=6081), ("3-leaf", "6-spine"), ("10.1.0.4", "10.2.0.4")
    )


@pair(
    "lost-after-the-router",
    root="packet-loss",
    must=["packet-loss@5-router>9-node"],
    mustnot=["packet-loss@1-node>5-router", "path-blocked", "no-common-traffic"],
    source="tcpdump on the router between two nodes",
    story="A tenth of what node 1 sends is lost between the router and node 9.",
)
def lost_after_the_router() -> World:
    w = world(363, Tunnel(vni=1, port=8472), ("5-router",), ("192.0.2.4", "198.51.100.4"), 30)

    @w.fate
    def lose(t: Transit) -> None:
        t.lost = t.origin is w.nodes[0] and w.random.random() < 0.1

    return w


@pair(
    "blocked-before-the-spine",
    root="path-blocked",
    must=["path-blocked@3-leaf>6-spine"],
    mustnot=["path-blocked@1-node>3-leaf", "no-common-traffic"],
    source="mirror ports of a leaf and a spine",
    story="Node, leaf, spine, node: what node 1 sends passes the leaf and never comes to the spine.",
)
def blocked_before_the_spine() -> World:
    w = world(364, Tunnel(vni=10010, port=4789), ("3-leaf", "6-spine"), ("10.1.0.4", "10.2.0.4"), 30)

    @w.fate
    def lose(t: Transit) -> None:
        if t.origin is w.nodes[0]:
            t.lost, t.unseen = True, {"6-spine"}

    return w
