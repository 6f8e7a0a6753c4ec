"""Windows that are filled once a round trip."""

from tests.diagnostics.performance.streams import WEB, handshake, rounds
from tests.simulate import Traffic, comparison
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.diagnostics.performance.window_limited import check
from vxlanalyze.pairing.model import Comparison

TEN_SEGMENTS = 10_000 >> 7 << 7  # 9,984: what a scaled window can say


def limited(
    *, window: int = TEN_SEGMENTS >> 7, scale: int | None = 7, opened: bool = True, **more
) -> Comparison:
    there, back = handshake(scale=scale)
    data, acks = rounds(40, 10, window, **more)
    first = [*there] if opened else []
    second = [*back] if opened else []
    return comparison([*first, data], [*second, acks])


def found(pair: Comparison) -> Finding:
    (answer,) = check(pair)
    assert isinstance(answer, Finding)
    return answer


def test_a_window_filled_each_round_trip_is_the_limit():
    finding = found(limited())

    assert finding.severity == Severity.WARNING
    assert finding.direction == "node1>node2"
    assert "9,984 bytes per round trip of 100 ms" in finding.summary
    assert "10.233.64.10 to 10.233.65.20 port 8080" in finding.summary
    assert finding.evidence["window_for_100_mbit"].value == 1_249_375
    assert "net.ipv4.tcp_rmem" in finding.remedy
    assert "node2" in finding.remedy


def test_without_the_option_the_remedy_is_the_option():
    finding = found(limited(window=10_000, scale=None))

    assert "no window scale option" in finding.explanation
    assert "tcp_window_scaling" in finding.remedy


def test_room_in_the_window_means_that_something_else_limits():
    assert check(limited(window=500)) == []


def test_a_full_window_on_a_fast_path_bothers_nobody():
    there, back = handshake(one_way_s=0.00002)
    data, acks = rounds(400, 10, TEN_SEGMENTS >> 7, one_way_s=0.00002)

    assert check(comparison([*there, data], [*back, acks])) == []


def test_a_sender_that_pauses_after_the_window_opened_waits_for_its_application():
    assert check(limited(wait_s=0.05)) == []


def test_without_the_handshake_the_scale_is_not_known():
    (answer,) = check(limited(opened=False))

    assert isinstance(answer, NotAssessed)
    assert "handshake" in answer.reason


def test_no_tcp_is_no_question():
    assert check(comparison([Traffic()], [Traffic(WEB.reverse(protocol=17))])) == []
