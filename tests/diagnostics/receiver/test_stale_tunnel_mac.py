"""A MAC that the other node does not use is a fault where devices are addressed by MAC and it is silent."""

import pytest

from tests.simulate import NODE1, NODE2, POD1, POD2, Flow, Traffic, comparison, ping
from vxlanalyze.analysis.finding import Finding, NotAssessed
from vxlanalyze.diagnostics.receiver import stale_tunnel_mac
from vxlanalyze.kubernetes.model import Cluster, Fact, Node

OLD, NEW, NEAR = 0xD60211223344, 0x0E0000000002, 0x0E0000000001
POD, OTHER_POD = "10.233.65.20", "10.233.65.250"


def asks(n=10, mac=OLD, **changes):
    return Traffic(ping(inner_dst_mac=mac, **changes), packets=n)


def late(**changes):
    return Traffic(Flow(**{"sport": 1, "dport": 2, "inner_dst_mac": OLD, **changes}), packets=1, start_s=30)


def asks_back(n=8, src=POD, **changes):
    return Traffic(ping(dport=9).reverse(src=src, sport=0x0800, **changes), packets=n)


def assess(forward, backward=(), **more):
    answers = stale_tunnel_mac.check(comparison(forward, backward, **more))
    return [a for a in answers if a.direction == "node1>node2"]


def test_requests_to_a_mac_that_the_node_does_not_send_from_are_found():
    """As flannel does it: node2 pings with its new MAC, node1 answers to the old one."""
    replies = Traffic(ping(dport=9).reverse().reverse(sport=0, inner_dst_mac=OLD), packets=8)

    (finding,) = assess([asks(), replies, late()], [asks_back()])

    assert isinstance(finding, Finding)
    assert finding.evidence["addressed_mac"].value == "d6:02:11:22:33:44"
    assert finding.evidence["used_mac"].value == "0e:00:00:00:00:02"
    assert finding.evidence["unanswered_requests"].value == 10
    assert "none of 10 requests" in finding.summary


def test_only_the_macs_of_the_same_tunnel_are_named():
    """flannel has a device for each IP version of the nodes, with MACs of their own."""
    six = {"outer_src": "fd00::1", "outer_dst": "fd00::2"}
    replies = Traffic(ping(dport=9, **six).reverse().reverse(sport=0, inner_dst_mac=OLD), packets=8)
    other = Traffic(ping(src="10.9.0.1", dst="10.9.0.2", inner_dst_mac=0x0E0000000022), packets=8)
    back = Traffic(other.flow.reverse(sport=0, inner_src_mac=0x0E0000000022), packets=8)

    (finding,) = assess([asks(**six), replies, other, late()], [asks_back(outer_src="fd00::2"), back])

    assert finding.evidence["used_mac"].value == "0e:00:00:00:00:02"


def test_one_old_mac_for_several_pods_is_found_where_no_address_was_heard():
    forward = [asks(dst=OTHER_POD), asks(dst="10.233.65.7"), late()]
    (finding,) = assess(forward, [asks_back(src=POD)])
    assert isinstance(finding, Finding)


def test_the_clusters_record_of_the_mac_is_proof_where_the_node_is_silent():
    node = Node("node2", (NODE2,), tunnel_macs=("0e:00:00:00:00:02",))
    (finding,) = assess([asks(), late()], cluster=Cluster(nodes=(node,)))
    assert isinstance(finding, Finding)
    assert "cluster's own record" in finding.explanation


def test_the_right_mac_is_clear_though_nothing_is_answered():
    assert assess([asks(mac=NEW), late(inner_dst_mac=NEW)], [asks_back()]) == []


def test_a_strange_mac_that_is_answered_is_clear():
    answer = Traffic(ping(inner_dst_mac=OLD).reverse(inner_src_mac=NEW), packets=10)
    assert assess([asks(), late()], [answer]) == []


def test_a_silent_pod_with_a_mac_of_its_own_is_not_taken_for_a_tunnel_device():
    forward = [asks(mac=0xAAAA, dst=OTHER_POD), late(inner_dst_mac=0xAAAA, dst=OTHER_POD)]
    (answer,) = assess(forward, [asks_back(src=POD)])
    assert isinstance(answer, NotAssessed)
    assert "for a pod" in answer.reason


