"""A node that stops answering is found by what it is asked after its last answer."""

import numpy as np

from tests.simulate import TCP, Flow, Traffic, comparison, ping
from vxlanalyze.analysis.finding import Severity
from vxlanalyze.analysis.requests import last_answer
from vxlanalyze.diagnostics.receiver import not_answered

LATE = Traffic(Flow(sport=1, dport=2), packets=1, start_s=30)
DNS = Flow(sport=35000, dport=53, dst="10.233.65.250")
WEB = Flow(protocol=TCP, sport=41000, dport=8080)
SYN = 0x02


def assess(forward, backward, **more):
    pair = comparison([*forward, LATE], backward, **more)
    return [a for a in not_answered.check(pair) if a.direction == "node1>node2"]


def pings(n=20, **more):
    return Traffic(ping(), packets=n, every_s=0.2, **more)


def replies(n, **more):
    return Traffic(ping().reverse(), packets=n, every_s=0.2, start_s=0.001, **more)


def queries(n=20, **more):
    return Traffic(DNS, packets=n, every_s=0.2, seq=np.arange(n) << 16 | 0x0100, **more)


def test_the_moment_from_which_on_nothing_is_answered_is_found():
    (finding,) = assess([pings(), queries()], [replies(10), Traffic(DNS.reverse(), packets=1, seq=0x8100)])

    assert finding.severity is Severity.CRITICAL
    assert finding.evidence["unanswered_requests"].value == 20
    assert str(finding.evidence["last_answer"].value).endswith("22:13:21.801Z")
    assert "20 requests from node1 reached node2 after" in finding.summary
    assert "look for what changed then" in finding.explanation


def test_a_node_that_answers_to_the_end_is_clear():
    assert assess([pings(), queries()], [replies(20)]) == []


def test_one_service_that_stops_is_not_its_node():
    assert assess([pings()], [replies(10)]) == []
    syns = Traffic(WEB, packets=6, start_s=5, every_s=1, payload=0, seq=1000, tcp_flags=SYN)
    assert assess([pings(10), syns], [replies(10)]) == []


def test_a_silence_of_less_than_a_second_may_be_slow():
    assert assess([pings(14), queries(14)], [replies(10)]) == []


def test_answers_that_are_lost_on_their_way_back_are_answers():
    assert assess([pings(), queries()], [replies(20, lost=True)]) == []


def test_where_nothing_was_ever_answered_there_is_no_last_answer():
    pair = comparison([pings(), LATE])
    forward = pair.hops[0].forward
    assert last_answer.since(forward, not_answered.answers.of(forward)) is None


def test_an_endpoint_that_never_answered_does_not_speak_for_its_node():
    """The pod is dead from the start; that others were asked before it only is no moment of the node."""
    early = Traffic(DNS, packets=5, every_s=0.1, seq=np.arange(5) << 16 | 0x0100)
    answered = Traffic(DNS.reverse(), packets=5, every_s=0.1, start_s=0.001, seq=np.arange(5) << 16 | 0x8100)
    syns = Traffic(WEB, packets=6, start_s=2, every_s=1, payload=0, seq=1000, tcp_flags=SYN)

    assert assess([early, pings(start_s=1), syns], [answered]) == []


def test_services_that_never_answered_did_not_stop():
    """Echoes are answered; a filter takes TCP, which is only tried later: two services of the same pod."""
    syns = [
        Traffic(
            Flow(protocol=TCP, sport=41000 + port, dport=port),
            packets=6,
            start_s=5,
            every_s=1,
            payload=0,
            seq=1000,
            tcp_flags=SYN,
        )
        for port in (8080, 5201)
    ]
    assert assess([pings(10), *syns], [replies(10)]) == []
