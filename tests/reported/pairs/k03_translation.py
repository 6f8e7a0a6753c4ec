"""Services and masquerading between a pod's interface and its node's NIC, and answers not translated back."""

from collections.abc import Callable

from tests.reported import frames as f
from tests.reported.frames import Packet
from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk, udp_talk
from tests.reported.world import Endpoint, Node, Transit, Tunnel, World

Watched = dict[str, Endpoint]


def cluster(seed: int, *, v6: bool = False, pods: bool = True, any: bool = False) -> tuple[World, Watched]:
    """Make two nodes, a client and its bystander on the one, two servers on the other."""
    w = World(seed, tunnel=Tunnel(vni=4096 if v6 else 1, port=8472))
    net = "fd00:10:244" if v6 else "10.42"
    sep = ":" if v6 else "."
    made: Watched = {}
    n1 = w.node("2-node", "198.51.100.11", offset=2.1, any=any)
    n2 = w.node("3-node", "198.51.100.12", offset=-3.4, drift=6)
    made["client"] = n1.pod(f"{net}{sep}1{sep * (2 if v6 else 1)}5", "client-0")
    made["beside"] = n1.pod(f"{net}{sep}1{sep * (2 if v6 else 1)}6", "beside-0")
    made["web"] = n2.pod(f"{net}{sep}2{sep * (2 if v6 else 1)}7", "web-0")
    made["dns"] = n2.pod(f"{net}{sep}2{sep * (2 if v6 else 1)}8", "coredns-0")
    if pods:
        made["client"].watch("1-pod")
    w.all_arp()
    return w, made


def traffic(w: World, pods: Watched, web: str, dns: str, *, port: int = 80, rounds: int = 9) -> None:
    """Let the client and its neighbour ask two services, and the pods behind them directly."""
    web_service = w.service(web, port, pods["web"], name="web", target=8080)
    dns_service = w.service(dns, 53, pods["dns"], name="kube-dns", namespace="kube-system", protocol=f.UDP)
    for n in range(rounds):
        for who in ("client", "beside"):
            tcp_talk(pods[who], web_service, port, 0.1 + 0.3 * n, answer=900 + 3000 * (n % 3))
            dns_talk(pods[who], dns_service, f"svc-{n}.prod.svc.cluster.local", 0.05 + 0.3 * n)
        tcp_talk(pods["client"], pods["web"], 9000, 0.2 + 0.3 * n, answer=1200)
    ping(pods["client"], pods["web"], 0.3, count=4)


HEALTHY = ["no-common-traffic", "not-encapsulated", "packet-loss", "capture-loss", "dns-unanswered"]


@pair(
    "clusterip-healthy",
    root=None,
    must=["service-translation@1-pod>2-node", "service-translation@2-node>1-pod"],
    mustnot=[*HEALTHY, "reply-not-translated"],
    says=[r"10\.43\.0\.80:80 becomes 10\.42\.2\.7:8080", r"10\.43\.0\.10:53"],
    lost="world",
    kube="both",
    source="kubernetes/kubernetes 116453",
    story="A pod asks two services; its node translates them before the tunnel. All is well.",
)
def clusterip_healthy() -> World:
    w, pods = cluster(31)
    traffic(w, pods, "10.43.0.80", "10.43.0.10")
    return w


@pair(
    "clusterip-v6-healthy",
    root=None,
    must=["service-translation@1-pod>2-node"],
    mustnot=HEALTHY,
    says=[r"\[fd00:10:96::50\]:80 becomes \[fd00:10:244:2::7\]:8080"],
    lost="world",
    source="kubernetes/kubernetes 122174",
    story="The same with IPv6 pods, whose packets have no IP ID.",
)
def clusterip_v6_healthy() -> World:
    w, pods = cluster(32, v6=True)
    traffic(w, pods, "fd00:10:96::50", "fd00:10:96::a")
    return w


