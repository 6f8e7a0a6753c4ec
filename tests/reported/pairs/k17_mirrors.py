"""K17: what a collector captured, in which the header of the mirror stands around every frame."""

from typing import TypeVar

from tests.reported import mirrors
from tests.reported.files import Interface
from tests.reported.mirrors import Merged, Mirrored
from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk
from tests.reported.world import Transit, Tunnel, World

ARTEFACTS = ["corrupted-in-transit", "nested-tunnel", "no-tunnel-traffic", "no-common-traffic", "duplication"]
_World = TypeVar("_World", bound=World)


def talk(
    w: _World,
    first: str = "10.61.4.11",
    second: str = "10.61.4.12",
    offset: float = 0,
    request: int = 300,
) -> _World:
    """Two nodes with two pods each, and traffic both ways."""
    n1, n2 = w.node("node1", first), w.node("node2", second, offset=offset)
    a, b = n1.pod("10.42.3.5", "web-0"), n1.pod("10.42.3.9", "client-0")
    c, d = n2.pod("10.42.8.4", "coredns-0"), n2.pod("10.42.8.8", "api-0")
    w.all_arp()
    for n in range(10):
        tcp_talk((a, b)[n % 2], d, 8080, 0.1 + n * 0.31, request=request, answer=900 + 5000 * (n % 3))
        dns_talk(b, c, f"svc-{n}.default.svc.cluster.local", 0.05 + n * 0.3)
        tcp_talk(d, a, 80, 0.2 + n * 0.33, answer=4500)
    ping(b, d, 0.3, count=4)
    return w


def firewall(w: World, sender: str = "node1", receiver: str = "node2") -> None:
    """Drop the tunnel one way."""

    @w.fate
    def drop(t: Transit) -> None:
        t.lost = t.lost or t.direction == (sender, receiver)


def small_path(w: World, mtu: int) -> None:
    """Drop what is larger, without a word to the sender."""

    @w.fate
    def drop(t: Transit) -> None:
        t.lost = t.lost or t.size > mtu


@pair(
    "erspan2-path-blocked",
    root="path-blocked",
    must=["path-blocked"],
    mustnot=ARTEFACTS,
    source="elastic/beats 34819",
    story="Both nodes' ports in two ERSPAN II sessions to one collector; a firewall drops one way.",
)
def erspan2_path_blocked() -> World:
    w = talk(Mirrored(171, tunnel=Tunnel(vni=77, port=4789)))
    firewall(w)
    return w


@pair(
    "erspan3-mtu",
    root="mtu-blackhole",
    must=["mtu-blackhole"],
    mustnot=[*ARTEFACTS, "path-blocked"],
    says=["1,4[0-9][0-9]"],
    source="brimdata/zui 1067",
    story="ERSPAN III sessions of both nodes in one file; the path carries 1,450 bytes.",
)
def erspan3_mtu() -> World:
    w = talk(Mirrored(172, tunnel=Tunnel(vni=9, port=8472)))
    w.wrap = mirrors.erspan3
    small_path(w, 1450)
    return w


@pair(
    "aws-mirror-path-blocked",
    root="path-blocked",
    must=["path-blocked"],
    mustnot=ARTEFACTS,
    source="Netis/cloud-probe 200",
    story="AWS mirrors of both nodes in one file: VXLAN round VXLAN; one direction is dropped.",
)
def aws_path_blocked() -> World:
    w = talk(Mirrored(173, tunnel=Tunnel(vni=4096, port=4789)), "172.31.8.11", "172.31.8.12")
    w.wrap = mirrors.aws
    firewall(w, "node2", "node1")
    return w


@pair(
    "tzsp-healthy",
    root=None,
    mustnot=[*ARTEFACTS, "packet-loss"],
    source="elastic/beats 1283",
    story="A router mirrors both nodes by TZSP, and all is well.",
)
def tzsp_healthy() -> World:
    w = talk(Mirrored(174))
    w.wrap = mirrors.tzsp
    return w


