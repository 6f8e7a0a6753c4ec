"""SYNs that mislead whoever follows sequence numbers: late copies (K10), a port used again (K30)."""

from collections.abc import Callable

from tests.reported import frames as f
from tests.reported.frames import ACK, RST, SYN, Packet, Tcp
from tests.reported.registry import pair
from tests.reported.talks import ping, tcp_talk
from tests.reported.world import Endpoint, Tunnel, World

PSH = 0x08


def place(seed: int, *, v6: bool = False, **tunnel: object) -> tuple[World, Endpoint, Endpoint]:
    w = World(seed, tunnel=Tunnel(**tunnel))  # type: ignore[arg-type]
    n1, n2 = w.node("node1", "10.200.0.11", offset=-3), w.node("node2", "10.200.0.12")
    a, b = n1.pod("fd00:30::4" if v6 else "10.30.1.4"), n2.pod("fd00:31::6" if v6 else "10.30.2.6")
    for n in range(8):
        tcp_talk(a, b, 8080, 0.1 + n * 0.3, answer=3000)
    ping(a, b, 0.2, count=4)
    c, d = n1.pod("fd00:30::5" if v6 else "10.30.1.5"), n2.pod("fd00:31::7" if v6 else "10.30.2.7")
    c.silent = d.silent = True
    return w, c, d


def say(w: World, one: Endpoint, other: Endpoint, at: float, body: Tcp) -> None:
    """Send one segment of a conversation that is played by hand; nobody answers it by himself."""
    one.sockets[f.TCP, body.sport, other.address, body.dport] = lambda _: None
    other.sockets[f.TCP, body.dport, one.address, body.sport] = lambda _: None
    w.at(at, lambda: one.send(Packet(one.address, other.address, body, ident=one.next_ident())))


def late_copies(seed: int, copies: int, **tunnel: object) -> World:
    """Copies of a SYN leave together, after the first data of their connection."""
    w, a, b = place(seed, **tunnel)
    for n in range(3):
        at, port = 0.5 + n * 0.6, 40100 + n
        say(w, a, b, at, Tcp(port, 9090, seq=5000, flags=SYN))
        say(w, b, a, at + 0.002, Tcp(9090, port, seq=900, ack=5001, flags=SYN | ACK))
        say(w, a, b, at + 0.004, Tcp(port, 9090, seq=5001, ack=901))
        say(w, a, b, at + 0.005, Tcp(port, 9090, seq=5001, ack=901, flags=ACK | PSH, payload=b"x" * 200))
        for copy in range(copies):
            say(w, a, b, at + 0.006 + copy * 1e-5, Tcp(port, 9090, seq=5000, flags=SYN))
        say(w, b, a, at + 0.008, Tcp(9090, port, seq=901, ack=5201))
        say(w, a, b, at + 0.020, Tcp(port, 9090, seq=5201, ack=901, flags=ACK | PSH, payload=b"y" * 300))
        say(w, b, a, at + 0.022, Tcp(9090, port, seq=901, ack=5501, flags=ACK | PSH, payload=b"z" * 90))
        say(w, a, b, at + 0.024, Tcp(port, 9090, seq=5501, ack=991))
    return w


def used_again(seed: int, old: int, **tunnel: object) -> World:
    """A SYN meets the old connection, which acknowledges its own numbers (not 0) and is reset."""
    w, a, b = place(seed, **tunnel)
    for n in range(3):
        at, port = 0.5 + n * 0.6, 40200 + n
        if old:
            say(w, a, b, at, Tcp(port, 9091, seq=7000 + n, flags=SYN))
            say(w, b, a, at + 0.002, Tcp(9091, port, seq=77, ack=old))
            say(w, a, b, at + 0.003, Tcp(port, 9091, seq=old, flags=RST))
        say(w, a, b, at + 0.200, Tcp(port, 9091, seq=7000 + n, flags=SYN))
        say(w, b, a, at + 0.202, Tcp(9091, port, seq=30_000, ack=7001 + n, flags=SYN | ACK))
        say(w, a, b, at + 0.204, Tcp(port, 9091, seq=7001 + n, ack=30_001))
        say(
            w, a, b, at + 0.205, Tcp(port, 9091, seq=7001 + n, ack=30_001, flags=ACK | PSH, payload=b"q" * 50)
        )
        say(w, b, a, at + 0.207, Tcp(9091, port, seq=30_001, ack=7051 + n))
    return w


def no_hole(name: str, source: str, made: Callable[[], World], story: str) -> None:
    @pair(name, root=None, mustnot=["capture-loss", "packet-loss"], source=source, story=story)
    def world() -> World:
        return made()


LATE = "Copies of a SYN leave behind the first data of the connection; nothing is missing."
AGAIN = "A port is used again within TIME_WAIT; nothing is missing from the captures."
no_hole("k10-late-copies", "calico issue 9450", lambda: late_copies(101, 2), LATE)
no_hole(
    "k10-late-copies-geneve", "calico issue 9450", lambda: late_copies(102, 4, kind="geneve", port=6081), LATE
)
no_hole("k10-late-copies-ipv6", "calico issue 9450", lambda: late_copies(103, 1, v6=True), LATE)
no_hole("k10-no-copies", "lookalike of calico issue 9450", lambda: late_copies(104, 0), "Without copies.")
no_hole("k30-port-used-again", "cilium issue 45863", lambda: used_again(301, 3_200_000_000), AGAIN)
no_hole("k30-port-used-again-near", "cilium issue 45863", lambda: used_again(302, 900_000_000, vni=8), AGAIN)
no_hole("k30-port-used-again-ipv6", "cilium issue 45863", lambda: used_again(303, 2_000_000, v6=True), AGAIN)
no_hole(
    "k30-port-used-again-later",
    "lookalike of cilium issue 45863",
    lambda: used_again(304, 0, port=4789),
    "A port is used again after TIME_WAIT, and the new connection is taken at once.",
)