@pair(
    "clusterip-any-healthy",
    root=None,
    mustnot=HEALTHY,
    must=["service-translation"],
    says=[r"10\.43\.0\.80:80"],
    source="kubernetes/kubernetes 93337",
    story="A node captured with -i any shows the service at the veth and the pod in the tunnel.",
)
def clusterip_any_healthy() -> World:
    w, pods = cluster(33, pods=False, any=True)
    traffic(w, pods, "10.43.0.80", "10.43.0.10")
    return w


@pair(
    "clusterip-loss-on-the-wire",
    root="packet-loss",
    must=["packet-loss@2-node>3-node", "service-translation@1-pod>2-node"],
    mustnot=["no-common-traffic", "not-encapsulated", "path-blocked", "packet-loss@1-pod>2-node"],
    lost=None,
    source="weaveworks/weave 3287",
    story="A pod asks a service, and the network between the nodes loses one packet in twelve.",
)
def clusterip_loss() -> World:
    w, pods = cluster(34)
    traffic(w, pods, "10.43.0.80", "10.43.0.10", rounds=14)

    @w.fate
    def wire(t: Transit) -> None:
        t.lost = t.tunnel is not None and t.direction == ("2-node", "3-node") and w.random.random() < 0.08

    return w


def masquerade(node: Node, pod: Endpoint, address: str, new_port: Callable[[int], int]) -> None:
    """Give what one pod sends the address of its node, and turn the answers back."""
    there: dict[tuple[str, int, int], int] = {}
    back: dict[tuple[str, int, int], int] = {}

    def out(packet: Packet) -> Packet | None:
        if packet.src != pod.address or isinstance(packet.body, f.Icmp):
            return packet
        key = packet.dst, packet.dport, packet.sport
        if key not in there:
            there[key] = new_port(packet.sport)
            back[packet.dst, packet.dport, there[key]] = packet.sport
        return packet.alter(src=address, sport=there[key])

    def into(packet: Packet) -> Packet | None:
        if packet.dst != address or isinstance(packet.body, f.Icmp):
            return packet
        port = back.get((packet.src, packet.sport, packet.dport))
        return packet if port is None else packet.alter(dst=pod.address, dport=port)

    node.egress.append(out)
    node.ingress.append(into)


def masqueraded(seed: int, new_port: Callable[[int], int]) -> tuple[World, Watched]:
    w, pods = cluster(seed)
    node = w.nodes[0]
    node.pod("10.42.1.0", "flannel-1")  # the address that the tunnel's device has
    for n in range(10):
        tcp_talk(pods["client"], pods["web"], 8080, 0.1 + 0.3 * n, answer=900 + 3000 * (n % 3))
        dns_talk(pods["client"], pods["dns"], f"svc-{n}.prod.svc.cluster.local", 0.05 + 0.3 * n)
        tcp_talk(pods["beside"], pods["web"], 8080, 0.15 + 0.3 * n, answer=700)
    udp_talk(pods["client"], pods["web"], 5000, 0.4, count=40)
    masquerade(node, pods["client"], "10.42.1.0", new_port)
    return w, pods


@pair(
    "masquerade-random-fully-healthy",
    root=None,
    must=["service-translation@1-pod>2-node"],
    mustnot=HEALTHY,
    says=[r"10\.42\.1\.5 becomes 10\.42\.1\.0"],
    source="kubernetes/kubernetes 56903",
    story="A pod is masqueraded with new random ports before the tunnel. All is well.",
)
def masquerade_random() -> World:
    return masqueraded(35, lambda port: 1024 + port * 40503 % 64000)[0]


@pair(
    "masquerade-kept-ports-loss-inside",
    root="packet-loss",
    must=["packet-loss@1-pod>2-node", "service-translation@1-pod>2-node"],
    mustnot=["no-common-traffic", "path-blocked", "packet-loss@2-node>3-node"],
    source="kubernetes/kubernetes 38802",
    story="A pod is masqueraded and keeps its ports; one of nine of its packets dies inside the node.",
)
def masquerade_kept() -> World:
    w, pods = masqueraded(36, lambda port: port)

    def dies(packet: Packet) -> Packet | None:
        return None if packet.src == pods["client"].address and w.random.random() < 0.11 else packet

    w.nodes[0].egress.insert(0, dies)
    return w


