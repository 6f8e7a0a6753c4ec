"""Services that work or fail inside the node: IPVS, hairpin, load balancing at the socket, node ports."""

from collections.abc import Callable

from tests.reported import frames as f
from tests.reported.frames import Packet
from tests.reported.pairs.k03_translation import HEALTHY, cluster, traffic
from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_listen, tcp_talk, udp_talk
from tests.reported.world import Node, Transit, Tunnel, World

QUIET = [*HEALTHY, "reply-not-translated", "flow-blocked", "duplication", "answer-not-accepted"]


def dies_towards(node: Node, address: str) -> None:
    """Let everything to an address die inside a node, before anything translates it."""
    node.egress.append(lambda packet: None if packet.dst == address else packet)


@pair(
    "service-dies-before-the-card",
    root="flow-blocked",
    must=["flow-blocked@1-pod>2-node"],
    mustnot=["no-common-traffic", "not-encapsulated", "path-blocked", "reply-not-translated"],
    says=[r"10\.43\.0\.99", r"iptables-save -t nat"],
    kube="both",
    source="kubernetes/kubernetes 122174",
    story="The rules of one service are missing on the client's node: its packets die there, untranslated.",
)
def service_dies() -> World:
    w, pods = cluster(301)
    traffic(w, pods, "10.43.0.80", "10.43.0.10")
    gone = w.service("10.43.0.99", 8443, pods["web"], name="gone")
    dies_towards(w.nodes[0], gone.address)
    for n in range(4):
        tcp_talk(pods["client"], gone, 8443, 0.3 + 0.4 * n)
    return w


@pair(
    "silent-backend-on-the-own-node",
    root="endpoint-silent",
    must=["endpoint-silent"],
    mustnot=["no-common-traffic", "not-encapsulated", "path-blocked", "packet-loss", "flow-blocked"],
    says=[r"10\.43\.0\.99", r"10\.42\.1\.7", r"ping -c 3 10\.42\.1\.7"],
    kube=True,
    source="kubernetes/kubernetes 93337",
    story="A service's only pod runs on the client's own node and answers nothing: no fault of the tunnel.",
    want="The service, its pod and the node that both are on; commands for that node.",
)
def silent_backend_here() -> World:
    return backend_here(302, silent=True)


@pair(
    "backend-on-the-own-node-healthy",
    root=None,
    mustnot=[*QUIET, "endpoint-silent"],
    kube=True,
    source="kubernetes/kubernetes 93337",
    story="A service's only pod runs on the client's own node, and answers there.",
    want="Healthy.",
)
def answering_backend_here() -> World:
    return backend_here(304, silent=False)


def backend_here(seed: int, *, silent: bool) -> World:
    """Put a service's only pod on the client's node: the card shows nothing of it."""
    w, pods = cluster(seed)
    traffic(w, pods, "10.43.0.80", "10.43.0.10")
    pods["beside"].silent = False
    near = w.nodes[0].pod("10.42.1.7", "near-0")
    near.silent = silent
    service = w.service("10.43.0.99", 8443, near, name="near")
    for n in range(4):
        tcp_talk(pods["client"], service, 8443, 0.3 + 0.4 * n, listen=not silent)
    return w


@pair(
    "private-address-that-nobody-has",
    root=None,
    mustnot=["no-common-traffic", "not-encapsulated", "path-blocked", "packet-loss", "flow-blocked"],
    source="kubernetes/kubernetes 122174",
    story="A pod asks a silent address outside the cluster; the card was captured with a filter.",
    want="Not a healthy verdict, and no fault of the tunnel either.",
)
def outside_unanswered() -> World:
    w, pods = cluster(303, pods=True)
    for capture in w.captures:
        if capture.name != "1-pod":
            capture.frames.clear()  # the ARP that the filter left out
    traffic(w, pods, "10.43.0.80", "10.43.0.10")
    dies_towards(w.nodes[0], "192.168.200.9")
    tcp_talk(pods["client"], "192.168.200.9", 1521, 0.3)
    return w