@pair(
    "gre-mirror-healthy",
    root=None,
    mustnot=[*ARTEFACTS, "packet-loss"],
    source="Netis/cloud-probe 200",
    story="An agent sends both nodes' frames in plain GRE with a key to one collector; all is well.",
)
def gre_healthy() -> World:
    w = talk(Mirrored(175, tunnel=Tunnel(vni=100, port=6081, kind="geneve")))
    w.wrap = mirrors.plain_gre
    return w


@pair(
    "erspan2-lost-copies",
    root="capture-loss",
    must=["capture-loss"],
    mustnot=[*ARTEFACTS, "path-blocked"],
    source="elastic/beats 34819",
    story="Two collectors, ERSPAN II. Copies of node2's session get lost: the sequence numbers show it.",
)
def lost_copies() -> World:
    w = talk(Mirrored(176), offset=4.2)
    w.one_file = False
    w.lost_copies = lambda node, number: node == 2 and number % 23 == 7
    return w


@pair(
    "aws-mirror-cut-healthy",
    root=None,
    mustnot=[*ARTEFACTS, "packet-loss", "inner-checksum-bad"],
    source="Netis/cloud-probe 200",
    story="An AWS mirror that cuts packets at 512 bytes, and all is well.",
)
def aws_cut() -> World:
    w = talk(Mirrored(177, tunnel=Tunnel(vni=4096, port=4789)), "172.31.8.11", "172.31.8.12")
    w.wrap, w.cut_bytes = mirrors.aws, 512
    return w


@pair(
    "erspan1-healthy",
    root=None,
    mustnot=[*ARTEFACTS, "packet-loss"],
    source="elastic/beats 34819",
    story="ERSPAN I of two switches in one file; all is well.",
)
def erspan1_healthy() -> World:
    w = talk(Mirrored(178, tunnel=Tunnel(vni=5, port=4789)))
    w.wrap = mirrors.erspan1
    return w


@pair(
    "merged-pcapng-path-blocked",
    root="path-blocked",
    must=["path-blocked"],
    mustnot=ARTEFACTS,
    source="inspektor-gadget PR 1097",
    story="One pcapng holds the interfaces of both nodes; one direction is dropped.",
)
def merged_path_blocked() -> World:
    w = talk(Merged(181, tunnel=Tunnel(vni=77, port=4789)), offset=-3.4)
    firewall(w, "node2", "node1")
    return w


@pair(
    "merged-pcapng-mtu",
    root="mtu-blackhole",
    must=["mtu-blackhole"],
    mustnot=[*ARTEFACTS, "path-blocked"],
    source="inspektor-gadget 4567",
    story="mergecap put both nodes' captures in one file, both called eth0; the path carries 1,400.",
)
def merged_mtu() -> World:
    w = talk(Merged(182, tunnel=Tunnel(vni=12, port=8472)))
    w.interfaces = (Interface("eth0"), Interface("eth0"))
    small_path(w, 1400)
    return w


@pair(
    "merged-pcapng-healthy",
    root=None,
    mustnot=[*ARTEFACTS, "packet-loss"],
    source="inspektor-gadget PR 1097",
    story="One pcapng with both nodes' interfaces, clocks 4 ms apart; all is well.",
)
def merged_healthy() -> World:
    return talk(Merged(183), offset=4.1)


@pair(
    "mirror-in-fragments",
    root=None,
    mustnot=[*ARTEFACTS, "capture-loss", "packet-loss", "outer-fragmentation"],
    source="netis/cloud-probe 200",
    story="Copies of full-sized frames do not fit the path to the collector: they come in fragments.",
)
def mirror_in_fragments() -> World:
    w = talk(Mirrored(187, tunnel=Tunnel(vni=77, port=4789)))
    w.mtu = 1500
    return w


@pair(
    "mirror-in-fragments-path-blocked",
    root="path-blocked",
    must=["path-blocked"],
    mustnot=[*ARTEFACTS, "capture-loss"],
    source="netis/cloud-probe 200",
    story="The same in GRE; a firewall drops one direction.",
)
def mirror_in_fragments_blocked() -> World:
    w = talk(Mirrored(188, tunnel=Tunnel(vni=77, port=4789)))
    w.wrap, w.mtu = mirrors.plain_gre, 1500
    firewall(w)
    return w
