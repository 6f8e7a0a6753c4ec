"""K22: guests that move to another node, and what is sent to their old place."""

from tests.reported import frames as f
from tests.reported.pairs.k23_duplicates import announce, segment
from tests.reported.registry import pair
from tests.reported.talks import ping, tcp_talk
from tests.reported.world import Endpoint, Node, Transit, World

QUIET = ["duplicate-address", "packet-loss", "path-blocked", "flow-blocked", "duplication", "capture-loss",
         "wrong-tunnel-endpoint", "not-answered", "no-common-traffic", "duplicate-tunnel-mac"]  # fmt: skip


@pair(
    "guest-moves",
    root=None,
    mustnot=QUIET,
    source="openperouter issue 203; kubevirt issue 5912",
    story="A guest moves from west to south, which announces it: its packets go there from then on.",
)
def guest_moves() -> World:
    w, nodes, (a, b, _) = segment(2304)

    w.at(2.0, lambda: setattr(b, "node", nodes[2]))
    ping(a, b, 0.2, count=40, gap=0.1)
    for n in range(3):
        announce(w, nodes[2], nodes[0], b.mac, b.address, 2.0 + 0.01 * n)
    return w


@pair(
    "guest-moves-and-entry-stays",
    root="wrong-tunnel-endpoint",
    must=["wrong-tunnel-endpoint@east>west"],
    mustnot=["packet-loss", "path-blocked", "duplicate-address", "duplication", "capture-loss"],
    says=[r"10\.31\.0\.3", r"10\.200\.0\.6"],
    lost="world",
    source="FRRouting/frr issue 10468; kubevirt issue 5912",
    story="A guest moves from west to south; east does not learn it and sends on to west.",
)
def guest_moves_and_entry_stays() -> World:
    w, nodes, (a, b, _) = segment(2306, vni=41)
    return stale(w, nodes, a, b, 2.0)


@pair(
    "guest-moved-before-ipv6",
    root="wrong-tunnel-endpoint",
    must=["wrong-tunnel-endpoint@east>west"],
    mustnot=["packet-loss", "path-blocked", "duplicate-address", "endpoint-refused"],
    says=[r"10\.31\.0\.3", r"fd00:200::6"],
    lost="world",
    source="harvester issue 10653; openperouter issue 203",
    story="The same with IPv6, and the guest had moved before the captures began.",
)
def guest_moved_before() -> World:
    w, nodes, _ = segment(2307, vni=42, port=8472)
    a, b = nodes[0].pod("fd00:200::5"), nodes[1].pod("fd00:200::6")
    return stale(w, nodes, a, b, 0.0)


@pair(
    "one-port-closed-of-guest-with-a-way-out-elsewhere",
    root="endpoint-silent",
    must=["endpoint-silent@east>west"],
    mustnot=["wrong-tunnel-endpoint", "packet-loss", "path-blocked", "duplicate-address"],
    lost="world",
    source="lookalike of kubevirt issue 5912",
    story="A guest of west answers by west, asks by an appliance behind south; one port is dead.",
)
def way_out_elsewhere() -> World:
    w, nodes, (a, b, _) = segment(2308, vni=43)
    for n in range(8):
        tcp_talk(a, b, 8080, 0.15 + 0.3 * n, answer=600)
        tcp_talk(b, a, 5432, 0.2 + 0.3 * n, answer=600)
        tcp_talk(a, b, 9000, 0.25 + 0.3 * n, answer=600)

    @w.fate
    def by_the_appliance(t: Transit) -> None:
        body = t.packet.body
        if t.direction == ("east", "west") and isinstance(body, f.Tcp) and body.dport == 9000:
            t.accepted = False
        if t.direction == ("west", "east") and isinstance(body, f.Tcp) and body.dport == 5432:
            t.origin, t.outer_src = nodes[2], nodes[2].address()
            t.outer_macs = (t.outer_macs[0], nodes[2].mac)
            t.inner_macs = (t.inner_macs[0], nodes[2].vtep)
            t.unseen.add("west")

    return w


@pair(
    "guest-announces-its-move-and-is-not-learnt",
    root="wrong-tunnel-endpoint",
    must=["wrong-tunnel-endpoint@east>west"],
    mustnot=["packet-loss", "path-blocked", "duplicate-address", "duplication", "capture-loss"],
    says=[r"10\.31\.0\.3", r"10\.200\.0\.6", r"bridge fdb replace"],
    unsaid=["flannel"],
    lost="world",
    source="kubevirt issue 5912; openperouter issue 203",
    story="A guest moves from west to south and says so by gratuitous ARP alone: nobody's packets reach it.",
)
def guest_announces_its_move() -> World:
    w, nodes, (a, b, _) = segment(2309, vni=44, port=8472)
    ping(a, b, 0.2, count=30, gap=0.2)
    for n in range(3):
        announce(w, nodes[2], nodes[0], b.mac, b.address, 2.51 + 0.5 * n)

    @w.fate
    def gone(t: Transit) -> None:
        if t.direction == ("east", "west") and t.packet.dst == b.address and w.elapsed > 2.5:
            t.accepted = False

    return w


def stale(w: World, nodes: list[Node], a: Endpoint, b: Endpoint, moves_at: float) -> World:
    """Let a guest of west live on south from a moment on, while east sends for it to west."""
    w.at(moves_at, lambda: setattr(b, "node", nodes[2]))
    for n in range(14):
        tcp_talk(a, b, 8080, 0.15 + 0.3 * n, answer=600)
        tcp_talk(b, a, 5432, 0.2 + 0.3 * n, answer=600)

    @w.fate
    def to_the_old_place(t: Transit) -> None:
        if t.direction == ("east", "south"):
            t.target, t.outer_dst = nodes[1], nodes[1].address()
            t.outer_macs = (nodes[1].mac, t.outer_macs[1])
            t.accepted = False

    return w
