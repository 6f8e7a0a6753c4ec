"""A drift is what both directions show alike; a path that gets busy only looks like one."""

import numpy as np
import pytest

from vxlanalyze.pairing.clock import fit
from vxlanalyze.pairing.sightings import Sightings

DELAY_NS, JITTER_NS = 500_000, 60_000


def seen(seed, *, packets=400, drift_ppm=0.0):
    """Packets both ways for ten seconds."""
    rng = np.random.default_rng(seed)
    time_ns = np.sort(rng.integers(0, 10_000_000_000, packets))
    forward = rng.random(packets) < 0.5
    delay_ns = DELAY_NS + rng.exponential(JITTER_NS, packets)
    later_ns = np.where(forward, delay_ns, -delay_ns) + time_ns * drift_ppm * 1e-6
    return Sightings(time_ns, later_ns.astype(np.int64), forward)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("drift_ppm", [-80.0, 40.0, 300.0])
def test_a_drift_that_both_directions_show_is_told(seed, drift_ppm):
    assert fit("a", "b", seen(seed, drift_ppm=drift_ppm)).drift_ppm == pytest.approx(drift_ppm, abs=10)


@pytest.mark.parametrize("seed", range(10))
def test_clocks_of_one_rate_show_none(seed):
    assert abs(fit("a", "b", seen(seed)).drift_ppm) < 5


def test_a_few_packets_tell_none():
    assert fit("a", "b", seen(1, packets=6, drift_ppm=40.0)).drift_ppm == 0


# The fastest packets there and back of each twelfth of 4.24 s between two namespaces of one host, in µs: a
# stream begins in the second half, and what it is part of goes faster.
THERE_US = [-2132, -2135, -2190, -2089, -2183, -2148, -2202, -2264, None, -2213, -2283, -2226]
BACK_US = [-3560, -3509, -3477, -3471, -3468, -3496, -3477, -3430, -3501, -3517, -3497, -3506]


def test_a_way_that_gets_faster_is_no_drift():
    every = [(i + at, us) for at, side in ((0.3, THERE_US), (0.6, BACK_US)) for i, us in enumerate(side)]
    told = sorted((at, us) for at, us in every if us is not None)
    time_ns, later_ns = ((np.array(told) * [4.24e9 / 12, 1000]).T).astype(np.int64)
    one_clock = Sightings(time_ns, later_ns, later_ns > -2_500_000)
    assert fit("a", "b", one_clock).drift_ppm == 0


@pytest.mark.parametrize("seed", range(20))
def test_a_drift_that_cannot_be_told_is_in_the_uncertainty(seed):
    """Few packets: what the rate may be moves the offset at the beginning."""
    told = fit("a", "b", seen(seed, packets=12, drift_ppm=60.0))
    assert abs(told.offset_ns) <= told.uncertainty_ns
