"""Open connections that one end resets in the middle."""

from typing import Any

from tests.simulate import TCP, Flow, Traffic, comparison
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.diagnostics.symptoms.connection_reset import check
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.wire.model import Anomaly

SYN, SYN_ACK, ACK, RST, FIN_ACK = 0x02, 0x12, 0x10, 0x04, 0x11
Packet = tuple[float, int, int, int, int]  # time, seq, ack, flags, payload


def way(flow: Flow, packets: list[Packet], **more: Any) -> Traffic:
    time_s, seq, ack, flags, payload = (list(column) for column in zip(*packets, strict=True))
    return Traffic(flow, time_s=time_s, seq=seq, ack=ack, tcp_flags=flags, payload=payload, **more)


def talk(
    i: int,
    start: float,
    client: list[Packet] = (),
    server: list[Packet] = (),
    request: tuple[int, ...] = (100,),
    **more: Any,
) -> tuple[list[Traffic], list[Traffic]]:
    """A connection with one request and one answer of 1000 bytes, and what follows (times from `start`)."""
    flow = Flow(protocol=TCP, sport=40000 + i, dport=8080)
    there: list[Packet] = [(0, 99, 0, SYN, 0), (0.002, 100, 500, ACK, 0)]
    at = 100
    for n, size in enumerate(request):
        there.append((0.003 + n / 1e4, at, 500, ACK, size))
        at += size
    back: list[Packet] = [(0.001, 499, 100, SYN_ACK, 0), (0.01, 500, at, ACK, 1000)]
    there.append((0.011, at, 1500, ACK, 0))
    shifted = [
        [(start + t, *rest) for t, *rest in [*some, *extra]]
        for some, extra in ((there, client), (back, server))
    ]
    return [way(flow, shifted[0], **more)], [way(flow.reverse(), shifted[1], **more)]


def played(talks: list[tuple[list[Traffic], list[Traffic]]]) -> Comparison:
    return comparison([t for there, _ in talks for t in there], [t for _, back in talks for t in back])


def closed(i: int, start: float, **more: Any):
    return talk(i, start, [(0.02, 200, 1500, FIN_ACK, 0)], [(0.021, 1500, 201, FIN_ACK, 0)], **more)


def found(pair: Comparison) -> Finding:
    (answer,) = check(pair)
    assert isinstance(answer, Finding)
    return answer


def test_resets_after_a_segment_below_the_window_are_found():
    stray = {"client": [(0.05, 200, 0, RST, 0)], "server": [(0.04, 500, 200, ACK, 1000)]}
    talks = [closed(i, i) for i in range(5)] + [talk(i, i, **stray) for i in range(5, 8)]
    finding = found(played(talks))

    assert finding.severity == Severity.WARNING
    assert finding.direction == "node1>node2"
    assert "3 of 8 connections" in finding.summary
    assert "below its window" in finding.summary
    assert finding.evidence["below_window"].value == 3
    assert "--ctstate INVALID -j DROP" in finding.remedy


def test_resets_by_the_server_are_found():
    talks = [closed(i, i) for i in range(6)]
    talks += [talk(6, 6, [(0.02, 200, 1500, ACK, 50)], [(0.03, 1500, 250, RST | ACK, 0)])]
    finding = found(played(talks))

    assert "1 of 7 connections to 10.233.65.20:8080 was reset in the middle by the server" in finding.summary


def test_resets_after_a_long_pause_say_so():
    idle = {"client": [(60, 200, 1500, ACK, 50)], "server": [(60.001, 1500, 250, RST, 0)]}
    finding = found(played([closed(i, i) for i in range(4)] + [talk(i, i, **idle) for i in range(4, 8)]))

    assert "without traffic" in finding.summary
    assert "tcp_keepalive_time" in finding.remedy


def test_resets_of_first_messages_of_two_segments_say_so():
    bad = {"server": [(0.02, 1500, 1700, RST, 0)], "request": (1300, 300)}
    talks = [closed(i, i) for i in range(12)] + [talk(i, i, **bad) for i in range(12, 18)]

    assert "first message takes two segments" in found(played(talks)).summary


def test_a_client_that_breaks_off_is_worth_knowing_only():
    talks = [closed(i, i) for i in range(4)] + [talk(4, 4, [(0.02, 200, 1500, RST | ACK, 0)])]

    assert found(played(talks)).severity == Severity.INFO


def test_connections_that_end_in_order_are_clear():
    assert check(played([closed(i, i) for i in range(8)])) == []


def test_a_reset_after_a_fin_is_no_reset_in_the_middle():
    rude = {
        "client": [(0.02, 200, 1500, FIN_ACK, 0), (0.04, 201, 0, RST, 0)],
        "server": [(0.03, 1500, 201, ACK, 900)],
    }

    assert check(played([talk(i, i, **rude) for i in range(6)])) == []


def test_a_health_check_that_connects_and_resets_sends_no_data():
    flow = Flow(protocol=TCP, sport=40000, dport=8080)
    there = way(flow, [(0, 99, 0, SYN, 0), (0.002, 100, 500, ACK, 0), (0.003, 100, 500, RST | ACK, 0)])
    back = way(flow.reverse(), [(0.001, 499, 100, SYN_ACK, 0)])

    assert check(comparison([there], [back])) == []


def test_a_refused_connection_was_never_open():
    flow = Flow(protocol=TCP, sport=40000, dport=8080)
    back = way(flow.reverse(), [(0.001, 0, 100, RST | ACK, 0)])

    assert check(comparison([way(flow, [(0, 99, 0, SYN, 0)])], [back])) == []


def test_cut_headers_decide_nothing():
    talks = [talk(i, i, anomalies=Anomaly.HEADER_CUT.value) for i in range(3)]
    (answer,) = check(played(talks))

    assert isinstance(answer, NotAssessed)


def after_the_syn(i: int, *, syn_ack: bool) -> tuple[list[Traffic], list[Traffic]]:
    """A connection of which the SYN was not captured; its client takes the answer and resets."""
    flow = Flow(protocol=TCP, sport=40000 + i, dport=8080)
    back: list[Packet] = [(i + 0.001, 499, 100, SYN_ACK, 0)] if syn_ack else [(i + 0.001, 500, 100, ACK, 10)]
    first = 500 if syn_ack else 510
    there: list[Packet] = [(i + 0.002, 100, first, ACK, 100), (i + 0.02, 200, 0, RST, 0)]
    back.append((i + 0.01, first, 200, ACK, 1000))
    return [way(flow, there)], [way(flow.reverse(), back)]


def test_who_asked_is_known_by_the_syn_ack_or_the_ports_where_the_capture_begins_later():
    for syn_ack in (True, False):
        answers = check(played([after_the_syn(i, syn_ack=syn_ack) for i in range(6)]))
        assert not any("by the server" in a.summary for a in answers if isinstance(a, Finding))
