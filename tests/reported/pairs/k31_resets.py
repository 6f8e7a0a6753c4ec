"""K31 and K4: open connections that are reset in the middle."""

from tests.reported import frames as f
from tests.reported.pairs.talking import talking
from tests.reported.registry import pair
from tests.reported.talks import tcp_talk
from tests.reported.world import Endpoint, Transit, Tunnel, World

NETWORK = ["packet-loss", "path-blocked", "flow-blocked", "not-answered", "endpoint-silent", "foreign-reset"]


def server_breaks(w: World, server: Endpoint, port: int, when: object) -> None:
    """Let the server reset a connection when a packet of the client asks for it."""

    @w.fate
    def watch(t: Transit) -> None:
        p = t.packet
        if p.proto == f.TCP and p.dst == server.address and p.dport == port and when(p):  # type: ignore[operator]
            take = server.sockets.get((f.TCP, port, p.src, p.sport))
            if take is not None:
                w.after(0.002, take.__self__.abort)  # type: ignore[attr-defined]


@pair(
    "first-messages-of-two-segments-are-reset",
    root="connection-reset",
    must=["connection-reset@ab"],
    mustnot=NETWORK,
    says=[r"\b8 of 24\b|\b8 of (the |its )?24\b"],
    source="naiveproxy 641; lxd 14839",
    story="A server resets connections whose first message takes two segments (a large TLS hello).",
)
def two_segments() -> World:
    w, ours, theirs = talking(141)
    for n in range(24):
        long = n % 3 == 0
        tcp_talk(ours[0], theirs[1], 443, 0.4 + 0.3 * n, request=1800 if long else 500, answer=900)
    server_breaks(w, theirs[1], 443, lambda p: len(p.payload) > 1200)
    return w


@pair(
    "resets-after-idling",
    root="connection-reset",
    must=["connection-reset@ab"],
    mustnot=NETWORK,
    says=[r"tcp_keepalive_time", r"\b5 of 11\b"],
    source="RFC 5382 section 5",
    story="Connections that were idle for 40 s are reset when their client asks again; busy ones go on.",
)
def idle() -> World:
    w, ours, theirs = talking(142, tunnel=Tunnel(vni=4096, port=4789))
    for n in range(5):
        tcp_talk(ours[1], theirs[1], 6379, 0.4 + 0.4 * n, repeat=2, pause=40, answer=300)
    for n in range(6):
        tcp_talk(ours[1], theirs[1], 6379, 0.5 + 0.4 * n, repeat=3, pause=1.5, answer=300)
    server_breaks(w, theirs[1], 6379, lambda p: p.payload and w.elapsed > 35)
    return w


@pair(
    "a-stray-segment-of-an-old-window",
    root="connection-reset",
    must=["connection-reset@ba"],
    mustnot=NETWORK,
    says=[r"INVALID", r"\b2 of 10\b"],
    source="Kubernetes blog: kube-proxy subtleties, debugging an intermittent connection reset",
    story="Two of ten downloads are reset by the client, after a segment from below the window that its node "
    "did not translate back. IPv6 over Geneve, clients on node2.",
)
def stray() -> World:
    w, ours, theirs = talking(143, tunnel=Tunnel("geneve", 6081, 2), six=True)
    client, server = theirs[1], ours[0]
    made = [tcp_talk(client, server, 8000, 0.4 + 0.5 * n, repeat=3, pause=1, answer=9000) for n in range(10)]
    for n in (3, 7):

        def send_stray(n: int = n) -> None:
            end = made[n][0]
            old = (end.peer_iss + 1) % 2**32
            acked = (end.iss + end.next) % 2**32
            body = f.Tcp(8000, end.sport, old, acked, f.ACK, 500, payload=bytes(800))
            server.send(f.Packet(server.address, client.address, body, ttl=63))
            end.forget("reset")
            reset = f.Packet(client.address, server.address, f.Tcp(end.sport, 8000, acked, 0, f.RST, 0))
            w.after(0.002, lambda: client.send(reset))

        w.at(0.4 + 0.5 * n + 0.7, send_stray)
    return w


@pair(
    "healthy-clients-that-close-with-a-reset",
    root=None,
    mustnot=["endpoint-refused", "foreign-reset", "answer-not-accepted"],
    source="none",
    story="Clients close with a reset when they have what they wanted: rude, no fault.",
)
def rude() -> World:
    w, ours, theirs = talking(144)
    for n in range(14):
        tcp_talk(ours[0], theirs[1], 9090, 0.4 + 0.3 * n, close="rst", answer=3000)
    return w