def ipvs(seed: int, reuse_dies: bool) -> World:
    """IPVS masquerades and keeps ports; a port used again may find the old connection's entry."""
    w, pods = cluster(seed)
    service = w.service("10.43.0.80", 80, pods["web"], name="web", target=8080, masquerade=True)
    dns = w.service("10.43.0.10", 53, pods["dns"], name="dns", protocol=f.UDP, masquerade=True)
    w.nodes[0].pod("198.51.100.11", "ipvs-source")
    again = set()

    def entry(packet: Packet) -> Packet | None:
        opens = packet.proto == f.TCP and packet.tcp.flags & (f.SYN | f.ACK) == f.SYN
        if not reuse_dies or not opens or packet.dst != service.address or packet.sport != 40404:
            return packet
        first = packet.tcp.seq not in again and len(again) > 0
        again.add(packet.tcp.seq)
        return None if first else packet

    w.nodes[0].egress.append(entry)
    for n in range(7):
        tcp_talk(pods["client"], service, 80, 0.1 + 1.3 * n, answer=1500, sport=40404)
        tcp_talk(pods["client"], service, 80, 0.3 + 1.3 * n, answer=1500)
        dns_talk(pods["client"], dns, f"svc-{n}.prod.svc.cluster.local", 0.2 + 1.3 * n)
        tcp_talk(pods["client"], pods["web"], 9000, 0.4 + 1.3 * n, answer=800)
    ping(pods["client"], pods["web"], 0.3, count=8)
    return w


@pair(
    "ipvs-healthy",
    root=None,
    must=["service-translation@1-pod>2-node"],
    mustnot=QUIET,
    says=[r"10\.43\.0\.80:80 becomes 10\.42\.2\.7:8080"],
    kube="both",
    source="kubernetes/kubernetes 81775, after the repair (conn_reuse_mode=0)",
    story="kube-proxy uses IPVS and masquerades; ports are used again and taken.",
)
def ipvs_healthy() -> World:
    return ipvs(304, False)


@pair(
    "ipvs-reused-port-dies",
    root="packet-loss",
    must=["packet-loss@1-pod>2-node", "service-translation@1-pod>2-node"],
    mustnot=["no-common-traffic", "not-encapsulated", "path-blocked", "packet-loss@2-node>3-node"],
    source="kubernetes/kubernetes 81775 (conn_reuse_mode=1)",
    story="IPVS drops the first SYN of a connection that uses a port again: a second later it passes.",
)
def ipvs_reused() -> World:
    return ipvs(305, True)


def hairpin(seed: int, works: bool) -> World:
    """A pod reaches itself by its own service: its node translates both addresses and hands it back."""
    w, pods = cluster(seed)
    client = pods["client"]
    traffic(w, pods, "10.43.0.80", "10.43.0.10", rounds=6)
    own = w.service("10.43.0.70", 8080, client, name="own", masquerade=True)
    gateway = w.nodes[0].address()
    tcp_listen(client, 8080, answer=900)
    if not works:
        dies_towards(w.nodes[0], own.address)
    for n in range(5):
        tcp_talk(client, own, 8080, 0.15 + 0.3 * n, answer=900, listen=False)
    # What the pod answers goes to the gateway's address, which the node turns back.
    w.nodes[0].egress.append(
        lambda p: p if p.dst != gateway else _turned_back(w.nodes[0], p)  # type: ignore[arg-type, return-value]
    )
    return w


def _turned_back(node: Node, packet: Packet) -> Packet | None:
    node.world.after(0.00002, lambda: node.world._take(packet, node, None))
    return None


@pair(
    "hairpin-healthy",
    root=None,
    must=["service-translation@1-pod>2-node"],
    mustnot=QUIET,
    kube="both",
    source="kubernetes/kubernetes 20475, after the repair (hairpin mode)",
    story="A pod reaches itself by its own service; the rest goes through the tunnel.",
)
def hairpin_healthy() -> World:
    return hairpin(306, True)


@pair(
    "hairpin-off",
    root="flow-blocked",
    must=["flow-blocked@1-pod>2-node"],
    mustnot=["no-common-traffic", "not-encapsulated", "path-blocked", "packet-loss", "reply-not-translated"],
    says=[r"10\.43\.0\.70", r"hairpin"],
    source="kubernetes/kubernetes 20475",
    story="The bridge does not hand a frame back to the port that it came from: a pod cannot reach itself.",
)
def hairpin_off() -> World:
    return hairpin(307, False)


def at_the_socket(seed: int, taken: bool) -> World:
    """A load balancer translates in the socket: the pod's interface shows backends only."""
    w, pods = cluster(seed)
    for n in range(8):
        tcp_talk(pods["client"], pods["web"], 8080, 0.1 + 0.3 * n, answer=1500)
        dns_talk(pods["client"], pods["dns"], f"svc-{n}.prod.svc.cluster.local", 0.2 + 0.3 * n)
        udp_talk(pods["beside"], pods["web"], 6000, 0.15 + 0.3 * n, count=3)
    if not taken:
        sockets = pods["client"].sockets

        def deaf() -> None:
            for key in [k for k in sockets if k[0] == f.UDP]:
                sockets[key] = lambda _: None

        for n in range(8):
            w.at(0.2003 + 0.3 * n, deaf)
    return w


