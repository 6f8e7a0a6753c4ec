"""Packets for another node that stay bare."""

from tests.diagnostics.frames import cooked, pcap, udp
from tests.simulate import Flow, Traffic, comparison
from vxlanalyze import wire
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.capture import open_sources
from vxlanalyze.diagnostics.path.not_encapsulated import check
from vxlanalyze.kubernetes.model import Cluster, Node
from vxlanalyze.pairing import pair as pair_captures
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.wire.numbers import ACK, RST, SYN

FAR, LOCAL, SERVICE, WORLD = "10.233.65.20", "10.233.64.125", "10.233.0.3", "192.0.2.7"
CLUSTER = Cluster(
    nodes=(
        Node("node1", ("172.26.50.200",), ("10.233.64.0/24",)),
        Node("node2", ("172.26.50.201",), ("10.233.65.0/24",)),
    )
)


def at_pod(
    *traffic: Traffic, cluster: Cluster = CLUSTER, backward: list[Traffic] | None = None
) -> Comparison:
    """A capture of the pod's interface beside one of its node's NIC."""
    own = {"pod": ("10.233.64.10",), "node1": ("172.26.50.200",)}
    return comparison(
        traffic, backward or [], points=("pod", "node1"), bare=("pod",), cluster=cluster, addresses=own
    )


def found(pair: Comparison) -> Finding:
    (finding,) = check(pair)
    assert isinstance(finding, Finding)
    assert finding.severity == Severity.CRITICAL
    return finding


def test_packets_that_never_enter_the_tunnel_are_found():
    finding = found(at_pod(Traffic(lost=True, packets=20)))

    assert finding.direction == "pod>node1"
    assert "what is sent to 10.233.65.20 never enters the tunnel: none of 20 packets" in finding.summary
    assert "lives on node2" in finding.explanation
    assert finding.evidence["packets"].value == 20
    assert finding.frame_count == 20
    assert "ip route get 10.233.65.20" in finding.remedy


def test_one_destination_is_found_beside_others_that_get_through():
    other = Flow(dst="10.233.65.77", sport=7)
    finding = found(at_pod(Traffic(), Traffic(other, packets=10, lost=True)))

    assert "10.233.65.77" in finding.summary
    assert finding.evidence["destinations"].value == 1


def test_where_a_pod_lives_may_be_told_by_what_it_sent():
    earlier = Traffic(Flow().reverse(), packets=3)
    pair = at_pod(Traffic(lost=True), cluster=Cluster(), backward=[earlier])

    assert "172.26.50.201" in found(pair).explanation


def test_encapsulated_packets_are_clear():
    assert check(at_pod(Traffic())) == []


def test_some_packets_missing_is_loss_and_not_this():
    assert check(at_pod(Traffic(packets=20, lost=[0, 1] * 10))) == []


def test_too_few_packets_prove_nothing():
    assert check(at_pod(Traffic(packets=3, lost=True))) == []


def test_addresses_that_are_not_meant_for_the_tunnel_are_left_alone():
    """Service addresses are translated first; the world, the node's own pods and nodes are routed."""
    for address in (SERVICE, WORLD, LOCAL, "172.26.50.201"):
        assert check(at_pod(Traffic(), Traffic(Flow(dst=address, sport=9), lost=True))) == []


def test_an_unknown_address_is_left_alone():
    assert check(at_pod(Traffic(lost=True), cluster=Cluster())) == []


def test_captures_of_nics_alone_do_not_show_what_enters():
    (answer,) = check(comparison([Traffic()]))

    assert isinstance(answer, NotAssessed)
    assert "-i any" in answer.reason