@pair(
    "translated-in-the-tunnel-healthy",
    root=None,
    must=["service-translation@node1>node2", "service-translation@node2>node1"],
    mustnot=HEALTHY,
    source="projectcalico/calico 5171",
    story="A middlebox between the nodes translates the inner source address of one pod.",
)
def translated_in_tunnel() -> World:
    w = World(37)
    n1, n2 = w.node("node1", "203.0.113.5"), w.node("node2", "203.0.113.9", offset=12)
    a, b, c = n1.pod("10.0.1.3"), n1.pod("10.0.1.4"), n2.pod("10.0.2.3")
    alias = n1.pod("172.31.0.3", "alias")
    w.all_arp()
    for n in range(10):
        tcp_talk(a, c, 443, 0.1 + n * 0.3, answer=2000)
        tcp_talk(b, c, 443, 0.2 + n * 0.3, answer=900)

    @w.fate
    def box(t: Transit) -> None:
        if t.direction == ("node1", "node2") and t.packet.src == a.address:
            t.received = t.packet.alter(src=alias.address)
        if t.direction == ("node2", "node1") and t.packet.dst == alias.address:
            t.received = t.packet.alter(dst=a.address)

    return w


def untranslated(w: World, node: Node, service: str, backend: Endpoint) -> None:
    """Turn requests to a service towards a backend, and never turn its answers back."""

    def out(packet: Packet) -> Packet | None:
        return packet.alter(dst=backend.address) if packet.dst == service else packet

    node.egress.append(out)


@pair(
    "reply-not-translated-dns",
    root="reply-not-translated",
    must=["reply-not-translated@2-node>1-pod"],
    mustnot=["no-common-traffic", "packet-loss", "path-blocked", "not-answered"],
    says=[r"10\.43\.0\.10:53", r"10\.42\.2\.8:53", r"10\.42\.1\.5"],
    source="projectcalico/calico 5171",
    story="Queries to the DNS service reach coredns; its answers reach the client with the pod's address.",
)
def reply_not_translated_dns() -> World:
    w, pods = cluster(38)
    traffic(w, pods, "10.43.0.80", "10.43.0.11", rounds=5)
    untranslated(w, w.nodes[0], "10.43.0.10", pods["dns"])
    nowhere = w.service("10.43.99.10", 53, pods["dns"], protocol=f.UDP)
    nowhere.address = "10.43.0.10"  # known to the talk, translated by nobody
    for n in range(4):
        dns_talk(pods["client"], nowhere, f"other-{n}.prod.svc.cluster.local", 0.3 + 0.2 * n, timeout=1.0)
    return w


@pair(
    "reply-not-translated-tcp-in-the-tunnel",
    root="reply-not-translated",
    must=["reply-not-translated@node2>node1"],
    mustnot=["no-common-traffic", "packet-loss", "path-blocked", "not-answered"],
    says=[r"192\.168\.250\.7:8443", r"10\.60\.2\.3:8443"],
    source="projectcalico/calico 5171",
    story="The server's node translates an address to its pod; the pod's answers bypass it and are reset.",
)
def reply_not_translated_tcp() -> World:
    w = World(39)
    n1, n2 = w.node("node1", "203.0.113.5"), w.node("node2", "203.0.113.9", offset=12)
    client, other, server = n1.pod("10.60.1.3"), n1.pod("10.60.1.4"), n2.pod("10.60.2.3")
    n2.pod("192.168.250.7", "vip")
    w.all_arp()
    for n in range(8):
        tcp_talk(other, server, 8443, 0.1 + n * 0.3, answer=2000)
    for n in range(5):
        tcp_talk(client, "192.168.250.7", 8443, 0.2 + n * 0.3)
    n2.ingress.append(lambda p: p.alter(dst=server.address) if p.dst == "192.168.250.7" else p)
    return w
