"""Requests find their answers, once each, whatever is sent twice, late or not at all."""

from dataclasses import replace

import numpy as np
import pytest

from tests.simulate import NODE1, POD1, POD2, TCP, UDP, Flow, Traffic, comparison, ping
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.request_events import RequestKind, kinds
from vxlanalyze.analysis.requests.request_pairing import in_time_of
from vxlanalyze.analysis.requests.requests import measure
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.wire.model import Anomaly

SYN, SYN_ACK, RST_ACK, ACK = 0x02, 0x12, 0x14, 0x10
QUERY, RESPONSE = 0x0100, 0x8180
RESOLVER = Flow(sport=41000, dport=53)
WEB = Flow(protocol=TCP, sport=42000, dport=8080)
LATER = Traffic(Flow(sport=1, dport=2), packets=1, start_s=60)  # the capture goes on


def queries(*identifiers: int, **more) -> Traffic:
    seq = [i << 16 | QUERY for i in identifiers]
    return Traffic(RESOLVER, packets=len(seq), seq=seq, every_s=1, **more)


def responses(*identifiers: int, start_s: float = 0.001, **more) -> Traffic:
    seq = [i << 16 | RESPONSE for i in identifiers]
    return Traffic(RESOLVER.reverse(), packets=len(seq), seq=seq, every_s=1, start_s=start_s, **more)


def at_client(pair: Comparison) -> Requests:
    return measure(pair).of_point[0]


def of_kind(pair: Comparison, kind: RequestKind) -> Requests:
    found = at_client(pair)
    return found.at(found.kind == kind)


def test_a_query_is_answered_by_the_response_of_its_identifier():
    found = of_kind(comparison([queries(7, 8, 9), LATER], [responses(7, 9, start_s=2.5)]), RequestKind.DNS)

    assert found.number.tolist() == [7, 8, 9]
    assert found.answered.tolist() == [True, False, True]
    assert found.unanswered.tolist() == [False, True, False]


@pytest.mark.parametrize("port", [53, 5353])
def test_a_client_that_sends_from_a_dns_port_to_another_port_sends_no_queries(port):
    """Nor is what comes back to that port a query, whatever its bits."""
    there = Flow(sport=port, dport=8080)
    request = Traffic(there, packets=8, seq=0x68656C6C, every_s=1)
    response = Traffic(there.reverse(), packets=8, seq=0x776F726C, every_s=1, start_s=0.1)
    found = at_client(comparison([request, LATER], [response]))

    assert not (found.kind == RequestKind.DNS).any()
    assert (found.kind == RequestKind.UDP).any()


@pytest.mark.parametrize("source", [53, 5353, 40000])
def test_responses_are_dns_though_no_query_was_captured(source):
    """Resolvers may send queries from port 53, too."""
    response = Traffic(Flow(sport=source, dport=53).reverse(), packets=3, seq=7 << 16 | RESPONSE)
    point = comparison([LATER], [response]).points[0]

    assert kinds(point)[point.flows.sport == 53].tolist() == [RequestKind.DNS]


def test_a_query_sent_again_with_its_identifier_is_one_request():
    found = of_kind(comparison([queries(7, 7, 7), LATER]), RequestKind.DNS)

    assert found.copies.tolist() == [3]
    assert found.unanswered.tolist() == [True]


def test_an_identifier_that_comes_round_again_is_a_new_request():
    found = of_kind(comparison([queries(7, 7), LATER], [responses(7)]), RequestKind.DNS)

    assert found.answered.tolist() == [True, False]


def test_an_answer_to_what_was_asked_before_the_capture_is_no_answer_to_what_follows():
    pair = comparison([queries(7, start_s=1), LATER], [responses(7, start_s=0.5)])

    assert of_kind(pair, RequestKind.DNS).unanswered.tolist() == [True]


def test_a_request_at_the_very_end_of_the_capture_is_open():
    found = of_kind(comparison([queries(7, 8)], [responses(7)]), RequestKind.DNS)

    assert found.decided.tolist() == [True, False]
    assert not found.unanswered.any()


def test_slow_answers_make_the_wait_longer():
    """The slowest answer took 400 ms, so one asked 2 s before the end may still be answered."""
    end = Traffic(Flow(sport=1, dport=2), packets=1, start_s=3)
    pair = comparison([queries(7, 8), end], [responses(7, start_s=0.4)])

    assert of_kind(pair, RequestKind.DNS).decided.tolist() == [True, False]


def test_latency_counts_from_the_copy_that_was_answered():
    found = of_kind(
        comparison([queries(7, 7), LATER], [responses(7, start_s=1.002, delay_s=0)]), RequestKind.DNS
    )

    assert found.latency_ns.tolist() == [2_000_000]


def test_echo_requests_are_told_apart_by_their_sequence_numbers():
    echoes = Traffic(ping(), packets=4, every_s=1)
    replies = Traffic(ping().reverse(), packets=4, start_s=0.001, every_s=1, lost=[0, 0, 1, 0])
    found = of_kind(comparison([echoes, LATER], [replies]), RequestKind.ICMP)

    assert found.answered.tolist() == [True, True, False, True]


