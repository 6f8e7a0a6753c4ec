"""K41: a neighbour entry that is wrong for a time: everything goes to a MAC where nothing arrives."""

from tests.reported.registry import pair
from tests.reported.talks import dns_talk, tcp_talk
from tests.reported.world import SECOND, Transit, Tunnel, World


@pair(
    "wrong-neighbour-for-a-time",
    root="burst-outage",
    must=["burst-outage@ab"],
    mustnot=["packet-loss", "path-blocked"],
    says=["52:54:00:99:99:01", "ip neigh"],
    source="gratuitous ARP that was missed after a change of cards",
    story="For four seconds node1 sends the outer packets to the MAC of a card that is gone.",
)
def wrong_neighbour_for_a_time() -> World:
    w = World(411, tunnel=Tunnel(kind="geneve", vni=4, port=6081))
    n1, n2 = w.node("node1", "192.0.2.51", offset=3), w.node("node2", "192.0.2.52", offset=-5)
    a, b = n1.pod("10.41.1.5"), n2.pod("10.41.2.7")
    w.all_arp()
    for number in range(30):
        tcp_talk(a, b, 8080, 0.1 + number * 0.4, answer=900, tries=4)
        dns_talk(a, b, f"n{number}.svc", 0.2 + number * 0.4)

    @w.fate
    def astray(t: Transit) -> None:
        if t.origin is n1 and 4 * SECOND < t.at - w.start < 8 * SECOND:
            t.outer_macs = ("52:54:00:99:99:01", t.outer_macs[1])
            t.lost = True

    return w
