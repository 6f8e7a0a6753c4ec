"""K18: slow, not lost. Windows, readers, servers and nodes that keep others waiting, and what only looks
so."""

from tests.reported.frames import Packet
from tests.reported.registry import pair
from tests.reported.talks import Connection, dns_listen, dns_talk, ping, tcp_listen, tcp_talk, udp_talk
from tests.reported.world import Endpoint, Transit, Tunnel, World

SLOW = ("window-limited", "zero-window", "slow-answer")
WIDE = {"window": 6_291_456, "scale": 10, "cwnd_max": 4000, "cwnd": 40}
HEALTHY = [*SLOW, "packet-loss", "tcp-stalled", "capture-loss", "delay-spike", "connection-reset"]


def world(
    seed: int, one: str, other: str, pods: tuple[str, str], tunnel: Tunnel | None = None, **options: float
) -> tuple[World, Endpoint, Endpoint]:
    """Make two nodes with a pod each, and some light traffic between them."""
    w = World(seed, tunnel=tunnel, **options)  # type: ignore[arg-type]
    n1, n2 = w.node("node1", one, offset=-2.4, drift=3), w.node("node2", other, offset=0.9)
    a, b = n1.pod(pods[0]), n2.pod(pods[1])
    w.all_arp()
    for n in range(4):
        tcp_talk(a, b, 8080, 0.2 + n * 0.7, answer=900)
        tcp_talk(b, a, 9090, 0.4 + n * 0.8, answer=1200)
    ping(a, b, 0.3, count=4)
    udp_talk(b, a, 5353 + 700, 0.5, count=20)
    return w, a, b


# ------------------------------------------------------------------------------------------------
# window-limited


@pair(
    "window-download-geneve",
    root="window-limited",
    must=["window-limited@ba"],
    mustnot=["packet-loss", "slow-answer", "zero-window", "window-limited@ab"],
    says=[r"65,5\d\d|64,\d\d\d|65,\d\d\d", r"net\.ipv4\.tcp_rmem"],
    source="canonical/microk8s issue 3341",
    story="A download over 70 ms: the client's receive buffer is fixed at 64 KiB by SO_RCVBUF.",
)
def download() -> World:
    w, a, b = world(
        31, "10.20.0.7", "10.20.0.9", ("10.1.75.4", "10.1.128.6"), Tunnel("geneve", 6081, vni=3), delay=35
    )
    tcp_talk(a, b, 443, 0.5, answer=2_600_000, window=65536, scale=3, server_options=WIDE | {"window": 64256})
    return w


@pair(
    "window-upload-ipv6",
    root="window-limited",
    must=["window-limited@ab"],
    mustnot=["packet-loss", "slow-answer", "zero-window", "window-limited@ba"],
    says=[r"fd00:10:244:2::b"],
    source="projectcalico/calico issue 8448",
    story="An upload of 5 MB between IPv6 pods over 60 ms of round trip into a window of 128 KiB.",
)
def upload() -> World:
    w, a, b = world(
        32,
        "172.30.4.11",
        "172.30.4.12",
        ("fd00:10:244:1::a", "fd00:10:244:2::b"),
        Tunnel(port=4789),
        delay=30,
    )
    w.rate = 1e9
    tcp_talk(a, b, 5432, 0.5, request=5_000_000, answer=200, **WIDE, server_options={"window": 131072})
    return w


@pair(
    "window-many-small",
    root="window-limited",
    must=["window-limited@ba"],
    mustnot=["packet-loss", "slow-answer", "zero-window"],
    source="canonical/microk8s issue 2438",
    story="Three replicas pull from one server 200 ms away, each with a window of 32 KiB that never grows.",
)
def replicas() -> World:
    w, a, b = world(33, "192.0.2.10", "198.51.100.20", ("10.42.0.3", "10.42.7.8"), delay=100)
    tcp_listen(b, 6379)
    for n in range(3):
        tcp_talk(
            a,
            b,
            6379,
            0.5 + n * 0.2,
            answer=500_000,
            listen=False,
            window=32768,
            scale=0,
            server_options=WIDE,
        )
    return w


@pair(
    "window-wide-enough",
    root=None,
    mustnot=HEALTHY,
    source="canonical/microk8s issue 3341",
    story="Healthy twin: the same download over 70 ms with a buffer that holds the bandwidth-delay product.",
)
def wide() -> World:
    w, a, b = world(
        34, "10.20.0.7", "10.20.0.9", ("10.1.75.4", "10.1.128.6"), Tunnel("geneve", 6081, vni=3), delay=35
    )
    tcp_talk(a, b, 443, 0.5, answer=2_600_000, **WIDE, server_options=WIDE)
    return w


@pair(
    "window-full-on-a-fast-path",
    root=None,
    mustnot=HEALTHY,
    source="none",
    story="A window of 64 KiB filled each round trip of 0.4 ms is more than 1 Gbit/s: nobody notices.",
)
def fast_path() -> World:
    w, a, b = world(35, "10.9.0.1", "10.9.0.2", ("10.244.0.9", "10.244.5.5"), delay=0.1, jitter=0.01)
    tcp_talk(a, b, 8443, 0.5, answer=4_000_000, window=65536, scale=3, server_options=WIDE)
    return w


