"""K13: what is cut into fragments does not arrive; whole packets as large as each fragment do."""

from collections.abc import Callable
from typing import Any

from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk, udp_talk
from tests.reported.world import Node, Transit, Tunnel, World

_MUSTNOT = ["not-answered", "packet-loss", "path-blocked", "mtu-blackhole", "flow-blocked", "rate-limited"]


def filtered_by_port(w: World) -> None:
    """Leave out of both captures what a filter on UDP ports does not match: later fragments, and ARP."""
    every: Callable[..., None] = w.record

    def only(node: Node, frame: bytes, *rest: Any, **more: Any) -> None:
        if frame[12:14] == b"\x08\x00" and not int.from_bytes(frame[20:22], "big") & 0x1FFF:
            every(node, frame, *rest, **more)

    w.record = only  # type: ignore[method-assign]


def world(
    seed: int, tunnel: Tunnel, nodes: tuple[str, str], *, large: int, mtu: int = 1500, filtered: bool = False
) -> World:
    """Small talk, and uploads in segments of `large` bytes; node1 cuts what exceeds its link."""
    w = World(seed, tunnel=tunnel)
    if filtered:
        filtered_by_port(w)
    n1, n2 = w.node("node1", nodes[0], offset=3), w.node("node2", nodes[1], offset=-2)
    a, b = n1.pod("10.113.1.5"), n2.pod("10.113.2.7")
    w.all_arp()
    for number in range(10):
        tcp_talk(a, b, 8080, 0.1 + number * 0.4, request=9000, answer=600, mss=large)
        tcp_talk(b, a, 9090, 0.2 + number * 0.4, request=9000, answer=600)
        dns_talk(b, a, f"n{number}.svc", 0.25 + number * 0.4)
    fits = mtu - tunnel.overhead - 28
    udp_talk(a, b, 6000, 0.3, count=40, size=fits, gap=0.08)  # as large as the link carries
    ping(a, b, 0.3, count=6)

    @w.fate
    def cut(t: Transit) -> None:
        if t.tunnel is not None and t.origin is n1:
            t.mtu = mtu

    return w


def drop_pieces(w: World, *, first: bool) -> None:
    """Drop the later fragments, or the first ones too."""

    @w.fate
    def drop(t: Transit) -> None:
        if t.tunnel is not None and t.origin is w.nodes[0] and t.size > 1500:
            t.lost_pieces = {0, 1} if first else {1}


@pair(
    "later-fragments-of-vxlan",
    root="fragments-lost",
    must=["fragments-lost@ab"],
    mustnot=[*_MUSTNOT, "fragments-lost@ba"],
    says=[r"1,?450\b"],
    source="cilium/cilium issues 46100 and 32427",
    story="Pods have an MTU of 1500, and a filter that matches UDP ports drops later fragments.",
)
def later_fragments_of_vxlan() -> World:
    w = world(131, Tunnel(vni=13), ("10.9.13.1", "10.9.13.2"), large=1460)
    drop_pieces(w, first=False)
    return w


@pair(
    "all-fragments-of-geneve-over-ipv6",
    root="fragments-lost",
    must=["fragments-lost@ab"],
    mustnot=[*_MUSTNOT, "fragments-lost@ba"],
    says=[r"1,?430\b", r"ip6tables -I INPUT -s 2001:db8:13::a -m ipv6header --header frag"],
    source="after cilium/cilium issue 23917; RFC 7872 (networks that drop IPv6 fragments)",
    story="The fabric drops every IPv6 fragment, whatever its size.",
)
def all_fragments_of_geneve_over_ipv6() -> World:
    tunnel = Tunnel("geneve", port=6081, vni=13, family=6)
    w = world(132, tunnel, ("2001:db8:13::a", "2001:db8:13::b"), large=1400)
    drop_pieces(w, first=True)
    return w


@pair(
    "all-fragments-of-wireguard",
    root="fragments-lost",
    must=["fragments-lost@ab"],
    mustnot=[*_MUSTNOT, "fragments-lost@ba"],
    says=[r"1,?440\b"],
    unsaid=["adds 0 bytes", "80 bytes"],
    source="cilium/cilium issues 47176 and 37919",
    story="WireGuard over IPv4 takes 60 bytes, the pods' MTU is 1,460, and fragments are dropped.",
)
def all_fragments_of_wireguard() -> World:
    w = world(133, Tunnel("wireguard", port=51871, vni=9), ("172.29.0.4", "172.29.0.5"), large=1420)
    drop_pieces(w, first=True)
    return w


@pair(
    "later-fragments-behind-a-filter",
    root="outer-fragmentation",
    must=["outer-fragmentation@ab"],
    mustnot=[*_MUSTNOT, "endpoint-silent"],
    says=["filtered by port", "0x1fff"],
    source="pcap-filter(7): a port matches first fragments only",
    story="Later fragments die, and the captures hold first fragments only: nothing shows which.",
)
def later_fragments_behind_a_filter() -> World:
    w = world(136, Tunnel("geneve", port=6081, vni=13), ("10.9.13.3", "10.9.13.4"), large=1460, filtered=True)
    drop_pieces(w, first=False)
    return w


@pair(
    "healthy-fragments-arrive",
    root="outer-fragmentation",
    must=["outer-fragmentation@ab"],
    mustnot=[*_MUSTNOT, "fragments-lost"],
    source="the twin of later-fragments-of-vxlan",
    story="The same fragments, and all of them arrive.",
)
def healthy_fragments_arrive() -> World:
    return world(134, Tunnel(vni=13), ("10.9.13.1", "10.9.13.2"), large=1460)


@pair(
    "small-link-on-the-way",
    root="mtu-blackhole",
    must=["mtu-blackhole@ab"],
    mustnot=["packet-loss", "path-blocked", "fragments-lost"],
    source="the lookalike: a link of 1,400 bytes on the way stops whole packets too",
    story="node1 cuts at 1,500 bytes, and a tunnel on the way carries 1,400: the size stops first fragments.",
)
def small_link_on_the_way() -> World:
    w = world(135, Tunnel(vni=13), ("10.9.13.1", "10.9.13.2"), large=1460)

    @w.fate
    def drop(t: Transit) -> None:
        if t.tunnel is not None and t.origin is w.nodes[0] and t.size > 1400:
            t.lost_pieces = {0}
            t.lost = t.size <= 1500

    return w


@pair(
    "later-fragments-of-datagrams",
    root="fragments-lost",
    must=["fragments-lost@ab"],
    mustnot=[*_MUSTNOT, "ecmp-member-blocked", "capture-loss", "checksum-offload"],
    source="the same of UDP: a first fragment shows less payload than was sent, which is no segmentation",
    story="Datagrams of 1,400 bytes are cut at 1,400, and a filter drops later fragments.",
)
def later_fragments_of_datagrams() -> World:
    w = world(136, Tunnel(vni=5, port=4789), ("10.9.15.1", "10.9.15.2"), large=1200, mtu=1400)
    a, b = (next(e for e in w.endpoints.values() if e.node is node) for node in w.nodes)
    udp_talk(a, b, 6001, 0.35, count=14, size=1400, gap=0.2, answer=None)

    @w.fate
    def drop(t: Transit) -> None:
        if t.tunnel is not None and t.origin is w.nodes[0] and t.size > 1400:
            t.lost_pieces = {1}

    return w
