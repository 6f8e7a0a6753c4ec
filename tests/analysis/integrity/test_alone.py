"""What arrives at a node is told from its capture alone, where something tells whose capture it is."""

import numpy as np
import pytest

from tests.analysis.integrity.test_forensics import frame, right
from tests.diagnostics.receiver.test_port_unreachable import error
from tests.simulate import NODE1, NODE2, Flow, Traffic, checks, comparison, ping
from vxlanalyze.analysis.finding import Finding, NotAssessed
from vxlanalyze.diagnostics.integrity import inner_checksum_bad, outer_checksum_bad
from vxlanalyze.diagnostics.path import wrong_tunnel_endpoint
from vxlanalyze.diagnostics.receiver import not_answered, port_unreachable, stale_tunnel_mac, vni_mismatch
from vxlanalyze.kubernetes.model import Cluster, Node
from vxlanalyze.wire.model import Checksum

BAD_OUTER, BAD_INNER = checks(outer_l4=Checksum.BAD), checks(inner_l4=Checksum.BAD)
OFFLOADED = checks(inner_l4=Checksum.PARTIAL)
LATE = Traffic(Flow(sport=1, dport=2), packets=1, start_s=30)
DIAGNOSTICS = (not_answered, outer_checksum_bad, inner_checksum_bad, vni_mismatch, stale_tunnel_mac)


def node2(arriving, leaving=(), own=(NODE2,), **more):
    """The capture of node2 alone; what arrives there is given as it is on arrival."""
    return comparison([*arriving, LATE], leaving, points=("node2",), addresses={"node2": own}, **more)


def asks(n=10, **changes):
    return Traffic(ping(**changes), packets=n)


def speaks(**changes):
    return Traffic(Flow(sport=3, dport=4).reverse(**changes))


def test_arriving_requests_without_an_answer_are_found():
    (finding,) = not_answered.check(node2([asks()]))
    assert isinstance(finding, Finding)
    assert finding.direction is None
    assert finding.evidence["unanswered_requests"].value == 10
    assert finding.frames["node2"].tolist() == list(range(1, 11))
    assert finding.frame_count == 10


def test_arriving_requests_that_are_answered_are_clear():
    assert not_answered.check(node2([asks()], [Traffic(ping().reverse(), packets=10)])) == []


def test_own_requests_without_an_answer_may_have_been_lost():
    own = Traffic(ping(dport=9).reverse(sport=0x0800), packets=10)
    (answer,) = not_answered.check(node2([], [own, Traffic(ping(dport=5).reverse())]))
    assert isinstance(answer, NotAssessed)


def test_wrong_checksums_on_arrival_are_found():
    seen = [frame(i, 7103, stored=right(frame(i, 44246))) for i in range(12)]
    traffic = Traffic(ping(), packets=12, raw=seen, sent_checks=BAD_OUTER)
    (finding,) = outer_checksum_bad.check(node2([traffic]))
    assert finding.evidence["kind"].value == "source port rewritten"
    assert "one capture does not show" in finding.explanation.lower()
    assert "corrupted-in-transit" not in {r.code for r in finding.ruled_out}


def test_wrong_checksums_without_a_pattern_call_for_the_senders_capture():
    rng = np.random.default_rng(7)
    seen = [frame(i, 40000, stored=int(rng.integers(1, 65535))) for i in range(12)]
    (finding,) = outer_checksum_bad.check(node2([Traffic(ping(), 12, raw=seen, sent_checks=BAD_OUTER)]))
    assert "a capture at the sender would show" in finding.summary


def test_wrong_inner_checksums_on_arrival_are_found():
    (finding,) = inner_checksum_bad.check(node2([Traffic(sent_checks=BAD_INNER)]))
    assert finding.evidence["wrong"].value == 100


@pytest.mark.parametrize("diagnostic", [outer_checksum_bad, inner_checksum_bad])
def test_what_the_node_sends_itself_is_offload(diagnostic):
    own = Traffic(Flow(sport=3, dport=4).reverse(), sent_checks=BAD_INNER)
    assert not [a for a in diagnostic.check(node2([Traffic()], [own])) if isinstance(a, Finding)]


def test_two_vnis_are_found():
    (finding,) = vni_mismatch.check(node2([asks(vni=1)], [speaks(vni=4096)]))
    assert finding.summary.startswith("The other node sends with VNI 1 and node2 with VNI 4096")


def test_a_stale_mac_is_found():
    (finding,) = stale_tunnel_mac.check(
        node2([asks(inner_dst_mac=0xD60211223344)], [speaks(src="10.233.65.20")])
    )
    assert finding.evidence["addressed_mac"].value == "d6:02:11:22:33:44"


def test_own_packets_to_the_wrong_node_are_found():
    nodes = (Node("node2", (NODE2,), ("10.233.65.0/24",)), Node("node1", (NODE1,), ("10.233.64.0/24",)))
    own = Traffic(ping(dport=9).reverse(sport=0x0800, outer_dst="172.26.50.77"), packets=10)
    late = Traffic(Flow(sport=1, dport=2).reverse(), packets=1, start_s=40)
    pair = node2([], [own, late], cluster=Cluster(nodes=nodes))
    (finding,) = wrong_tunnel_endpoint.check(pair)
    assert finding.evidence["sent_to"].value == "172.26.50.77"


def test_refused_ports_are_found():
    (finding,) = port_unreachable.check(node2([asks(20)], seen_only={"node2": [error()]}))
    assert finding.evidence["errors"].value == 5
    assert finding.frame_count == 5


def test_offload_tells_whose_capture_it_is():
    own = Traffic(Flow(sport=3, dport=4).reverse(), sent_checks=OFFLOADED)
    (finding,) = not_answered.check(node2([asks()], [own], own=()))
    assert isinstance(finding, Finding)


@pytest.mark.parametrize("diagnostic", DIAGNOSTICS)
def test_without_a_sign_of_whose_it_is_nothing_is_judged(diagnostic):
    (answer,) = diagnostic.check(node2([asks()], own=()))
    assert isinstance(answer, NotAssessed)
    assert "which end of the tunnel" in answer.reason


@pytest.mark.parametrize("diagnostic", DIAGNOSTICS)
def test_a_bare_capture_is_not_asked(diagnostic):
    assert diagnostic.check(comparison([asks()], points=("pod",), bare=("pod",))) == []