@pair(
    "socket-load-balancer-healthy",
    root=None,
    mustnot=[*QUIET, "service-translation"],
    kube="both",
    source="cilium/cilium 20793, after the repair",
    story="Cilium translates in the socket: neither the pod's interface nor the card shows a service.",
)
def socket_healthy() -> World:
    return at_the_socket(308, True)


@pair(
    "socket-load-balancer-replies-not-taken",
    root="answer-not-accepted",
    must=["answer-not-accepted@2-node>1-pod"],
    mustnot=["no-common-traffic", "not-encapsulated", "packet-loss", "path-blocked", "reply-not-translated"],
    source="cilium/cilium 20793",
    story="The socket's replies are not translated back in the socket: the resolver asks again and again.",
)
def socket_deaf() -> World:
    return at_the_socket(309, False)


Refuses = Callable[[Packet], bool]


def node_port(seed: int, refused: Refuses | None = None, client: str = "203.0.113.77") -> World:
    """A client outside reaches node1's port 30080, which masquerades and sends on to a pod of node2."""
    w = World(seed, tunnel=Tunnel(vni=1, port=8472))
    n1, n2 = w.node("node1", "10.81.0.11", offset=3), w.node("node2", "10.81.0.12", drift=4)
    a, b = n1.pod("10.42.1.5", "client-0"), n2.pod("10.42.2.7", "web-0")
    w.all_arp()
    n1.pod("10.42.1.0", "flannel-1")
    outside = n1.outside(client)
    back: dict[int, int] = {}

    def come(packet: Packet) -> Packet | None:
        if packet.src != client:
            return packet
        w.seen_by(n1, packet)
        new = 20000 + packet.sport * 7919 % 40000
        back[new] = packet.sport
        return packet.alter(src="10.42.1.0", sport=new, dst=b.address, dport=8080)

    def go(packet: Packet) -> Packet | None:
        if packet.dst != "10.42.1.0" or packet.dport not in back:
            return packet
        if refused and refused(packet):
            return None
        turned = packet.alter(src=n1.address(), sport=30080, dst=client, dport=back[packet.dport])
        w.seen_by(n1, turned, outgoing=True)
        return turned

    n1.egress.append(come)
    n1.ingress.append(go)
    tunnel = w.tunnel

    @w.fate
    def into_the_tunnel(t: Transit) -> None:
        if t.sender is outside:
            t.tunnel = tunnel
            t.outer_src, t.outer_dst = n1.address(), n2.address()
            t.sport, t.inner_macs, t.ident = 41000 + t.number % 50, (n2.vtep, n1.vtep), n1.next_ident()

    tcp_listen(b, 8080, answer=1800)
    for n in range(9):
        tcp_talk(outside, n1.address(), 30080, 0.1 + 0.3 * n, answer=1800)
        tcp_talk(a, b, 8080, 0.2 + 0.3 * n, answer=900)
    ping(a, b, 0.3, count=6)
    return w


@pair(
    "node-port-healthy",
    root=None,
    mustnot=QUIET,
    source="kubernetes/kubernetes 38802, after the repair",
    story="Clients outside reach a pod of node2 by a port of node1, which masquerades them into the tunnel.",
)
def node_port_healthy() -> World:
    return node_port(310)


@pair(
    "node-port-healthy-private-client",
    root=None,
    mustnot=QUIET,
    kube="both",
    source="kubernetes/kubernetes 38802, after the repair",
    story="The same; the client has a private address.",
)
def node_port_private() -> World:
    return node_port(311, client="172.22.9.77")


@pair(
    "node-port-answers-die-in-the-node",
    root="answer-not-accepted",
    must=["answer-not-accepted@node2>node1"],
    mustnot=["no-common-traffic", "not-encapsulated", "path-blocked", "packet-loss", "not-answered"],
    says=[r"10\.42\.1\.0"],
    source="cilium/cilium 9755",
    story="Answers to the clients of a node port come back to node1 and die there, after the tunnel.",
)
def node_port_answers_die() -> World:
    return node_port(312, lambda packet: True)
