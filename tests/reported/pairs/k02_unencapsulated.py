"""K2: pod traffic that leaves a node without the tunnel and never arrives."""

from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk, udp_talk
from tests.reported.world import Endpoint, Transit, Tunnel, World

PLACEHOLDER = "ee:ee:ee:ee:ee:ee"


def cluster(
    seed: int, tunnel: Tunnel, net: str = "10.51", nodes: str = "172.22.8"
) -> tuple[World, list[Endpoint]]:
    """Make two nodes with two pods each that use the tunnel, and further pods that do not."""
    w = World(seed, tunnel=tunnel)
    n1, n2 = w.node("node1", f"{nodes}.31", offset=-6), w.node("node2", f"{nodes}.32", offset=9, drift=3)
    pods = [n1.pod(f"{net}.4.10", "web-0"), n1.pod(f"{net}.4.11", "batch-0")]
    pods += [n2.pod(f"{net}.7.20", "dns-0"), n2.pod(f"{net}.7.21", "api-0")]
    w.all_arp()
    for number in range(10):
        tcp_talk(pods[0], pods[3], 8443, 0.1 + number * 0.4, answer=900)
        dns_talk(pods[0], pods[2], f"s{number}.default.svc.cluster.local", 0.2 + number * 0.35)
    ping(pods[0], pods[2], 0.3, count=5)
    return w, pods


@pair(
    "raw-reply-frames",
    root="not-encapsulated",
    must=["not-encapsulated@ab"],
    mustnot=["packet-loss", "path-blocked", "vni-mismatch", "not-encapsulated@ba"],
    says=[PLACEHOLDER, r"node1# ip route get 10\.51\.7\.21"],
    kube="both",
    source="projectcalico/calico issue 13191",
    story="node2 reaches batch-0 natively; node1's eBPF program sends the answers out as raw frames.",
)
def raw_reply() -> World:
    w, pods = cluster(21, Tunnel(vni=4096, port=4789))
    for number in range(7):
        tcp_talk(pods[3], pods[1], 5432, 0.2 + number * 0.5)

    @w.fate
    def native(t: Transit) -> None:
        if pods[1].address in (t.packet.src, t.packet.dst):
            t.tunnel = None
            if t.packet.src == pods[1].address:
                t.outer_macs, t.lost = (PLACEHOLDER, pods[1].mac), True

    return w


@pair(
    "source-check-of-ec2",
    root="not-encapsulated",
    must=["not-encapsulated@ab"],
    mustnot=["packet-loss", "path-blocked"],
    says=[r"source-dest-check", r"vxlanMode: Always"],
    kube=True,
    source="projectcalico documentation, CrossSubnet; kubernetes/kops issue 10363",
    story="CrossSubnet: node1 sends to a pod natively, and the cloud drops what is no node's address.",
)
def source_check() -> World:
    w, pods = cluster(22, Tunnel(vni=4096, port=4789), net="10.77", nodes="10.8.3")
    for number in range(6):
        tcp_talk(pods[1], pods[3], 9092, 0.15 + number * 0.6)

    @w.fate
    def native(t: Transit) -> None:
        if pods[1].address in (t.packet.src, t.packet.dst):
            t.tunnel, t.lost = None, True

    return w


@pair(
    "native-answers-over-ipv6",
    root="not-encapsulated",
    must=["not-encapsulated@ba"],
    mustnot=["packet-loss", "path-blocked", "flow-blocked"],
    says=[r"fd7a:9:2::21", r"node2# ip route get fd7a:9:1::11"],
    source="after projectcalico/calico issue 13191, in IPv6",
    story="node1 asks a pod of node2 natively, which answers natively by a router that knows no pods.",
)
def ipv6_answers() -> World:
    w = World(23, tunnel=Tunnel(vni=1, port=8472))
    n1, n2 = w.node("node1", "192.168.40.5"), w.node("node2", "192.168.40.6", offset=2)
    web, batch = n1.pod("fd7a:9:1::10", "web-0"), n1.pod("fd7a:9:1::11", "batch-0")
    api = n2.pod("fd7a:9:2::21", "api-0")
    w.all_arp()
    for number in range(8):
        tcp_talk(web, api, 8080, 0.1 + number * 0.3, answer=2000)
        udp_talk(batch, api, 4000, 0.12 + number * 0.3, count=1)

    @w.fate
    def native(t: Transit) -> None:
        if batch.address in (t.packet.src, t.packet.dst):
            t.tunnel = None
            t.lost = t.packet.src == api.address

    return w


