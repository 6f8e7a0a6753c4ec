"""K8: the nodes use different VNIs, and one of them answers what the other discards."""

from tests.reported.registry import pair
from tests.reported.talks import ping, tcp_talk, udp_talk
from tests.reported.world import Transit, Tunnel, World

NOT_THE_PATH = ["path-blocked", "packet-loss", "no-common-traffic", "stale-tunnel-mac", "endpoint-refused"]


def two_vnis(
    seed: int, first: int, second: int, takes: dict[str, set[int]], *, port: int = 4789, family: int = 4
) -> World:
    """Two nodes that send with VNIs of their own, and what VNIs each of them takes in."""
    w = World(seed, tunnel=Tunnel(vni=first, port=port, family=family))
    n1, n2 = w.node("cp1", "10.14.0.1", "fd99::1", offset=4), w.node("cp2", "10.14.0.2", "fd99::2")
    w.all_arp()
    a, b = n1.pod("172.20.1.4"), n2.pod("172.20.9.6")
    sends = {"cp1": first, "cp2": second}

    @w.fate
    def own_vni(t: Transit) -> None:
        if t.tunnel is not None and t.target is not None:
            vni = sends[t.origin.name]
            t.tunnel = Tunnel(vni=vni, port=port, family=family)
            t.accepted = vni in takes[t.target.name]

    ping(a, b, 0.1, count=15)
    ping(b, a, 0.2, count=15)
    for n in range(5):
        tcp_talk(a, b, 6443, 0.3 + 0.2 * n)
        tcp_talk(b, a, 6443, 0.4 + 0.2 * n)
    udp_talk(a, b, 9000, 0.5, count=10)
    return w


@pair(
    "vni-one-side-takes-both",
    root="vni-mismatch",
    must=["vni-mismatch"],
    mustnot=NOT_THE_PATH,
    says=[r"\b7\b", r"4,?096"],
    source="projectcalico/calico issue 11689",
    story="cp1 sends VNI 7 and takes 4096 too; cp2 takes 4096 only.",
)
def one_side_takes_both() -> World:
    return two_vnis(801, 7, 4096, {"cp1": {7, 4096}, "cp2": {4096}})


@pair(
    "vni-neither-takes",
    root="vni-mismatch",
    must=["vni-mismatch"],
    mustnot=NOT_THE_PATH,
    says=[r"\b1\b", r"\b99\b"],
    source="projectcalico/calico issue 11689",
    story="Flannel with VNI 1 at cp1 and 99 at cp2: nothing is taken.",
)
def neither_takes() -> World:
    return two_vnis(802, 1, 99, {"cp1": {1}, "cp2": {99}}, port=8472)


@pair(
    "vni-over-ipv6",
    root="vni-mismatch",
    must=["vni-mismatch"],
    mustnot=NOT_THE_PATH,
    says=[r"\b50\b", r"\b0\b"],
    source="projectcalico/calico issue 11689",
    story="Over IPv6, cp2 sends VNI 0 after an upgrade, cp1 knows 50 only.",
)
def over_ipv6() -> World:
    return two_vnis(803, 50, 0, {"cp1": {50}, "cp2": {0, 50}}, family=6)


@pair(
    "vnis-both-taken",
    root=None,
    mustnot=[*NOT_THE_PATH, "vni-mismatch", "not-answered"],
    source="an asymmetric EVPN: each node routes into its own VNI",
    story="Each direction has a VNI of its own, and both nodes take both: all is well.",
)
def both_taken() -> World:
    return two_vnis(804, 11, 12, {"cp1": {11, 12}, "cp2": {11, 12}})


@pair(
    "one-overlay-of-two-unknown-to-the-other-node",
    root="endpoint-silent",
    must=["endpoint-silent@ab"],
    mustnot=[*NOT_THE_PATH, "vni-mismatch"],
    says=[r"\b9,?001\b", r"10\.120\.0\.9"],
    lost="world",
    source="projectcalico/calico PR 7606; docker swarm beside flannel",
    story="Two overlays on the same nodes; the one with VNI 9001 does not exist on cp2.",
)
def unknown_overlay() -> World:
    w = World(85, tunnel=Tunnel("geneve", port=6081, vni=12))
    n1, n2 = w.node("cp1", "10.14.0.1", offset=4), w.node("cp2", "10.14.0.2")
    w.all_arp()
    a, b = n1.pod("172.20.1.4"), n2.pod("172.20.9.6")
    c, d = n1.pod("10.120.0.4"), n2.pod("10.120.0.9")

    @w.fate
    def other_overlay(t: Transit) -> None:
        if t.packet.src.startswith("10.120."):
            t.tunnel = Tunnel("geneve", port=6081, vni=9001)
            t.accepted = t.target is not n2

    ping(c, d, 0.2, count=8)
    for n in range(6):
        tcp_talk(a, b, 6443, 0.3 + 0.2 * n)
        tcp_talk(b, a, 6443, 0.4 + 0.2 * n)
        tcp_talk(c, d, 2377, 0.35 + 0.2 * n)
    return w


