"""K4: who gets a part of a packet's fragments says after a while that it cannot put it together."""

from tests.reported import frames as f
from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk
from tests.reported.world import Endpoint, Node, Transit, Tunnel, World

_MUSTNOT = ["packet-loss", "path-blocked", "mtu-blackhole", "flow-blocked", "ttl-exceeded", "not-answered"]


def world(
    seed: int, tunnel: Tunnel, nodes: tuple[str, str], pods: tuple[str, str]
) -> tuple[World, Endpoint, Endpoint]:
    w = World(seed, tunnel=tunnel, tunnel6=tunnel)
    n1, n2 = w.node("node1", nodes[0], offset=4), w.node("node2", nodes[1], offset=-6)
    a, b = n1.pod(pods[0]), n2.pod(pods[1])
    w.all_arp()
    for number in range(10):
        tcp_talk(a, b, 8080, 0.1 + number * 3.1, answer=900)
        tcp_talk(b, a, 9090, 0.4 + number * 3.1, answer=500)
    for number in range(6):
        dns_talk(a, b, f"n{number}.svc", 0.2 + number * 5.2)
    ping(a, b, 0.3, count=6, gap=5.0)
    return w, a, b


def send_large(
    client: Endpoint, server: Endpoint, port: int, *, times: int, every: float, mtu: int = 1400
) -> None:
    """Send datagrams of 2,500 bytes, each in two fragments."""
    for number in range(times):

        def one(number: int = number) -> None:
            body = f.Udp(5060, port, (b"INVITE %04d " % number) * 208)
            whole = f.Packet(client.address, server.address, body, ident=client.next_ident())
            for piece in f.fragments(whole, mtu, whole.ident):
                client.send(piece)

        client.node.world.at(0.5 + number * every, one)


def lose_second_inside(node: Node, to: Endpoint, waits: float) -> None:
    """Drop later fragments inside a node; the pod says so when it has waited."""

    def drop(packet: f.Packet) -> f.Packet | None:
        if packet.dst != to.address:
            return packet
        if packet.more_fragments and not packet.offset:
            kind, code = (3, 1) if packet.ip6 else (11, 1)
            error = f.icmp_error(to.address, packet.src, packet, kind, code, ident=to.next_ident())
            node.world.after(waits, lambda: to.send(error))
        return None if packet.offset else packet

    node.ingress.append(drop)


@pair(
    "second-inner-fragments-die-at-the-server",
    root="reassembly-timeout",
    must=["reassembly-timeout@ab"],
    mustnot=_MUSTNOT,
    says=[r"10\.204\.2\.7"],
    source="after cilium/cilium issue 13349",
    story="Long SIP requests come in two fragments; node2 delivers the first only, and the pod says so.",
)
def at_the_server() -> World:
    w, a, b = world(41, Tunnel(vni=7, port=4789), ("10.204.0.4", "10.204.0.5"), ("10.204.1.5", "10.204.2.7"))
    send_large(a, b, 5060, times=5, every=0.7)
    lose_second_inside(w.nodes[1], b, 30.0)
    return w


@pair(
    "second-inner-fragments-die-ipv6",
    root="reassembly-timeout",
    must=["reassembly-timeout@ba"],
    mustnot=_MUSTNOT,
    says=[r"fd00:204:1::5"],
    source="after cilium/cilium issues 9755 and 13349",
    story="The same over IPv6 towards a pod of node1, through Geneve: ICMPv6 time exceeded, code 1.",
)
def ipv6() -> World:
    tunnel = Tunnel("geneve", port=6081, vni=9)
    w, a, b = world(42, tunnel, ("172.25.4.1", "172.25.4.2"), ("fd00:204:1::5", "fd00:204:2::7"))
    send_large(b, a, 5060, times=4, every=0.6)
    lose_second_inside(w.nodes[0], a, 30.0)
    return w


@pair(
    "last-inner-fragments-never-leave",
    root="reassembly-timeout",
    must=["reassembly-timeout@ab"],
    mustnot=_MUSTNOT,
    says=["never left node1", "node1# nstat"],
    unsaid=["died inside node2"],
    source="after openvswitch/ovs-issues 368",
    story="Of three fragments the last one dies inside node1, before its card; the pod of node2 says so.",
)
def at_the_sender() -> World:
    w, a, b = world(44, Tunnel(vni=3), ("10.204.9.4", "10.204.9.5"), ("10.45.1.5", "10.45.2.7"))
    w.nodes[0].egress.append(lambda p: None if p.offset and not p.more_fragments else p)
    send_large(a, b, 5060, times=5, every=0.7, mtu=1000)
    lose_second_inside(w.nodes[1], b, 30.0)
    return w


@pair(
    "outer-fragments-lost-and-said",
    root=["fragments-lost", "reassembly-timeout"],
    must=["reassembly-timeout@ab", "fragments-lost@ab"],
    mustnot=_MUSTNOT,
    says=[r"10\.204\.8\.5"],
    source="after Azure: fragments between nodes; RFC 792",
    story="node1 cuts what it sends, later fragments are dropped on the way, and node2 says so.",
)
def outer() -> World:
    w, a, b = world(43, Tunnel(vni=1), ("10.204.8.4", "10.204.8.5"), ("10.44.1.5", "10.44.2.7"))
    for number in range(6):
        ping(a, b, 0.7 + number * 0.5, count=1, size=1380)

    @w.fate
    def cut(t: Transit) -> None:
        if t.tunnel is None or t.origin is not w.nodes[0]:
            return
        t.mtu = 1360
        if t.size > 1360:
            t.lost_pieces = {1}

    @w.observers.append
    def say(t: Transit) -> None:
        if not t.lost_pieces:
            return
        first = f.fragments(t.wire_packet(), 1360)[0]
        error = f.icmp_error(t.outer_dst, t.outer_src, first, 11, 1)
        w.after(30.0, lambda: [w.seen_by(node, error) for node in w.nodes])

    return w


@pair(
    "inner-fragments-arrive",
    root=None,
    mustnot=["reassembly-timeout", "fragments-lost", "endpoint-silent"],
    source="the twin of second-inner-fragments-die-at-the-server",
    story="Long datagrams of IPFIX, which needs no answer: both fragments of each are taken.",
)
def healthy() -> World:
    w, a, b = world(44, Tunnel(vni=7, port=4789), ("10.204.0.4", "10.204.0.5"), ("10.204.1.5", "10.204.2.7"))
    send_large(a, b, 4739, times=5, every=0.7)
    return w
