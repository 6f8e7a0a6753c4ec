"""A delay spike is a time in which everything is slower; jitter, bursts, stalls and clocks are not."""

from dataclasses import replace

import numpy as np
import pytest

from tests.simulate import TCP, Flow, Traffic, comparison, ping
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.analysis.timing import delays
from vxlanalyze.diagnostics.performance import delay_spike, reordering
from vxlanalyze.pairing.model import ClockPiece, Hop

BASE_S = 0.0008


def jitter(n, seed=0, scale_s=0.0002):
    return BASE_S + np.random.default_rng(seed).exponential(scale_s, n)


def spiked(n=300, every_s=0.02, first=100, last=160, by_s=0.12, seed=0, **more):
    """Packets of which those from `first` up to `last` take longer."""
    delay = jitter(n, seed)
    delay[first:last] += by_s
    return Traffic(Flow(**more), packets=n, every_s=every_s, delay_s=delay)


def steady(n=300, every_s=0.02, **more):
    return Traffic(ping(dport=9).reverse(), packets=n, every_s=every_s, delay_s=jitter(n, 9), **more)


def of(pair, label="node1>node2"):
    return [a for a in delay_spike.check(pair) if a.direction == label]


def assess(forward, backward=(), **more):
    return of(comparison(forward, [*backward, steady()], **more))


def test_a_delay_that_jumps_for_a_second_is_found():
    (finding,) = assess([spiked()])

    assert isinstance(finding, Finding)
    assert finding.severity is Severity.WARNING
    assert finding.evidence["jump"].value == pytest.approx(120_000_000, rel=0.01)
    assert finding.evidence["duration"].value == 59 * 20_000_000
    assert finding.evidence["slow_packets"].value == 60
    assert finding.evidence["usual_delay"].value == pytest.approx(BASE_S * 1e9, rel=0.3)
    assert len(finding.frames["node1"]) == len(finding.frames["node2"]) == 60
    assert "the path has become longer" in finding.explanation
    assert "for 1.18 s from 2023-11-14T22:13:22.000Z on" in finding.summary


def test_a_delay_that_rises_for_good_is_found():
    (finding,) = assess([spiked(first=150, last=300, by_s=0.01)])
    assert "to the end" in finding.summary
    assert finding.evidence["jump"].value == pytest.approx(10_000_000, rel=0.05)


def test_a_busy_host_delays_single_packets_as_much_and_proves_nothing():
    """One packet in eight is 20 ms late at any time; that twelve in a row are is no other path."""
    late = np.random.default_rng(3).random(600) < 0.125
    late[200:214] = True

    (answer,) = assess([Traffic(packets=600, every_s=0.02, delay_s=jitter(600) + 0.02 * late)])

    assert isinstance(answer, NotAssessed)
    assert "as slow, one here and one there" in answer.reason


def test_a_ping_tells_of_a_busy_host_as_much_as_a_stream_does():
    """A stream of a second is slow throughout; so is one ping in six around it."""
    sent = np.concatenate([np.arange(60) * 0.5, 10.1 + np.arange(50) * 0.02, 11.3 + np.arange(300) * 0.01])
    delay = jitter(len(sent))
    delay[:60][np.arange(60) % 6 == 0] += 0.03
    delay[60:110] += 0.02
    order = np.argsort(sent, kind="stable")

    (answer,) = assess([Traffic(time_s=sent[order], delay_s=delay[order])])

    assert isinstance(answer, NotAssessed)
    assert "as slow, one here and one there" in answer.reason


@pytest.mark.parametrize("uneven_s", [0.0, 0.006])
def test_little_and_uneven_delay_is_a_busy_host_and_an_even_one_a_longer_path(uneven_s):
    delay = jitter(300, scale_s=0.00002)
    delay[100:160] += 0.0015 + np.random.default_rng(5).random(60) * uneven_s

    (answer,) = assess([Traffic(packets=300, every_s=0.02, delay_s=delay)])

    assert isinstance(answer, NotAssessed if uneven_s else Finding)


def test_several_spikes_are_counted():
    delay = jitter(400)
    delay[100:140] += 0.05
    delay[250:290] += 0.08
    (finding,) = assess([Traffic(packets=400, every_s=0.02, delay_s=delay)])
    assert finding.evidence["spikes"].value == 2
    assert finding.evidence["jump"].value == pytest.approx(80_000_000, rel=0.02)


def test_a_direction_that_is_not_slower_is_clear():
    pair = comparison([spiked()], [steady()])
    assert of(pair, "node2>node1") == []


def test_single_slow_packets_are_no_spike():
    delay = jitter(500)
    delay[::10] += 0.05
    assert assess([Traffic(packets=500, delay_s=delay)]) == []


def test_a_burst_that_queues_behind_itself_is_no_spike():
    """Sixty packets sent at once each second, of which the last waits 30 ms for the others."""
    sent = np.repeat(np.arange(40.0), 60)
    own_queue = np.tile(np.arange(60) * 0.0005, 40)
    assert assess([Traffic(time_s=sent, delay_s=jitter(2400) + own_queue)]) == []


def test_a_short_pause_of_a_host_is_no_spike():
    """What is sent in 100 ms arrives at the end of them."""
    delay = jitter(500)
    sent = np.arange(500) * 0.005
    paused = (sent >= 1.0) & (sent < 1.1)
    delay[paused] += 1.1 - sent[paused]
    assert assess([Traffic(time_s=sent, delay_s=delay)]) == []


