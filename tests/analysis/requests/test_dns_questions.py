"""DNS figures by name and type: A and AAAA of one name fail apart."""

from tests.recorded import recording
from vxlanalyze.analysis.requests.dns_questions import questions
from vxlanalyze.analysis.requests.services import services


def test_a_and_aaaa_are_counted_apart():
    pair = recording("pair-race-after-tunnel")
    (server,) = [f for f in services(pair) if f.protocol == "dns"]
    worst, other = questions(pair)[server.pair]

    assert (worst.type, other.type) == ("AAAA", "A")
    assert worst.name == other.name == "kubernetes.default.svc.cluster.local"
    assert worst.unanswered > 0
    assert other.unanswered == 0
    assert worst.requests + other.requests == server.requests
    assert worst.answered + other.answered == server.answered


def test_all_queries_of_each_pair_are_counted():
    pair = recording("source-healthy")
    asked = questions(pair)
    for figures in (f for f in services(pair) if f.protocol == "dns"):
        assert sum(q.requests for q in asked[figures.pair]) == figures.requests


def test_a_comparison_without_dns_has_none():
    assert questions(recording("random-loss")) == {}
