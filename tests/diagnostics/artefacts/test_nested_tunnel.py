"""Packets in more than one tunnel are told, with what all their headers cost."""

from tests.simulate import Flow, Traffic, Tunnel, comparison
from vxlanalyze.analysis.finding import Severity
from vxlanalyze.diagnostics.artefacts import nested_tunnel


def test_a_tunnel_inside_the_tunnel_is_found_with_its_cost():
    nested = Traffic(Flow(tunnel_depth=2, tunnel=Tunnel.GENEVE), packets=30)

    (finding,) = nested_tunnel.check(comparison([nested, Traffic(Flow(sport=5), packets=70)]))

    assert finding.severity is Severity.INFO
    assert finding.direction == "node1>node2"
    assert finding.evidence["nested"].value == 30
    assert finding.evidence["tunnel_packets"].value == 100
    assert finding.evidence["depth"].value == 2
    assert finding.evidence["innermost_tunnel"].value == "Geneve"
    assert finding.evidence["header_cost"].value == 50  # of the simulated frames, which have one header set
    assert "1500 - 50 = 1450" in finding.explanation
    assert len(finding.frames["node1"]) == 30


def test_several_costs_are_said_to_be_several():
    over_ipv6 = Flow(sport=6, tunnel_depth=2, outer_src="fd00::1", outer_dst="fd00::2")
    pair = comparison([Traffic(Flow(tunnel_depth=2), packets=9), Traffic(over_ipv6, packets=5)])
    (finding,) = nested_tunnel.check(pair)
    assert "2 different costs" in finding.explanation


def test_one_tunnel_is_clear():
    assert nested_tunnel.check(comparison([Traffic()], [Traffic(Flow().reverse())])) == []


def test_one_capture_alone_is_enough():
    (finding,) = nested_tunnel.check(comparison([Traffic(Flow(tunnel_depth=3))], points=("node1",)))
    assert finding.direction is None
    assert finding.evidence["depth"].value == 3


def test_a_bare_point_is_not_where_packets_enter_the_tunnel():
    pair = comparison([Traffic(Flow(tunnel_depth=2))], points=("pod", "a", "b"), bare=("pod",))
    assert [f.direction for f in nested_tunnel.check(pair)] == ["a>b"]
