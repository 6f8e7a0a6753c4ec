"""K21: runs of consecutive segments leave with one and the same error in their outer checksum."""

from dataclasses import replace

from tests.reported import frames as f
from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk
from tests.reported.world import Node, Transit, Tunnel, World

_MUSTNOT = [
    "packet-loss",
    "path-blocked",
    "mtu-blackhole",
    "flow-blocked",
    "inner-checksum-bad",
    "not-answered",
]


def world(seed: int, tunnel: Tunnel, nodes: tuple[str, str], pods: tuple[str, str]) -> World:
    """Uploads from node1, and small talk both ways; every packet has an outer checksum."""
    w = World(seed, tunnel=tunnel)
    n1, n2 = w.node("node1", nodes[0], offset=2), w.node("node2", nodes[1], offset=-7)
    a, b = n1.pod(pods[0]), n2.pod(pods[1])
    w.all_arp()
    for number in range(7):  # each upload is one large packet to the kernel, and twelve to eighteen segments
        tcp_talk(a, b, 9000, 0.2 + number * 0.6, request=16_000 + 1200 * number, answer=300, cwnd=20)
    for number in range(8):
        tcp_talk(b, a, 8080, 0.1 + number * 0.4, request=200, answer=400)
        dns_talk(a, b, f"n{number}.svc", 0.3 + number * 0.4)
    ping(b, a, 0.3, count=6)
    return w


def segment_twice(w: World, sender: Node) -> None:
    """Give all new segments that leave at one moment the same error; what is sent again alone is right."""
    newest: dict[tuple[str, int], int] = {}

    @w.fate
    def spoil(t: Transit) -> None:
        p = t.packet
        if t.tunnel is None or t.origin is not sender or p.proto != f.TCP or len(p.payload) < 1000:
            return
        flow, end = (p.dst, p.sport), p.tcp.seq + len(p.payload)
        if end <= newest.get(flow, 0):
            return
        newest[flow] = end
        error = (p.sport * 7919 + t.at // 1000 * 104729) % 0xFFFE + 1
        whole = t.wire_packet()
        right = int.from_bytes(whole.transport()[6:8])
        wrong = (right + error) % 0xFFFF or 0xFFFF
        t.outer["body"] = replace(whole.body, checksum=wrong)  # type: ignore[type-var]
        t.accepted = False


@pair(
    "segments-of-vxlan-segmented-twice",
    root="outer-checksum-bad",
    must=["outer-checksum-bad@ab"],
    mustnot=[*_MUSTNOT, "outer-checksum-bad@ba"],
    says=[r"ethtool -K \S+ .*\b(tso|gso|tcp-segmentation-offload|tx-tcp\S*) off"],
    source="pjknkda/vxlan-gso-csum-bug docs/REPORT.md",
    story="node1 segments TCP twice in software: runs of segments carry one and the same error.",
)
def vxlan() -> World:
    w = world(
        211, Tunnel(port=4789, vni=300, checksum=None), ("10.77.0.4", "10.77.0.9"), ("10.12.1.5", "10.12.2.7")
    )
    segment_twice(w, w.nodes[0])
    return w


@pair(
    "segments-of-vxlan-over-ipv6-segmented-twice",
    root="outer-checksum-bad",
    must=["outer-checksum-bad@ab"],
    mustnot=[*_MUSTNOT, "outer-checksum-bad@ba"],
    says=[r"\b(tso|gso|tcp-segmentation-offload)\b"],
    source="after pjknkda/vxlan-gso-csum-bug",
    story="The same over IPv6, where the outer checksum must not be left out.",
)
def vxlan_over_ipv6() -> World:
    tunnel = Tunnel(port=8472, vni=1, family=6, checksum=None)
    w = world(212, tunnel, ("2001:db8:21::4", "2001:db8:21::9"), ("10.13.1.5", "10.13.2.7"))
    segment_twice(w, w.nodes[0])
    return w


@pair(
    "segments-of-geneve-segmented-twice",
    root="outer-checksum-bad",
    must=["outer-checksum-bad@ab"],
    mustnot=[*_MUSTNOT, "outer-checksum-bad@ba"],
    says=[r"\b(tso|gso|tcp-segmentation-offload)\b"],
    unsaid=[r"type vxlan"],
    source="after pjknkda/vxlan-gso-csum-bug",
    story="The same with Geneve.",
)
def geneve() -> World:
    tunnel = Tunnel("geneve", port=6081, vni=5, checksum=None)
    w = world(213, tunnel, ("172.31.8.4", "172.31.8.9"), ("10.14.1.5", "10.14.2.7"))
    segment_twice(w, w.nodes[0])
    return w


@pair(
    "healthy-outer-checksums",
    root=None,
    mustnot=["outer-checksum-bad"],
    source="the twin of segments-of-vxlan-segmented-twice",
    story="The same traffic with right outer checksums.",
)
def healthy() -> World:
    tunnel = Tunnel(port=4789, vni=300, checksum=None)
    return world(214, tunnel, ("10.77.0.4", "10.77.0.9"), ("10.12.1.5", "10.12.2.7"))
