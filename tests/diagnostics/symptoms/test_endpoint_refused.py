"""The far pod refuses: with a reset, or an ICMP error that quotes what it refuses."""

import pytest

from tests.diagnostics.frames import icmp_error, in_vxlan, udp
from tests.diagnostics.symptoms.test_endpoint_silent import LATER, RST_ACK, SYN_ACK, accepted, connections
from tests.simulate import NODE1, NODE2, POD1, POD2, Flow, Traffic, comparison, ping
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.analysis.requests.services import services
from vxlanalyze.diagnostics.symptoms.endpoint_refused import check
from vxlanalyze.kubernetes.model import Cluster, Pod
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.wire.model import Anomaly

PORT, HOST, PROHIBITED = 3, 1, 13
GATEWAY = "10.233.65.1"


def error(code: int, *, src: str = POD2, quoted: bytes | None = None, **more) -> Traffic:
    """ICMP errors of the far pod about queries to its port 53, with the bytes that say so."""
    packet = icmp_error(quoted or udp(b"\0" * 20), code, src)
    flow = Flow(src=src, dst=POD1, protocol=1, sport=3 << 8 | code, dport=0, outer_src=NODE2, outer_dst=NODE1)
    count = len(more["time_s"])
    raw = [in_vxlan(packet, NODE2, NODE1)] * count
    return Traffic(flow, anomalies=Anomaly.ICMP_ERROR, raw=raw, **more)


def queries(count: int) -> Traffic:
    return Traffic(
        Flow(sport=41000, dport=53),
        packets=count,
        every_s=1,
        seq=[i << 16 | 0x100 for i in range(1, count + 1)],
    )


def found(pair: Comparison) -> Finding:
    (answer,) = check(pair)
    assert isinstance(answer, Finding)
    return answer


def test_a_reset_of_every_syn_is_found():
    cluster = Cluster(pods=(Pod("web-0", "default", "node2", (POD2,)),))
    pair = comparison([*connections(3, 8080, time_s=[0]), LATER], accepted(3, 8080, RST_ACK), cluster=cluster)
    finding = found(pair)

    assert finding.severity == Severity.WARNING
    assert finding.direction == "node1>node2"
    assert finding.summary.startswith("10.233.65.20:8080 (default/web-0) refused 3 of 3 requests (by a reset")
    assert finding.evidence["refused"].value == 3
    assert "path-blocked" in {r.code for r in finding.ruled_out}


def test_a_port_unreachable_that_quotes_the_query_is_found():
    finding = found(comparison([queries(4), LATER], [error(PORT, time_s=[0.1, 1.1, 2.1, 3.1])]))

    assert finding.evidence["by port unreachable"].value == 4
    assert "the pod's own address" in finding.explanation
    assert "listens on 10.233.65.20" in finding.remedy


def working() -> tuple[Traffic, Traffic]:
    """Echoes that the far node's other pods answer."""
    flow = ping(dst="10.233.65.9")
    return Traffic(flow, packets=5), Traffic(flow.reverse(), packets=5, start_s=0.001)


def test_a_firewall_that_prohibits_is_told_from_the_pod():
    asked, answered = working()
    rejects = error(PROHIBITED, src=GATEWAY, time_s=[0.1, 1.1])
    finding = found(comparison([queries(2), asked, LATER], [rejects, answered]))

    assert finding.evidence["by administratively prohibited"].value == 2
    assert "from another address than the pod's" in finding.explanation
    assert "firewalld" in finding.remedy


def test_a_host_that_is_not_known_is_said_to_be_gone():
    asked, answered = working()
    unknown = error(HOST, src=GATEWAY, time_s=[0.1, 1.1])
    finding = found(comparison([queries(2), asked, LATER], [unknown, answered]))

    assert "it is gone or has moved" in finding.remedy


def test_a_refused_datagram_of_any_service_is_found():
    """Nothing ever came back on that port, so only the error tells that something was asked."""
    sent = Traffic(Flow(sport=41000, dport=9999), packets=3, every_s=1)
    quoted = udp(b"x" * 20, dport=9999)
    pair = comparison([sent, LATER], [error(PORT, quoted=quoted, time_s=[0.1, 1.1])])

    assert found(pair).evidence["refused"].value == 2
    assert [(f.protocol, f.server, f.refused) for f in services(pair)] == [("udp", "10.233.65.20:9999", 2)]


def ended_talk(goes_on_s: float) -> Comparison:
    """A stream that is answered once, and whose packets are refused from some moment on."""
    flow, late = Flow(sport=41000, dport=9999), [2.0, 2.01, 2.0 + goes_on_s]
    sent = Traffic(flow, time_s=[0.0, 1.0, *late])
    answer = Traffic(flow.reverse(), time_s=[0.001])
    errors = error(PORT, quoted=udp(b"x" * 20, dport=9999), time_s=[at + 0.002 for at in late])
    return comparison([sent, LATER], [answer, errors])


def test_what_is_under_way_when_a_talk_ends_is_no_refused_request():
    assert check(ended_talk(goes_on_s=0.02)) == []


def test_an_endpoint_that_stops_listening_while_it_is_still_asked_refuses():
    assert found(ended_talk(goes_on_s=5.0)).evidence["refused"].value == 3


def test_an_echo_to_a_host_that_is_gone_is_refused():
    quoted = udp(b"")[:9] + b"\x01" + udp(b"")[10:20] + bytes.fromhex("0800000000010001")
    pair = comparison([Traffic(ping(), packets=1), LATER], [error(HOST, quoted=quoted, time_s=[0.1])])

    assert found(pair).evidence["by no such host"].value == 1


def test_a_node_that_rejects_everything_was_not_asked_for_an_endpoint():
    (answer,) = check(comparison([queries(2), LATER], [error(PROHIBITED, src=GATEWAY, time_s=[0.1, 1.1])]))

    assert isinstance(answer, NotAssessed)
    assert "not-answered" in answer.reason


def test_accepted_connections_are_clear():
    assert check(comparison([*connections(3, 80), LATER], accepted(3, 80, SYN_ACK))) == []


def test_silence_is_no_refusal():
    assert check(comparison([*connections(3, 80), queries(3), LATER])) == []


def test_a_reset_in_the_middle_of_a_connection_is_no_refusal():
    reset = accepted(1, 80, RST_ACK, time_s=[5], ack=9000)

    assert check(comparison([*connections(1, 80, time_s=[0]), LATER], [*accepted(1, 80), *reset])) == []


@pytest.mark.parametrize("quoted", [udp(b"", dport=777), b"", b"\x45\x00"])
def test_an_error_about_something_else_refuses_nothing(quoted):
    other = error(PORT, quoted=quoted or b"\0", time_s=[0.1])

    assert check(comparison([queries(2), LATER], [other])) == []


def test_an_error_outside_of_the_tunnel_says_nothing_of_a_pod():
    bare = Traffic(
        Flow(src=NODE2, dst=NODE1, protocol=1, sport=3 << 8 | PORT, dport=0, tunnel=0),
        packets=2,
        anomalies=Anomaly.ICMP_ERROR,
    )

    assert check(comparison([queries(2), LATER], seen_only={"node1": [bare]})) == []
