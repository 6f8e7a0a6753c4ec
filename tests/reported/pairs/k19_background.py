"""K19: scanners, half-open health checks and traceroutes are background, beside a fault or beside none."""

from tests.reported import frames as f
from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk
from tests.reported.world import Endpoint, Transit, Tunnel, World


def world(
    seed: int, tunnel: Tunnel, nodes: tuple[str, str], *, six: bool = False
) -> tuple[World, list[Endpoint], list[Endpoint]]:
    """Ordinary talk between two pods of node1 and two of node2."""
    w = World(seed, tunnel=tunnel, tunnel6=tunnel)
    n1, n2 = w.node("node1", nodes[0], offset=5), w.node("node2", nodes[1], offset=-3)
    net = "fd00:19:{}::{}" if six else "10.119.{}.{}"
    ours = [n1.pod(net.format(1, n)) for n in (5, 6)]
    theirs = [n2.pod(net.format(2, n)) for n in (7, 8)]
    w.all_arp()
    for number in range(8):
        tcp_talk(ours[0], theirs[0], 8080, 0.1 + number * 0.4, answer=900)
        dns_talk(ours[0], theirs[1], f"n{number}.svc", 0.2 + number * 0.4)
    ping(theirs[0], ours[0], 0.3, count=6)
    return w, ours, theirs


def scan(client: Endpoint, server: Endpoint, at: float, ports: range) -> None:
    """Try one closed port after the other."""
    for number, port in enumerate(ports):
        tcp_talk(client, server, port, at + number * 0.05, listen=False)


def trace(client: Endpoint, server: Endpoint, at: float) -> None:
    """Send the probes of a traceroute over UDP that reach the target; each meets a closed port."""
    for number in range(9):

        def probe(number: int = number) -> None:
            body = f.Udp(45000 + number, 33450 + number, b"@" * 32)
            client.send(f.Packet(client.address, server.address, body, ident=client.next_ident()))

        client.node.world.at(at + number * 0.03, probe)


def check(client: Endpoint, server: Endpoint, port: int, at: float, times: int = 12) -> None:
    """Check a port without a connection: SYN, SYN ACK, reset."""
    w = client.node.world
    for number in range(times):
        sport, seq = 51000 + number, 7000 * number + 1

        def begin(sport: int = sport, seq: int = seq) -> None:
            body = f.Tcp(sport, port, seq, 0, f.SYN, 1024, f.tcp_options(1360))
            client.send(f.Packet(client.address, server.address, body, ident=client.next_ident()))

        def end(packet: f.Packet, sport: int = sport) -> None:
            body = f.Tcp(sport, port, packet.tcp.ack, 0, f.RST, 0)
            client.send(f.Packet(client.address, server.address, body, ident=client.next_ident()))

        client.sockets[f.TCP, sport, server.address, port] = end
        w.at(at + number * 0.3, begin)


def background(ours: list[Endpoint], theirs: list[Endpoint]) -> None:
    scan(ours[1], theirs[0], 0.5, range(9200, 9230))
    trace(ours[1], theirs[1], 1.0)
    check(theirs[1], ours[0], 22, 0.4)
    tcp_talk(theirs[0], ours[0], 22, 0.2, answer=300)


@pair(
    "background-and-a-closed-port",
    root="endpoint-refused",
    must=["endpoint-refused@ab"],
    mustnot=["packet-loss", "path-blocked", "endpoint-silent", "connection-reset", "answer-not-accepted"],
    says=[r"10\.119\.2\.8:5432"],
    source="flannel 1295",
    story="A database does not run: its port refuses, beside a scan, a traceroute and health checks.",
)
def closed_port() -> World:
    w, ours, theirs = world(191, Tunnel(vni=19), ("10.19.0.4", "10.19.0.5"))
    background(ours, theirs)
    for number in range(9):
        tcp_talk(ours[0], theirs[1], 5432, 0.3 + number * 0.35, listen=False)
    return w


@pair(
    "background-and-loss",
    root="packet-loss",
    must=["packet-loss@ab"],
    mustnot=["path-blocked", "endpoint-silent", "connection-reset", "answer-not-accepted", "flow-blocked"],
    source="after flannel 1295",
    story="A link loses one packet in twelve, beside a scan, a traceroute and health checks. Geneve.",
    lost="world",
)
def loss() -> World:
    w, ours, theirs = world(192, Tunnel("geneve", port=6081, vni=4), ("10.19.4.4", "10.19.4.5"))
    background(ours, theirs)
    for number in range(6):
        tcp_talk(ours[0], theirs[0], 9000, 0.2 + number * 0.5, request=9000, answer=400)

    @w.fate
    def lose(t: Transit) -> None:
        if t.direction == ("node1", "node2") and t.tunnel is not None and w.random.random() < 1 / 12:
            t.lost = True

    return w


@pair(
    "background-and-a-silent-pod",
    root="endpoint-silent",
    must=["endpoint-silent@ab"],
    mustnot=["packet-loss", "path-blocked", "not-answered", "connection-reset", "answer-not-accepted"],
    says=[r"fd00:19:2::8"],
    source="after flannel 1295",
    story="A policy drops what goes to one service of an IPv6 pod, beside a scan, traceroute and checks.",
)
def silent_pod() -> World:
    w, ours, theirs = world(193, Tunnel(vni=4096, port=4789), ("10.19.8.4", "10.19.8.5"), six=True)
    background(ours, theirs)
    for number in range(6):
        tcp_talk(ours[0], theirs[1], 5432, 0.3 + number * 0.35)

    @w.fate
    def drop(t: Transit) -> None:
        if t.direction == ("node1", "node2") and t.packet.dport == 5432:
            t.accepted = False

    return w


@pair(
    "background-healthy",
    root=None,
    mustnot=["endpoint-silent", "connection-reset", "answer-not-accepted", "packet-loss"],
    source="the twin of the others",
    story="A scan, a traceroute and health checks beside ordinary traffic.",
)
def healthy() -> World:
    w, ours, theirs = world(194, Tunnel(vni=19), ("10.19.0.4", "10.19.0.5"))
    background(ours, theirs)
    return w
