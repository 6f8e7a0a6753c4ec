"""One MAC behind two nodes is found, unless it is a virtual one, moved, or one node's under two addresses."""

from tests.simulate import NODE1, NODE2, Flow, Traffic, comparison
from vxlanalyze.analysis.finding import NotAssessed, Severity
from vxlanalyze.diagnostics.receiver import duplicate_tunnel_mac
from vxlanalyze.kubernetes.model import Cluster, Node

MAC, NODE3 = 0x0E0000000001, "172.26.50.202"
TO_NODE2 = Flow()  # from MAC behind node1
FROM_NODE2 = Flow(sport=7).reverse(inner_src_mac=MAC, inner_dst_mac=MAC)


def test_a_mac_of_both_nodes_is_found():
    (finding,) = duplicate_tunnel_mac.check(
        comparison([Traffic(TO_NODE2)], [Traffic(FROM_NODE2, packets=50)])
    )

    assert finding.severity is Severity.WARNING
    assert finding.direction is None
    assert finding.evidence["mac"].value == "0e:00:00:00:00:01"
    assert finding.evidence["outer_addresses"].value == f"{NODE1}, {NODE2}"
    assert len(finding.frames["node1"]) == 100
    assert finding.frame_count == 300


def test_a_mac_shared_with_a_node_that_was_not_captured_is_found():
    third = Flow(src="10.233.66.5", sport=8, outer_src=NODE3)
    pair = comparison([Traffic()], [Traffic(Flow().reverse())], seen_only={"node2": [Traffic(third)]})
    (finding,) = duplicate_tunnel_mac.check(pair)
    assert NODE3 in finding.summary


def test_each_node_with_its_own_mac_is_clear():
    assert duplicate_tunnel_mac.check(comparison([Traffic()], [Traffic(Flow().reverse())])) == []


def test_a_mac_that_nobody_addresses_is_a_shared_router():
    back = Flow(sport=7).reverse(inner_src_mac=MAC, inner_dst_mac=0x0A580A010005)
    assert duplicate_tunnel_mac.check(comparison([Traffic()], [Traffic(back)])) == []


def test_vrrp_is_shared_by_design():
    virtual = 0x00005E000107
    there = Flow(inner_src_mac=virtual, inner_dst_mac=virtual)
    pair = comparison([Traffic(there), Traffic()], [Traffic(there.reverse())])
    assert duplicate_tunnel_mac.check(pair) == []


def test_a_mac_that_moved_is_not_a_duplicate():
    back = Traffic(FROM_NODE2, start_s=60)
    assert duplicate_tunnel_mac.check(comparison([Traffic(TO_NODE2)], [back])) == []


def test_two_addresses_of_one_node_are_clear():
    other = Flow(sport=9, outer_src="192.0.2.1", inner_dst_mac=MAC)
    cluster = Cluster(nodes=(Node("node1", (NODE1, "192.0.2.1")),))
    assert duplicate_tunnel_mac.check(comparison([Traffic(), Traffic(other)], cluster=cluster)) == []


def test_captures_without_tunnels_cannot_tell():
    (answer,) = duplicate_tunnel_mac.check(comparison([Traffic()], bare=("node1", "node2")))
    assert isinstance(answer, NotAssessed)
