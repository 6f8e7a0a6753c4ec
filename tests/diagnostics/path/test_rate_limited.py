"""Loss that sets in above a rate is told from loss that merely meets bursts."""

import numpy as np
import pytest

from tests.simulate import Flow, Traffic, comparison
from vxlanalyze.analysis.finding import Finding, NotAssessed, Severity
from vxlanalyze.diagnostics.path import packet_loss, rate_limited

CODE = "rate-limited"


def bursts(number: int, size: int, every_s: float = 0.0002) -> np.ndarray:
    """Times of packets in bursts, one burst a second."""
    return (np.arange(number)[:, None] + np.arange(size) * every_s).ravel()


def policed(time_s: np.ndarray, rate: float, depth: float) -> np.ndarray:
    """Which packets a token bucket drops."""
    tokens, before, lost = depth, 0.0, np.zeros(len(time_s), bool)
    for i, now in enumerate(time_s):
        tokens, before = min(depth, tokens + rate * (now - before)), now
        lost[i] = tokens < 1
        tokens -= 0 if lost[i] else 1
    return lost


def found(*traffic: Traffic) -> list[Finding]:
    return [a for a in rate_limited.check(comparison(traffic)) if isinstance(a, Finding)]


@pytest.mark.parametrize(
    ("number", "size", "rate", "depth"), [(9, 100, 1000, 40), (6, 300, 2000, 120), (20, 60, 300, 25)]
)
def test_a_policer_is_found_with_its_burst(number, size, rate, depth):
    times = bursts(number, size)
    stream = Traffic(Flow(dport=6000), time_s=times, lost=policed(times, rate, depth))
    slow = Traffic(Flow(dport=7000), packets=400, every_s=0.02)
    (finding,) = found(stream, slow)

    assert (finding.code, finding.severity, finding.direction) == (CODE, Severity.WARNING, "node1>node2")
    assert depth <= finding.evidence["burst"].value <= 2 * depth
    assert finding.evidence["episodes"].value == number
    assert finding.evidence["sent_in_these_flows"].value == number * size
    assert "none of 400 packets of other flows" in finding.explanation


def test_what_a_rate_explains_is_not_reported_again():
    times = bursts(9, 100)
    pair = comparison([Traffic(time_s=times, lost=policed(times, 1000, 40))])

    assert not [a for a in packet_loss.check(pair) if isinstance(a, Finding)]


def test_a_limit_for_each_source_is_found_among_others_that_are_as_fast():
    times = bursts(8, 120)
    limited = Traffic(Flow(dport=6000), time_s=times, lost=policed(times, 1500, 50))
    other = Traffic(Flow(src="10.233.64.99", dport=6000, sport=40001), time_s=bursts(8, 120) + 0.4)
    (finding,) = found(limited, other)

    assert finding.evidence["sent_in_these_flows"].value == 960


def test_nothing_lost_is_clear():
    assert not found(Traffic(time_s=bursts(9, 100)))


def test_two_bursts_prove_nothing():
    times = bursts(2, 100)
    assert not found(Traffic(time_s=times, lost=policed(times, 1000, 40)))


def test_too_few_moments_of_loss_are_not_assessed():
    pair = comparison([Traffic(packets=200, lost=np.arange(200) == 77)])
    (answer,) = rate_limited.check(pair)[:1]

    assert isinstance(answer, NotAssessed)


@pytest.mark.parametrize("seed", range(10))
def test_random_loss_of_bursts_is_no_limit(seed):
    times = bursts(12, 100)
    assert not found(Traffic(time_s=times, lost=np.random.default_rng(seed).random(len(times)) < 0.1))


@pytest.mark.parametrize("seed", range(10))
def test_bad_moments_that_meet_bursts_are_no_limit(seed):
    rng, times = np.random.default_rng(seed), bursts(10, 100, 0.001)
    begin = rng.choice(times, 8)
    lost = (np.abs(times[:, None] - begin - 0.01) < 0.01).any(1) & (rng.random(len(times)) < 0.6)
    assert not found(Traffic(time_s=times, lost=lost))


def test_the_second_of_a_pair_is_no_burst():
    """A and AAAA from one socket, the second of which dies in a race of conntrack."""
    times = (np.arange(100)[:, None] * 0.1 + [0, 0.0001]).ravel()
    assert not found(Traffic(Flow(dport=53), time_s=times, lost=np.arange(200) % 2 == 1))
