"""Answers that are late because of who gives them."""

from unittest.mock import patch

import numpy as np
import pytest

from tests.diagnostics.performance.streams import ACK, SYN, SYN_ACK, WEB, handshake
from tests.recorded import reported
from tests.simulate import Flow, Traffic, comparison, ping
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.analysis.tcp import message_streams
from vxlanalyze.analysis.tcp.framed_requests import framed_requests
from vxlanalyze.diagnostics.performance.slow_answer import check
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.wire.protocols import TCP

DNS = Flow(protocol=17, sport=40001, dport=53)


def asked(
    thinks_s: list[float],
    *,
    path_s: float = 0.001,
    pause_s: float = 0.1,
    flow: Flow = WEB,
    opened: bool = True,
) -> Comparison:
    """Ask a server in turn, each question answered after a while."""
    there, back = handshake(one_way_s=path_s) if opened else ([], [])
    at_s, question, answer = 0.1, [], []
    for think_s in thinks_s:
        question.append(at_s)
        answer.append(at_s + path_s + think_s)
        at_s = answer[-1] + path_s + pause_s
    number = np.arange(len(thinks_s))
    ask = Traffic(
        flow, time_s=question, seq=1000 + 100 * number, ack=5000 + 500 * number, payload=100, delay_s=path_s
    )
    say = Traffic(
        flow.reverse(), time_s=answer, seq=5000 + 500 * number, ack=1100 + 100 * number, payload=500,
        delay_s=path_s,
    )  # fmt: skip
    background = Traffic(Flow(sport=7, dport=7000), packets=int(at_s / 0.1) + 1, every_s=0.1)
    spoken = Traffic(Flow(sport=7, dport=7000).reverse(), packets=int(at_s / 0.1) + 1, every_s=0.1)
    return comparison([*there, ask, background], [*back, say, spoken])


def found(pair: Comparison) -> Finding:
    (answer,) = check(pair)
    assert isinstance(answer, Finding)
    return answer


def test_a_server_that_thinks_for_two_seconds():
    finding = found(asked([0.01, 2.0, 0.01]))

    assert finding.severity == Severity.WARNING
    assert finding.direction == "node1>node2"
    assert "1 request waited at the server for 2 s (10.233.65.20 port 8080)" in finding.summary
    assert "its application took the time" in finding.explanation
    assert finding.evidence["usual_answer"].value == 10_000_000
    assert finding.evidence["silent_from"].value is None


def test_a_server_that_is_slow_for_most_answers():
    assert "3 requests waited" in found(asked([0.5, 0.4, 0.6])).summary


def test_a_few_answers_of_half_a_second_are_not_noticed():
    assert check(asked([0.5, 0.01, 0.01, 0.01, 0.5])) == []


def test_a_long_path_is_not_a_slow_server():
    assert check(asked([0.01] * 4, path_s=0.6)) == []


def test_a_client_that_pauses_is_not_a_slow_server():
    assert check(asked([0.01] * 3, pause_s=4.0)) == []


def test_a_long_poll_is_held_back_on_purpose():
    assert check(asked([80.0])) == []


def test_a_resolver_that_waits():
    query = Traffic(DNS, packets=1, seq=7 << 16, start_s=0.1)
    reply = Traffic(DNS.reverse(), packets=1, seq=7 << 16 | 0x8180, start_s=2.6)
    other = Traffic(Flow(sport=7, dport=7000).reverse(), packets=40, every_s=0.1)

    finding = found(comparison([query], [reply, other]))
    assert "10.233.65.20 port 53" in finding.summary
    assert "dig @10.233.65.20" in finding.remedy


def test_syns_that_are_taken_at_their_third_copy():
    syn = Traffic(WEB, time_s=[0.1, 1.1, 3.1], seq=999, tcp_flags=SYN, payload=0)
    answer = Traffic(WEB.reverse(), time_s=[3.1005], seq=4999, ack=1000, tcp_flags=SYN_ACK, payload=0)
    data = Traffic(WEB, time_s=[3.2], seq=1000, ack=5000, payload=10)
    acked = Traffic(WEB.reverse(), time_s=[3.3], seq=5000, ack=1010, payload=0, tcp_flags=ACK)
    other = Traffic(Flow(sport=7, dport=7000).reverse(), packets=40, every_s=0.1)

    finding = found(comparison([syn, data], [answer, acked, other]))
    assert "waited at the server for 3 s" in finding.summary
    assert "TcpExtListenOverflows" in finding.remedy