@pair(
    "link-saturated",
    root=None,
    mustnot=HEALTHY,
    source="none",
    story="A bulk transfer that fills a link of 20 Mbit/s: the link is the limit, not a window.",
)
def saturated() -> World:
    w, a, b = world(36, "10.9.1.1", "10.9.1.2", ("10.244.0.10", "10.244.5.6"), delay=5, rate=20e6)
    tcp_talk(a, b, 8443, 0.5, answer=4_000_000, **WIDE, server_options=WIDE)
    return w


@pair(
    "sender-has-little-to-say",
    root=None,
    mustnot=HEALTHY,
    source="none",
    story="Applications that pause for seconds, delayed acknowledgements, an idle connection with "
    "keep-alives.",
)
def little_to_say() -> World:
    w, a, b = world(37, "10.9.2.1", "10.9.2.2", ("10.244.0.11", "10.244.5.7"), delay=15)
    tcp_talk(a, b, 3306, 0.5, request=180, answer=340, repeat=6, pause=2.5)
    idle = tcp_talk(a, b, 5671, 0.7, request=90, answer=60, close="never")
    w.at(3.0, lambda: idle[0].keep_alive(4.0, 30))
    tcp_talk(b, a, 8081, 0.9, request=1300, answer=24, repeat=20, pause=0.01)
    return w


# ---------------------------------------------------------------------------------------------------
# zero-window


def stop_and_go(w: World, ends: list[Connection], times: list[tuple[float, float]]) -> None:
    for stop, go in times:
        w.at(stop, lambda: ends[0].stop_reading())  # noqa: PLW0108  made later
        w.at(go, lambda: ends[0].read())  # noqa: PLW0108  made later


@pair(
    "reader-stops",
    root="zero-window",
    must=["zero-window@ba"],
    mustnot=["packet-loss", "tcp-stalled", "slow-answer", "window-limited"],
    says=[r"10\.233\.90\.4", r"ss -t"],
    source="projectcalico/calico issue 9645",
    story="A client stops reading a download for 4 s: its window goes to zero and opens again.",
)
def reader_stops() -> World:
    w, a, b = world(41, "10.70.0.1", "10.70.0.2", ("10.233.90.4", "10.233.91.5"))
    made = tcp_talk(a, b, 80, 0.5, answer=1_500_000, window=131072, server_options=WIDE)
    stop_and_go(w, made, [(0.503, 4.6)])
    return w


@pair(
    "server-does-not-read",
    root="zero-window",
    must=["zero-window@ab"],
    mustnot=["packet-loss", "slow-answer", "window-limited"],
    says=[r"10\.0\.3\.44", "9200"],
    source="cilium/cilium issue 28413",
    story="A log collector takes an upload in fits: six times its window is zero for more than half a "
    "second.",
)
def collector() -> World:
    ends: list[Connection] = []
    w, a, b = world(42, "10.71.0.1", "10.71.0.2", ("10.0.1.33", "10.0.3.44"), Tunnel(vni=2), delay=1.5)
    tcp_talk(
        a, b, 9200, 0.5, request=2_000_000, answer=120, **WIDE, server_options={"window": 96000, "made": ends}
    )
    w.at(0.512, lambda: stop_and_go(w, ends, [(0.513 + n * 0.81, 1.3 + n * 0.81) for n in range(6)]))
    return w


@pair(
    "reader-never-comes-back",
    root="zero-window",
    must=["zero-window@ba"],
    mustnot=["packet-loss", "tcp-stalled", "slow-answer"],
    says=["2001:db8:42::5"],
    source="projectcalico/calico issue 9645",
    story="A client process is stopped in the middle of a download; the server probes its window to the end.",
)
def never_back() -> World:
    w, a, b = world(
        43,
        "2001:db8:1::1",
        "2001:db8:1::2",
        ("2001:db8:42::5", "2001:db8:43::6"),
        Tunnel(family=6, port=8472),
    )
    made = tcp_talk(a, b, 8080, 0.9, answer=900_000, window=65536, server_options=WIDE)
    w.at(0.903, lambda: made[0].stop_reading())  # noqa: PLW0108  made later
    w.at(9.0, w._queue.clear)
    return w


@pair(
    "reader-takes-a-breath",
    root=None,
    mustnot=HEALTHY,
    source="none",
    story="Healthy twin: a reader whose window is zero for 60 ms twice; nobody notices.",
)
def breath() -> World:
    w, a, b = world(44, "10.70.0.1", "10.70.0.2", ("10.233.90.4", "10.233.91.5"))
    made = tcp_talk(a, b, 80, 0.5, answer=1_500_000, window=131072, server_options=WIDE)
    stop_and_go(w, made, [(0.503, 0.563), (0.58, 0.64)])
    return w


# ---------------------------------------------------------------------------------------------------
# slow-answer


