"""SYNs divided by the clocks that their TCP time stamps come from."""

import numpy as np

from vxlanalyze.analysis.requests.time_stamps import NO_STAMP, clocks

MS = 1_000_000


def divided(starts, answered, *, each=8):
    """Ask by turns from clients whose clocks begin at `starts`, one SYN every 300 ms."""
    times = np.arange(each * len(starts)) * 300 * MS
    values = np.array([(starts[i % len(starts)] + t // MS) % 2**32 for i, t in enumerate(times)], np.int64)
    return clocks(times, values, np.array([answered[i % len(starts)] for i in range(len(times))]))


def test_the_clock_that_is_ignored_is_told_from_the_other():
    found = divided((910_000_000, 3_100_000_000), (False, True))

    assert found is not None
    assert found[:4] == (8, 0, 0, 8)
    assert (found.clocks, found.ignored) == (2, 1)
    assert found.chance < 1e-3


def test_a_clock_that_wraps_round_is_one():
    found = divided((2**32 - 1000, 2_000_000_000), (False, True))

    assert found is not None
    assert found[:4] == (8, 0, 0, 8)


def test_two_of_three_clocks_are_ignored():
    found = divided((1_000, 900_000_000, 3_000_000_000), (False, True, False))

    assert found is not None
    assert (found.clocks, found.ignored) == (3, 2)


def test_one_clock_divides_nothing():
    assert divided((910_000_000,), (True,)) is None


def test_a_value_for_each_connection_is_no_clock():
    values = np.random.default_rng(5).integers(0, 2**32, 40)

    assert clocks(np.arange(40) * MS, values, np.ones(40, np.bool_)) is None


def test_without_time_stamps_there_is_no_clock():
    assert clocks(np.arange(4) * MS, np.full(4, NO_STAMP), np.ones(4, np.bool_)) is None


def test_where_all_are_answered_chance_explains_it():
    found = divided((910_000_000, 3_100_000_000), (True, True))

    assert found is None or found.chance == 1.0
