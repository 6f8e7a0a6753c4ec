"""K25: direct server return: clients outside of the cluster as inner sources, answered natively."""

from functools import partial

from tests.reported import frames as f
from tests.reported.registry import pair
from tests.reported.talks import dns_talk, tcp_talk
from tests.reported.world import Node, Transit, Tunnel, World

SYN, ACK, PSH, FIN = 2, 16, 8, 1
TALK = (  # flags, data, whether the client sends it
    (SYN, b"", True),
    (SYN | ACK, b"", False),
    (ACK, b"", True),
    (PSH | ACK, b"GET /", True),
    (PSH | ACK, b"200 OK", False),
    (FIN | ACK, b"", True),
    (FIN | ACK, b"", False),
    (ACK, b"", True),
)


def world(seed: int, tunnel: Tunnel, nodes: tuple[str, str], net: str) -> tuple[World, Node, Node]:
    w = World(seed, tunnel=tunnel)
    n1, n2 = w.node("node1", nodes[0], offset=4), w.node("node2", nodes[1], offset=-3)
    a, b, dns = n1.pod(f"{net}.1.4", "front-0"), n2.pod(f"{net}.2.8", "back-0"), n2.pod(f"{net}.2.9", "dns-0")
    w.all_arp()
    for number in range(8):
        tcp_talk(a, b, 7070, 0.1 + number * 0.3, answer=1200)
        dns_talk(a, dns, f"n{number}.svc", 0.2 + number * 0.3)
    return w, n1, n2


def dsr(w: World, n1: Node, n2: Node, client: str, frontend: str, backend: str) -> None:
    """A client's connections: asked at node1, forwarded in the tunnel, answered by node2 directly."""
    router = "00:1c:73:aa:bb:cc"

    def asks(segment: f.Tcp, ident: int) -> None:
        packet = f.Packet(client, frontend, segment, ident=ident, ttl=57)
        w.record(n1, f.ethernet(n1.mac, router, packet), w.now, outgoing=False)
        w.carry(packet.alter(dst=backend, ttl=56), None, n1, w.endpoints[backend])

    def answers(segment: f.Tcp, ident: int) -> None:
        packet = f.Packet(frontend, client, segment, ident=ident, ttl=63)
        w.record(n2, f.ethernet(router, n2.mac, packet), w.now, outgoing=True)

    for number in range(10):
        seq, ack, sport = 1000, 9000, 41000 + 7 * number
        for step, (flags, data, there) in enumerate(TALK):
            ports = (sport, 80, seq, ack if flags & ACK else 0) if there else (80, sport, ack, seq)
            send = partial(
                asks if there else answers, f.Tcp(*ports, flags, payload=data), 700 * number + step
            )
            w.at(0.15 + number * 0.25 + 0.002 * step, send)
            size = len(data) + bool(flags & (SYN | FIN))
            seq, ack = (seq + size, ack) if there else (seq, ack + size)
    w.endpoints[backend].silent = True


@pair(
    "dsr-outside-clients",
    root=None,
    mustnot=["not-encapsulated", "packet-loss", "wrong-tunnel-endpoint", "duplicate-tunnel-mac"],
    kube="both",
    source="cilium/cilium pull request 23890",
    story="Cilium in DSR mode over Geneve: node2 answers the client of node1's service natively, on purpose.",
)
def outside() -> World:
    w, n1, n2 = world(31, Tunnel(kind="geneve", vni=2, port=6081), ("10.20.0.4", "10.20.0.5"), "10.130")
    n2.pod("10.130.2.30", "shop-0")
    dsr(w, n1, n2, "10.99.4.17", "10.20.0.200", "10.130.2.30")
    return w


@pair(
    "dsr-of-a-public-client",
    root=None,
    mustnot=["not-encapsulated", "packet-loss", "wrong-tunnel-endpoint"],
    source="cilium/cilium pull request 23890",
    story="The same with VXLAN and a public client.",
)
def public() -> World:
    w, n1, n2 = world(32, Tunnel(vni=1, port=8472), ("172.19.6.2", "172.19.6.3"), "10.42")
    n2.pod("10.42.2.30", "shop-0")
    dsr(w, n1, n2, "198.51.100.23", "203.0.113.80", "10.42.2.30")
    return w