def test_ipv6_echo_is_a_request_too():
    flow = ping(src="fd00::1", dst="fd00::2", protocol=58, sport=0x8000)
    pair = comparison([Traffic(flow, packets=2)], [Traffic(flow.reverse(), packets=2, start_s=0.001)])

    assert of_kind(pair, RequestKind.ICMP).answered.tolist() == [True, True]


def test_a_syn_sent_again_is_one_request_answered_by_what_acknowledges_it():
    syn = Traffic(WEB, time_s=[0, 1, 3], seq=1000, tcp_flags=SYN, payload=0)
    answer = Traffic(WEB.reverse(), time_s=[3.001], seq=5, ack=1001, tcp_flags=SYN_ACK, payload=0)
    found = of_kind(comparison([syn, LATER], [answer]), RequestKind.TCP)

    assert found.copies.tolist() == [3]
    assert found.answered.tolist() == [True]
    assert not found.refused.any()


def test_a_syn_sent_again_after_its_answer_is_the_same_request():
    """At the server, whose answers are lost on their way back."""
    syn = Traffic(WEB, time_s=[0, 1], seq=1000, tcp_flags=SYN, payload=0)
    answer = Traffic(WEB.reverse(), time_s=[0.1, 1.1], seq=5, ack=1001, tcp_flags=SYN_ACK, payload=0)
    found = of_kind(comparison([syn, LATER], [answer]), RequestKind.TCP)

    assert found.copies.tolist() == [2]


def test_a_reset_of_the_syn_is_a_refusal():
    syn = Traffic(WEB, packets=1, seq=1000, tcp_flags=SYN, payload=0)
    reset = Traffic(WEB.reverse(), packets=1, start_s=0.001, ack=1001, tcp_flags=RST_ACK, payload=0)
    found = of_kind(comparison([syn, LATER], [reset]), RequestKind.TCP)

    assert found.refused.tolist() == [True]
    assert not found.answered.any()
    assert not found.unanswered.any()


def test_a_reset_later_in_the_connection_is_no_refusal():
    syn = Traffic(WEB, packets=1, seq=1000, tcp_flags=SYN, payload=0)
    answer = Traffic(WEB.reverse(), packets=1, start_s=0.001, ack=1001, tcp_flags=SYN_ACK, payload=0)
    reset = Traffic(WEB.reverse(), packets=1, start_s=2, ack=1500, tcp_flags=RST_ACK, payload=0)
    found = of_kind(comparison([syn, LATER], [answer, reset]), RequestKind.TCP)

    assert found.answered.tolist() == [True]


def test_sequence_numbers_at_the_end_of_their_range_are_acknowledged_by_zero():
    syn = Traffic(WEB, packets=1, seq=0xFFFFFFFF, tcp_flags=SYN, payload=0)
    answer = Traffic(WEB.reverse(), packets=1, start_s=0.001, ack=0, tcp_flags=SYN_ACK, payload=0)

    assert of_kind(comparison([syn, LATER], [answer]), RequestKind.TCP).answered.tolist() == [True]


def test_what_a_udp_client_sends_before_its_server_speaks_is_one_request():
    asks = Traffic(Flow(dport=9000), time_s=[0, 0.1, 2, 4])
    speaks = Traffic(Flow(dport=9000).reverse(), time_s=[0.2, 2.1])
    found = of_kind(comparison([asks, LATER], [speaks]), RequestKind.UDP)

    assert found.answered.tolist() == [True, True]


def test_a_one_way_udp_stream_asks_nothing():
    assert len(at_client(comparison([Traffic(packets=500), LATER]))) == 0


def test_multicast_queries_ask_nobody_in_particular():
    mdns = Flow(dst="224.0.0.251", sport=5353, dport=5353)

    assert len(at_client(comparison([Traffic(mdns, seq=QUERY), LATER]))) == 0


def test_a_query_that_the_snap_length_cut_off_is_not_counted():
    cut = queries(1, 2, anomalies=Anomaly.CUT)
    empty = Traffic(RESOLVER, packets=2, seq=0, start_s=5)

    assert len(at_client(comparison([cut, empty, LATER]))) == 2


def test_an_answer_outside_of_the_tunnel_is_an_answer():
    """A node's own requests enter the tunnel, and the pod's answer to a node's address does not."""
    request = ping(src=NODE1)
    bare = request.reverse(tunnel=0)
    pair = comparison(
        [Traffic(request, packets=2)], seen_only={"node1": [Traffic(bare, packets=2, start_s=0.001)]}
    )

    assert of_kind(pair, RequestKind.ICMP).answered.tolist() == [True, True]


def test_the_same_request_has_the_same_key_at_every_point():
    pair = comparison([queries(7, 8), LATER], points=("a", "b", "c"))
    keys = [np.sort(r.key).tolist() for r in measure(pair).of_point]

    assert keys[0] == keys[1] == keys[2]


def test_an_empty_capture_has_no_requests():
    assert len(at_client(comparison())) == 0


