"""Receivers that close their window."""

from tests.diagnostics.performance.streams import ACK, WEB, handshake
from tests.simulate import Traffic, comparison
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.diagnostics.performance.zero_window import check
from vxlanalyze.pairing.model import Comparison

RST_ACK = 0x14


def stopped(reopens_s: float | None = 3.0, goes_on_s: float = 0.0005, *, opened: bool = True) -> Comparison:
    """Send two segments; the second closes the window until it is opened again, or for good."""
    there, back = handshake(one_way_s=0.001) if opened else ([], [])
    data = Traffic(WEB, time_s=[0.1, 0.1001], seq=[1000, 2000], payload=1000, ack=5000, delay_s=0.001)
    acks = Traffic(
        WEB.reverse(), time_s=[0.102, 0.103], ack=[2000, 3000], seq=5000, payload=0, tcp_flags=ACK,
        window=[8, 0], delay_s=0.001,
    )  # fmt: skip
    probes = Traffic(WEB, time_s=[0.4, 0.9, 1.9], seq=2999, payload=0, ack=5000, tcp_flags=ACK, delay_s=0.001)
    told = Traffic(
        WEB.reverse(), time_s=[0.402, 0.902, 1.902], seq=5000, ack=3000, payload=0, tcp_flags=ACK, window=0,
        delay_s=0.001,
    )  # fmt: skip
    forward, backward = [*there, data, probes], [*back, acks, told]
    if reopens_s is not None:
        backward.append(
            Traffic(
                WEB.reverse(),
                time_s=[reopens_s],
                seq=5000,
                ack=3000,
                payload=0,
                tcp_flags=ACK,
                window=64,
                delay_s=0.001,
            )
        )
        forward.append(
            Traffic(
                WEB, time_s=[reopens_s + 0.001 + goes_on_s], seq=3000, payload=1000, ack=5000, delay_s=0.001
            )
        )
    return comparison(forward, backward)


def found(pair: Comparison) -> Finding:
    (answer,) = check(pair)
    assert isinstance(answer, Finding)
    return answer


def test_a_window_closed_for_seconds_names_who_does_not_read():
    finding = found(stopped())

    assert finding.severity == Severity.WARNING
    assert finding.direction == "node1>node2"
    assert finding.summary.startswith("10.233.65.20 did not read")
    assert "waited 2.9 s" in finding.summary
    assert "server of port 8080 on 10.233.65.20" in finding.explanation
    assert "# ss -tnpi src 10.233.65.20 dst 10.233.64.10\n" in finding.remedy
    assert finding.evidence["closed_times"].value == 1


def test_a_window_that_stays_closed_while_it_is_probed():
    assert "waited 1.8 s" in found(stopped(None)).summary


def test_zero_needs_no_scale():
    assert "did not read" in found(stopped(opened=False)).summary


def test_a_short_pause_is_nothing():
    assert check(stopped(0.3)) == []


def test_a_sender_that_had_nothing_to_say_did_not_wait():
    assert check(stopped(0.2, goes_on_s=4.0)) == []


def test_a_reset_carries_a_window_that_means_nothing():
    there, back = handshake(one_way_s=0.001)
    data = Traffic(WEB, time_s=[0.1], seq=1000, payload=1000, ack=5000, delay_s=0.001)
    reset = Traffic(WEB.reverse(), time_s=[0.102], seq=5000, ack=2000, payload=0, tcp_flags=RST_ACK, window=0)
    late = Traffic(WEB, time_s=[3.0], seq=2000, payload=1000, ack=5000)

    assert check(comparison([*there, data, late], [*back, reset])) == []


def test_nothing_can_be_said_of_cut_headers():
    cut = Traffic(WEB, time_s=[0.1, 3.0], payload=1000, anomalies=1 << 1)

    (open_,) = check(comparison([cut]))

    assert isinstance(open_, NotAssessed)
    assert (
        open_.reason
        == "the snap length cuts the TCP headers of 1 connection: windows and turns are not known"
    )