@pair(
    "native-routing-that-works",
    root=None,
    mustnot=["not-encapsulated", "packet-loss", "path-blocked"],
    kube="both",
    source="the healthy twin of calico 13191",
    story="Some pods are routed natively, others tunnelled; everything arrives.",
)
def works() -> World:
    w, pods = cluster(24, Tunnel(vni=4096, port=4789))
    for number in range(7):
        tcp_talk(pods[3], pods[1], 5432, 0.2 + number * 0.5)

    @w.fate
    def native(t: Transit) -> None:
        if pods[1].address in (t.packet.src, t.packet.dst):
            t.tunnel = None

    return w


def cross_subnet(seed: int, tunnel: Tunnel, net: str, nodes: tuple[str, str, str]) -> World:
    """Two captured nodes in one subnet, whose pods talk natively, and a third node beyond a router."""
    w = World(seed, tunnel=tunnel)
    n1, n2 = w.node("node1", nodes[0], offset=3), w.node("node2", nodes[1], offset=-4)
    far = w.node("far", nodes[2], captured=False)
    a, b, c = n1.pod(f"{net}1{net[-1]}4"), n2.pod(f"{net}2{net[-1]}7"), far.pod(f"{net}9{net[-1]}9")
    w.all_arp()
    for number in range(9):
        tcp_talk(a, b, 8443, 0.1 + number * 0.3, answer=1500)
        tcp_talk(a, c, 443, 0.15 + number * 0.3, answer=700)
        tcp_talk(c, b, 5432, 0.2 + number * 0.3, answer=700)
    ping(b, a, 0.3, count=6)

    @w.fate
    def native(t: Transit) -> None:
        if set(t.direction) == {"node1", "node2"}:
            t.tunnel = None

    return w


WITHIN_A_SUBNET = ["not-encapsulated", "no-common-traffic", "capture-loss", "packet-loss", "not-answered"]


@pair(
    "healthy-within-a-subnet",
    root=None,
    mustnot=WITHIN_A_SUBNET,
    kube="both",
    source="projectcalico/calico (vxlanMode: CrossSubnet, as designed)",
    story="Pods of two nodes in one subnet talk unencapsulated; the tunnel is for a third node elsewhere.",
)
def healthy_within_a_subnet() -> World:
    return cross_subnet(220, Tunnel(port=4789, vni=4096), "10.77.", ("10.9.0.3", "10.9.0.4", "10.9.8.3"))


@pair(
    "healthy-within-a-subnet-ipv6",
    root=None,
    mustnot=WITHIN_A_SUBNET,
    source="antrea (trafficEncapMode: hybrid, as designed)",
    story="The same with IPv6 pods and Geneve.",
)
def healthy_within_a_subnet_ipv6() -> World:
    tunnel = Tunnel("geneve", port=6081, vni=0)
    return cross_subnet(221, tunnel, "fd77::", ("172.29.1.3", "172.29.1.4", "172.29.6.9"))


def second_family(seed: int, answered: bool) -> World:
    """Let IPv6 pods talk natively while the tunnel carries IPv4: node2 forwards, or does not."""
    w, _ = cluster(seed, Tunnel(kind="geneve", vni=3, port=6081))
    n1, n2 = w.nodes
    mine = [n1.pod("fd00:51:4::a", "six-0"), n1.pod("fd00:51:4::b", "six-1")]
    theirs = n2.pod("fd00:51:7::c", "six-2")
    for number in range(6):
        tcp_talk(mine[number % 2], theirs, 8080, 0.2 + number * 0.4)
        dns_talk(mine[0], theirs, f"six{number}.default.svc.cluster.local", 0.3 + number * 0.4)

    @w.fate
    def native(t: Transit) -> None:
        if t.packet.ip6:
            t.tunnel = None
            t.accepted = answered

    return w


@pair(
    "second-family-unencapsulated-unanswered",
    root="not-encapsulated",
    must=["not-encapsulated@ab"],
    mustnot=["packet-loss", "path-blocked", "mtu-blackhole", "not-encapsulated@ba"],
    says=[r"fd00:51:7::c", r"ip route get fd00:51:7::c"],
    kube="both",
    source="cilium/cilium issue 12624",
    story="The second family has no tunnel: its packets reach node2's card, which does not forward them.",
)
def second_family_unanswered() -> World:
    return second_family(26, False)


@pair(
    "second-family-native-healthy",
    root=None,
    mustnot=["not-encapsulated", "packet-loss", "path-blocked", "not-answered"],
    kube="both",
    source="cilium/cilium issue 12624, native routing for one family",
    story="The second family is routed natively, and answered.",
)
def second_family_native() -> World:
    return second_family(27, True)
