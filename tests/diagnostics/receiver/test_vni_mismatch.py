"""Two VNIs on one tunnel are a fault only where nothing is answered and they cannot be identities."""

import pytest

from tests.simulate import Flow, Traffic, comparison, ping
from vxlanalyze.analysis.finding import Finding, NotAssessed
from vxlanalyze.diagnostics.receiver import vni_mismatch
from vxlanalyze.kubernetes.model import Cluster, Fact


def asks(n=10, **changes):
    return Traffic(ping(**changes), packets=n)


def late(vni=1):
    """A packet half a minute later, so that the captures end long after the requests."""
    return Traffic(Flow(sport=1, dport=2, vni=vni), packets=1, start_s=30)


def asks_back(n=10, **changes):
    return Traffic(ping(dport=9).reverse(sport=0x0800, **changes), packets=n)


def late_back(vni):
    return Traffic(Flow(sport=3, dport=4).reverse(vni=vni), packets=1, start_s=30)


def test_one_vni_each_way_and_no_answers_is_found():
    pair = comparison([asks(vni=1), late()], [asks_back(8, vni=4096), late_back(4096)])

    (finding,) = vni_mismatch.check(pair)

    assert isinstance(finding, Finding)
    assert finding.direction is None
    assert "node1 sends with VNI 1 and node2 with VNI 4096" in finding.summary
    assert finding.evidence["unanswered_forward"].value == 10
    assert finding.evidence["unanswered_backward"].value == 8
    assert finding.frames["node1"].tolist() == list(range(1, 19))
    assert finding.frame_count == 36


def test_requests_in_one_direction_are_enough():
    pair = comparison([asks(vni=1), late()], [late_back(4096)])
    assert isinstance(vni_mismatch.check(pair)[0], Finding)


def test_equal_vnis_are_clear_even_where_nothing_is_answered():
    assert vni_mismatch.check(comparison([asks(vni=7)], [asks_back(vni=7)])) == []


def test_different_vnis_that_are_answered_are_clear():
    pair = comparison([asks(vni=1501), late(1501)], [Traffic(ping().reverse(vni=33002), packets=10)])
    assert vni_mismatch.check(pair) == []


def test_several_vnis_in_a_direction_are_identities():
    pair = comparison([asks(vni=1501), asks(dport=5, vni=60001)], [asks_back(vni=33002)])
    (answer,) = vni_mismatch.check(pair)
    assert isinstance(answer, NotAssessed)
    assert "identity" in answer.reason


def test_facts_that_name_cilium_make_vnis_identities():
    cilium = Cluster(facts=(Fact("node1", "cilium-tunnel-list", "tunnels.txt"),))
    pair = comparison([asks(vni=1), late()], [asks_back(vni=4096), late_back(4096)], cluster=cilium)
    assert isinstance(vni_mismatch.check(pair)[0], NotAssessed)


def test_high_vnis_between_pods_own_macs_are_taken_for_identities():
    """Cilium keeps the pod's Ethernet header: no MAC is both sent from and sent to."""
    own = {"vni": 33002, "inner_src_mac": 0xAA, "inner_dst_mac": 0xBB}
    pair = comparison(
        [asks(vni=1501), late(1501)],
        [asks_back(**own), Traffic(Flow(sport=3, dport=4).reverse(**own), packets=1, start_s=30)],
    )
    (answer,) = vni_mismatch.check(pair)
    assert isinstance(answer, NotAssessed)
    assert "Cilium" in answer.reason


@pytest.mark.parametrize("requests", [1, 3])
def test_few_requests_are_not_enough(requests):
    pair = comparison([asks(requests, vni=1), late()], [late_back(4096)])
    (answer,) = vni_mismatch.check(pair)
    assert isinstance(answer, NotAssessed)
    assert "fewer than 4 requests" in answer.reason


def test_one_direction_alone_cannot_tell():
    assert isinstance(vni_mismatch.check(comparison([asks(vni=1)]))[0], NotAssessed)


def test_of_several_overlays_the_one_with_two_vnis_is_found():
    """VNI 100 works both ways; the same pods are sent to with 200 and send with 201."""
    works = asks(vni=100), Traffic(ping().reverse(vni=100), packets=10)
    other = {"src": "10.9.0.1", "dst": "10.9.0.2"}
    split = asks(dport=5, vni=200, **other), asks_back(vni=201, src="10.9.0.2", dst="10.9.0.1")
    pair = comparison([works[0], split[0], late(100)], [works[1], split[1], late_back(100)])

    (finding,) = vni_mismatch.check(pair)

    assert isinstance(finding, Finding)
    assert "VNI 200" in finding.summary
    assert "VNI 201" in finding.summary
    assert finding.evidence["working_vni"].value == 100
    assert "cilium" not in finding.remedy.lower()
