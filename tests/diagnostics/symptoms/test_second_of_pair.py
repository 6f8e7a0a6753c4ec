"""Two datagrams of a new socket and one answer; and a socket that is held to a pod that is gone."""

from tests.simulate import Flow, Traffic, comparison
from vxlanalyze.analysis.finding import Finding
from vxlanalyze.diagnostics.symptoms.endpoint_silent import check
from vxlanalyze.kubernetes.model import Cluster, Pod

SERVER = "10.233.65.20"
LATER = Traffic(Flow(sport=1, dport=2), packets=1, start_s=60)


def sockets(count: int, short: int, *, port: int = 4460, apart_s: float = 0.00003, answer: int = 48):
    """Pairs of datagrams of new sockets, of which the first `short` get one answer."""
    asked, answered = [], []
    for i in range(count):
        flow = Flow(protocol=17, dst=SERVER, sport=40000 + i, dport=port)
        asked.append(Traffic(flow, time_s=[i, i + apart_s], payload=48))
        times = [i + 0.002] if i < short else [i + 0.002, i + 0.0021]
        size = answer if i < short else 48
        answered.append(Traffic(flow.reverse(), time_s=times, payload=size))
    return [*asked, LATER], answered


def findings(pair) -> list[Finding]:
    return [answer for answer in check(pair) if isinstance(answer, Finding)]


def test_the_missing_answers_of_second_datagrams_are_counted():
    (finding,) = findings(comparison(*sockets(30, 9)))

    assert finding.summary == (
        "10.233.65.20:4460 answered only one of two datagrams that reached node2 together, "
        "for 9 of 30 new sockets"
    )
    assert "conntrack -S" in finding.remedy
    assert finding.frame_count == 9


def test_where_both_are_answered_nothing_is_said():
    assert not findings(comparison(*sockets(30, 0)))


def test_one_missing_answer_in_thirty_may_be_anything():
    assert not findings(comparison(*sockets(30, 1)))


def test_an_endpoint_that_answers_mostly_once_answers_as_it_likes():
    assert not findings(comparison(*sockets(30, 20)))


def test_one_answer_of_another_size_may_be_one_for_both():
    assert not findings(comparison(*sockets(30, 9, answer=96)))


def asked_of(server: str, socket_port: int, packets: int) -> Traffic:
    return Traffic(
        Flow(protocol=17, dst=server, sport=socket_port, dport=1812), packets=packets, every_s=0.5, payload=60
    )


def radius() -> tuple[list[Traffic], list[Traffic]]:
    """Sockets of one request and one response each."""
    flows = [Flow(protocol=17, dst=SERVER, sport=50000 + i, dport=1812) for i in range(20)]
    return (
        [Traffic(flow, time_s=[i * 0.3], payload=60) for i, flow in enumerate(flows)],
        [Traffic(flow.reverse(), time_s=[i * 0.3 + 0.002], payload=40) for i, flow in enumerate(flows)],
    )


def test_a_socket_that_is_held_to_a_pod_that_is_gone_is_named():
    asked, answered = radius()
    cluster = Cluster(pods=(Pod("radius-0", "default", "node2", (SERVER,)),))
    gone = asked_of("10.233.65.99", 47812, 20)
    (finding,) = findings(comparison([*asked, gone, LATER], answered, cluster=cluster))

    assert finding.summary.startswith("10.233.65.99:1812 answered none of 20 requests")
    assert "port 47812" in finding.explanation
    assert "conntrack -D -p udp --reply-src 10.233.65.99 --reply-port-src 1812" in finding.remedy


def test_a_port_that_nobody_answers_asks_nothing():
    asked, answered = radius()
    syslog = Traffic(Flow(protocol=17, dst="10.233.65.99", sport=514, dport=514), packets=40, every_s=0.5)

    assert not findings(comparison([*asked, syslog, LATER], answered))
