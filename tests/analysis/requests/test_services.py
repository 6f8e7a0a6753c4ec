"""Figures by client, server and port, taken where the client stands."""

from tests.analysis.requests.test_requests import LATER, RST_ACK, SYN, WEB, queries, responses
from tests.simulate import Flow, Traffic, comparison, ping
from vxlanalyze.analysis.requests.services import services
from vxlanalyze.kubernetes.model import Cluster, Service
from vxlanalyze.pairing.model import Comparison


def only(pair: Comparison, protocol: str):
    (figures,) = [f for f in services(pair) if f.protocol == protocol]
    return figures


def test_requests_are_counted_by_what_became_of_them():
    figures = only(comparison([queries(1, 2, 3, 3), LATER], [responses(1, 2)]), "dns")

    assert (figures.client, figures.server) == ("10.233.64.10", "10.233.65.20")
    assert (figures.requests, figures.answered, figures.refused, figures.unanswered) == (4, 2, 0, 2)
    assert figures.retried == 1


def test_an_answer_that_is_lost_on_its_way_back_is_none_to_the_client():
    pair = comparison([queries(1, 2), LATER], [responses(1, 2, lost=[0, 1])])

    assert only(pair, "dns").answered == 1
    assert pair.points[only(pair, "dns").point].name == "node1"


def test_the_client_may_live_at_the_end_of_the_path():
    echo = ping().reverse(sport=0x0800)
    pair = comparison(
        [Traffic(echo.reverse(), packets=3, start_s=0.001, lost=[0, 1, 1])], [Traffic(echo, packets=3), LATER]
    )

    assert only(pair, "icmp").answered == 1
    assert pair.points[only(pair, "icmp").point].name == "node2"


def test_times_are_those_of_the_answered_requests():
    pair = comparison([queries(1, 2, 3), LATER], [responses(1, 2, start_s=0.002, delay_s=0)])

    assert only(pair, "dns").latency_p50_ns == 2_000_000
    assert only(pair, "dns").latency_p99_ns == 2_000_000


def test_what_nothing_answered_has_no_times():
    figures = only(comparison([queries(1, 2), LATER]), "dns")

    assert figures.latency_p50_ns is None
    assert figures.unanswered == 2


def test_all_ports_of_a_client_count_together_and_each_of_a_server_apart():
    syns = [
        Traffic(Flow(protocol=6, sport=s, dport=d), packets=1, tcp_flags=SYN, seq=s, payload=0)
        for s, d in ((40001, 80), (40002, 80), (40003, 443))
    ]
    told = [(f.server, f.requests) for f in services(comparison([*syns, LATER]))]

    assert told == [("10.233.65.20:443", 1), ("10.233.65.20:80", 2)]


def test_a_refused_connection_is_counted_as_such():
    syn = Traffic(WEB, packets=1, seq=1000, tcp_flags=SYN, payload=0)
    reset = Traffic(WEB.reverse(), packets=1, start_s=0.001, ack=1001, tcp_flags=RST_ACK, payload=0)

    assert only(comparison([syn, LATER], [reset]), "tcp").refused == 1


def test_a_backend_is_named_after_its_service():
    coredns = Service("coredns", "kube-system", ("10.233.0.3",), (("udp", 53),), ("10.233.65.20:53",))
    pair = comparison([queries(1), LATER], [responses(1)], cluster=Cluster(services=(coredns,)))

    assert only(pair, "dns").service == "kube-system/coredns"


def test_requests_asked_too_late_are_open_and_not_counted():
    pair = comparison([queries(1, 2)], [responses(1)])

    assert (only(pair, "dns").requests, only(pair, "dns").open) == (1, 1)


def test_the_order_does_not_depend_on_that_of_the_packets():
    one, two = Traffic(ping(), packets=2), Traffic(ping(dst="10.233.65.9"), packets=2)

    assert services(comparison([one, two, LATER])) == services(comparison([two, one, LATER]))
