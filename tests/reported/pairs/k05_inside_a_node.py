"""Packets that are lost inside a node, in captures of all its interfaces (K5, the issue's item 5)."""

from collections.abc import Callable

from tests.reported.frames import Packet
from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk, udp_talk
from tests.reported.world import Transit, Tunnel, World

MUSTNOT = [
    "packet-loss@ab",
    "packet-loss@ba",
    "path-blocked",
    "duplication",
    "not-encapsulated",
    "flow-blocked@ab",
]


def inside(
    seed: int, dies: Callable[[Packet], bool] | None, *, early: bool = False, **tunnel: object
) -> World:
    """Both nodes are captured with -i any; node2 drops what `dies` chooses.

    It dies between the tunnel device and the pod; `early`: between the card and the tunnel device.
    """
    w = World(seed, tunnel=Tunnel(**tunnel))  # type: ignore[arg-type]
    n1 = w.node("node1", "192.168.14.3", any=True, offset=1)
    n2 = w.node("node2", "192.168.14.4", any=True)
    a, b, c = n1.pod("10.14.3.7"), n2.pod("10.14.4.8"), n2.pod("10.14.4.9")
    for n in range(10):
        udp_talk(a, b, 7000, 0.1 + n * 0.3, count=20, gap=0.01, size=300)
        udp_talk(a, c, 7001, 0.2 + n * 0.3, count=12, gap=0.01, size=150, answer=None)
        tcp_talk(a, c, 8080, 0.25 + n * 0.3, answer=1800)
        dns_talk(a, b, f"n{n}.svc.", 0.15 + n * 0.3)
    ping(a, b, 0.2, count=5)

    if dies is not None and not early:
        n2.ingress.append(lambda packet: None if dies(packet) else packet)

    @w.fate
    def card(t: Transit) -> None:
        if early and t.direction == ("node1", "node2") and dies is not None and dies(t.packet):
            t.accepted = False

    return w


def lossy(name: str, seed: int, every: int, to: int, *, early: bool = False, **tunnel: object) -> None:
    @pair(
        name,
        root="packet-loss",
        must=["packet-loss"],
        mustnot=MUSTNOT,
        says=["tc -s qdisc", "conntrack -S", "inside node2"],
        unsaid=["switch", "allowance", "exceeded"],
        source="kubernetes issue 56903 (loss inside the node)",
        story="node2 drops some datagrams between its tunnel device and the pod.",
    )
    def made() -> World:
        return inside(seed, lambda p: p.dport == to and p.ident * 7919 % every == 0, early=early, **tunnel)


lossy("k05-udp-inside", 51, 5, 7000)
lossy("k05-one-way-inside", 52, 4, 7001, vni=12, port=4789)
lossy("k05-udp-inside-geneve", 53, 6, 7000, kind="geneve", port=6081)
lossy("k05-before-the-tunnel-device", 55, 7, 7000, early=True, vni=4)


@pair(
    "k05-healthy-any",
    root=None,
    mustnot=["packet-loss", "duplication", "not-encapsulated"],
    source="none",
    story="Both nodes captured with -i any, and nothing is lost.",
)
def healthy() -> World:
    return inside(54, None)
