"""A queue that a direction fills itself; longer paths, jitter and full windows are none."""

from dataclasses import replace

import numpy as np
import pytest

from tests.diagnostics.performance.streams import handshake, rounds
from tests.simulate import TCP, Flow, Traffic, comparison, ping
from vxlanalyze.analysis.finding import NotAssessed, Severity
from vxlanalyze.diagnostics.performance import queueing_delay

BULK = Flow(protocol=TCP, sport=40000, dport=8443)
FLOOR_S = 0.01
LINK_BYTES_PER_S = 250_000.0
PAYLOAD = 1000
ON_WIRE = PAYLOAD + 40 + 50  # inner and outer headers


def queued(sent_s: np.ndarray, size: float = ON_WIRE) -> np.ndarray:
    """Play a link: each packet leaves when those before it have, and takes the path after that."""
    leaves = np.empty(len(sent_s))
    free = 0.0
    for i, at in enumerate(sent_s):
        free = max(free, at) + size / LINK_BYTES_PER_S
        leaves[i] = free
    return leaves - sent_s + FLOOR_S


def bursts(peak: float = 2.0, number: int = 1200) -> np.ndarray:
    """Send slowly, then `peak` times as fast as the link for a while, and slowly again."""
    step = ON_WIRE / LINK_BYTES_PER_S
    gaps = np.full(number, step * 2)
    gaps[200:600] = step / peak
    return np.cumsum(gaps)


def back(**more) -> Traffic:
    return Traffic(ping().reverse(), packets=400, every_s=0.02, delay_s=FLOOR_S, **more)


def check(traffic: list[Traffic], **more):
    return queueing_delay.check(comparison(traffic, [back()], **more))


def bulk(sent_s: np.ndarray, delay_s: np.ndarray | float) -> Traffic:
    return Traffic(
        BULK, time_s=sent_s, payload=PAYLOAD, seq=1 + PAYLOAD * np.arange(len(sent_s)), delay_s=delay_s
    )


def test_the_rate_of_the_link_is_found():
    sent = bursts()
    (finding,) = check([bulk(sent, queued(sent))])

    assert finding.direction == "node1>node2"
    assert finding.severity is Severity.INFO
    assert finding.evidence["link_rate"].value == pytest.approx(8 * LINK_BYTES_PER_S, rel=0.03)
    assert finding.evidence["waited_most"].value == pytest.approx(0.87e9, rel=0.05)
    assert finding.evidence["packets_of_others"].value == 0
    assert "tc qdisc replace dev NIC root cake bandwidth" in finding.remedy
    assert {ruled.code for ruled in finding.ruled_out} == {"rate-limited", "delay-spike"}


def test_others_that_wait_for_a_second_make_it_a_warning():
    sent = bursts(peak=4.0)
    delay = queued(sent)
    asked = np.linspace(sent[450], sent[590], 12)
    waits = np.interp(asked, sent, delay)
    (finding,) = check([bulk(sent, delay), Traffic(ping(), time_s=asked, delay_s=waits)])

    assert finding.severity is Severity.WARNING
    assert finding.evidence["packets_of_others"].value == 12
    assert "12 packets of other conversations waited too" in finding.explanation


@pytest.mark.parametrize("offset_s", [0.0, 3600.0])
def test_clocks_do_not_matter(offset_s: float):
    sent = bursts()
    (finding,) = check([bulk(sent, queued(sent))], clock_offset_ns=[0, int(offset_s * 1e9)])
    assert finding.evidence["smallest_delay"].value == pytest.approx(FLOOR_S * 1e9, rel=0.6)


def test_without_the_clocks_the_waiting_is_known_and_the_path_is_not():
    sent = bursts()
    (finding,) = check([bulk(sent, queued(sent))], relative_clock=True)
    assert finding.evidence["smallest_delay"].value is None
    assert "in addition to" not in finding.summary


def test_a_link_that_is_not_full_is_clear():
    sent = np.cumsum(np.full(1000, 1.3 * ON_WIRE / LINK_BYTES_PER_S))
    assert check([bulk(sent, queued(sent))]) == []


def test_a_path_that_became_longer_is_no_queue():
    """The same rate as before, 300 ms later."""
    sent = np.cumsum(np.full(1000, 0.006))
    delay = np.full(1000, FLOOR_S)
    delay[400:700] += 0.3
    assert check([bulk(sent, delay)]) == []


def test_jitter_is_no_queue():
    sent = bursts()
    late = np.random.default_rng(5).exponential(0.2, len(sent))
    assert check([bulk(sent, FLOOR_S + late)]) == []


def test_what_others_queue_is_not_this_directions_queue():
    """A few packets cross a queue that somebody else filled: their own rate says nothing of the link."""
    sent = np.sort(np.random.default_rng(6).uniform(0, 6, 300))
    delay = FLOOR_S + 0.4 * np.clip(1 - np.abs(sent - 3) / 1.5, 0, 1)
    assert check([bulk(sent, delay)]) == []


def test_a_short_wait_is_not_worth_a_word():
    sent = bursts(peak=1.02)
    assert check([bulk(sent, queued(sent))]) == []


def test_one_capture_and_no_packets_are_clear():
    assert queueing_delay.check(comparison([bulk(bursts(), 0.01)], points=("node1",))) == []
    assert queueing_delay.check(comparison([], [])) == []


def test_one_capture_cannot_tell_a_queue_from_a_congestion_window():
    there, back_ = handshake()
    data, acks = rounds(40, 10, 500)
    acks = replace(acks, time_s=np.asarray(acks.time_s) + 0.0499)  # as they arrive at node1
    (result,) = queueing_delay.check(comparison([*there, data], [*back_, acks], points=("node1",)))

    assert isinstance(result, NotAssessed)