def test_a_virtual_router_mac_that_both_address_is_not_stale():
    """Antrea and OVN address the same MAC from every node, and nobody sends from it."""
    virtual = 0xAABBCCDDEEFF
    forward = [asks(mac=virtual), asks(mac=virtual, dst=OTHER_POD), late(inner_dst_mac=virtual)]
    (answer,) = assess(forward, [asks_back(inner_dst_mac=virtual)])
    assert isinstance(answer, NotAssessed)


@pytest.mark.parametrize(("vni", "proved"), [(4096, True), (77, False)])
def test_entries_that_are_stale_both_ways_are_told_by_the_plugins_defaults(vni, proved):
    """Neither MAC is ever sent from, so only a plugin that is known to address devices by MAC proves it."""
    forward = [asks(vni=vni), asks(dst=OTHER_POD, vni=vni), late(vni=vni)]
    backward = [asks_back(inner_dst_mac=0xD60255667788, vni=vni), late(inner_dst_mac=0xD60255667788, vni=vni)]
    (answer,) = assess(forward, backward)
    assert isinstance(answer, Finding if proved else NotAssessed)


def test_both_ways_stale_is_not_told_of_one_virtual_mac():
    virtual = 0xAABBCCDDEEFF
    forward = [asks(mac=virtual, vni=4096), asks(mac=virtual, dst=OTHER_POD, vni=4096)]
    (answer,) = assess([*forward, late(vni=4096)], [asks_back(inner_dst_mac=virtual, vni=4096)])
    assert isinstance(answer, NotAssessed)


def test_several_vnis_mean_that_the_mac_is_not_looked_at():
    (answer,) = assess([asks(vni=1501), asks(dport=3, vni=60001), late(vni=1501)], [asks_back(vni=33002)])
    assert isinstance(answer, NotAssessed)


def test_facts_that_name_cilium_mean_that_the_mac_is_not_looked_at():
    cilium = Cluster(facts=(Fact("node1", "cilium-service-list", "services.txt"),))
    (answer,) = assess([asks(), late()], [asks_back()], cluster=cilium)
    assert isinstance(answer, NotAssessed)


def test_a_node_that_was_never_heard_cannot_be_judged():
    (answer,) = assess([asks(), late()])
    assert isinstance(answer, NotAssessed)
    assert "node2 sent no tunnel packet" in answer.reason


@pytest.mark.parametrize("requests", [1, 3])
def test_few_requests_are_not_enough(requests):
    (answer,) = assess([asks(requests), late()], [asks_back()])
    assert isinstance(answer, NotAssessed)


def test_broadcast_is_no_tunnel_device():
    assert assess([asks(mac=0xFFFFFFFFFFFF), late(inner_dst_mac=0xFFFFFFFFFFFF)], [asks_back()]) == []


def test_a_pod_with_a_mac_of_its_own_is_named_instead_of_the_device():
    """Pods have MACs (a bridged network): one is addressed by its old MAC, and sends from its new one."""
    other = {"src": "10.233.65.9", "dst": POD1, "inner_src_mac": 0x0E00000000C9}
    own = {"src": POD2, "dst": POD1, "inner_src_mac": 0x0E00000000C8}
    away = {"outer_src": NODE2, "outer_dst": NODE1, "inner_dst_mac": 0x0E0000000001}
    late = Traffic(Flow(sport=1, dport=2, inner_dst_mac=0x0E00000000C8), 1, start_s=30)
    pair = comparison(
        [Traffic(ping(inner_dst_mac=0x0E0000000077), packets=10), late],
        [Traffic(Flow(sport=3, **own, **away)), Traffic(Flow(sport=5, **other, **away))],
    )
    (finding,) = [a for a in stale_tunnel_mac.check(pair) if a.direction == "node1>node2"]
    assert isinstance(finding, Finding)
    assert f"addresses {POD2} by 0e:00:00:00:00:77" in finding.summary
    assert "flannel" not in finding.remedy