def test_a_node_that_sends_nothing_for_a_while():
    request = ping()
    asks = Traffic(request, packets=40, every_s=0.1, seq=np.arange(40), payload=56)
    held = np.arange(40) * 0.1 + 0.0005
    held = np.where((held > 1.0) & (held < 3.0), 3.0 + np.arange(40) * 1e-5, held)
    says = Traffic(request.reverse(), time_s=held, seq=np.arange(40), payload=56)

    finding = found(comparison([asks], [says]))
    assert "node2 sent nothing into the tunnel for 2 s" in finding.summary
    assert "ip -s neigh show to 172.26.50.200" in finding.remedy


def test_one_capture_knows_no_server_side():
    there, back = handshake()
    assert check(comparison([*there], [*back], points=("node1", "node2"))) == []


class TestWhatIsNoServersWork:
    """Data of a server that nobody waits for."""

    PUSHES_S = (2.2, 2.5, 1.9, 2.7, 2.1)

    def test_a_server_that_pushes_looks_like_a_slow_one_if_the_start_is_not_captured(self):
        finding = found(asked([*self.PUSHES_S], pause_s=0.0004, opened=False))

        assert finding.severity == Severity.INFO
        assert "or it pushes" in finding.summary

    def test_the_first_data_show_who_asks(self):
        assert found(asked([*self.PUSHES_S], pause_s=0.0004)).severity == Severity.WARNING

    def test_a_server_that_answers_something_at_once_does_not_push(self):
        pair = asked([0.002, *self.PUSHES_S], pause_s=0.0004, opened=False)

        assert found(pair).severity == Severity.WARNING

    def test_a_client_that_takes_its_time_asks(self):
        assert found(asked([*self.PUSHES_S], pause_s=0.3, opened=False)).severity == Severity.WARNING

    def test_two_ephemeral_ports_do_not_show_who_asks(self):
        pair = asked(
            [0.002, *self.PUSHES_S],
            pause_s=0.3,
            opened=False,
            flow=Flow(protocol=TCP, sport=54114, dport=51613),
        )

        assert found(pair).severity == Severity.INFO

    def test_the_port_of_several_connections_is_the_servers(self):
        """It is the larger one here, and its pongs come at once; the clients pause between pings."""
        pings, pongs = [], []
        for sport in (44511, 44482):
            flow, number = Flow(protocol=TCP, sport=sport, dport=50051), np.arange(6)
            pings.append(Traffic(flow, time_s=9.0 * number, seq=1000 + 17 * number, payload=17))
            pongs.append(
                Traffic(flow.reverse(), time_s=9.0 * number + 0.003, seq=5000 + 17 * number, payload=17)
            )

        assert check(comparison(pings, pongs)) == []

    @pytest.mark.parametrize(("port", "held_s"), [(9092, 0.503), (6379, 5.004)])
    def test_a_request_that_is_held_until_there_is_something(self, port: int, held_s: float):
        thinks_s = [held_s] * 6

        assert (
            check(asked(thinks_s, pause_s=0.001, flow=Flow(protocol=TCP, sport=WEB.sport, dport=port))) == []
        )
        assert found(asked(thinks_s, pause_s=0.001)).severity == Severity.WARNING


def test_connections_that_are_not_read_are_counted_and_said():
    reported.cache_clear()
    with patch.object(message_streams, "MOST_CONNECTIONS", 1):
        pair = reported("application-works")
        read = framed_requests(pair)
        said = [each for each in check(pair) if isinstance(each, NotAssessed)]
    reported.cache_clear()

    assert read is not None
    assert read.left_out > 1
    assert [f"of {read.left_out} connections" in each.reason for each in said] == [True]