def on_wire(*, answered: bool = False, arrives: bool = False, filtered: bool = False) -> Comparison:
    """Bare packets between pods on node1's NIC, beside a working tunnel."""
    bare = Flow(tunnel=0, sport=77, dst="10.233.65.9")
    there = [Traffic(bare, packets=20)]
    back = [Traffic(bare.reverse(), packets=20, start_s=0.001)] if answered else []
    other = [] if filtered else [Traffic(Flow(tunnel=0, src=WORLD, dst="172.26.50.201"), packets=5)]
    return comparison(
        [Traffic()],
        cluster=CLUSTER,
        seen_only={"node1": there + back, "node2": other + (there if arrives else [])},
        addresses={"node1": ("172.26.50.200",), "node2": ("172.26.50.201",)},
    )


def test_pod_packets_that_leave_the_node_bare_and_vanish_are_found():
    finding = found(on_wire())

    assert finding.direction == "node1>node2"
    assert "unencapsulated" in finding.summary
    assert "none of 20 packets reaches node2" in finding.summary
    assert finding.evidence["destination_mac"].value == "02:00:ac:1a:32:c9"
    assert "DirectRouting" in finding.remedy  # flannel, by its port and VNI
    assert "source-dest-check" in finding.remedy
    assert "node1# ip route get 10.233.65.9" in finding.remedy.splitlines()


PLACEHOLDER = 0xEEEEEEEEEEEE


def raw_reply(mac: int = PLACEHOLDER, *, arrives: bool = False, cluster: Cluster | None = None) -> Comparison:
    """node1 asks without a tunnel, node2 answers without one too."""
    asks = Flow(tunnel=0, src="10.233.64.77", dst="10.233.65.99", sport=50000, dport=443)
    answers = asks.reverse(outer_dst_mac=mac)
    both = [Traffic(asks, packets=12), Traffic(answers, packets=12, start_s=0.001)]
    return comparison(
        [Traffic()],
        [Traffic(Flow().reverse())],
        cluster=cluster,
        seen_only={"node1": both if arrives else both[:1], "node2": both},
        addresses={"node1": ("172.26.50.200",), "node2": ("172.26.50.201",)},
    )


def test_answers_that_leave_as_raw_frames_are_found_with_their_mac():
    for cluster in (None, CLUSTER):
        finding = found(raw_reply(cluster=cluster))
        assert finding.direction == "node2>node1"
        assert "ee:ee:ee:ee:ee:ee" in finding.summary
        assert "none of 12 packets reaches node1" in finding.summary
        assert "node2# ip route get 10.233.64.77" in finding.remedy.splitlines()


def test_answers_that_arrive_natively_are_clear():
    assert [a for a in check(raw_reply(arrives=True)) if isinstance(a, Finding)] == []


def answers_leave_bare(client_flags: int = SYN, *, protocol: int = 6) -> Comparison:
    """Connections come through the tunnel; only node2's card shows their answers, without one."""
    asks = Flow(src="10.233.64.77", dst="10.233.65.99", protocol=protocol, sport=50000, dport=443)
    answers = Flow(
        tunnel=0, src="10.233.65.99", dst="10.233.64.77", protocol=protocol, sport=443, dport=50000
    )
    return comparison(
        [Traffic(), Traffic(asks, packets=12, tcp_flags=client_flags)],
        [Traffic(Flow().reverse())],
        seen_only={"node2": [Traffic(answers, packets=12, start_s=0.001, tcp_flags=SYN | ACK)]},
        addresses={"node1": ("172.26.50.200",), "node2": ("172.26.50.201",)},
    )


def test_answers_outside_the_tunnel_that_no_client_acknowledges_are_found():
    finding = found(answers_leave_bare())

    assert finding.direction == "node2>node1"
    assert "no client acknowledges any of 12 packets" in finding.summary
    assert "10.233.65.99" in finding.summary


def test_answers_outside_the_tunnel_that_clients_react_to_are_clear():
    for pair in (answers_leave_bare(ACK), answers_leave_bare(RST), answers_leave_bare(protocol=17)):
        assert [a for a in check(pair) if isinstance(a, Finding)] == []


