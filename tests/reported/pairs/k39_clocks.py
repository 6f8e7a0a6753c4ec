"""K39: a clock that is set far back or ahead in the middle of a capture; nothing is lost."""

from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk
from tests.reported.world import SECOND, Tunnel, World

BLAMELESS = ["packet-loss", "path-blocked", "burst-outage", "capture-loss", "delay-spike", "reordering"]


def world(seed: int, tunnel: Tunnel, node: int, seconds: int) -> World:
    """Ordinary traffic; the clock of a node is set by some seconds in the middle."""
    w = World(seed, tunnel=tunnel)
    n1, n2 = w.node("node1", "192.0.2.31", drift=7), w.node("node2", "192.0.2.32", offset=-61)
    a, b = n1.pod("10.39.1.5"), n2.pod("10.39.2.7")
    w.all_arp()
    for number in range(24):
        tcp_talk(a, b, 8080, 0.1 + number * 0.5, answer=1900)
        tcp_talk(b, a, 9090, 0.3 + number * 0.5, answer=900)
        dns_talk(b, a, f"n{number}.svc", 0.2 + number * 0.5)
    ping(a, b, 0.3, count=11)

    capture = w.nodes[node].capture
    assert capture is not None
    capture.set_at = w.nodes[node].clock(w.start + 5 * SECOND)
    capture.set_by = seconds * SECOND
    return w


@pair(
    "healthy-first-clock-an-hour-back",
    root=None,
    mustnot=BLAMELESS,
    source="summer time set by hand; a first synchronisation by NTP",
    story="The clock of node1 is set back by an hour. All is well.",
)
def healthy_first_clock_an_hour_back() -> World:
    return world(391, Tunnel(vni=1, port=8472), 0, -3600)


@pair(
    "healthy-second-clock-a-day-back",
    root=None,
    mustnot=BLAMELESS,
    source="a virtual machine resumed from a snapshot",
    story="The clock of node2 is set back by a day. All is well.",
)
def healthy_second_clock_a_day_back() -> World:
    return world(392, Tunnel(kind="geneve", vni=5, port=6081), 1, -86400)


@pair(
    "healthy-second-clock-an-hour-ahead",
    root=None,
    mustnot=BLAMELESS,
    source="a first synchronisation by NTP",
    story="The clock of node2 is set ahead by an hour. All is well.",
)
def healthy_second_clock_an_hour_ahead() -> World:
    return world(393, Tunnel(kind="ipip"), 1, 3600)