def test_addresses_of_two_conversations_do_not_mix():
    other = Flow(src=POD2, dst=POD1, protocol=UDP, sport=41000, dport=53)
    pair = comparison([queries(7), LATER], [Traffic(other, packets=1, seq=7 << 16 | RESPONSE, start_s=0.001)])

    assert of_kind(pair, RequestKind.DNS).unanswered.tolist() == [True]


def test_where_only_a_part_is_looked_at_its_end_is_that_of_the_capture():
    """An answer to the last query would stand behind the part."""
    whole = comparison([queries(7, 8, 9), LATER], [responses(7)])
    part = replace(whole.points[0], rows=np.arange(4, dtype=np.int32))
    found = of_kind(replace(whole, points=(part, whole.points[1])), RequestKind.DNS)

    assert found.decided.tolist() == [True, True, False]


def test_a_syn_repeated_until_it_is_taken_waited_from_its_first_copy():
    syn = Traffic(WEB, time_s=[0, 1, 3], seq=1000, tcp_flags=SYN, payload=0)
    answer = Traffic(WEB.reverse(), time_s=[3.001], seq=5, ack=1001, tcp_flags=SYN_ACK, payload=0, delay_s=0)
    found = of_kind(comparison([syn, LATER], [answer]), RequestKind.TCP)

    assert found.unanswered_transmissions.tolist() == [2]
    assert found.wait_ns.tolist() == [3_001_000_000]


def test_copies_of_a_burst_want_one_answer():
    syn = Traffic(WEB, time_s=[0, 0.001, 0.002], seq=1000, tcp_flags=SYN, payload=0)
    answer = Traffic(WEB.reverse(), time_s=[0.003], seq=5, ack=1001, tcp_flags=SYN_ACK, payload=0)

    assert of_kind(comparison([syn, LATER], [answer]), RequestKind.TCP).unanswered_transmissions.tolist() == [
        0
    ]


def test_a_syn_repeated_though_it_was_answered_is_marked():
    syn = Traffic(WEB, time_s=[0, 1], seq=1000, tcp_flags=SYN, payload=0)
    answer = Traffic(WEB.reverse(), time_s=[0.1, 1.1], seq=5, ack=1001, tcp_flags=SYN_ACK, payload=0)

    assert of_kind(comparison([syn, LATER], [answer]), RequestKind.TCP).again.tolist() == [1]


GAME, OTHER = Flow(sport=43000, dport=7000), Flow(sport=43001, dport=7000)


def turns(flow: Flow, count: int, *without: int) -> tuple[Traffic, Traffic]:
    kept = [i for i in range(count) if i not in without]
    return Traffic(flow, packets=count, every_s=1), Traffic(flow.reverse(), time_s=[i + 0.001 for i in kept])


def test_of_a_udp_conversation_by_turns_each_packet_wants_a_response():
    asked, said = turns(GAME, 12, 3, 4, 8)
    found = of_kind(comparison([asked, LATER], [said]), RequestKind.UDP)

    assert int(found.unanswered_transmissions.sum()) == 3


def test_a_udp_stream_with_a_word_back_now_and_then_asks_nothing():
    stream = Traffic(GAME, packets=200, every_s=0.1)
    found = of_kind(
        comparison([stream, LATER], [Traffic(GAME.reverse(), packets=3, every_s=5, start_s=1)]),
        RequestKind.UDP,
    )

    assert int(found.unanswered_transmissions.sum()) == 0


def test_udp_that_a_server_of_others_does_not_answer_is_unanswered():
    asked, said = turns(GAME, 6)
    found = of_kind(comparison([asked, turns(OTHER, 5)[0], LATER], [said]), RequestKind.UDP)

    assert int(found.unanswered_transmissions.sum()) == 5


def test_udp_that_is_lost_whole_is_unanswered():
    found = of_kind(comparison([Traffic(GAME, packets=7, lost=True), LATER]), RequestKind.UDP)

    assert int(found.unanswered_transmissions.sum()) == 7


def test_a_udp_stream_that_nobody_answers_asks_nothing():
    assert len(of_kind(comparison([Traffic(GAME, packets=50), LATER]), RequestKind.UDP)) == 0


def test_requests_that_are_under_way_at_once_are_all_answered():
    """The round trip is longer than the time between requests: the last answers follow the last request."""
    echo = Flow(protocol=UDP, sport=40000, dport=7000)
    answers = Traffic(echo.reverse(), packets=12, every_s=0.02, start_s=0.05)
    pair = comparison([Traffic(echo, packets=12, every_s=0.02), LATER], [answers])

    assert [int(found.unanswered_transmissions.sum()) for found in measure(pair).of_point] == [0, 0]


def test_packets_are_read_in_time_order_and_requests_first_among_equals():
    random = np.random.default_rng(5)
    for steps in (np.arange(200) // 3, random.permutation(200) // 3, np.arange(200), np.arange(0)):
        is_request = random.random(len(steps)) < 0.5

        order = in_time_of(steps.astype(np.int64), is_request)

        assert order.tolist() == np.lexsort((~is_request, steps)).tolist()
