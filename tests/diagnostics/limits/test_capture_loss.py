"""Packets that a capture lacks: counted by the kernel, acknowledged, or seen elsewhere."""

import numpy as np

from tests.simulate import TCP, Flow, Traffic, checks, comparison
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.diagnostics.limits.capture_loss import check
from vxlanalyze.kubernetes.model import Cluster, Fact
from vxlanalyze.pairing.model import Comparison, Reason
from vxlanalyze.wire.model import Checksum

DATA = Flow(protocol=TCP, sport=40000, dport=8080)
KERNEL = {"node1": {"dropped_by_kernel": 0}, "node2": {"dropped_by_kernel": 0}}


def tcp(**more) -> list[Traffic]:
    return [Traffic(DATA, packets=50, seq=1000 + 100 * np.arange(50), **more)]


def acks(upto: int) -> list[Traffic]:
    return [Traffic(DATA.reverse(), packets=1, start_s=2, ack=upto, tcp_flags=0x10, payload=0)]


def found(pair: Comparison) -> Finding:
    (finding,) = check(pair)
    assert isinstance(finding, Finding)
    assert finding.severity == Severity.WARNING
    return finding


def test_the_kernel_s_own_count_is_found():
    finding = found(comparison([Traffic(packets=900)], facts={"node2": {"dropped_by_kernel": 100}}))

    assert "node2 (the kernel dropped 100, 10 %)" in finding.summary
    assert finding.evidence["node2 dropped_by_kernel"].value == 100


def test_tcpdump_s_closing_lines_count_too():
    row = {"captured": "100", "received_by_filter": "112", "dropped_by_kernel": "12"}
    cluster = Cluster(facts=(Fact("node1", "tcpdump-summary", "log", (row,)),))

    assert found(comparison([Traffic()], cluster=cluster)).evidence["node1 dropped_by_kernel"].value == 12


def test_data_acknowledged_though_never_seen_is_found():
    kept = np.arange(50) % 10 != 5
    seq = (1000 + 100 * np.arange(50))[kept]
    finding = found(comparison([Traffic(DATA, packets=len(seq), seq=seq)], acks(6000)))

    assert finding.evidence["node1 acknowledged_unseen"].value == 500
    assert finding.evidence["node2 acknowledged_unseen"].value == 500


def test_packets_that_only_the_receiver_saw_between_others_of_their_conversation_are_found():
    flow = Flow(dport=5201)
    sent = Traffic(flow, packets=100, every_s=0.01)
    gap = Traffic(flow, packets=7, start_s=0.5, every_s=0.01, unsent=True, unsent_reason=Reason.CAPTURE_LOSS)
    finding = found(comparison([sent, gap]))

    assert finding.evidence["node1 received_elsewhere"].value == 7
    assert finding.frames["node2"].shape == (7,)


def test_requests_that_were_answered_though_the_capture_lacks_them_are_found():
    pair = comparison([*tcp(), Traffic(packets=3, unknown=True, unknown_reason=Reason.CAPTURE_LOSS)])

    assert found(pair).evidence["node2 answered_unseen"].value == 3


def test_counters_of_zero_are_clear():
    assert check(comparison([Traffic()], facts=KERNEL)) == []


def test_complete_tcp_is_clear():
    assert check(comparison(tcp(), acks(6000))) == []


def test_lost_data_is_not_missing_from_a_capture():
    assert check(comparison(tcp(lost=np.arange(50) % 7 == 3), acks(1300))) == []


def test_super_packets_are_not_missing():
    """The sender's capture shows one frame of 14 kB, the receiver's ten of them."""
    bulk = Traffic(DATA, packets=5, payload=14_000, segment_bytes=1400)

    assert check(comparison([bulk], acks(70_000))) == []


def test_a_capture_that_began_late_lacks_nothing():
    """The first half was seen by the receiver only, before the sender's capture began."""
    flow = Flow(dport=5201)
    early = Traffic(flow, packets=50, every_s=0.01, unsent=True, unsent_reason=Reason.CAPTURE_LOSS)
    late = Traffic(flow, packets=50, start_s=0.5, every_s=0.01)

    assert check(comparison([early, late], facts=KERNEL)) == []


def test_packets_of_other_conversations_may_have_gone_another_way():
    other = Traffic(Flow(dport=9), packets=9, start_s=0.5, unsent=True, unsent_reason=Reason.CAPTURE_LOSS)

    assert check(comparison([Traffic(), other], facts=KERNEL)) == []


def test_damaged_packets_do_not_find_their_partner():
    flow = Flow(dport=5201)
    bad = Traffic(flow, packets=5, start_s=0.5, unsent=True, received_checks=checks(inner_l4=Checksum.BAD))

    assert check(comparison([Traffic(flow), bad], facts=KERNEL)) == []


def test_a_classic_capture_without_tcp_has_no_witness():
    (answer,) = check(comparison([Traffic()]))

    assert isinstance(answer, NotAssessed)
    assert "node1 and node2" in answer.reason


def test_an_empty_capture_is_not_asked():
    assert check(comparison()) == []
