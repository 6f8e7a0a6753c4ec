"""K1: nodes with several outer addresses."""

from collections.abc import Callable

from tests.reported.registry import pair
from tests.reported.talks import ping, tcp_talk, udp_talk
from tests.reported.world import Endpoint, Transit, Tunnel, World

HEALTHY = [
    "no-common-traffic", "path-blocked", "packet-loss", "not-answered", "wrong-tunnel-endpoint",
    "duplicate-tunnel-mac", "duplicate-address", "capture-loss", "outer-address-rewritten",
]  # fmt: skip


def dual_stack(seed: int, routed: bool = False, **options: object) -> World:
    """Two nodes, pods of both families, the tunnel of each family over its own underlay."""
    w = World(
        seed, tunnel=Tunnel(vni=1, port=8472), tunnel6=Tunnel(vni=1, port=8472, family=6), routed=routed
    )
    n1 = w.node("node1", "192.0.2.31", "2001:db8:9::31", offset=6)
    n2 = w.node("node2", "192.0.2.44", "2001:db8:9::44", drift=9)
    w.all_arp()
    a4, a6 = n1.pod("10.52.1.8"), n1.pod("fd00:52:1::8")
    b4, b6 = n2.pod("10.52.7.3"), n2.pod("fd00:52:7::3")
    for n in range(9):
        tcp_talk(a4, b4, 443, 0.1 + n * 0.2, answer=2500)
        tcp_talk(a6, b6, 443, 0.15 + n * 0.2, answer=900)
    ping(a6, b6, 0.2, count=8)
    ping(b4, a4, 0.3, count=5)
    return w


@pair(
    "dual-stack-routed",
    root=None,
    mustnot=HEALTHY,
    kube="both",
    source="k3s-io/k3s issue 12538, after the repair",
    story="Dual-stack nodes in different segments: both families pass.",
)
def dual_stack_routed() -> World:
    return dual_stack(101, routed=True)


def blocked6(w: World, directions: set[tuple[str, str]]) -> World:
    @w.fate
    def firewall(t: Transit) -> None:
        t.lost = t.tunnel is not None and t.tunnel.family == 6 and t.direction in directions

    return w


@pair(
    "ipv6-underlay-blocked",
    root="path-blocked",
    must=["path-blocked@ab"],
    mustnot=["no-common-traffic", "packet-loss"],
    says=[r"2001:db8:9::44"],
    kube="both",
    lost="world",
    source="k3s-io/k3s issue 12538",
    story="The security group allows the tunnel's port over IPv4 only: nothing of the IPv6 tunnel arrives.",
)
def ipv6_underlay_blocked() -> World:
    return blocked6(dual_stack(102), {("node1", "node2"), ("node2", "node1")})


@pair(
    "ipv6-answers-blocked",
    root="path-blocked",
    must=["path-blocked@ba"],
    mustnot=["no-common-traffic", "packet-loss", "path-blocked@ab"],
    says=[r"2001:db8:9::31"],
    lost="world",
    source="k3s-io/k3s issue 12538",
    story="The rule for IPv6 is missing at node1 only: requests arrive, no answer over IPv6 does.",
)
def ipv6_answers_blocked() -> World:
    return blocked6(dual_stack(103, routed=True), {("node2", "node1")})


@pair(
    "both-families-blocked",
    root="path-blocked",
    must=["path-blocked@ab"],
    mustnot=["no-common-traffic"],
    source="k3s-io/k3s issue 12538",
    story="Neither family passes: the captures share no packet.",
)
def both_families_blocked() -> World:
    return blocked_all(dual_stack(104))


def blocked_all(w: World) -> World:
    @w.fate
    def firewall(t: Transit) -> None:
        t.lost = t.tunnel is not None

    return w


