"""A capture that lacks SYN ACKs and resets by accident is no sign that somebody forged them (K9)."""

from tests.reported import frames as f
from tests.reported.files import Interface
from tests.reported.pairs.k09_forged import middlebox, reset_of, send_forged
from tests.reported.registry import pair
from tests.reported.talks import dns_talk, tcp_talk
from tests.reported.world import Transit, Tunnel, World

SOURCE = "zeek, policy/misc/capture-loss; pcapng isb_ifdrop"


def gappy(seed: int, share: float, *, stated: int | None = None, **tunnel: object) -> World:
    """Many short connections; the capture of node2, in front of the servers, lacks a share of all."""
    w = World(seed, tunnel=Tunnel(**({"vni": 77, "port": 4789} | tunnel)))  # type: ignore[arg-type]
    n1 = w.node("node1", "172.29.8.1", ng=True)
    interfaces = [Interface("ens5", dropped=stated)] if stated is not None else None
    n2 = w.node(
        "node2", "172.29.8.2", offset=6, ng=True, **({"interfaces": interfaces} if interfaces else {})
    )
    a, b = n1.pod("10.91.1.4"), n2.pod("10.91.2.4")
    for n in range(60):
        tcp_talk(a, b, 8080, 0.1 + n * 0.15, answer=900)
        dns_talk(a, b, f"n{n}.svc", 0.15 + n * 0.15)

    @w.fate
    def capture(t: Transit) -> None:
        if w.random.random() < share:
            t.unseen.add("node2")

    return w


def only_gaps(name: str, seed: int, share: float, **more: object) -> None:
    @pair(
        name,
        root=["capture-loss", "packet-loss"],
        must=["capture-loss"],
        mustnot=["foreign-reset", "path-blocked", "flow-blocked", "endpoint-refused"],
        source=SOURCE,
        story="The network loses nothing; the capture of the servers' node has gaps.",
    )
    def made() -> World:
        return gappy(seed, share, **more)  # type: ignore[arg-type]


only_gaps("k09-gaps-few", 921, 0.02)
only_gaps("k09-gaps-many", 922, 0.06, kind="geneve", port=6081)
only_gaps("k09-gaps-stated", 923, 0.03, stated=40)


@pair(
    "k09-gaps-and-forged",
    root="foreign-reset",
    must=["foreign-reset@ba"],
    mustnot=["endpoint-refused"],
    says=[r"10\.91\.2\.4:5432"],
    source=SOURCE,
    story="The same gaps, and a firewall that rejects port 5432 in the pod's name.",
)
def gaps_and_forged() -> World:
    w = gappy(924, 0.02)
    ours, theirs = w.endpoints["10.91.1.4"], w.endpoints["10.91.2.4"]
    middlebox(w)
    for n in range(9):
        tcp_talk(ours, theirs, 5432, 0.4 + 0.7 * n)

    @w.fate
    def reject(t: Transit) -> None:
        if t.direction == ("node1", "node2") and t.packet.proto == f.TCP and t.packet.dport == 5432:
            t.lost = True
            send_forged(w, reset_of(t.packet, 61), theirs, ours)

    return w
