"""A wrong outer checksum at the receiver is a fault unless accepted, merged, or damaged with its bytes."""

import numpy as np
import pytest

from tests.analysis.integrity.test_forensics import frame, right
from tests.simulate import TCP, Flow, Traffic, checks, comparison, ping
from vxlanalyze.analysis.finding import Finding, NotAssessed
from vxlanalyze.diagnostics.integrity import outer_checksum_bad
from vxlanalyze.wire.model import Checksum

SENT = [frame(i, 44246) for i in range(12)]
REWRITTEN = [frame(i, 7103, stored=right(s)) for i, s in enumerate(SENT)]
BAD, OFFLOADED = checks(outer_l4=Checksum.BAD), checks(outer_l4=Checksum.PARTIAL, inner_l4=Checksum.PARTIAL)
LATE = Traffic(Flow(sport=1, dport=2), packets=1, start_s=30)


def wrong(n=12, states=BAD, **more):
    given = {"raw": SENT[:n], "received_raw": REWRITTEN[:n], "received_checks": states, **more}
    return Traffic(ping(), packets=n, **given)


def assess(forward, backward=(), **more):
    pair = comparison([*forward, LATE], backward, **more)
    return [a for a in outer_checksum_bad.check(pair) if a.direction == "node1>node2"]


def test_wrong_checksums_on_arrival_are_found_with_their_kind():
    (finding,) = assess([wrong(), Traffic(received_checks=checks(outer_l4=Checksum.OK), packets=8)])

    assert isinstance(finding, Finding)
    assert "12 of 20 (60 %) packets" in finding.summary
    assert finding.evidence["wrong"].value == 12
    assert finding.evidence["judged"].value == 20
    assert finding.evidence["kind"].value == "source port rewritten"
    assert finding.evidence["original_source_ports"].value == "44246"
    assert finding.evidence["unanswered_requests"].value == 12
    assert len(finding.frames["node2"]) == 12


def test_one_way_traffic_that_asks_nothing_is_found_as_well():
    stream = Traffic(Flow(), packets=12, raw=SENT, received_raw=REWRITTEN, received_checks=BAD)
    assert isinstance(assess([stream])[0], Finding)


def test_a_part_of_a_flow_is_found_though_the_rest_is_answered():
    states = np.where(np.arange(12) % 4 == 0, BAD, checks(outer_l4=Checksum.OK))
    (finding,) = assess([wrong(states=states)], [Traffic(ping().reverse(), packets=9)])
    assert finding.evidence["wrong"].value == 3


def test_absent_and_right_checksums_are_clear():
    assert assess([Traffic(packets=8), Traffic(received_checks=checks(outer_l4=Checksum.OK))]) == []


@pytest.mark.parametrize("state", [Checksum.PARTIAL, Checksum.LCO, Checksum.BAD])
def test_what_the_sender_shows_is_not_what_arrives(state):
    assert assess([Traffic(sent_checks=checks(outer_l4=state))]) == []


def test_wrong_checksums_that_are_accepted_do_no_harm():
    (answer,) = assess([wrong()], [Traffic(ping().reverse(), packets=12)])
    assert isinstance(answer, NotAssessed)
    assert "accepts them" in answer.reason


def test_a_repeated_syn_from_another_port_does_not_look_accepted():
    """Linux chooses another outer port for it; the first is wrong and the second, right, is answered."""
    web = Flow(protocol=TCP, sport=41000, dport=8080, outer_sport=40001)
    again = Flow(protocol=TCP, sport=41000, dport=8080, outer_sport=40002)
    first = Traffic(
        web, 1, payload=0, seq=9, tcp_flags=2, raw=SENT[:1], received_raw=REWRITTEN[:1], received_checks=BAD
    )
    second = Traffic(again, 1, start_s=1, payload=0, seq=9, tcp_flags=2)
    answer = Traffic(web.reverse(), 1, start_s=1.1, payload=0, ack=10, tcp_flags=0x12)
    assert isinstance(assess([first, second], [answer])[0], Finding)


def test_unfilled_checksums_of_a_path_inside_one_host_are_clear_where_answered():
    same_host = Traffic(ping(), packets=12, received_checks=OFFLOADED)
    assert assess([same_host], [Traffic(ping().reverse(), packets=12)]) == []


def test_unfilled_checksums_that_nobody_answers_were_never_filled_in():
    (finding,) = assess([Traffic(ping(), packets=12, received_checks=OFFLOADED)])
    assert finding.evidence["kind"].value == "never filled in"


def test_unfilled_checksums_of_a_stream_cannot_tell():
    (answer,) = assess([Traffic(received_checks=OFFLOADED)])
    assert isinstance(answer, NotAssessed)


def test_merged_frames_at_the_receiver_are_not_judged():
    pair = comparison([Traffic(received_checks=BAD, packets=5)])
    pair.hops[0].forward.receiver.segment_bytes[:] = 1400
    assert outer_checksum_bad.check(pair)[:-1] == []


def test_packets_damaged_on_the_way_are_anothers_question():
    assert assess([wrong(corrupted=True)]) == []


def test_a_snap_length_that_cuts_everything_cannot_tell():
    (answer,) = assess([Traffic(received_checks=checks(outer_l4=Checksum.UNVERIFIABLE))])
    assert isinstance(answer, NotAssessed)
    assert "captured in full" in answer.reason


def test_it_is_reported_on_the_hop_where_it_becomes_wrong():
    passed = Traffic(ping(), packets=12, sent_checks=BAD, received_checks=BAD, raw=REWRITTEN)
    told = outer_checksum_bad.check(comparison([passed], points=("a", "b", "c")))
    assert [a.direction for a in told if isinstance(a, Finding)] == ["a>b"]
