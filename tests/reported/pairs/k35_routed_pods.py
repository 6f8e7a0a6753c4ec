"""K35: pods of two captured nodes talk without a tunnel, and only other nodes are reached through one."""

from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk
from tests.reported.world import Transit, Tunnel, World

SOURCE = "flannel Documentation/backends.md (DirectRouting); calico vxlanMode CrossSubnet; cilium 14650"
BLIND = ["no-common-traffic", "no-tunnel-traffic", "not-encapsulated", "capture-loss", "not-answered"]


def routed(seed: int, tunnels: bool = True) -> World:
    """Nodes 1 and 2 share a subnet and route to each other's pods; node 3, elsewhere, is not captured."""
    w = World(seed, tunnel=Tunnel(vni=1, port=8472))
    n1, n2 = w.node("node1", "10.71.0.4", offset=2), w.node("node2", "10.71.0.9", offset=5)
    n3 = w.node("node3", "10.72.0.3", captured=False)
    first = [n1.pod(f"10.244.1.{n}") for n in (3, 4)]
    second = [n2.pod(f"10.244.2.{n}") for n in (7, 8)]
    far = n3.pod("10.244.3.5")

    @w.fate
    def route(t: Transit) -> None:
        if not {t.packet.src, t.packet.dst} & {far.address}:
            near, other = (n1, n2) if t.direction == ("node1", "node2") else (n2, n1)
            t.tunnel, t.outer_macs = None, (other.mac, near.mac)

    for n in range(8):
        a, b = first[n % 2], second[n // 2 % 2]
        tcp_talk(a, b, 8080, 0.1 + 0.3 * n, answer=2000)
        tcp_talk(b, a, 9090, 0.2 + 0.3 * n, answer=900)
        dns_talk(a, b, f"s{n}.shop.svc.cluster.local", 0.25 + 0.3 * n)
        if tunnels and n % 3 == 0:
            tcp_talk(a, far, 8080, 0.15 + 0.3 * n, answer=800)
            tcp_talk(b, far, 8080, 0.18 + 0.3 * n, answer=800)
    ping(first[0], second[0], 0.4, count=8)
    return w


def direct(t: Transit) -> bool:
    """Whether a packet goes from pod to pod without a tunnel."""
    return t.tunnel is None


@pair("routed-pods-beside-tunnels", root=None, mustnot=BLIND, source=SOURCE, story="All is well.")
def routed_pods_beside_tunnels() -> World:
    return routed(3501)


@pair("routed-pods-only", root=None, mustnot=[*BLIND[:1], *BLIND[2:]], source=SOURCE, story="host-gw; well.")
def routed_pods_only() -> World:
    return routed(3502, tunnels=False)


@pair(
    "routed-pods-lose",
    root="packet-loss",
    must=["packet-loss@ab"],
    mustnot=BLIND,
    says=[r"ip route get 10\.244\.[12]\."],
    unsaid=[r"udp port 8472"],
    source=SOURCE,
    story="Every ninth unencapsulated packet from node1 to node2 is lost.",
)
def routed_pods_lose() -> World:
    w = routed(3503)
    chance = w.random

    @w.fate
    def lossy(t: Transit) -> None:
        if direct(t) and t.direction == ("node1", "node2") and chance.random() < 0.1:
            t.lost = True

    return w


@pair(
    "routed-pods-dropped-by-the-cloud",
    root="path-blocked",
    must=["path-blocked@ab", "path-blocked@ba"],
    mustnot=BLIND,
    says=[r"no-source-dest-check"],
    unsaid=[r"8472", r"drops the tunnel"],
    source="AWS EC2 source/destination checking; flannel DirectRouting",
    story="The cloud drops packets whose source address is not a machine's own: nothing arrives.",
)
def routed_pods_dropped_by_the_cloud() -> World:
    w = routed(3504)

    @w.fate
    def checked(t: Transit) -> None:
        t.lost = direct(t)

    return w


@pair(
    "routed-service-filtered",
    root="flow-blocked",
    must=["flow-blocked@ab"],
    mustnot=BLIND,
    says=[r"8080", r"10\.244\.2\.8"],
    unsaid=[r"8472", r"not at the network between"],
    source=SOURCE,
    story="A firewall between the nodes drops port 8080 of one pod.",
)
def routed_service_filtered() -> World:
    w = routed(3505)

    @w.fate
    def filtered(t: Transit) -> None:
        if direct(t) and t.packet.dst == "10.244.2.8" and t.packet.dport == 8080:
            t.lost = True

    return w
