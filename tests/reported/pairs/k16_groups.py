"""K16: multicast groups, flooding, and appliances that both directions of a flow are sent to."""

from tests.reported import frames as f
from tests.reported.registry import pair
from tests.reported.talks import ping, tcp_talk
from tests.reported.world import Endpoint, Node, Transit, Tunnel, World

MILLI = 1_000_000


def flood(
    w: World,
    origin: Node,
    targets: list[Node],
    frame: bytes,
    at: float,
    group: str,
    sport: int,
    arrives: bool,
) -> None:
    """Let a node send a frame to the group of its endpoint; it arrives at all members, or at none."""
    tunnel = w.tunnel
    time = w.start + int(at * 1e9)
    body = f.Udp(sport, tunnel.port, f.vxlan(tunnel.vni, frame), "zero")
    outer = f.Packet(origin.address(6 if ":" in group else 4), group, body, ttl=5, ident=origin.next_ident())
    tail = f.address(group)
    mac = (
        "33:33:" + tail[-4:].hex(":")
        if ":" in group
        else "01:00:5e:" + bytes([tail[1] & 0x7F, *tail[2:]]).hex(":")
    )
    w.record(origin, f.ethernet(mac, origin.mac, outer), time)
    for target in targets:
        if arrives:
            delay = w.delay + w.random.randrange(w.jitter)
            w.record(target, f.ethernet(mac, origin.mac, outer), time + delay, outgoing=False)


def bridged(
    seed: int,
    group: str,
    *,
    lost_from: float | None = None,
    one_way: bool = False,
    vni: int = 700,
    port: int = 4789,
) -> World:
    """Guests of one segment behind two hosts; ARP goes to a group, all else to the host of the guest."""
    w = World(seed, tunnel=Tunnel(vni=vni, port=port, layer2=True, family=6 if ":" in group else 4))
    n1, n2 = w.node("hv1", "10.8.0.3", "2001:db8:8::3", offset=2), w.node("hv2", "10.8.0.4", "2001:db8:8::4")
    ours = [n1.pod(f"192.168.9.{n}") for n in (11, 12)]
    theirs = [n2.pod(f"192.168.9.{n}") for n in (21, 22)]
    for n in range(18):
        for here, there, a, b in ((n1, n2, ours, theirs), (n2, n1, theirs, ours)):
            at = 0.2 + 0.33 * n + (0.05 if here is n2 else 0)
            asker, asked = a[n % 2], b[(n + 1) % 2]
            arrives = lost_from is None or at < lost_from or (one_way and here is n2)
            frame = f.arp_request(asker.mac, asker.address, f"192.168.9.{30 + n}" if n % 3 else asked.address)
            flood(w, here, [there], frame, at, group, 40000 + 7 * n, arrives)
        tcp_talk(ours[n % 2], theirs[n % 2], 3306, 0.25 + 0.3 * n, answer=1200)
    ping(theirs[0], ours[0], 0.5, count=10)
    return w


HEALTHY = ["group-blocked", "path-blocked", "packet-loss", "no-common-traffic", "duplication", "not-answered",
           "wrong-tunnel-endpoint", "flooded-unicast", "duplicate-address"]  # fmt: skip


@pair(
    "group-carried-ipv6",
    root=None,
    mustnot=HEALTHY,
    source="apache/cloudstack pull request 5078, repaired",
    story="ARP by an IPv6 group that the network carries: all is well.",
)
def group_carried() -> World:
    return bridged(1601, "ff05::db8:7", vni=9)


@pair(
    "group-not-carried",
    root="group-blocked",
    must=["group-blocked@ab", "group-blocked@ba"],
    mustnot=["path-blocked", "no-common-traffic", "packet-loss"],
    says=[r"239\.7\.7\.1"],
    source="apache/cloudstack issue 7930",
    story="The network carries no multicast between the hosts: ARP to the group is lost, unicast passes.",
)
def group_not_carried() -> World:
    return bridged(1602, "239.7.7.1", lost_from=0)