def loopback(seed: int, to: dict[str, str], accepted: bool) -> World:
    """Nodes that send from the address of the way out, and are sent to at a loopback address."""
    w = World(seed, tunnel=Tunnel(vni=4098, port=4789, layer2=True), routed=True)
    n1, n2 = w.node("node1", "10.99.0.5", offset=-3), w.node("node2", "10.99.4.9")
    w.all_arp()
    a, b = n1.pod("10.0.8.3"), n2.pod("10.0.8.6")

    @w.fate
    def addresses(t: Transit) -> None:
        if t.tunnel is not None and t.target is not None:
            t.outer_dst = to[t.target.name]
            t.accepted = accepted

    for n in range(8):
        tcp_talk(a, b, 9200, 0.1 + n * 0.3, answer=3000)
    ping(a, b, 0.2, count=12)
    ping(b, a, 0.3, count=12)
    udp_talk(b, a, 7000, 0.4, count=20)
    return w


@pair(
    "loopback-endpoints",
    root=None,
    mustnot=HEALTHY,
    source="moby/moby issue 53004, after the repair (snooping switched off)",
    story="The endpoint stands on a loopback address, packets leave from the interface's: both take them.",
)
def loopback_endpoints() -> World:
    return loopback(105, {"node1": "198.51.100.1", "node2": "198.51.100.2"}, True)


@pair(
    "loopback-snooped",
    root="not-answered",
    must=["not-answered@ab", "not-answered@ba"],
    mustnot=["no-common-traffic", "wrong-tunnel-endpoint", "vni-mismatch", "stale-tunnel-mac"],
    says=[r"198\.51\.100\.2", r"10\.99\.4\.9"],
    source="moby/moby issue 53004",
    story="Each node drops what comes from an address that its permanent entries do not name.",
)
def loopback_snooped() -> World:
    return loopback(106, {"node1": "198.51.100.1", "node2": "198.51.100.2"}, False)


def hypervisors(seed: int, decide: Callable[[Transit], None] | None = None) -> World:
    """Two hypervisors with two endpoints each on one card, chosen by the inner address."""
    w = World(seed, tunnel=Tunnel(kind="geneve", vni=5001, port=6081, layer2=True), routed=True)
    first = w.node("esx-a", "10.70.1.11", "10.70.1.12", offset=12)
    second = w.node("esx-b", "10.70.1.21", "10.70.1.22")
    of = {"esx-a": ("10.70.1.11", "10.70.1.12"), "esx-b": ("10.70.1.21", "10.70.1.22")}

    def endpoint(pod: Endpoint) -> str:
        return of[pod.node.name][int(pod.address.rsplit(".", 1)[1]) % 2]

    @w.fate
    def addresses(t: Transit) -> None:
        if t.tunnel is not None and t.sender is not None and t.to is not None:
            t.outer_src, t.outer_dst = endpoint(t.sender), endpoint(t.to)
            if decide:
                decide(t)

    ours = [first.pod(f"172.31.5.{n}") for n in (10, 11, 12)]
    theirs = [second.pod(f"172.31.5.{n}") for n in (40, 41)]
    for n in range(14):
        tcp_talk(ours[n % 3], theirs[n % 2], 5432, 0.05 + 0.17 * n, answer=1800)
    for a in ours:
        for b in theirs:
            ping(a, b, 0.4, count=6)
    return w


@pair(
    "two-endpoints-on-a-card",
    root=None,
    mustnot=HEALTHY,
    source="flannel-io/flannel issue 2388; vSphere with two TEPs",
    story="Two tunnel endpoints on each card: all is well.",
)
def two_endpoints() -> World:
    return hypervisors(107)


@pair(
    "one-endpoint-of-two-blocked",
    root="path-blocked",
    must=["path-blocked@ab"],
    mustnot=["no-common-traffic", "path-blocked@ba"],
    says=[r"10\.70\.1\.22"],
    kube=True,
    lost="world",
    source="projectcalico/calico issue 7040",
    story="Of the two endpoints of esx-b, nothing arrives at the second one.",
)
def one_endpoint_blocked() -> World:
    def blocked(t: Transit) -> None:
        t.lost = t.outer_dst == "10.70.1.22"

    return hypervisors(108, blocked)
