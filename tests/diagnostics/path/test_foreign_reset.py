"""Resets and answers that their alleged sender never sent."""

import numpy as np

from tests.simulate import Flow, Traffic, comparison, ping
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.diagnostics import diagnose
from vxlanalyze.diagnostics.path.foreign_reset import check
from vxlanalyze.diagnostics.symptoms import endpoint_refused
from vxlanalyze.pairing.model import Comparison, Reason

SYN, SYN_ACK, RST_ACK = 0x02, 0x12, 0x14
QUERY, RESPONSE = 0x0100, 0x8180
FORGED = {"unsent": True, "unsent_reason": Reason.CAPTURE_LOSS}  # the sender's capture lacks it
LATER = Traffic(Flow(sport=1, dport=2), packets=1, start_s=60)
ECHOES, REPLIES = Traffic(ping(), packets=60), Traffic(ping().reverse(), packets=60, start_s=0.001)


def web(i: int) -> Flow:
    return Flow(protocol=6, sport=40000 + i, dport=6379)


def syns(count: int, **more) -> list[Traffic]:
    return [Traffic(web(i), time_s=[i], seq=1000, tcp_flags=SYN, payload=0, **more) for i in range(count)]


def resets(count: int, flags: int = RST_ACK, **more) -> list[Traffic]:
    return [
        Traffic(web(i).reverse(), time_s=[i + 0.002], ack=1001, tcp_flags=flags, payload=0, **more)
        for i in range(count)
    ]


def found(pair: Comparison) -> Finding:
    (answer,) = check(pair)
    assert isinstance(answer, Finding)
    return answer


def forged(count: int = 6) -> Comparison:
    return comparison([*syns(count, lost=True), ECHOES, LATER], [*resets(count, **FORGED), REPLIES])


def test_resets_that_the_far_node_never_sent_are_found():
    finding = found(forged())

    assert finding.severity == Severity.CRITICAL
    assert finding.direction == "node2>node1"
    assert finding.evidence["reset"].value == 6
    assert finding.evidence["requests_not_arrived"].value == 6
    assert "10.233.65.20:6379" in finding.summary


def test_they_are_no_refusal_of_the_endpoint():
    assert endpoint_refused.check(forged()) == []


def test_a_device_that_lets_the_request_pass_is_found_too():
    pair = comparison([*syns(6), ECHOES, LATER], [*resets(6, **FORGED), REPLIES])

    assert "did reach node2" in found(pair).explanation


def test_forged_responses_to_names_are_found():
    flow = Flow(sport=41000, dport=53)
    asked = Traffic(flow, packets=8, seq=[i << 16 | QUERY for i in range(1, 9)], every_s=1)
    said = Traffic(
        flow.reverse(),
        packets=8,
        seq=[i << 16 | RESPONSE for i in range(1, 9)],
        every_s=1,
        start_s=0.001,
        **FORGED,
    )

    assert found(comparison([asked, ECHOES, LATER], [said, REPLIES])).evidence["dns"].value == 8


def test_refusals_that_the_far_node_did_send_are_clear():
    pair = comparison([*syns(6), ECHOES, LATER], [*resets(6), REPLIES])

    assert check(pair) == []
    assert isinstance(endpoint_refused.check(pair)[0], Finding)


def test_a_far_capture_that_lost_as_much_of_everything_decides_nothing():
    missing = Traffic(ping(dst="10.233.65.77").reverse(), packets=60, start_s=0.001, **FORGED)
    (answer,) = check(comparison([*syns(3), ECHOES, LATER], [*resets(3, **FORGED), REPLIES, missing]))

    assert isinstance(answer, NotAssessed)
    assert "may have lost them" in answer.reason


def test_a_far_capture_without_this_direction_decides_nothing():
    assert not [
        a for a in check(comparison([*syns(6), LATER], resets(6, **FORGED))) if isinstance(a, Finding)
    ]


def test_a_conversation_that_the_far_capture_does_not_show_at_all_is_no_forgery():
    data = [Traffic(web(i).reverse(), packets=5, start_s=i + 0.001, payload=900, **FORGED) for i in range(6)]
    pair = comparison([*syns(6), ECHOES, LATER], [*resets(6, **FORGED), *data, REPLIES])

    assert not [a for a in check(pair) if isinstance(a, Finding)]


def test_a_device_that_takes_single_segments_of_conversations_explains_their_loss():
    """The connections stood before: a firewall has forgotten them, and resets what comes next."""
    lost = [
        Traffic(web(i), time_s=[i + 30], seq=2000, tcp_flags=0x18, payload=40, lost=True) for i in range(6)
    ]
    accepted = resets(6, flags=SYN_ACK)
    back = [
        Traffic(web(i).reverse(), time_s=[i + 30.002], ack=2040, tcp_flags=RST_ACK, payload=0, **FORGED)
        for i in range(6)
    ]
    echoes = Traffic(ping(), packets=350, every_s=0.2)
    replies = Traffic(ping().reverse(), packets=350, every_s=0.2, start_s=0.001)
    busy = Traffic(
        web(50), packets=350, every_s=0.2, start_s=0.05, seq=np.arange(350) * 40, payload=40, tcp_flags=0x18
    )
    acked = Traffic(
        web(50).reverse(),
        packets=350,
        every_s=0.2,
        start_s=0.06,
        ack=np.arange(1, 351) * 40,
        payload=0,
        tcp_flags=0x10,
    )
    pair = comparison([*syns(6), *lost, echoes, busy], [*accepted, *back, replies, acked])

    assert "packets that they answer never reached node2" in found(pair).explanation
    assert [f.because for f in diagnose(pair).findings if f.code == "packet-loss"] == [
        "foreign-reset@node2>node1"
    ]