@pair(
    "group-membership-expires",
    root="group-blocked",
    must=["group-blocked@ab"],
    mustnot=["path-blocked", "burst-outage"],
    says=[r"querier"],
    source="RFC 4541: snooping without a querier",
    story="A snooping switch forgets the members, since nobody asks for them.",
)
def membership_expires() -> World:
    return bridged(1603, "239.40.1.9", lost_from=2.0, vni=31337, port=8472)


@pair(
    "group-lost-one-way",
    root="group-blocked",
    must=["group-blocked@ab"],
    mustnot=["path-blocked", "group-blocked@ba"],
    source="apache/cloudstack issue 7930",
    story="Only hv2 is no member of the group at its switch.",
)
def one_way() -> World:
    return bridged(1604, "ff05::77", lost_from=0, one_way=True)


def appliance(seed: int) -> World:
    """Both directions of flows go to an appliance on a third node, which sends them on."""
    w = World(seed, tunnel=Tunnel(vni=42, port=4789, layer2=True))
    n1, n2 = w.node("left", "10.5.0.1"), w.node("right", "10.5.0.2", offset=3)
    between = w.node("lb", "10.5.0.9", captured=False)
    w.all_arp()
    a, b = n1.pod("10.77.0.4"), n2.pod("10.77.0.9")
    c, d = n1.pod("10.77.0.5"), n2.pod("10.77.0.8")

    @w.fate
    def chained(t: Transit) -> None:
        if t.tunnel is None or t.target is None or {t.packet.src, t.packet.dst} != {a.address, b.address}:
            return
        leg(w, between, t)

    for n in range(10):
        tcp_talk(a, b, 80, 0.1 + n * 0.2, answer=900)
        tcp_talk(c, d, 80, 0.17 + n * 0.2, answer=900)
    return w


def leg(w: World, between: Node, t: Transit) -> None:
    """Send a packet by way of a third node: it leaves for that one, and comes from it."""
    assert t.target is not None
    t.outer_dst = between.address()
    t.outer_macs = (between.mac, t.origin.mac)
    t.arrival = {"src": between.address(), "dst": t.target.address()}


@pair(
    "appliance-between",
    root=None,
    mustnot=HEALTHY,
    source="hybridnet issue 398; FRR issues 9574, 5113",
    story="A load balancer on a third node passes on both directions of some flows: all is well.",
)
def appliance_between() -> World:
    return appliance(1605)


def flooding(seed: int, answered: bool) -> World:
    """Frames to one guest go to every endpoint, since no entry for its MAC is learned."""
    w = World(seed, tunnel=Tunnel(vni=88, port=4789, layer2=True))
    nodes = [
        w.node("h1", "10.66.1.1"),
        w.node("h2", "10.66.1.2", offset=9),
        w.node("h3", "10.66.1.3", captured=False),
    ]
    a, b = nodes[0].pod("172.19.0.4"), nodes[1].pod("172.19.0.7")
    other: Endpoint = nodes[1].pod("172.19.0.8")

    @w.observers.append
    def copies(t: Transit) -> None:
        if t.origin is nodes[0] and t.packet.dst == b.address and t.tunnel is not None:
            outer = t.wire_packet().alter(dst="10.66.1.3", ident=nodes[0].next_ident())
            w.record(nodes[0], f.ethernet(nodes[2].mac, nodes[0].mac, outer), w.now + 14_000)

    b.silent = not answered
    for n in range(8):
        tcp_talk(a, other, 8080, 0.1 + n * 0.2, answer=800)
    ping(a, b, 0.15, count=30)
    return w


@pair(
    "flooded-to-all",
    root="flooded-unicast",
    must=["flooded-unicast"],
    mustnot=["packet-loss", "path-blocked", "flow-blocked", "wrong-tunnel-endpoint"],
    says=[r"172\.19\.0\.7", r"10\.66\.1\.3"],
    source="apache/cloudstack issue 7930; RFC 7348 section 4.1",
    story="No entry for the guest's MAC is ever learned: each frame to it goes to both other hosts.",
)
def flooded_to_all() -> World:
    return flooding(1606, True)
