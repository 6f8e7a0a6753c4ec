"""K25: clients outside the cluster as inner sources; and captures that hold one direction only."""

from tests.reported.registry import pair
from tests.reported.talks import ping, tcp_talk
from tests.reported.world import Transit, Tunnel, World

QUIET = ["wrong-tunnel-endpoint", "packet-loss", "path-blocked", "not-answered", "capture-loss",
         "no-common-traffic", "duplicate-tunnel-mac", "duplicate-address", "endpoint-silent"]  # fmt: skip


def returned_directly(seed: int, client: str, kind: str = "geneve", port: int = 6081) -> World:
    """A load balancer on node1 sends a client's packets by the tunnel; node2 answers the client directly."""
    w = World(seed, tunnel=Tunnel(kind=kind, vni=2, port=port))
    n1, n2 = w.node("lb1", "10.61.0.4"), w.node("worker2", "10.61.0.9", offset=5)
    a, b = n1.pod("10.250.1.3"), n2.pod("10.250.4.8")
    w.all_arp()
    outside = n1.outside(client)
    tunnel = w.tunnel

    @w.fate
    def direct(t: Transit) -> None:
        if t.packet.src == client:
            t.tunnel = tunnel
            t.outer_src, t.outer_dst = n1.address(), n2.address()
            t.sport, t.inner_macs, t.ident = 41000, (n2.vtep, n1.vtep), n1.next_ident()
        elif t.packet.dst == client:
            t.tunnel, t.outer_macs = None, ("00:1c:73:00:00:01", n2.mac)
            t.unseen = {"lb1"}

    for n in range(8):
        tcp_talk(outside, b, 8443, 0.1 + 0.3 * n, answer=1500)
        tcp_talk(a, b, 8443, 0.2 + 0.3 * n, answer=1500)
    ping(b, a, 0.4, count=8)
    return w


@pair(
    "direct-return",
    root=None,
    mustnot=QUIET,
    source="cilium/cilium pull request 23890",
    story="Direct server return: clients' packets come in the tunnel, the answers leave unencapsulated.",
)
def direct_return() -> World:
    return returned_directly(2501, "145.97.39.155")


@pair(
    "direct-return-vxlan",
    root=None,
    mustnot=[*QUIET, "not-encapsulated"],
    source="cilium/cilium pull request 23890",
    story="The same over VXLAN.",
)
def direct_return_vxlan() -> World:
    return returned_directly(2502, "81.169.145.66", "vxlan", 8472)


@pair(
    "direct-return-to-a-private-client",
    root=None,
    mustnot=[*QUIET, "not-encapsulated"],
    source="cilium/cilium pull request 23890",
    story="The same for a client in a private network outside of the cluster.",
)
def direct_return_private() -> World:
    return returned_directly(2507, "172.22.9.5", "vxlan", 8472)


def one_direction(seed: int, blind: dict[str, str]) -> World:
    """Captures that lack what their own node sends (``out``), or what comes to it (``in``)."""
    w = World(seed, tunnel=Tunnel(vni=1, port=8472))
    n1, n2 = w.node("node1", "10.90.3.1", offset=1), w.node("node2", "10.90.3.2")
    a, b = n1.pod("10.244.0.7"), n2.pod("10.244.5.9")

    @w.fate
    def direction(t: Transit) -> None:
        for name, lacks in blind.items():
            if (lacks == "out") == (t.origin.name == name):
                t.unseen.add(name)

    for n in range(10):
        tcp_talk(a, b, 80, 0.1 + 0.2 * n, answer=4000)
    ping(a, b, 0.2, count=10)
    return w


@pair(
    "own-sends-missing",
    root="capture-loss",
    mustnot=["path-blocked", "packet-loss", "no-common-traffic"],
    source="tcpdump -Q in at node1",
    story="node1's capture holds what arrives only: nothing is lost.",
)
def own_sends_missing() -> World:
    return one_direction(2503, {"node1": "out"})
