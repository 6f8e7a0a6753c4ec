"""Losses are weighed, compared with random loss, and bounded by an interval that covers the truth."""

from math import comb, exp

import numpy as np
import pytest

from vxlanalyze.analysis.statistics import evidence

MS = 1_000_000


def test_losses_far_apart_count_one_each():
    assert evidence.independent(np.arange(5) * 1000 * MS) == pytest.approx(5)


def test_losses_in_one_burst_count_little_more_than_one():
    assert 1 < evidence.independent(np.arange(20) * MS // 10) < 1.2


def test_no_loss_counts_nothing():
    assert evidence.independent(np.empty(0, np.int64)) == 0


def test_groups_are_weighed_each_by_its_own_losses():
    group = np.array([0, 1, 0, 1])
    time_ns = np.array([0, 1, 1000, 1001]) * MS
    assert evidence.independent_by(group, time_ns, 3).tolist() == pytest.approx([2, 2, 0])


def test_packets_that_step_back_in_time_count_as_simultaneous():
    assert evidence.weight(np.array([-5 * MS])).tolist() == [0.0]


def test_random_loss_is_a_probability_over_all_outcomes():
    """The chances of every number of losses among 30 packets add up to one."""
    total = sum(comb(30, k) * exp(evidence.log_random(k, 30 - k)) for k in range(31))
    assert total == pytest.approx(1)


def test_five_of_five_lost_is_beyond_one_in_a_million():
    assert evidence.chance(evidence.against_random(5, 0, 0)) < 1e-6


def test_three_of_three_lost_is_not():
    assert evidence.chance(evidence.against_random(3, 0, 0)) > 1e-6


def test_loss_elsewhere_weakens_the_evidence():
    assert evidence.against_random(5, 50, 200) < evidence.against_random(5, 0, 200) / 2


def test_excess_bounds_the_binomial_tail():
    """Chernoff's bound lies above the true chance to lose 8 of 10 or more at 30 %."""
    tail = sum(comb(10, k) * 0.3**k * 0.7 ** (10 - k) for k in (8, 9, 10))
    assert tail < exp(-evidence.excess(8, 10, 0.3)) < 50 * tail


def test_no_excess_where_no_more_is_lost_than_usual():
    assert evidence.excess(1, 10, 0.3) == 0


def test_unevenness_bounds_the_hypergeometric_tail():
    """9 of 10 lost where 12 of 40 are: that many or more of 10 drawn, summed by hand."""
    tail = sum(comb(12, k) * comb(28, 10 - k) for k in (9, 10)) / comb(40, 10)
    assert tail < exp(-evidence.uneven(9, 10, 12, 40)) < 50 * tail


def test_a_small_rest_without_loss_proves_nothing():
    """66 of 2,500 beside 0 of 60 comes by chance every fifth time; 66 of 2,500 beside 0 of 2,500 never."""
    assert evidence.uneven(66, 2500, 66, 2560) < 2
    assert evidence.uneven(66, 2500, 66, 5000) > 30


def test_no_unevenness_where_the_rest_loses_as_much():
    assert evidence.uneven(20, 97, 45, 197) == 0
    assert evidence.uneven(10, 10, 40, 40) == 0


def test_interval_is_wilsons_where_losses_are_independent():
    """Wilson's interval of 10 of 1000, computed by hand: 0.54 % to 1.83 %."""
    low, high = evidence.loss_interval(10, 1000, runs=10)
    assert (round(low, 4), round(high, 4)) == (0.0054, 0.0183)


@pytest.mark.parametrize("judged", [1, 6, 504, 10**6])
def test_an_interval_ends_at_nothing_and_at_everything(judged):
    assert evidence.loss_interval(0, judged, runs=0)[0] == 0
    assert evidence.loss_interval(judged, judged, runs=1)[1] == 1


def test_interval_widens_with_bursts():
    independent, bursts = evidence.loss_interval(40, 1000, runs=40), evidence.loss_interval(40, 1000, runs=5)
    assert bursts[0] < independent[0] < 0.04 < independent[1] < bursts[1]


@pytest.mark.parametrize("burst_s", [0.0005, 0.03, 0.1])
def test_interval_covers_the_true_rate(burst_s):
    """Over 300 seeds of loss at 2 % in bursts, the 95 % interval covers the truth in at least 85 %."""
    covered = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        cycles = int(120 / (burst_s * 50)) + 10
        spans = np.empty(2 * cycles)
        spans[::2], spans[1::2] = rng.exponential(burst_s * 49, cycles), rng.exponential(burst_s, cycles)
        lost = np.searchsorted(np.cumsum(spans), np.arange(0, 60, 0.004)) % 2 == 1
        runs = int(np.count_nonzero(np.diff(lost.astype(int)) == 1)) + int(lost[0])
        low, high = evidence.loss_interval(int(lost.sum()), len(lost), runs)
        covered += low <= 0.02 <= high
    assert covered >= 255
