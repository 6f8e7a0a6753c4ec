"""K38: one capture in a pod, the other on the card of the other node: the network lies between them."""

from tests.reported.registry import pair
from tests.reported.talks import dns_talk, ping, tcp_talk
from tests.reported.world import Transit, Tunnel, World

BLAMELESS = ["packet-loss", "path-blocked", "flow-blocked", "capture-loss", "endpoint-silent", "slow-answer"]


def world(seed: int, tunnel: Tunnel, count: int = 14) -> World:
    """A pod that was captured, another one on its node that was not, and two pods of node2."""
    w = World(seed, tunnel=tunnel)
    n1, n2 = w.node("node1", "192.0.2.31", captured=False), w.node("node2", "192.0.2.32", offset=-61)
    a, other = n1.pod("10.38.1.5"), n1.pod("10.38.1.6")
    a.watch("1-pod")
    servers = [n2.pod("10.38.2.7"), n2.pod("10.38.2.8")]
    for number in range(count):
        tcp_talk(a, servers[number % 2], 8080, 0.1 + number * 0.3, answer=1900)
        tcp_talk(servers[number % 2], a, 9090, 0.2 + number * 0.3, answer=900)
        dns_talk(other, servers[1], f"n{number}.svc", 0.2 + number * 0.3)
        dns_talk(a, servers[1], f"m{number}.svc", 0.25 + number * 0.3)
    ping(a, servers[0], 0.3, count=6)
    return w


@pair(
    "healthy-pod-and-far-card",
    root=None,
    mustnot=BLAMELESS,
    source="kubectl exec POD -- tcpdump, and tcpdump on the other node",
    story="A pod and the far card; another pod of the same node talks to that card too. All is well.",
)
def healthy_pod_and_far_card() -> World:
    return world(381, Tunnel(vni=1, port=8472))


@pair(
    "pod-and-far-card-loss",
    root="packet-loss",
    must=["packet-loss@1-pod>node2"],
    mustnot=["packet-loss@node2>1-pod", "endpoint-silent", "slow-answer"],
    says=["10\\.38\\.1\\.5"],
    unsaid=["not at the network between the nodes"],
    source="kubectl exec POD -- tcpdump, and tcpdump on the other node",
    story="An eighth of what the pod's node sends is lost between the nodes.",
)
def pod_and_far_card_loss() -> World:
    w = world(382, Tunnel(kind="geneve", vni=3, port=6081), 24)

    @w.fate
    def lose(t: Transit) -> None:
        t.lost = t.origin is w.nodes[0] and w.random.random() < 0.12

    return w


@pair(
    "pod-and-far-card-port-filtered",
    root="flow-blocked",
    must=["flow-blocked@1-pod>node2"],
    mustnot=["endpoint-silent", "packet-loss"],
    says=["9200"],
    unsaid=["not at the network between the nodes"],
    source="kubectl exec POD -- tcpdump, and tcpdump on the other node",
    story="TCP 9200 leaves the pod and never comes to node2.",
)
def pod_and_far_card_port_filtered() -> World:
    w = world(383, Tunnel(vni=4096, port=4789))
    a, b = w.endpoints["10.38.1.5"], w.endpoints["10.38.2.7"]
    for number in range(6):
        tcp_talk(a, b, 9200, 0.4 + number * 0.6, answer=300, tries=3)

    @w.fate
    def stop(t: Transit) -> None:
        t.lost = t.origin is w.nodes[0] and t.packet.proto == 6 and t.packet.tcp.dport == 9200

    return w