def direct_server_return(*, own_mac: bool = True) -> Comparison:
    """A client outside asks node1, which forwards to a pod of node2; that answers the client directly."""
    client, frontend = "10.90.3.14", "10.200.0.9"
    came = Flow(tunnel=0, src=client, dst=frontend, sport=41000, dport=80).reverse().reverse()
    forwarded = Flow(src=client, dst="10.233.65.20", protocol=6, sport=41000, dport=8080)
    answer = Flow(tunnel=0, src=frontend, dst=client, protocol=6, sport=80, dport=41000)
    to_node1 = Traffic(Flow(**{**vars(came), "outer_dst_mac": forwarded.outer_src_mac}), packets=20)
    return comparison(
        [Traffic(), Traffic(forwarded, packets=20)],
        [Traffic(Flow().reverse())],
        seen_only={
            "node1": [to_node1] if own_mac else [Traffic(Flow(tunnel=0, src=WORLD, dst=client))],
            "node2": [Traffic(answer, packets=20)],
        },
        addresses={"node1": ("172.26.50.200",), "node2": ("172.26.50.201",)},
    )


def test_direct_server_return_is_no_fault():
    for own_mac in (True, False):
        answers = check(direct_server_return(own_mac=own_mac))
        assert [a for a in answers if isinstance(a, Finding)] == []


def test_native_routing_that_works_is_clear():
    for pair in (on_wire(answered=True), on_wire(arrives=True)):
        assert [a for a in check(pair) if isinstance(a, Finding)] == []


def test_a_far_capture_filtered_for_the_tunnel_would_not_show_bare_packets():
    assert [a for a in check(on_wire(filtered=True)) if isinstance(a, Finding)] == []


POD_VETH, DEVICE = 4, 3
TO_US, OUTGOING = 0, 4


def through_any(tmp_path, *, destinations=("10.42.1.20", "10.42.1.52"), answered=False):
    """A node that forwards a pod's packets to its tunnel device, captured with -i any; an empty other."""
    frames = []
    for i in range(6):
        for n, address in enumerate(destinations):
            at = i + 0.1 * n
            there = udp(b"x" * 20, "10.42.0.10", address, 40000, 9000)
            frames += [(at, cooked(there, POD_VETH, TO_US)), (at + 0.00002, cooked(there, DEVICE, OUTGOING))]
            if answered:
                answer = udp(b"y" * 20, address, "10.42.0.10", 9000, 40000)
                frames.append((at + 0.001, cooked(answer, DEVICE, TO_US)))
    paths = [pcap(tmp_path / "node1.pcap", frames), pcap(tmp_path / "node2.pcap", [])]
    sources = open_sources([str(p) for p in paths])
    return pair_captures([(s, wire.decode(s)) for s in sources])


def test_what_a_node_forwards_to_a_device_that_never_gives_anything_back_is_found(tmp_path):
    finding = found(through_any(tmp_path))

    assert finding.direction == "node1>node2"
    assert "10.42.1.20 and 10.42.1.52" in finding.summary
    assert finding.evidence["packets"].value == 12
    assert finding.frames["node1"].tolist() == list(range(2, 25, 2))


def test_a_device_that_gives_answers_is_none(tmp_path):
    answers = check(through_any(tmp_path, answered=True))

    assert [a for a in answers if isinstance(a, Finding)] == []


def test_a_pod_of_this_node_that_is_gone_is_not_behind_a_tunnel(tmp_path):
    answers = check(through_any(tmp_path, destinations=("10.42.0.35",)))

    assert [a for a in answers if isinstance(a, Finding)] == []


