"""K23: addresses that two owners claim."""

from tests.reported import frames as f
from tests.reported.registry import pair
from tests.reported.talks import ping, tcp_talk
from tests.reported.world import Endpoint, Node, Transit, Tunnel, World


def announce(w: World, origin: Node, target: Node, mac: str, address: str, at: float) -> None:
    """Send a gratuitous ARP inside the tunnel from one node to another."""
    frame = f.arp_request(mac, address, address)
    body = f.Udp(45000, w.tunnel.port, f.vxlan(w.tunnel.vni, frame), "zero")
    outer = f.Packet(origin.address(), target.address(), body, ident=origin.next_ident())
    time = w.start + int(at * 1e9)
    w.record(origin, f.ethernet(target.mac, origin.mac, outer), time)
    w.record(target, f.ethernet(target.mac, origin.mac, outer), time + w.delay, outgoing=False)


def segment(seed: int, vni: int = 300, port: int = 4789) -> tuple[World, list[Node], list[Endpoint]]:
    w = World(seed, tunnel=Tunnel(vni=vni, port=port, layer2=True))
    nodes = [w.node("east", "10.31.0.1"), w.node("west", "10.31.0.2", offset=-7),
             w.node("south", "10.31.0.3", captured=False)]  # fmt: skip
    a, b, c = nodes[0].pod("10.200.0.5"), nodes[1].pod("10.200.0.6"), nodes[1].pod("10.200.0.7")
    w.all_arp()
    for n in range(12):
        tcp_talk(a, c, 80, 0.1 + n * 0.3, answer=1000)
    return w, nodes, [a, b, c]


@pair(
    "guest-address-twice",
    root="duplicate-address",
    must=["duplicate-address"],
    mustnot=["path-blocked", "packet-loss"],
    says=[r"10\.200\.0\.6", r"10\.31\.0\.2", r"10\.31\.0\.3", r"52:54:00:ab:00:02"],
    source="weaveworks/weave issue 3793; kubernetes issue 51322",
    story="Two guests, behind west and south, both claim 10.200.0.6.",
)
def guest_twice() -> World:
    w, nodes, (a, b, _) = segment(2301)
    ping(a, b, 0.2, count=12)
    for n in range(6):
        announce(w, nodes[1], nodes[0], b.mac, b.address, 0.3 + 0.5 * n)
        announce(w, nodes[2], nodes[0], "52:54:00:ab:00:02", b.address, 0.5 + 0.5 * n)
    return w


@pair(
    "node-address-twice",
    root="duplicate-address",
    must=["duplicate-address"],
    mustnot=["path-blocked", "packet-loss"],
    says=[r"10\.31\.0\.2", r"00:50:56:12:34:56"],
    source="ovs-cni issue 222",
    story="A forgotten machine in the nodes' network has the address of west.",
)
def node_twice() -> World:
    w, nodes, (a, b, _) = segment(2302, vni=5, port=8472)
    ping(a, b, 0.2, count=12)
    for n in range(4):
        w.arp(nodes[0], nodes[1], 0.4 + 0.8 * n)
        reply = f.arp_reply("00:50:56:12:34:56", "10.31.0.2", nodes[0].mac, "10.31.0.1")
        w.record(nodes[0], reply, w.start + int((0.4012 + 0.8 * n) * 1e9), outgoing=False)
    return w


@pair(
    "clone-takes-packets",
    root="duplicate-address",
    must=["duplicate-address@east>west"],
    mustnot=["capture-loss", "duplication"],
    says=[r"10\.31\.0\.2", r"02:42:ac:00:77:01"],
    lost="world",
    source="ovs-cni issue 222",
    story="A clone has west's address; while east's table holds its MAC, all that east sends is lost.",
)
def clone_takes_packets() -> World:
    w, nodes, (a, b, _) = segment(2305, vni=9)
    clone = "02:42:ac:00:77:01"
    ping(a, b, 0.2, count=50, gap=0.1)
    for n in range(5):
        w.arp(nodes[0], nodes[1], 0.45 + 0.9 * n)
        reply = f.arp_reply(clone, "10.31.0.2", nodes[0].mac, "10.31.0.1")
        w.record(nodes[0], reply, w.start + int((0.9 + 0.9 * n) * 1e9), outgoing=False)

    @w.fate
    def to_the_clone(t: Transit) -> None:
        if t.direction == ("east", "west") and w.elapsed > 0.9 and (w.elapsed - 0.9) % 0.9 < 0.45:
            t.outer_macs, t.lost = (clone, t.outer_macs[1]), True

    return w


@pair(
    "pod-address-twice-ipv6",
    root="duplicate-address",
    must=["duplicate-address"],
    mustnot=["path-blocked"],
    says=[r"fd00:31::6", r"02:aa:bb:cc:dd:01"],
    source="kubernetes issue 51322",
    story="Two pods advertise one IPv6 address inside the overlay.",
)
def ipv6_twice() -> World:
    w, nodes, _ = segment(2303, vni=77)
    for n in range(5):
        for node, mac, at in ((nodes[1], "02:aa:bb:cc:dd:01", 0.3), (nodes[2], "02:aa:bb:cc:dd:02", 0.45)):
            target = f.address("fd00:31::6")
            body = f.Icmp(136, 0, bytes.fromhex("20000000"), target + b"\x02\x01" + f.mac(mac))
            inner = f.ethernet("33:33:00:00:00:01", mac, f.Packet("fd00:31::6", "ff02::1", body, ttl=255))
            outer = f.Packet(
                node.address(), "10.31.0.1", f.Udp(4000, 4789, f.vxlan(77, inner), "zero"), ident=n
            )
            time = w.start + int((at + 0.5 * n) * 1e9)
            w.record(node, f.ethernet(nodes[0].mac, node.mac, outer), time)
            w.record(nodes[0], f.ethernet(nodes[0].mac, node.mac, outer), time + w.delay, outgoing=False)
    return w
