"""One value of a header field decides what is lost (K24)."""

from dataclasses import replace

from tests.reported.registry import pair
from tests.reported.talks import ping, tcp_talk, udp_talk
from tests.reported.world import Endpoint, Transit, Tunnel, World


def busy(seed: int, kind: str = "vxlan", v6: bool = False) -> tuple[World, Endpoint, Endpoint]:
    """Two nodes, and clients of one service."""
    w = World(seed, tunnel=Tunnel(kind=kind, vni=42, port=4789 if kind == "vxlan" else 6081))
    n1, n2 = w.node("node1", "192.0.2.61", offset=7), w.node("node2", "192.0.2.62")
    ours, theirs = ("fd00:61::5", "fd00:62::9") if v6 else ("10.61.0.5", "10.62.0.9")
    a, b = n1.pod(ours), n2.pod(theirs)
    for n in range(24):
        tcp_talk(a, b, 8443, 0.1 + n * 0.21, answer=1500)
        udp_talk(a, b, 5140, 0.15 + n * 0.2, count=6)
    ping(a, b, 0.3, count=6)
    return w, a, b


@pair(
    "k24-outer-ce-dropped",
    root="header-blocked",
    must=["header-blocked@ab"],
    mustnot=["packet-loss@ab", "ecmp-member-blocked", "flow-blocked"],
    says=[r"outer ECN CE"],
    source="systemd issue 9748",
    story="A firewall drops outer packets that are marked CE; every fifth datagram is.",
)
def outer_ce() -> World:
    w, _, _ = busy(241)

    @w.fate
    def firewall(t: Transit) -> None:
        if t.direction == ("node1", "node2") and t.ident % 5 == 0:
            t.outer["tos"] = 3
            t.lost = True

    return w


@pair(
    "k24-outer-dscp-dropped",
    root="header-blocked",
    must=["header-blocked@ba"],
    mustnot=["packet-loss@ba", "ecmp-member-blocked"],
    says=[r"DSCP 46"],
    source="cilium issue 22955 (fields that a device filters)",
    story="A policer on the way back drops what is marked EF.",
)
def outer_dscp() -> World:
    w, _, _ = busy(242, v6=True)

    @w.fate
    def policer(t: Transit) -> None:
        if t.direction == ("node2", "node1") and t.ident % 4 == 1:
            t.outer["tos"] = 46 << 2
            t.lost = True

    return w


@pair(
    "k24-inner-dscp-dropped",
    root="header-blocked",
    must=["header-blocked@ab"],
    mustnot=["packet-loss@ab"],
    says=[r"inner DSCP 10"],
    source="cilium PR 23890 (a field inside that a datapath filters)",
    story="A device that reads the inner packet drops what pods mark AF11.",
)
def inner_dscp() -> World:
    w, _, _ = busy(243, "geneve")

    @w.fate
    def device(t: Transit) -> None:
        if t.direction == ("node1", "node2") and t.ident % 6 == 2:
            t.packet = replace(t.packet, tos=10 << 2)
            t.lost = True

    return w


@pair(
    "k24-healthy-marked",
    root=None,
    mustnot=["header-blocked", "packet-loss"],
    source="none",
    story="Packets are marked with DSCP and ECN, and all arrive.",
)
def healthy_marked() -> World:
    w, _, _ = busy(244)

    @w.fate
    def marks(t: Transit) -> None:
        if t.ident % 5 == 0:
            t.outer["tos"] = 46 << 2 | 3

    return w


@pair(
    "k24-marked-services-dropped",
    root="header-blocked",
    must=["header-blocked@ab"],
    mustnot=["flow-blocked", "packet-loss", "rate-limited", "ecmp-member-blocked"],
    says=[r"DSCP 34\b", r"UDP port 5004\b"],
    source="carriers' QoS policers; cilium/cilium issue 22955",
    story="Two video streams are marked AF41, the tunnel copies it, and the carrier drops the class.",
)
def marked_services_dropped() -> World:
    w, a, b = busy(246)
    udp_talk(a, b, 5004, 0.2, count=60, size=900, answer=None, ip={"tos": 34 << 2})
    udp_talk(a, b, 5006, 0.23, count=60, size=900, answer=None, ip={"tos": 34 << 2})
    udp_talk(a, b, 5008, 0.21, count=60, size=900, answer=None)

    @w.fate
    def drop(t: Transit) -> None:
        t.lost = t.lost or t.packet.tos == 34 << 2

    return w
