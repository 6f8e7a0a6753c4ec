"""K43: a node gets a new address, and its peer goes on to send to the old one for a time."""

from tests.reported.registry import pair
from tests.reported.talks import dns_talk, tcp_talk
from tests.reported.world import SECOND, Transit, Tunnel, World

OLD, NEW = "192.0.2.61", "192.0.2.77"


def talking(begin: float, until: float, *, lost: bool) -> World:
    """node1 sends from NEW from `begin` on; node2 sends to OLD before `until`, which may reach nobody."""
    w = World(421, tunnel=Tunnel(kind="vxlan", vni=11, port=4789))
    n1, n2 = w.node("node1", OLD, NEW, offset=3), w.node("node2", "192.0.2.62", offset=-5)
    a, b = n1.pod("10.42.1.5"), n2.pod("10.42.2.7")
    w.all_arp()
    for number in range(40):
        tcp_talk(a, b, 8080, 0.1 + number * 0.4, answer=900, tries=4)
        dns_talk(b, a, f"n{number}.svc", 0.2 + number * 0.4)

    @w.fate
    def renumbered(t: Transit) -> None:
        since = t.at - w.start
        if t.origin is n1 and since > begin * SECOND:
            t.outer_src = NEW
        if t.origin is n2 and since > until * SECOND:
            t.outer_dst = NEW
        elif t.origin is n2:
            t.lost = lost and since > begin * SECOND

    return w


@pair(
    "node-gets-a-new-address",
    root="burst-outage",
    must=["burst-outage@ba"],
    mustnot=["packet-loss", "path-blocked", "outer-address-rewritten"],
    says=[r"192\.0\.2\.61", r"192\.0\.2\.77", "kubectl get nodes", "bridge fdb"],
    source="k3s and flannel: the address of a node changes",
    story="From the fifth second on node1 sends from another address; node2 to the old one until the tenth.",
)
def fault() -> World:
    return talking(5, 10, lost=True)


@pair(
    "node-keeps-its-old-address-too",
    root=None,
    mustnot=["burst-outage", "outer-address-rewritten", "wrong-tunnel-endpoint"],
    source="the twin of node-gets-a-new-address",
    story="node1 sends from a second address, and what goes to the first arrives.",
)
def twin() -> World:
    return talking(5, 10, lost=False)


@pair(
    "outage-before-a-new-address",
    root="burst-outage",
    must=["burst-outage@ba"],
    mustnot=["packet-loss", "path-blocked"],
    unsaid=["had become"],
    source="the lookalike of node-gets-a-new-address",
    story="The link fails for three seconds, and only some seconds later node1 gets its second address.",
)
def lookalike() -> World:
    w = talking(12, 12, lost=False)

    @w.fate
    def down(t: Transit) -> None:
        if t.origin is not w.nodes[0] and 4 * SECOND < t.at - w.start < 7 * SECOND:
            t.lost = True

    return w
