"""K6: one source of many is ignored."""

from tests.reported import frames as f
from tests.reported.pairs.talking import talking
from tests.reported.registry import pair
from tests.reported.talks import dns_listen, tcp_talk
from tests.reported.world import Transit, Tunnel, World

NETWORK = ["packet-loss", "path-blocked", "flow-blocked", "not-answered", "endpoint-silent"]


def ignore(w: World, *prefixes: str) -> None:
    """Let node2 discard what comes from some sources, behind its card."""

    @w.fate
    def discard(t: Transit) -> None:
        if t.direction == ("node1", "node2") and t.packet.src.startswith(prefixes):
            t.accepted = False


@pair(
    "reverse-path-check-of-one-address",
    root="source-unanswered",
    must=["source-unanswered@ab"],
    mustnot=NETWORK,
    says=[r"172\.20\.9\.4", r"rp_filter"],
    source="cilium 13130, cilium PR 23241",
    story="node1 masquerades node port traffic with the address of a second card; node2 discards it.",
)
def second_card() -> World:
    w, ours, theirs = talking(131)
    odd = ours[0].node.pod("172.20.9.4", "odd")
    for n in range(4):
        tcp_talk(odd, theirs[1], 8080, 0.6 + 0.9 * n, tries=3)
    ignore(w, "172.20.9.4")
    return w


@pair(
    "no-return-route-of-a-subnet",
    root="source-unanswered",
    must=["source-unanswered@ab"],
    mustnot=NETWORK,
    says=[r"172\.31\.7\.0/24|172\.31\.0\.0/16"],
    source="RFC 3704; calico PR 10511",
    story="A new address pool of node1 has no return route on node2: none of its pods gets an answer.",
)
def subnet() -> World:
    w, ours, theirs = talking(132, tunnel=Tunnel(vni=4096, port=4789))
    for i in range(2, 6):
        pod = ours[0].node.pod(f"172.31.7.{i}", f"new-{i}")
        for n in range(2):
            tcp_talk(pod, theirs[1], 8080, 0.5 + 0.4 * i + 1.2 * n, tries=2)
    ignore(w, "172.31.7.")
    return w


@pair(
    "ipv6-source-without-return-route",
    root="source-unanswered",
    must=["source-unanswered@ab"],
    mustnot=NETWORK,
    says=[r"2001:db8:77::1"],
    source="cilium 13130",
    story="An IPv6 address that node2 has no route to sends through Geneve and gets nothing back.",
)
def ipv6() -> World:
    w, ours, theirs = talking(133, tunnel=Tunnel("geneve", 6081, 7), six=True)
    odd = ours[0].node.pod("2001:db8:77::1", "odd")
    for n in range(3):
        tcp_talk(odd, theirs[1], 8080, 0.6 + 1.1 * n, tries=3)
    ignore(w, "2001:db8:77::1")
    return w


@pair(
    "healthy-many-sources",
    root=None,
    mustnot=["source-unanswered", "endpoint-silent"],
    source="none",
    story="Pods of several pools ask the same endpoint, and all are answered.",
)
def healthy() -> World:
    w, ours, theirs = talking(134)
    for i in range(2, 6):
        pod = ours[0].node.pod(f"172.31.7.{i}", f"new-{i}")
        for n in range(2):
            tcp_talk(pod, theirs[1], 8080, 0.5 + 0.4 * i + 1.2 * n)
    return w


@pair(
    "dns-socket-held-to-a-dead-pod",
    root="dns-unanswered",
    must=["dns-unanswered@ab"],
    mustnot=[*NETWORK[:3], "not-answered"],
    says=[r"conntrack -D", r"10\.244\.3\.77"],
    kube="both",
    source="kubernetes 125467, 71514",
    story="One socket of a resolver still asks a DNS pod that was deleted; other pods resolve well.",
)
def dead_pod() -> World:
    w, ours, theirs = talking(135)
    gone = theirs[0].node.pod("10.244.3.77", "gone")
    gone.silent = True
    dns_listen(gone)
    cluster = w.cluster()
    w.kube = cluster | {"items": [i for i in cluster["items"] if i["metadata"]["name"] != "gone"]}
    for n in range(9):

        def ask(n: int = n) -> None:
            body = f.Udp(40404, 53, f.dns_query(500 + n, f"api-{n % 3}.prod.svc.cluster.local", f.A))
            ours[1].send(f.Packet(ours[1].address, gone.address, body, ident=ours[1].next_ident()))

        w.at(0.4 + 0.55 * n, ask)

    @w.fate
    def nobody(t: Transit) -> None:
        t.accepted = t.accepted and t.packet.dst != gone.address

    return w
