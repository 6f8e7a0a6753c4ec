"""Port unreachable about an outer packet is proof; about a pod's packet, or anything else, it is not."""

from dataclasses import replace

import pytest

from tests.diagnostics import headers
from tests.simulate import NODE1, NODE2, POD1, POD2, Flow, Traffic, Tunnel, comparison, ping
from vxlanalyze.analysis.finding import Finding, NotAssessed
from vxlanalyze.diagnostics.receiver import port_unreachable
from vxlanalyze.wire.model import Anomaly

SAYS = Flow(src=NODE2, dst=NODE1, protocol=1, sport=3 << 8 | 3, dport=0, tunnel=Tunnel.NONE)
SENT = Traffic(ping(), packets=20)


def error(quoted_port=8472, src=NODE2, dst=NODE2, n=5, seen_as=SAYS):
    """ICMP errors that quote an outer UDP packet from node1, as both nodes see them."""
    inner = headers.ethernet(headers.ipv4(POD1, POD2, 1, bytes(8)))
    datagram = headers.udp(NODE1, dst, 43317, quoted_port, headers.vxlan(inner))
    quoted = headers.ipv4(NODE1, dst, 17, datagram)
    frame = headers.ethernet(headers.ipv4(src, NODE1, 1, headers.icmp(3, 3, quoted)))
    return Traffic(replace(seen_as, src=src), packets=n, raw=[frame] * n, anomalies=Anomaly.ICMP_ERROR.value)


def assess(errors, backward=(), forward=(SENT,), at="node1"):
    pair = comparison(forward, backward, seen_only={at: errors})
    return [a for a in port_unreachable.check(pair) if a.direction == "node1>node2"]


@pytest.mark.parametrize("at", ["node1", "node2"])
def test_an_error_that_quotes_an_outer_packet_is_found_at_either_point(at):
    (finding,) = assess([error()], at=at)

    assert isinstance(finding, Finding)
    assert finding.evidence["errors"].value == 5
    assert finding.evidence["refused_port"].value == "8472"
    assert finding.evidence["sent"].value == 20
    assert finding.frame_count == 5
    assert "node2 itself refuses" in finding.explanation


def test_the_port_that_the_node_uses_itself_is_named():
    back = Traffic(Flow(sport=3, dport=4).reverse(outer_dport=4789))
    (finding,) = assess([error()], [back])
    assert finding.evidence["own_port"].value == "4789"
    assert "it uses port 4789 itself" in finding.summary


def test_another_kind_of_tunnel_is_named_rather_than_its_port():
    back = Traffic(Flow(sport=3, dport=4).reverse(tunnel=Tunnel.GENEVE, outer_dport=6081))
    (finding,) = assess([error()], [back])

    assert "they are VXLAN (UDP port 8472), node2 uses Geneve (UDP port 6081)" in finding.summary
    assert finding.remedy.startswith("Use one kind of tunnel on both nodes")


def test_an_error_of_another_host_says_that_something_on_the_way_rejects():
    (finding,) = assess([error(src="172.26.50.1")])
    assert "another address than the one sent to refuses" in finding.explanation


def test_tunnel_packets_without_errors_are_clear():
    assert assess([], [Traffic(ping().reverse(), packets=20)]) == []


def test_an_error_about_a_port_that_is_no_tunnels_is_not_meant():
    assert assess([error(quoted_port=33434)], [Traffic(ping().reverse(), packets=20)]) == []


def test_an_error_about_another_node_is_not_meant():
    assert assess([error(dst="172.26.50.9")], [Traffic(ping().reverse(), packets=20)]) == []


def test_a_pod_that_refuses_inside_the_tunnel_is_not_meant():
    inside = Flow(src=POD2, dst=POD1, protocol=1, sport=3 << 8 | 3, dport=0, outer_src=NODE2, outer_dst=NODE1)
    assert assess([error(src=POD2, seen_as=inside)], [Traffic(ping().reverse(), packets=20)]) == []


def test_captures_filtered_by_port_cannot_tell_why_nothing_is_answered():
    late = Traffic(Flow(sport=1, dport=2), packets=1, start_s=30)
    (answer,) = assess([], forward=[SENT, late])
    assert isinstance(answer, NotAssessed)
    assert "filtered by port" in answer.reason