@pair(
    "dsr-and-loss",
    root="packet-loss",
    must=["packet-loss@ab"],
    mustnot=["not-encapsulated", "path-blocked"],
    source="after cilium/cilium pull request 23890",
    story="Direct server return beside real loss from node1 to node2.",
)
def lossy() -> World:
    w, n1, n2 = world(33, Tunnel(vni=7, port=4789), ("172.19.7.2", "172.19.7.3"), "10.43")
    n2.pod("10.43.2.30", "shop-0")
    dsr(w, n1, n2, "10.99.8.1", "10.43.200.1", "10.43.2.30")

    @w.fate
    def bad(t: Transit) -> None:
        t.lost = t.origin is n1 and t.tunnel is not None and w.random.random() < 0.15

    return w


def refused_upstream(w: World, nodes: tuple[Node, Node], client: str, asked: str, answers: str) -> None:
    """SYNs of a client that node1 forwards to a pod of node2, and answers that the client never takes."""
    router, backend = "00:1c:73:aa:bb:cc", w.endpoints[answers.split()[0]]
    (n1, n2), source = nodes, answers.split()[1]
    backend.silent = True

    def asks(sport: int, number: int) -> None:
        segment = f.Tcp(sport, 31080, 5000 + sport, 0, SYN)
        packet = f.Packet(client, asked, segment, ident=number, ttl=57)
        w.record(n1, f.ethernet(n1.mac, router, packet), w.now, outgoing=False)
        inside = f.Packet(
            client, backend.address, f.Tcp(sport, 8080, 5000 + sport, 0, SYN), ident=number, ttl=56
        )
        w.carry(inside, None, n1, backend)

    def replies(sport: int, number: int) -> None:
        port = 31080 if source == asked else 8080
        segment = f.Tcp(port, sport, 7000 + sport, 5001 + sport, SYN | ACK)
        packet = f.Packet(source, client, segment, ident=900 + number, ttl=63)
        w.record(n2, f.ethernet(router, n2.mac, packet), w.now, outgoing=True)

    for number in range(6):
        for turn, after in enumerate((0.0, 1.0, 3.0)):
            when = 0.2 + 0.3 * number + after
            w.at(when, partial(asks, 42000 + 11 * number, 10 * number + turn))
            w.at(when + 0.001, partial(replies, 42000 + 11 * number, 10 * number + turn))


NOT_TAKEN = ["packet-loss", "path-blocked", "endpoint-silent", "not-encapsulated", "source-unanswered"]


@pair(
    "dsr-answers-dropped-outside",
    root="answer-not-accepted",
    must=["answer-not-accepted"],
    mustnot=NOT_TAKEN,
    says=[r"203\.0\.113\.55", r"192\.0\.2\.71:31080"],
    lost="world",
    source="cloudnativelabs/kube-router issue 549",
    story="node2 answers clients directly from the address they asked; a firewall outside drops them.",
)
def dropped_outside() -> World:
    w, n1, n2 = world(253, Tunnel(vni=5, port=8472), ("192.0.2.71", "192.0.2.72"), "10.88")
    n2.pod("10.88.2.30", "shop-0")
    refused_upstream(w, (n1, n2), "203.0.113.55", "192.0.2.71", "10.88.2.30 192.0.2.71")
    return w


@pair(
    "node-port-without-masquerade",
    root="answer-not-accepted",
    must=["answer-not-accepted"],
    mustnot=NOT_TAKEN,
    says=[r"198\.51\.100\.9", r"10\.89\.2\.30:8080", r"172\.20\.5\.1:31080", "MASQ"],
    lost="world",
    source="flannel-io/flannel issue 1394; cilium/cilium issue 12624",
    story="node1 forwards a node port without masquerade; the pod answers from its own address.",
)
def node_port_without_masquerade() -> World:
    tunnel = Tunnel("geneve", port=6081, vni=3)
    w, n1, n2 = world(254, tunnel, ("172.20.5.1", "172.20.5.2"), "10.89")
    n2.pod("10.89.2.30", "shop-0")
    refused_upstream(w, (n1, n2), "198.51.100.9", "172.20.5.1", "10.89.2.30 10.89.2.30")
    return w