def gre_pair(seed: int, layer2: bool, keys: tuple[int, int]) -> World:
    """GRE with a key for each sender; a node takes its own key only."""
    w = World(seed, tunnel=Tunnel("gre", layer2=layer2, key=keys[0]))
    n1, n2 = w.node("cp1", "10.14.0.1", offset=4), w.node("cp2", "10.14.0.2")
    w.all_arp()
    a, b = n1.pod("172.20.1.4"), n2.pod("172.20.9.6")

    @w.fate
    def own_key(t: Transit) -> None:
        if t.tunnel is not None:
            t.tunnel = Tunnel("gre", layer2=layer2, key=keys[t.origin is n2])
            t.accepted = keys[0] == keys[1]

    ping(b, a, 0.2, count=8)
    for n in range(8):
        tcp_talk(a, b, 6443, 0.3 + 0.2 * n)
        tcp_talk(b, a, 6443, 0.4 + 0.2 * n)
    return w


@pair(
    "keys-of-gretap-differ",
    root="vni-mismatch",
    must=["vni-mismatch"],
    mustnot=[*NOT_THE_PATH],
    says=[r"\b77\b", r"\b78\b"],
    unsaid=["flannel", "vxlan"],
    source="ip-link(8), gretap key",
    story="Ethernet over GRE with key 77 on one node and 78 on the other.",
)
def keys_of_gretap_differ() -> World:
    return gre_pair(86, True, (77, 78))


@pair(
    "healthy-keys-of-gretap",
    root=None,
    mustnot=[*NOT_THE_PATH, "vni-mismatch", "not-answered"],
    source="ip-link(8), gretap key",
    story="Ethernet over GRE with key 300 on both nodes: all is well.",
)
def healthy_keys_of_gretap() -> World:
    return gre_pair(87, True, (300, 300))


def two_overlays(seed: int, back_vni: int, **tunnel: object) -> World:
    """Two overlays between the nodes; node2 uses a VNI of its own for the second."""
    w = World(seed, tunnel=Tunnel(vni=60, **tunnel))  # type: ignore[arg-type]
    n1, n2 = w.node("cp1", "10.15.0.1", offset=-2), w.node("cp2", "10.15.0.2")
    w.all_arp()
    a, b = n1.pod("172.20.1.4"), n2.pod("172.20.9.6")
    c, d = n1.pod("10.120.0.4"), n2.pod("10.120.0.9")

    @w.fate
    def second_overlay(t: Transit) -> None:
        if t.packet.src.startswith("10.120."):
            vni = 71 if t.origin is n1 else back_vni
            t.tunnel = Tunnel(**{"vni": vni, **tunnel})  # type: ignore[arg-type]
            t.accepted = back_vni == 71

    for n in range(6):
        tcp_talk(a, b, 6443, 0.3 + 0.2 * n)
        tcp_talk(b, a, 6443, 0.4 + 0.2 * n)
        tcp_talk(c, d, 2377, 0.35 + 0.2 * n)
        tcp_talk(d, c, 2378, 0.45 + 0.2 * n)
    return w


@pair(
    "one-overlay-of-two-with-two-vnis",
    root="vni-mismatch",
    must=["vni-mismatch"],
    mustnot=[*NOT_THE_PATH],
    says=[r"\b71\b", r"\b72\b", r"\b60\b"],
    lost="world",
    source="docker swarm and EVPN: a network made twice",
    story="Two overlays on the same nodes; the second has VNI 71 on cp1 and 72 on cp2.",
)
def one_of_two_differs() -> World:
    return two_overlays(86, 72)


@pair(
    "two-overlays-healthy",
    root=None,
    mustnot=["vni-mismatch", "endpoint-silent", *NOT_THE_PATH],
    lost="world",
    source="lookalike of a network made twice",
    story="Two overlays on the same nodes, each with one VNI.",
)
def both_overlays_work() -> World:
    return two_overlays(87, 71, port=8472)


@pair(
    "one-of-two-networks-not-carried",
    root=["flow-blocked", "header-blocked"],
    must=[],
    mustnot=["packet-loss", "path-blocked", "vni-mismatch", "not-answered"],
    says=[r"\b5,?200\b"],
    source="a leaf switch without the VLAN of one VNI",
    story="Two overlays on the same nodes; what cp1 sends in VNI 5200 is lost on the way.",
)
def one_of_two_networks_not_carried() -> World:
    w = World(88, tunnel=Tunnel("vxlan", port=4789, vni=5100))
    n1, n2 = w.node("cp1", "10.14.0.1", offset=4), w.node("cp2", "10.14.0.2")
    w.all_arp()
    nets = [(n1.pod(f"10.{net}.0.4"), n2.pod(f"10.{net}.0.9")) for net in (51, 52)]

    @w.fate
    def other_overlay(t: Transit) -> None:
        if t.packet.src.startswith("10.52."):
            t.tunnel = Tunnel("vxlan", port=4789, vni=5200)
            t.lost = t.origin is n1

    for a, b in nets:
        ping(a, b, 0.2, count=8)
        for n in range(8):
            tcp_talk(a, b, 6443, 0.3 + 0.2 * n, tries=3)
            tcp_talk(b, a, 2377, 0.4 + 0.2 * n, tries=3)
    return w
