"""K42: servers whose kernel acknowledges requests that their application never answers, and what looks so."""

from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk
from tests.reported.world import Endpoint, Tunnel, World

SILENT = [
    "not-answered",
    "packet-loss",
    "path-blocked",
    "tcp-stalled",
    "mtu-blackhole",
    "answer-not-accepted",
]
NEVER = {"request": 1 << 40}  # what the server waits for


def world(seed: int, tunnel: Tunnel, pods: tuple[str, str, str]) -> tuple[World, list[Endpoint]]:
    w = World(seed, tunnel=tunnel)
    n1, n2 = w.node("node1", "198.51.100.4", offset=-7), w.node("node2", "198.51.100.9", offset=12)
    ends = [n1.pod(pods[0]), n1.pod(pods[1]), n2.pod(pods[2])]
    w.all_arp()
    other = n2.pod(pods[2][:-1] + ("e" if ":" in pods[2] else "8"))
    for number in range(14):
        tcp_talk(ends[0], other, 8080, 0.1 + number * 1.7, answer=1100)
        dns_talk(other, ends[1], f"n{number}.svc", 0.3 + number * 1.6)
    ping(ends[0], ends[2], 0.2, count=12, gap=1.5)
    return w, ends


def give_up(
    w: World, client: Endpoint, server: Endpoint, port: int, span: tuple[float, float], **said
) -> None:
    """Ask at a time, and give up after a while: by a reset, or in order."""
    at, after = span
    how = said.pop("how", "close")
    made = tcp_talk(client, server, port, at, server_options=NEVER, close="never", **said)
    w.at(at + after, lambda: made[0].abort() if how == "abort" else made[0].close())


@pair(
    "application-hangs",
    root="endpoint-silent",
    must=["endpoint-silent@ab"],
    mustnot=SILENT,
    says=[r"10\.61\.2\.7", "3000", r"ss -tanp sport = :3000"],
    unsaid=["iptables", "NetworkPolic"],
    source="applications in a deadlock: kernels acknowledge what nobody reads",
    story="Six HTTP requests of two clients are acknowledged; they give up after 6 s.",
)
def hangs() -> World:
    w, (a, b, server) = world(421, Tunnel("geneve", 6081, vni=61), ("10.61.1.5", "10.61.1.6", "10.61.2.7"))
    for number in range(6):
        ends = (0.7 + number * 2.3, 6.0)
        give_up(w, (a, b)[number % 2], server, 3000, ends, request=310, how=("close", "abort")[number % 2])
    return w


@pair(
    "application-hangs-later-ipv6",
    root="endpoint-silent",
    must=["endpoint-silent@ab"],
    mustnot=SILENT,
    says=["fd00:61:2::d", "8000", "7 of 12"],
    source="connection pools that run dry: answers stop, handshakes go on",
    story="A server answers five requests, then hangs: seven are still open when the capture ends.",
)
def hangs_later() -> World:
    w, (a, b, server) = world(422, Tunnel(port=4789, vni=8), ("fd00:61:1::a", "fd00:61:1::b", "fd00:61:2::d"))
    for number in range(5):
        tcp_talk(a, server, 8000, 0.4 + number * 0.5, answer=4000)
    for number in range(7):
        said = {"request": 420, "close": "never", "server_options": NEVER}
        tcp_talk((a, b)[number % 2], server, 8000, 4.0 + number, **said)
    return w


@pair(
    "application-works",
    root=None,
    mustnot=[*SILENT, "endpoint-silent"],
    source="none",
    story="The same requests, answered.",
)
def works() -> World:
    w, (a, b, server) = world(423, Tunnel("geneve", 6081, vni=61), ("10.61.1.5", "10.61.1.6", "10.61.2.7"))
    for number in range(6):
        tcp_talk((a, b)[number % 2], server, 3000, 0.7 + number * 2.3, request=310, answer=900)
    return w


@pair(
    "data-that-needs-no-answer",
    root=None,
    mustnot=[*SILENT, "endpoint-silent"],
    source="log shippers, publishers, clients that ask several servers and take the first answer",
    story="One-way data over TCP, requests given up at once, and one request that is still waiting.",
)
def one_way() -> World:
    w, (a, b, server) = world(424, Tunnel(vni=4096, port=8472), ("10.62.1.5", "10.62.1.6", "10.62.2.7"))
    for number in range(5):
        give_up(w, (a, b)[number % 2], server, 5170, (0.5 + number * 2, 9.0), request=700)
        give_up(w, a, server, 8000, (0.6 + number * 2, 0.3), request=300)
    tcp_talk(b, server, 9090, 3.0, request=300, close="never", server_options=NEVER)
    return w
