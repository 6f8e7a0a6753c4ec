"""Figures of a hop: counts that add up, the loss ratio with its interval, delays, order."""

import numpy as np
import pytest

from tests.simulate import Flow, Traffic, comparison
from vxlanalyze.pairing.model import NO_DELAY, Reason
from vxlanalyze.report.figures import delay_record, hop_record
from vxlanalyze.text.times import rfc3339


def record_of(*traffic, **how):
    pair = comparison(list(traffic), **how)
    return hop_record(pair.hops[0].forward, pair.hops[0].clock)


def test_counts_add_up():
    record = record_of(
        Traffic(packets=10, lost=np.arange(10) < 3),
        Traffic(Flow(sport=2), packets=5, unknown=True, unknown_reason=Reason.OTHER_PEER),
        Traffic(Flow(sport=3), packets=2, unknown=True),
    )

    assert (record["sent"], record["delivered"], record["lost"], record["unknown"]) == (17, 7, 3, 7)
    assert record["unknown_reasons"] == {"window": 2, "other-peer": 5}
    assert record["loss_ratio"] == 0.3
    assert record["bytes_lost"] == 3 * 178


def test_unknown_packets_do_not_count_for_the_ratio():
    assert record_of(Traffic(packets=10, unknown=True))["loss_ratio"] is None


@pytest.mark.parametrize(("lost", "low", "high"), [(0, 0.0, 0.037), (5, 0.0215, 0.112), (100, 0.963, 1.0)])
def test_the_interval_is_wilsons_for_independent_losses(lost, low, high):
    """Values of Wilson's interval for 0, 5 and 100 of 100, from R's binom.confint(method = "wilson")."""
    spread = np.zeros(100, bool)
    spread[np.linspace(0, 99, lost).astype(int)] = True
    record = record_of(Traffic(packets=100, lost=spread))

    assert record["low"] == pytest.approx(low, abs=5e-4)
    assert record["high"] == pytest.approx(high, abs=5e-4)


def test_losses_in_a_run_say_less_than_losses_apart():
    apart, run = np.zeros(100, bool), np.zeros(100, bool)
    apart[::10], run[:10] = True, True
    width = [r["high"] - r["low"] for r in (record_of(Traffic(packets=100, lost=x)) for x in (apart, run))]

    assert width[1] > 1.5 * width[0]


def test_delays_are_quantiles_and_unmeasured_ones_are_passed_over():
    delay = np.concatenate([np.arange(1, 101) * 1000, [NO_DELAY] * 7])
    record = delay_record(np.random.default_rng(0).permutation(delay), 40)

    assert record == {
        "min": 1000,
        "p50": 50_000,
        "p90": 90_000,
        "p99": 99_000,
        "max": 100_000,
        "uncertainty": 40,
    }


def test_without_a_delay_all_are_null():
    assert set(delay_record(np.array([NO_DELAY]), 40).values()) == {None}


def test_late_packets_are_counted_where_they_are_late_in_their_own_flow():
    delay = np.full(30, 0.0003)
    delay[[3, 11]] = 0.015  # the next of the flow follows after 10 ms
    late = [Traffic(Flow(sport=n), packets=30, delay_s=delay) for n in range(1, 6)]
    slow = Traffic(Flow(sport=9), packets=20, delay_s=0.5)

    assert record_of(*late, slow)["reordered"] == 10


def test_copies_and_damage_are_counted_in_packets():
    record = record_of(Traffic(packets=5, copies=[1, 3, 1, 2, 1], corrupted=[0, 0, 1, 0, 0]))

    assert (record["duplicated"], record["corrupted"]) == (2, 1)


def test_sizes_on_the_wire():
    record = record_of(Traffic(packets=4, payload=[100, 1400, 1300, 1200], lost=[0, 1, 1, 0]))

    assert (record["largest_delivered"], record["smallest_lost"]) == (1278, 1378)


def test_a_direction_that_is_not_assessed_says_why():
    how = {
        "node1>node2": {"assessed": False, "not_assessed_why": "nothing tells its address", "window_ns": None}
    }
    record = record_of(Traffic(packets=2), directions=how)

    assert record["not_assessed"] == "nothing tells its address"
    assert record["window"] is None


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (1_700_000_000_000_000_001, "2023-11-14T22:13:20.000000001Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
    ],
)
def test_times_have_all_their_digits(time_ns, text):
    assert rfc3339(time_ns) == text
