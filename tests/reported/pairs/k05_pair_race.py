"""K5: of two queries from one socket the second dies."""

from tests.reported import frames as f
from tests.reported.pairs.talking import talking
from tests.reported.registry import pair
from tests.reported.talks import dns_talk
from tests.reported.world import Transit, Tunnel, World

NETWORK = ["packet-loss", "path-blocked", "flow-blocked", "not-answered", "endpoint-silent", "capture-loss"]
SAYS = [r"insert_failed", r"single-request-reopen"]


def race(w: World, share: float) -> None:
    """Let node2 drop the second packet of a part of the new sockets' pairs."""
    seen: dict[tuple[str, int], int] = {}

    @w.fate
    def drop(t: Transit) -> None:
        if t.packet.proto != f.UDP or t.packet.dport != 53:
            return
        key = (t.packet.src, t.packet.sport)
        before, seen[key] = seen.get(key, 0), w.now
        if before and w.now - before < 5_000_000 and w.random.random() < share:
            t.accepted = False


def lookups(w: World, ours: list, server: object, **how: object) -> None:
    for n in range(30):
        dns_talk(ours[n % 2], server, f"shop-{n}.prod.svc.cluster.local", 0.3 + 0.4 * n, **how)


@pair(
    "second-query-dies-at-the-server-s-node",
    root="dns-unanswered",
    must=["dns-unanswered@ab"],
    mustnot=NETWORK,
    says=SAYS,
    source="kubernetes 56903",
    story="A and AAAA from one socket; connection tracking of node2 drops the second of a part of the pairs.",
)
def five_seconds() -> World:
    w, ours, theirs = talking(121)
    lookups(w, ours, theirs[0])
    race(w, 0.4)
    return w


@pair(
    "second-query-dies-order-reversed",
    root="dns-unanswered",
    must=["dns-unanswered@ab"],
    mustnot=NETWORK,
    says=SAYS,
    source="weave 3287",
    story="A resolver asks AAAA first: it is the second query that dies, whatever its type.",
)
def reversed_order() -> World:
    w, ours, theirs = talking(122, tunnel=Tunnel(vni=4096, port=4789))
    lookups(w, ours, theirs[0], kinds=(f.AAAA, f.A), timeout=2.5, tries=3)
    race(w, 0.5)
    return w


@pair(
    "second-query-dies-ipv6-pods",
    root="dns-unanswered",
    must=["dns-unanswered@ab"],
    mustnot=NETWORK,
    says=SAYS,
    source="kubernetes 62628",
    story="The same race of IPv6 pods over Geneve, for a quarter of the pairs.",
)
def ipv6() -> World:
    w, ours, theirs = talking(123, tunnel=Tunnel("geneve", 6081, 3), six=True)
    lookups(w, ours, theirs[0], timeout=1.0)
    race(w, 0.35)
    return w


@pair(
    "healthy-pairs-of-queries",
    root=None,
    mustnot=["dns-unanswered", "answer-not-accepted", "source-unanswered"],
    source="none",
    story="A and AAAA from one socket, all answered.",
)
def healthy() -> World:
    w, ours, theirs = talking(124)
    lookups(w, ours, theirs[0])
    return w
