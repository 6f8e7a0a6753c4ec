"""A wrong outer destination is proved by the cluster's words or by the pod's own packets, and by silence."""

from tests.simulate import NODE1, NODE2, POD2, Flow, Traffic, comparison, ping
from vxlanalyze.analysis.finding import Finding, NotAssessed
from vxlanalyze.diagnostics.path import wrong_tunnel_endpoint
from vxlanalyze.kubernetes.model import Cluster, Node, Pod, TunnelRoute

STALE, NODE3 = "172.26.50.77", "172.26.50.202"
NODES = (
    Node("node1", (NODE1,), ("10.233.64.0/24",)),
    Node("node2", (NODE2,), ("10.233.65.0/24",)),
    Node("node3", (NODE3,), ("10.233.66.0/24",)),
)
CLUSTER = Cluster(nodes=NODES, pods=(Pod("web-0", "default", "node2", (POD2,)),))


def asks(n=10, to=STALE, **changes):
    return Traffic(ping(outer_dst=to, **changes), packets=n)


def late(to=STALE):
    return Traffic(Flow(sport=1, dport=2, outer_dst=to), packets=1, start_s=30)


def assess(forward, backward=(), **more):
    answers = wrong_tunnel_endpoint.check(comparison(forward, backward, **more))
    return [a for a in answers if a.direction == "node1>node2"]


def test_an_address_that_is_not_the_pods_node_is_found_by_the_cluster():
    (finding,) = assess([asks(), late()], cluster=CLUSTER)

    assert isinstance(finding, Finding)
    assert f"sends packets for {POD2} (default/web-0) to {STALE}" in finding.summary
    assert f"{POD2} lives on node2 ({NODE2})" in finding.summary
    assert finding.evidence["packets"].value == 11
    assert finding.evidence["unanswered_requests"].value == 10
    assert finding.frames["node1"].tolist() == list(range(1, 12))


def test_lost_packets_prove_it_as_well():
    (finding,) = assess([Traffic(ping(outer_dst=STALE), packets=10, lost=True), late()], cluster=CLUSTER)
    assert isinstance(finding, Finding)


def test_the_saved_tunnel_map_is_held_against_the_wire():
    routes = (TunnelRoute("10.233.65.0/24", STALE, "node1"),)
    (finding,) = assess([asks(), late()], cluster=Cluster(nodes=NODES, routes=routes))
    assert "it is the fault" in finding.explanation
    assert finding.evidence["tunnel_map"].value == f"10.233.65.0/24 > {STALE}"


def test_another_nodes_address_is_wrong_even_where_nothing_asks():
    (finding,) = assess([Traffic(Flow(outer_dst=NODE3))], cluster=CLUSTER)
    assert isinstance(finding, Finding)
    assert "an address of node3" in finding.explanation


def test_packets_alone_prove_it_where_the_pod_is_seen_behind_another_address():
    backward = [Traffic(Flow(sport=3, dport=4).reverse())]
    (finding,) = assess([asks(), late()], backward, addresses={"node2": (NODE2,)})
    assert isinstance(finding, Finding)
    assert "rests on packets alone" in finding.explanation
    assert finding.evidence["expected_endpoint"].value == NODE2


def test_the_pods_node_is_right():
    assert assess([asks(to=NODE2), late(NODE2)], cluster=CLUSTER) == []


def test_an_unknown_address_that_is_answered_is_another_of_the_node():
    assert assess([asks(), late()], [Traffic(ping().reverse())], cluster=CLUSTER) == []


def test_an_address_from_which_the_nodes_pods_send_is_the_nodes():
    """The cluster lists one address of node2, its tunnel uses another; then node2 falls silent."""
    second = "192.168.9.2"
    backward = [Traffic(Flow(sport=3, dport=4).reverse(outer_src=second))]
    assert assess([asks(to=second), late(second)], backward, cluster=CLUSTER) == []


def test_a_translated_address_leads_to_the_pods_node():
    traffic = Traffic(ping(outer_dst=STALE), packets=10, received_flow=ping(outer_dst=NODE2))
    assert assess([traffic, Traffic(Flow(sport=1, dport=2), 1, start_s=30)], cluster=CLUSTER) == []


def test_a_silent_pod_at_the_right_address_is_not_at_a_wrong_one():
    backward = [Traffic(Flow(sport=3, dport=4).reverse())]
    assert assess([asks(to=NODE2), late(NODE2)], backward) == []


def test_without_words_or_packets_nothing_tells():
    (answer,) = assess([asks(), late()])
    assert isinstance(answer, NotAssessed)
    assert "--kube" in answer.reason


def test_few_requests_prove_nothing():
    (answer,) = assess([asks(2), Traffic(Flow(sport=1, dport=2), 1, start_s=30)], cluster=CLUSTER)
    assert isinstance(answer, NotAssessed)
    assert "too few" in answer.reason