def test_where_a_pod_lives_is_told_without_the_cluster_on_the_wire_too():
    """The far pod is heard through the tunnel; what goes to it leaves bare, and nothing answers."""
    bare = Flow(tunnel=0, sport=77)
    pair = comparison(
        [],
        [Traffic(Flow().reverse())],
        seen_only={
            "node1": [Traffic(bare, packets=20)],
            "node2": [Traffic(Flow(tunnel=0, src=WORLD, dst="172.26.50.201"))],
        },
        addresses={"node1": ("172.26.50.200",), "node2": ("172.26.50.201",)},
    )
    assert "none of 20 packets reaches node2" in found(pair).summary


def no_tunnel(*, to=FAR, seen_at="", cluster=None, points=("pod", "node1", "node2")):
    """A pod that asks 20 times, and captures of two cards that hold no tunnel packet."""
    asks = Traffic(Flow(tunnel=0, dst=to), packets=20)
    seen = {"pod": [asks], **({seen_at: [asks]} if seen_at else {})}
    return comparison(
        seen_only=seen, points=points, bare=("pod",), cluster=cluster, addresses={"pod": ("10.233.64.10",)}
    )


def test_a_pod_whose_packets_show_nowhere_behind_it_is_found_without_any_tunnel():
    finding = found(no_tunnel())

    assert finding.direction == "pod>node1"
    assert "10.233.65.20 never enters the tunnel: none of 20 packets" in finding.summary
    assert "leaves its node unencapsulated" in found(no_tunnel(seen_at="node1")).summary


def test_without_a_tunnel_only_what_is_on_its_way_to_the_other_node_counts():
    """What arrives there, the pod's own node, the world, and a path of one node."""
    pairs = [
        no_tunnel(seen_at="node2"),
        no_tunnel(to=LOCAL, cluster=CLUSTER),
        no_tunnel(to="8.8.8.8"),
        no_tunnel(to="224.0.0.251"),
        no_tunnel(points=("pod", "node1")),
    ]
    assert [a for pair in pairs for a in check(pair) if isinstance(a, Finding)] == []


def of_a_pod(tmp_path, *, on_card: bool = False, home: str = "node2") -> Comparison:
    """Captures with -i any and no tunnel packet: node1's shows what a pod sends to one of another node."""
    frames = [(0.0, cooked(udp(b"h" * 20, "172.26.50.200", "172.26.50.201", 68, 67), NIC, OUTGOING))]
    for i in range(24):
        query = udp(b"x" * 20, "10.233.64.10", FAR, 40000, 9000)
        frames.append((1 + i, cooked(query, POD_VETH, TO_US)))
        if on_card:
            frames.append((1 + i + 0.00002, cooked(query, NIC, OUTGOING)))
    heard = [(0.0003, cooked(udp(b"h" * 20, "172.26.50.200", "172.26.50.201", 68, 67), NIC, TO_US))]
    paths = [pcap(tmp_path / "node1.pcap", frames), pcap(tmp_path / "node2.pcap", heard)]
    networks = {"node1": "10.233.64.0/24", "node2": "10.233.66.0/24", home: "10.233.65.0/24"}
    addresses = {"node1": "172.26.50.200", "node2": "172.26.50.201"}
    cluster = Cluster(nodes=tuple(Node(n, (a,), (networks[n],)) for n, a in addresses.items()))
    sources = open_sources([str(p) for p in paths])
    return pair_captures([(s, wire.decode(s)) for s in sources], cluster=cluster)


NIC = 2


def test_what_a_pod_sends_and_no_capture_shows_behind_it_is_found_by_where_its_target_lives(tmp_path):
    finding = found(of_a_pod(tmp_path))

    assert finding.evidence["packets"].value == 24
    assert "lives on node2" in finding.explanation


def test_what_is_for_a_pod_of_this_node_or_leaves_by_its_card_is_left_alone(tmp_path):
    for number, other in enumerate(({"home": "node1"}, {"on_card": True})):
        folder = tmp_path / str(number)
        folder.mkdir()
        answers = check(of_a_pod(folder, **other))
        assert not any("never enters the tunnel" in a.summary for a in answers if isinstance(a, Finding)), (
            other
        )