@pair(
    "server-thinks",
    root="slow-answer",
    must=["slow-answer@ab"],
    mustnot=["packet-loss", "zero-window", "window-limited", "delay-spike"],
    says=[r"172\.20\.8\.15 port 8088", r"\b2(\.\d+)? s"],
    source="projectcalico/calico issue 4743",
    story="A server thinks for 2 s before each answer; the path takes less than a millisecond.",
)
def thinks() -> World:
    w, a, b = world(51, "10.80.0.1", "10.80.0.2", ("172.20.4.11", "172.20.8.15"), Tunnel(vni=10, port=4789))
    for n in range(4):
        tcp_talk(a, b, 8088, 0.4 + n * 1.1, answer=4000, think=2.0)
    return w


@pair(
    "server-slow-for-most",
    root="slow-answer",
    must=["slow-answer@ba"],
    mustnot=["packet-loss", "zero-window", "window-limited"],
    says=["fd10::a:7"],
    source="cilium/cilium issue 18169",
    story="A database answers most queries after 600 ms; the client is on the second node.",
)
def slow_for_most() -> World:
    w, a, b = world(52, "10.81.0.1", "10.81.0.2", ("fd10::a:7", "fd10::b:9"), Tunnel(vni=4096), delay=6)
    tcp_talk(
        b, a, 5432, 0.4, request=80, answer=500, repeat=8, pause=0.2, think=lambda n: 0.6 if n > 2 else 0.01
    )
    return w


@pair(
    "resolver-waits-upstream",
    root="slow-answer",
    must=["slow-answer@ab"],
    mustnot=["packet-loss", "dns-unanswered", "answer-not-accepted"],
    says=[r"10\.96\.3\.10"],
    source="canonical/microk8s issue 2438",
    story="A resolver answers after 2.4 s because its upstream is slow.",
)
def resolver() -> World:
    w, a, b = world(53, "10.82.0.1", "10.82.0.2", ("10.96.1.7", "10.96.3.10"))
    dns_listen(b, think=2.4)
    for n in range(6):
        dns_talk(a, b, f"api-{n}.example.org", 0.4 + n * 0.5)
    return w


@pair(
    "node-holds-its-answers",
    root="slow-answer",
    must=["slow-answer@ab"],
    mustnot=["packet-loss", "path-blocked", "burst-outage", "capture-loss", "delay-spike"],
    says=["sent nothing", r"ip -s neigh show to 10\.83\.0\.1"],
    source="projectcalico/calico issue 9450",
    story="The neighbour entry of the tunnel's peer is gone for 3 s on node2: it puts nothing into the "
    "tunnel, "
    "then everything at once.",
)
def holds() -> World:
    w, a, b = world(54, "10.83.0.1", "10.83.0.2", ("10.97.1.7", "10.97.3.10"))
    for n in range(12):
        tcp_talk(a, b, 8000, 0.3 + n * 0.45, answer=1500)
    ping(a, b, 0.4, count=25, gap=0.25)
    through = w.transmit

    def held(packet: Packet, sender: Endpoint) -> Transit | None:
        if sender is b and 2.0 <= w.elapsed < 5.0:
            w.at(5.0, lambda: through(packet, sender))
            return None
        return through(packet, sender)

    w.transmit = held  # type: ignore[method-assign]
    return w


@pair(
    "listen-queue-full",
    root="slow-answer",
    must=["slow-answer@ab"],
    mustnot=["packet-loss", "endpoint-silent", "endpoint-refused"],
    says=["TcpExtListenOverflows", "somaxconn"],
    source="kubernetes/kubernetes issue 76699",
    story="A listen queue that is full: each SYN is taken at its third copy, 3 s after the first.",
)
def listen_queue() -> World:
    w, a, b = world(55, "10.84.0.1", "10.84.0.2", ("10.98.1.7", "10.98.3.10"))
    tcp_listen(b, 8181)
    take, seen = b.listeners[6, 8181], dict[int, int]()

    def full(packet: Packet) -> None:
        seen[packet.sport] = seen.get(packet.sport, 0) + 1
        if seen[packet.sport] > 2:
            take(packet)

    b.listeners[6, 8181] = full
    for n in range(5):
        tcp_talk(a, b, 8181, 0.4 + n * 0.3, answer=700, listen=False)
    return w


@pair(
    "long-poll",
    root=None,
    mustnot=HEALTHY,
    source="none",
    story="Lookalikes of a slow server: a watch that is answered after 80 s, a client that pauses, a server "
    "that "
    "pushes without being asked.",
)
def long_poll() -> World:
    ends: list[Connection] = []
    w, a, b = world(56, "10.85.0.1", "10.85.0.2", ("10.99.1.7", "10.99.3.10"))
    tcp_talk(a, b, 6443, 0.4, request=240, answer=3000, think=80.0)
    tcp_talk(a, b, 8000, 0.5, request=200, answer=900, repeat=4, pause=6.0)
    tcp_talk(a, b, 4222, 0.6, request=120, answer=60, close="never", server_options={"made": ends})
    for n in range(6):
        w.at(4.0 + n * 5, lambda: ends[0].send(b"x" * 400))
    return w
