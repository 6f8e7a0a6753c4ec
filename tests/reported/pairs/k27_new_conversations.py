"""New conversations die from a moment on, established ones go on (K27)."""

from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk, udp_talk
from tests.reported.world import Transit, Tunnel, World

MUSTNOT = ["path-blocked", "flow-blocked", "protocol-blocked", "packet-loss@ab"]


def table(seed: int, full_at: float | None, *, inside: bool = False, **tunnel: object) -> World:
    """Two servers, old conversations, and new ones all the time; the table is full from a moment on.

    It is that of a firewall between the nodes, or (`inside`) of node2 itself.
    """
    w = World(seed, tunnel=Tunnel(**tunnel))  # type: ignore[arg-type]
    n1, n2 = w.node("node1", "203.0.113.31", offset=2), w.node("node2", "203.0.113.32")
    a, b, c = n1.pod("10.4.31.5"), n2.pod("10.4.32.6"), n2.pod("10.4.32.7")
    udp_talk(a, b, 6000, 0.05, count=160, gap=0.05)
    udp_talk(a, c, 6001, 0.06, count=160, gap=0.05)
    tcp_talk(a, c, 5432, 0.1, answer=300, repeat=30)
    for n in range(22):
        tcp_talk(a, (b, c)[n % 2], 8080, 0.3 + n * 0.31, answer=700)
        dns_talk(a, b, f"host-{n}.example.", 0.35 + n * 0.3)
    ping(a, b, 5.1, count=3)
    known: set[tuple[object, ...]] = set()
    first: list[int] = []

    @w.fate
    def conntrack(t: Transit) -> None:
        first[:] = first or [t.at]
        p = t.packet
        talk = frozenset([(p.src, p.sport), (p.dst, p.dport)]), p.proto
        if full_at is None or t.at - first[0] < full_at * 1e9:
            known.add(talk)
        elif talk not in known:
            t.lost, t.accepted = not inside, not inside

    return w


def full(name: str, seed: int, at: float, **tunnel: object) -> None:
    @pair(
        name,
        root="new-flows-blocked",
        must=["new-flows-blocked@ab"],
        mustnot=MUSTNOT,
        says=["nf_conntrack"],
        source="kubernetes issue 71261",
        story="nf_conntrack is full: what is established goes on, whatever is new dies.",
    )
    def made() -> World:
        return table(seed, at, **tunnel)


full("k27-table-full", 271, 3.0)
full("k27-table-full-geneve", 272, 4.0, kind="geneve", port=6081, vni=9)
full("k27-table-full-early", 273, 2.2, vni=300, port=4789)


def full_inside(name: str, seed: int, at: float, **tunnel: object) -> None:
    @pair(
        name,
        root="new-flows-blocked",
        must=["new-flows-blocked@ab"],
        mustnot=[*MUSTNOT, "not-answered", "endpoint-silent"],
        says=["nf_conntrack", "203.0.113.32|node2"],
        source="kubernetes issues 71261 and 18604",
        story="node2's own table is full: what is new arrives and dies behind its network card.",
    )
    def made() -> World:
        return table(seed, at, inside=True, **tunnel)


full_inside("k27-table-full-inside", 275, 3.0)
full_inside("k27-table-full-inside-geneve", 276, 2.4, kind="geneve", port=6081, vni=9)
full_inside("k27-table-full-inside-4789", 277, 4.1, vni=300, port=4789)


@pair(
    "k27-healthy",
    root=None,
    mustnot=["new-flows-blocked", "packet-loss"],
    source="none",
    story="The same conversations, and all of them arrive.",
)
def healthy() -> World:
    return table(274, None)
