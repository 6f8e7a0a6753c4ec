"""K2: requests that leave one card without a tunnel; the other capture was filtered for the tunnel."""

from typing import Any

from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk
from tests.reported.world import Endpoint, Transit, Tunnel, World

FALSE = ["packet-loss", "path-blocked", "flow-blocked", "endpoint-silent", "not-answered"]


def tunnelled(seed: int, third: str = "", **tunnel: Any) -> tuple[World, list[Endpoint]]:
    """Two nodes whose pods use the tunnel, another pod of node2, and one of a node without capture."""
    w = World(seed, tunnel=Tunnel(**({"vni": 5, "port": 8472} | tunnel)))
    n1, n2 = w.node("node1", "10.66.0.4", offset=8), w.node("node2", "10.66.0.5")
    pods = [n1.pod("10.99.1.5"), n2.pod("10.99.2.7"), n2.pod("10.99.2.9")]
    if third:
        n3 = w.node("node3", "10.66.0.6", captured=False)
        pods += [n3.pod(third.format(7)), n3.pod(third.format(9))]
    for n in range(10):
        tcp_talk(pods[0], pods[1], 8443, 0.1 + n * 0.4, answer=900)
        dns_talk(pods[0], pods[1], f"s{n}.svc", 0.2 + n * 0.35)
    return w, pods


def around_the_tunnel(w: World, *addresses: str, lost: str) -> World:
    """Send what is for some addresses to the gateway; the capture of node2 is filtered for the tunnel."""

    @w.fate
    def native(t: Transit) -> None:
        if {t.packet.src, t.packet.dst} & set(addresses):
            t.tunnel = None
            t.unseen.add("node2")
            if t.packet.dst == lost:
                t.outer_macs, t.lost = ("12:34:56:78:9a:bc", t.outer_macs[1]), True

    return w


@pair(
    "lone-requests-to-a-gateway",
    root="not-encapsulated",
    must=["not-encapsulated@ab"],
    mustnot=FALSE,
    says=[r"10\.99\.2\.9", "12:34:56:78:9a:bc", r"node1# ip route get 10\.99\.2\.9"],
    source="cilium/cilium issue 12624, flannel-io/flannel issue 592",
    story="A /32 route leads one pod's packets to the gateway; node2's capture holds only the tunnel.",
)
def to_a_gateway() -> World:
    w, pods = tunnelled(261)
    for n in range(5):
        tcp_talk(pods[0], pods[2], 9200, 0.3 + n * 0.5)
    ping(pods[0], pods[2], 0.4, count=6)
    return around_the_tunnel(w, pods[2].address, lost=pods[2].address)


@pair(
    "lone-requests-answered",
    root=None,
    mustnot=[*FALSE, "not-encapsulated"],
    source="the healthy twin of lone-requests-to-a-gateway",
    story="That pod is reached through the gateway, and answers the same way.",
)
def answered() -> World:
    w, pods = tunnelled(262, kind="geneve", port=6081)
    for n in range(5):
        tcp_talk(pods[0], pods[2], 9200, 0.3 + n * 0.5)
    return around_the_tunnel(w, pods[2].address, lost="")


@pair(
    "lone-requests-natively-routed",
    root=None,
    mustnot=[*FALSE, "not-encapsulated"],
    source="Calico CrossSubnet, with a pod that is gone",
    story="node3 is reached natively, and one of its pods does; the other is gone and answers nothing.",
)
def natively_routed() -> World:
    w, pods = tunnelled(263, third="10.99.3.{}")
    for n in range(5):
        tcp_talk(pods[0], pods[3], 9200, 0.3 + n * 0.5)
        tcp_talk(pods[0], pods[4], 9200, 0.35 + n * 0.5)
        tcp_talk(pods[4], pods[1], 9300, 0.4 + n * 0.5)
    w2 = around_the_tunnel(w, pods[3].address, lost="")

    @w2.fate
    def gone(t: Transit) -> None:
        if t.packet.dst == pods[4].address and t.origin.name == "node1":
            t.tunnel, t.lost = None, True

    return w2
