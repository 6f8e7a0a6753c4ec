"""Packets that a capture states it dropped are no loss (K14)."""

from tests.reported.files import Interface
from tests.reported.registry import pair
from tests.reported.talks import ping, tcp_talk, udp_talk
from tests.reported.world import Transit, Tunnel, World


def dropping(seed: int, stated: int, share: int, lost: int | None = None, **tunnel: object) -> World:
    """The capture of node2 lacks one of `share` datagrams and states drops; the network may lose, too."""
    w = World(seed, tunnel=Tunnel(**tunnel))  # type: ignore[arg-type]
    n1 = w.node("node1", "172.29.5.1", ng=True)
    n2 = w.node("node2", "172.29.5.2", offset=5, ng=True, interfaces=[Interface("ens5", dropped=stated)])
    a, b = n1.pod("10.90.1.4"), n2.pod("10.90.2.4")
    for n in range(12):
        udp_talk(a, b, 7100, 0.1 + n * 0.4, count=30, gap=0.01, size=240, answer=None)
        tcp_talk(a, b, 8080, 0.2 + n * 0.4, answer=4000)
    ping(a, b, 0.1, count=4)

    @w.fate
    def capture(t: Transit) -> None:
        if t.direction == ("node1", "node2") and t.packet.proto == 17:
            if w.random.randrange(share) == 0:
                t.unseen.add("node2")
            elif lost is not None and w.random.randrange(lost) == 0:
                t.lost = True

    return w


def only_drops(name: str, seed: int, stated: int, share: int, **tunnel: object) -> None:
    @pair(
        name,
        root="capture-loss",
        must=["capture-loss"],
        mustnot=["packet-loss", "burst-outage", "path-blocked", "flow-blocked", "rate-limited"],
        source="pcapng isb_ifdrop",
        story="The network loses nothing; the capture states more drops than are missing.",
    )
    def made() -> World:
        return dropping(seed, stated, share, **tunnel)


only_drops("k14-drops-vxlan", 141, 80, 9)
only_drops("k14-drops-geneve", 142, 60, 14, kind="geneve", port=6081)
only_drops("k14-drops-plenty", 143, 5000, 6, vni=77, port=4789)


@pair(
    "k14-drops-and-loss",
    root=["packet-loss", "capture-loss"],
    must=["packet-loss@ab", "capture-loss"],
    source="pcapng isb_ifdrop",
    story="The capture states ten drops, and far more is missing: the rest was lost.",
)
def both() -> World:
    return dropping(144, 10, 40, 6)


@pair(
    "k14-healthy-no-drops",
    root=None,
    mustnot=["capture-loss", "packet-loss"],
    source="none",
    story="The capture states that it dropped nothing, and nothing is missing.",
)
def none() -> World:
    return dropping(145, 0, 10**9)
