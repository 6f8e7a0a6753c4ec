"""A request is what a working receiver answers; an answer counts wherever it was seen."""

import numpy as np
import pytest

from tests.simulate import TCP, Flow, Traffic, comparison, ping
from vxlanalyze.analysis.requests import answers
from vxlanalyze.wire.model import Anomaly

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
DNS = Flow(dport=53)
WEB = Flow(protocol=TCP, sport=41000, dport=8080)


def forward_of(forward, backward=(), **more):
    direction = comparison(forward, backward, **more).hops[0].forward
    return answers.of(direction)


def lasting(*traffic):
    """Traffic, and a packet half a minute later, so that the captures end long after it."""
    return [*traffic, Traffic(Flow(sport=1, dport=2), packets=1, start_s=30)]


def test_echo_requests_ask_and_replies_do_not():
    found = forward_of(lasting(Traffic(ping(), packets=5), Traffic(ping(dport=9).reverse(), packets=7)))
    assert found.request.sum() == 5


def test_queries_ask_and_responses_do_not():
    query, response = np.uint32(7 << 16 | 0x0100), np.uint32(7 << 16 | 0x8180)
    found = forward_of(
        lasting(Traffic(DNS, packets=4, seq=query), Traffic(Flow(sport=53, dport=53), 3, seq=response))
    )
    assert found.request.sum() == 4


def test_tcp_asks_where_it_occupies_sequence_numbers():
    flags = [SYN, ACK, ACK, ACK | FIN, RST]
    found = forward_of(lasting(Traffic(WEB, packets=5, payload=[0, 0, 100, 0, 0], tcp_flags=flags)))
    assert found.request[:5].tolist() == [True, False, True, True, False]


def test_a_udp_stream_asks_nothing():
    found = forward_of(lasting(Traffic(Flow(), packets=50)))
    assert found.request.sum() == 0
    assert not found.answered.any()


def test_a_reply_answers():
    found = forward_of(lasting(Traffic(ping(), packets=5)), [Traffic(ping().reverse(), packets=5)])
    assert found.answered.sum() == 1
    assert not found.unanswered().any()


def test_an_answer_lost_on_its_way_back_is_an_answer():
    found = forward_of(lasting(Traffic(ping(), packets=5)), [Traffic(ping().reverse(), packets=5, lost=True)])
    assert found.answered.sum() == 1


def test_an_answer_that_only_the_asking_side_saw_is_an_answer():
    found = forward_of(
        lasting(Traffic(ping(), packets=5)), [Traffic(ping().reverse(), packets=5, unsent=True)]
    )
    assert found.answered.sum() == 1


def test_own_replies_to_the_other_side_are_not_answered_requests():
    theirs = ping(dport=9).reverse()  # node2 pings, node1 replies
    found = forward_of(lasting(Traffic(ping(), 5), Traffic(theirs.reverse(), 5)), [Traffic(theirs, 5)])
    assert found.unanswered().sum() == 5
    assert not found.answered.any()


@pytest.mark.parametrize(
    ("flags", "ack", "answered"),
    [
        (SYN | ACK, 1001, True),
        (RST | ACK, 1001, True),
        (SYN, 0, False),  # the other side's own SYN: the two crossed, nothing was acknowledged
        (ACK, 1000, False),  # still waits for the same byte
        (ACK, 0x80000000, True),
        (ACK, 999, False),
    ],
)
def test_tcp_is_answered_by_what_acknowledges_or_resets_it(flags, ack, answered):
    syn = Traffic(WEB, packets=4, payload=0, seq=1000, tcp_flags=SYN)
    back = Traffic(WEB.reverse(), packets=4, payload=0, ack=ack, tcp_flags=flags)
    found = forward_of(lasting(syn), [back])
    assert found.answered.any() == answered


def test_acknowledgements_are_compared_around_the_end_of_the_sequence_space():
    data = Traffic(WEB, packets=2, payload=100, seq=[0xFFFFFFF0, 0x54])
    found = forward_of(lasting(data), [Traffic(WEB.reverse(), packets=1, payload=0, ack=0x54, tcp_flags=ACK)])
    assert found.answered.any()


def test_a_udp_stream_is_answered_where_packets_come_back_after_it_began():
    stream = Flow(sport=5000, dport=6000)
    later = forward_of([Traffic(stream)], [Traffic(stream.reverse(), start_s=0.5)])
    before = forward_of([Traffic(stream, start_s=0.5)], [Traffic(stream.reverse())])
    assert later.answered.any()
    assert not before.answered.any()


def test_requests_at_the_very_end_of_the_capture_have_not_been_refused_an_answer():
    found = forward_of([Traffic(ping(), packets=21, every_s=0.01)])
    assert found.request.sum() == 21
    assert found.arrived.sum() == 11


def test_lost_requests_have_not_arrived():
    found = forward_of(lasting(Traffic(ping(), packets=8, lost=[1, 0] * 4)))
    assert found.arrived.sum() == 4


def test_an_empty_direction_has_no_requests():
    found = forward_of([])
    assert len(found.request) == 0
    assert not found.silent(1e-6)


def test_silence_is_conclusive_from_a_number_of_requests_that_follows_from_the_chance():
    needed = answers.requests_needed(1e-6)
    assert answers.conclusive(needed, 1e-6)
    assert not answers.conclusive(needed - 1, 1e-6)
    assert forward_of(lasting(Traffic(ping(), packets=needed))).silent(1e-6)
    assert not forward_of(lasting(Traffic(ping(), packets=needed - 1))).silent(1e-6)


def test_silence_of_chosen_flows_is_judged_apart_from_the_others():
    dead, alive = ping(dport=1), ping(dport=2)
    found = forward_of(lasting(Traffic(dead, 10), Traffic(alive, 10)), [Traffic(alive.reverse(), 10)])
    chosen = np.array([True, False, False, False])
    assert found.silent(1e-6, chosen)
    assert not found.silent(1e-6)


def test_tcp_headers_that_the_snap_length_cuts_ask_nothing():
    cut = Anomaly.HEADER_CUT.value
    found = forward_of(lasting(Traffic(WEB, packets=9, tcp_flags=0, anomalies=cut)))
    assert found.request.sum() == 0


def test_tcp_headers_that_the_snap_length_cuts_may_answer():
    back = Traffic(WEB.reverse(), packets=1, tcp_flags=0, anomalies=Anomaly.HEADER_CUT.value)
    found = forward_of(lasting(Traffic(WEB, packets=9)), [back])
    assert found.answered.any()
