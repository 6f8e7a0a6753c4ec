"""A wrong inner checksum at the receiver is a fault unless accepted, merged, or damaged with its bytes."""

import numpy as np
import pytest

from tests.simulate import TCP, Flow, Traffic, checks, comparison, ping
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.diagnostics.integrity import inner_checksum_bad
from vxlanalyze.wire.model import Anomaly, Checksum

BAD, UNFILLED = checks(inner_l4=Checksum.BAD), checks(inner_l4=Checksum.PARTIAL)
LATE = Traffic(Flow(sport=1, dport=2), packets=1, start_s=30)
DNS = Flow(sport=35000, dport=53)
PADDED = Anomaly.PADDING_NOT_ZERO.value


def assess(forward, backward=(), **more):
    pair = comparison([*forward, LATE], backward, **more)
    return [a for a in inner_checksum_bad.check(pair) if a.direction == "node1>node2"]


def test_wrong_checksums_on_arrival_are_found_by_protocol():
    queries = Traffic(DNS, packets=6, received_checks=BAD, seq=np.arange(6) << 16 | 0x0100)
    bulk = Traffic(Flow(protocol=TCP), packets=93, received_checks=[BAD] * 20 + [checks()] * 73)

    (finding,) = assess([queries, bulk])

    assert isinstance(finding, Finding)
    assert finding.severity is Severity.CRITICAL
    assert "26 of 100 (26 %) packets; 20 of 93 TCP and 6 of 7 UDP" in finding.summary
    assert finding.evidence["wrong"].value == 26
    assert finding.evidence["judged"].value == 100
    assert finding.evidence["unanswered_requests"].value == 26
    assert len(finding.frames["node2"]) == 26


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (checks(), "something on the path changes them"),
        (UNFILLED, "the sending card or hypervisor completes them wrongly"),
        (BAD, "already invalid when they leave node1"),
    ],
)
def test_the_senders_capture_shows_where_they_become_wrong(sent, says):
    (finding,) = assess([Traffic(packets=9, sent_checks=sent, received_checks=BAD)])
    assert says in finding.summary


def test_a_wrong_inner_ip_header_counts():
    (finding,) = assess([Traffic(packets=9, received_checks=checks(inner_ip=Checksum.BAD))])
    assert finding.evidence["wrong"].value == 9


def test_padding_that_is_not_zero_is_named_where_it_goes_with_them():
    odd = Traffic(Flow(protocol=TCP), packets=9, received_checks=BAD, anomalies=PADDED)
    (finding,) = assess([odd, Traffic(packets=50)])
    assert finding.evidence["with_padding"].value == 9
    assert "385625" in finding.remedy


def test_padding_that_does_not_go_with_them_is_not_named():
    odd = Traffic(Flow(protocol=TCP), packets=9, received_checks=BAD)
    (finding,) = assess([odd, Traffic(packets=50, anomalies=PADDED)])
    assert finding.evidence["with_padding"].value == 0


def test_right_and_absent_checksums_are_clear():
    assert assess([Traffic(), Traffic(Flow(sport=5), received_checks=checks(inner_l4=Checksum.ABSENT))]) == []


def test_what_the_sender_shows_is_not_what_arrives():
    assert assess([Traffic(sent_checks=UNFILLED), Traffic(Flow(sport=5), sent_checks=BAD)]) == []


def test_wrong_checksums_that_are_accepted_do_no_harm():
    (answer,) = assess([Traffic(ping(), 9, received_checks=BAD)], [Traffic(ping().reverse(), 9)])
    assert isinstance(answer, NotAssessed)
    assert "accepted" in answer.reason


def test_unfilled_checksums_of_a_path_inside_one_host_are_clear_where_answered():
    assert assess([Traffic(ping(), 9, received_checks=UNFILLED)], [Traffic(ping().reverse(), 9)]) == []


def test_unfilled_checksums_that_nobody_answers_were_never_filled_in():
    (finding,) = assess([Traffic(ping(), 9, received_checks=UNFILLED)])
    assert "they were never completed" in finding.summary


def test_between_a_pod_and_its_own_nodes_card_nobody_fills_them_in_yet():
    path = {"points": ("pod", "node1", "node2"), "bare": ("pod",)}
    pair = comparison([Traffic(ping(), 9, received_checks=UNFILLED), LATE], **path)
    assert {a.direction for a in inner_checksum_bad.check(pair) if isinstance(a, Finding)} == {"node1>node2"}


def test_unfilled_checksums_of_a_stream_cannot_tell():
    (answer,) = assess([Traffic(received_checks=UNFILLED)])
    assert isinstance(answer, NotAssessed)


def test_merged_frames_at_the_receiver_are_not_judged():
    pair = comparison([Traffic(received_checks=BAD)])
    pair.points[1].segment_bytes[:] = 1400
    assert not [a for a in inner_checksum_bad.check(pair) if isinstance(a, Finding)]


def test_packets_damaged_on_the_way_are_anothers_question():
    assert assess([Traffic(received_checks=BAD, corrupted=True)]) == []


def test_a_snap_length_that_cuts_everything_cannot_tell():
    cut = Traffic(received_checks=checks(inner_l4=Checksum.UNVERIFIABLE))
    pair = comparison([cut])
    answer = inner_checksum_bad.check(pair)[0]
    assert isinstance(answer, NotAssessed)


def test_it_is_reported_on_the_hop_where_it_becomes_wrong():
    passed = Traffic(sent_checks=BAD, received_checks=BAD)
    told = inner_checksum_bad.check(comparison([passed], points=("a", "b", "c")))
    assert [a.direction for a in told if isinstance(a, Finding)] == ["a>b"]
