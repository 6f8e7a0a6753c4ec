"""Clocks that differ, and clocks that were set."""

from dataclasses import replace

import numpy as np
import pytest

from tests.simulate import START_NS, Traffic, comparison
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.diagnostics.artefacts import clock_offset
from vxlanalyze.diagnostics.limits import clock_step
from vxlanalyze.pairing.model import Clock, ClockPiece, Comparison

SECOND = 1_000_000_000


def with_clock(pair: Comparison, **changes) -> Comparison:
    hop = pair.hops[0]
    return replace(pair, hops=(replace(hop, clock=replace(hop.clock, **changes)), *pair.hops[1:]))


def both_ways(**more) -> Comparison:
    flow = Traffic().flow
    return comparison([Traffic()], [Traffic(flow.reverse())], **more)


@pytest.mark.parametrize(("offset_ns", "ahead"), [(3 * SECOND, "node2"), (-3 * SECOND, "node1")])
def test_an_offset_beyond_the_delay_is_told_with_who_is_ahead(offset_ns, ahead):
    (finding,) = clock_offset.check(both_ways(clock_offset_ns=[0, offset_ns]))

    assert isinstance(finding, Finding)
    assert finding.severity == Severity.INFO
    assert finding.summary.startswith(f"The clock of {ahead} is 3 s ahead")
    assert finding.evidence["offset"].value == offset_ns
    assert finding.evidence["uncertainty"].value == 50_000


def test_a_drift_is_told_with_the_offset():
    (finding,) = clock_offset.check(with_clock(both_ways(clock_offset_ns=[0, SECOND]), drift_ppm=-42.0))

    assert isinstance(finding, Finding)
    assert "loses 42 ppm" in finding.explanation


def test_an_offset_below_the_delay_is_clear():
    assert clock_offset.check(both_ways(clock_offset_ns=[0, 200_000])) == []


def test_an_offset_below_its_own_uncertainty_is_clear():
    pair = both_ways(clock_offset_ns=[0, 2_000_000])

    assert clock_offset.check(with_clock(pair, uncertainty_ns=5_000_000)) == []


def test_packets_in_one_direction_only_cannot_tell():
    (answer,) = clock_offset.check(comparison([Traffic()], relative_clock=True))

    assert isinstance(answer, NotAssessed)
    assert "one direction only" in answer.reason


def test_no_common_packet_cannot_tell_either():
    pair = with_clock(comparison([Traffic(lost=True)], relative_clock=True), pairs_forward=0)
    (answer,) = clock_offset.check(pair)

    assert isinstance(answer, NotAssessed)
    assert "no packet was seen at both" in answer.reason


def stepped(jump_ns: int, drift_ppm: float = 0.0) -> Comparison:
    pieces = (
        ClockPiece(START_NS, 0, drift_ppm),
        ClockPiece(START_NS + 10 * SECOND, round(drift_ppm * 1e-6 * 10 * SECOND) + jump_ns, drift_ppm),
    )
    return with_clock(both_ways(), pieces=pieces)


def test_a_clock_that_jumps_is_found_with_its_jump():
    (finding,) = clock_step.check(stepped(250_000_000))

    assert isinstance(finding, Finding)
    assert finding.severity == Severity.INFO
    assert finding.direction == "node1>node2"
    assert "set once, by 250 ms" in finding.summary
    assert finding.evidence["largest_step"].value == 250_000_000


def test_a_clock_that_drifts_does_not_jump():
    assert clock_step.check(stepped(0, drift_ppm=80.0)) == []


def test_a_jump_within_the_uncertainty_is_none():
    assert clock_step.check(stepped(90_000)) == []


def test_one_even_clock_is_clear():
    assert clock_step.check(both_ways(clock_offset_ns=[0, SECOND])) == []


def alone(*times_s: float) -> Comparison:
    """A capture by itself, its frames in the given order of times."""
    pair = comparison([Traffic(packets=len(times_s))], points=("node1",))
    point = pair.points[0]
    times = START_NS + np.round(np.array(times_s) * SECOND).astype(np.int64)
    decoded = replace(point.decoded, index=replace(point.index, time_ns=times))
    return replace(pair, points=(replace(point, decoded=decoded),))


def test_time_that_runs_backwards_in_one_capture_is_found():
    (finding,) = clock_step.check(alone(0, 1, 2, 0.5, 1.5))

    assert isinstance(finding, Finding)
    assert finding.evidence["largest_step"].value == -1_500_000_000
    assert finding.frames["node1"].tolist() == [4]


def test_stamps_of_several_queues_out_of_order_are_no_step():
    assert clock_step.check(alone(0, 0.001, 0.0009, 0.002)) == []


def test_a_capture_whose_clock_is_known_by_another_is_not_asked_alone():
    assert clock_step.check(both_ways()) == []


def test_offsets_between_pieces_are_those_of_the_model():
    clock: Clock = stepped(5 * SECOND).hops[0].clock

    assert clock.offset_at(np.array([START_NS + 11 * SECOND])).tolist() == [5 * SECOND]