def test_a_long_pause_is_told_as_one():
    delay = jitter(500)
    sent = np.arange(500) * 0.02
    paused = (sent >= 3.0) & (sent < 4.0)
    delay[paused] += 4.0 - sent[paused]
    (finding,) = assess([Traffic(time_s=sent, delay_s=delay)])
    assert "held them back" in finding.explanation


def test_a_first_packet_that_waits_for_address_resolution_is_no_spike():
    delay = jitter(300)
    delay[0] += 1.0
    assert assess([Traffic(packets=300, every_s=0.02, delay_s=delay)]) == []


def test_queues_that_a_transfer_fills_itself_are_not_the_paths():
    quiet = spiked(first=100, last=160, by_s=0.04)
    bulk = Traffic(
        Flow(protocol=TCP), time_s=2.0 + np.arange(1200) * 0.001, payload=1300, delay_s=BASE_S + 0.04
    )
    (answer,) = assess([quiet, bulk])
    assert isinstance(answer, NotAssessed)
    assert "its own traffic" in answer.reason


def test_a_flow_that_is_slow_all_its_life_has_another_path():
    early, late = (
        spiked(first=0, last=0),
        Traffic(Flow(sport=9), 100, 6.0, 0.02, delay_s=jitter(100, 3) + 0.02),
    )
    (answer,) = assess([early, late])
    assert isinstance(answer, NotAssessed)
    assert "another path" in answer.reason


def with_clock(pair, **changes):
    hop = pair.hops[0]
    return replace(pair, hops=(Hop(hop.forward, hop.backward, replace(hop.clock, **changes)),))


def test_a_clock_that_was_set_makes_the_other_direction_faster():
    slower = spiked(first=150, last=300, by_s=0.05)
    back = Traffic(ping(dport=9).reverse(), packets=300, every_s=0.02, delay_s=jitter(300, 4))
    pair = comparison([slower], [back])
    pair.hops[0].backward.delay_ns[150:] = 0  # what is left of a delay that would be negative
    (answer,) = of(pair)
    assert isinstance(answer, NotAssessed)
    assert "clocks" in answer.reason


def test_a_jump_where_the_clock_was_set_is_in_doubt():
    pair = comparison([spiked(first=150, last=300, by_s=0.05)])
    start = pair.hops[0].clock.pieces[0]
    step = ClockPiece(int(pair.hops[0].forward.time_ns[150]), 1_000_000_000, 0.0)
    (answer,) = of(with_clock(pair, pieces=(start, step)))
    assert isinstance(answer, NotAssessed)


def test_one_direction_alone_cannot_tell_a_lasting_delay_from_a_clock():
    pair = comparison([spiked(first=150, last=300)], relative_clock=True)
    (answer,) = of(pair)
    assert isinstance(answer, NotAssessed)


def test_one_direction_alone_can_tell_a_delay_that_passes():
    (finding,) = of(comparison([spiked()], relative_clock=True))
    assert isinstance(finding, Finding)
    assert finding.evidence["usual_delay"].value is None


def test_few_packets_cannot_tell():
    (answer,) = assess([Traffic(packets=15, every_s=0.02, delay_s=jitter(15))])
    assert isinstance(answer, NotAssessed)
    assert f"fewer than {delays.least_slots(1e-4)}" in answer.reason


def test_overtaking_at_the_end_of_a_spike_is_its_consequence():
    pair = comparison([spiked()], [steady()])
    (late,) = [a for a in reordering.check(pair) if isinstance(a, Finding)]
    assert late.explained_by == ("delay-spike",)


def test_overtaking_without_a_spike_has_no_such_cause():
    delay = jitter(500)
    delay[::10] += 0.05
    pair = comparison([Traffic(packets=500, delay_s=delay)])
    (late,) = [a for a in reordering.check(pair) if isinstance(a, Finding)]
    assert late.explained_by == ()


@pytest.mark.parametrize("seed", range(200))
def test_healthy_networks_raise_no_alarm(seed):
    """Jitter of several shapes and scales, bursts, idle times: nothing lasts."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(30, 1500))
    scale = 10 ** rng.uniform(-4.5, -2)
    shape = [rng.exponential(scale, n), rng.lognormal(np.log(scale), 1, n), rng.pareto(2.5, n) * scale][
        seed % 3
    ]
    sent = np.cumsum(rng.exponential(10 ** rng.uniform(-4, -1), n))
    pair = comparison([Traffic(time_s=sent, delay_s=rng.uniform(0.0001, 0.02) + shape)])
    assert not [a for a in delay_spike.check(pair) if isinstance(a, Finding)]


def test_stamps_at_the_end_of_what_they_can_say():
    """How long the last delay lasts is known neither from a next packet nor from a later moment."""
    pair = comparison([Traffic(packets=200)], [Traffic(packets=200)])
    direction = pair.hops[0].forward
    index = direction.sender.index
    index.time_ns[direction.sent_row] += np.iinfo(np.int64).max - index.time_ns[direction.sent_row].max()

    assert not [answer for answer in delay_spike.check(pair) if isinstance(answer, Finding)]
