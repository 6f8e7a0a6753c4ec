"""Every packet of a direction arrives twice (a bond in broadcast mode), or a capture doubles by itself."""

from collections.abc import Callable
from typing import Any

from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk
from tests.reported.world import Node, Transit, Tunnel, World

FALSE = ["packet-loss", "path-blocked", "capture-loss", "not-answered", "reordering"]


def talking(seed: int, *, offset: float = 0, **tunnel: Any) -> World:
    w = World(seed, tunnel=Tunnel(**({"vni": 41, "port": 8472} | tunnel)))
    n1, n2 = w.node("node1", "172.28.5.1", offset=offset), w.node("node2", "172.28.5.2")
    a, b = n1.pod("10.60.1.5"), n2.pod("10.60.2.7")
    for n in range(12):
        tcp_talk(a, b, 8080, 0.1 + n * 0.4, answer=2000 + 700 * n)
        tcp_talk(b, a, 9090, 0.3 + n * 0.4, answer=400)
        dns_talk(a, b, f"s{n}.svc", 0.2 + n * 0.4)
    ping(b, a, 0.25, count=8)
    return w


def copied(w: World, *directions: tuple[str, str]) -> World:
    @w.fate
    def bond(t: Transit) -> None:
        if t.direction in directions:
            t.copies = 2

    return w


THERE, BACK = ("node1", "node2"), ("node2", "node1")


@pair(
    "bond-broadcast-there",
    root="duplication",
    must=["duplication@ab"],
    mustnot=[*FALSE, "duplication@ba"],
    lost=[],
    source="Linux Documentation/networking/bonding.rst (broadcast mode)",
    story="The bond of node1 sends each packet on both links; the clocks differ by 40 ms.",
)
def there() -> World:
    return copied(talking(3301, offset=40), THERE)


@pair(
    "bond-broadcast-back",
    root="duplication",
    must=["duplication@ba"],
    mustnot=[*FALSE, "duplication@ab"],
    lost=[],
    source="Linux Documentation/networking/bonding.rst (broadcast mode)",
    story="The bond of node2 sends each packet on both links, within Geneve.",
)
def back() -> World:
    return copied(talking(3302, offset=-3000, kind="geneve", port=6081), BACK)


@pair(
    "bond-broadcast-both",
    root="duplication",
    must=["duplication@ab", "duplication@ba"],
    mustnot=FALSE,
    lost=[],
    source="Linux Documentation/networking/bonding.rst (broadcast mode)",
    story="Both bonds send each packet on both links: nothing is in both captures exactly once.",
)
def both() -> World:
    return copied(talking(3303, offset=7), THERE, BACK)


@pair(
    "not-doubled",
    root=None,
    mustnot=[*FALSE, "duplication"],
    lost=[],
    source="the healthy twin of bond-broadcast-there",
    story="Nothing is copied.",
)
def healthy() -> World:
    return talking(3304, offset=40)


@pair(
    "capture-doubles-itself",
    root=None,
    mustnot=[*FALSE, "duplication"],
    lost=[],
    source="libpcap issue 1105",
    story="node2 captures at its bond and a member of it: it shows its own packets twice as well.",
)
def at_bond_and_member() -> World:
    w = talking(3305, offset=40)
    once: Callable[..., None] = w.record

    def twice(node: Node, frame: bytes, at: int | None = None, *rest: Any, **more: Any) -> None:
        once(node, frame, at, *rest, **more)
        if node.name == "node2":
            once(node, frame, (w.now if at is None else at) + 4000, *rest, **more)

    w.record = twice  # type: ignore[method-assign]
    return w
