"""How much lost packets prove, when losses come in bursts.

Two losses within a few milliseconds may be one event: a queue that was full. So lost packets are weighted
rather than counted: a loss long after the previous one counts as one, a loss right after it as almost
nothing. In between, the probability that a burst still lasts decays exponentially (the two-state loss model
of Gilbert 1960, in continuous time).

Explanations are compared as evidence (Jeffreys 1961): how much likelier does an explanation make the
observations than random loss at an unknown rate? The prior of that rate is about one in a hundred (a Beta
distribution with that mean). Explanations have prior probabilities that add up to at most one (Rissanen
1978), so by Markov's inequality the probability of mistaking random loss for any of them is at most the
accepted one, however many explanations were tried.

Sources: E. N. Gilbert, "Capacity of a burst-noise channel", Bell System Technical Journal 39 (1960);
H. Jeffreys, "Theory of Probability", 3rd ed. (1961); J. Rissanen, "Modeling by shortest data
description", Automatica 14 (1978); E. B. Wilson, JASA 22 (1927), the interval of a proportion; H. Chernoff,
Annals of Mathematical Statistics 23 (1952); W. Hoeffding, JASA 58 (1963).
"""

from math import exp, lgamma, log, sqrt

import numpy as np
from numpy.typing import NDArray

# A queue of some MB on a link of some Gbit/s empties within this time.
BURST_NS = 10_000_000
# The rate of a network that loses packets at random; heavier loss is learned from the packets themselves.
_TYPICAL_RATE = 0.01
_PRIOR_LOST = 0.5
_PRIOR_DELIVERED = _PRIOR_LOST / _TYPICAL_RATE - _PRIOR_LOST
_Z_95 = 1.959963984540054  # normal distribution, two-sided 95 %


def weight(gap_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weight losses by the time since the previous loss, shape kept; 1 for independent ones."""
    lasting = np.exp(-np.maximum(gap_ns, 0) / BURST_NS)
    weights: NDArray[np.float64] = np.log(_TYPICAL_RATE + (1 - _TYPICAL_RATE) * lasting) / log(_TYPICAL_RATE)
    return weights


def independent(time_ns: NDArray[np.int64]) -> float:
    """Sum the weights of losses at the given times (in order); the first counts as one."""
    return 1 + float(weight(np.diff(time_ns)).sum()) if len(time_ns) else 0.0


def independent_by(group: NDArray[np.intp], time_ns: NDArray[np.int64], groups: int) -> NDArray[np.float64]:
    """Sum the weights of each group's losses, shape ``(groups,)``; times in order."""
    order = np.argsort(group, kind="stable")
    members, times = group[order], time_ns[order]
    weights = np.ones(len(order))
    weights[1:] = np.where(members[1:] == members[:-1], weight(np.diff(times)), 1.0)
    return np.bincount(members, weights=weights, minlength=groups).astype(np.float64)


def log_random(losses: float, delivered: float) -> float:
    """Log-likelihood of this many losses and deliveries under random loss at an unknown rate."""
    lost, kept = _PRIOR_LOST + losses, _PRIOR_DELIVERED + delivered
    return _log_beta(lost, kept) - _log_beta(_PRIOR_LOST, _PRIOR_DELIVERED)


def against_random(losses: float, other_losses: float, delivered: float) -> float:
    """Evidence, in nats, against this many losses being random at the rate of all other packets."""
    return log_random(other_losses, delivered) - log_random(other_losses + losses, delivered)


def excess(lost: float, sent: float, rate: float) -> float:
    """Evidence, in nats, that more is lost than at a given rate (Chernoff bound, 1952)."""
    ratio = lost / sent
    if ratio <= rate:
        return 0.0
    kept = (1 - ratio) * log((1 - ratio) / (1 - rate)) if ratio < 1 else 0.0
    return sent * (ratio * log(ratio / rate) + kept)


def uneven(lost: float, sent: float, all_lost: float, all_sent: float) -> float:
    """Evidence, in nats, that a part of all packets loses more than the others; neither rate is known.

    The lost packets are a draw without replacement, for which the Chernoff bound holds with the overall rate
    (Hoeffding, 1963, section 6). It can be applied to the losses of the part, or of the others.
    """
    rate = all_lost / all_sent
    if lost / sent <= rate:
        return 0.0
    kept, all_kept = all_sent - sent - (all_lost - lost), all_sent - all_lost
    return max(excess(lost, sent, rate), excess(kept, all_sent - sent, all_kept / all_sent))


def usual_rate(lost: int, delivered: int) -> float:
    """Estimate a loss rate from possibly few packets."""
    return (_PRIOR_LOST + lost) / (_PRIOR_LOST + _PRIOR_DELIVERED + lost + delivered)


def log_choose(n: int, k: int) -> float:
    """Logarithm of the number of ways to choose `k` of `n`."""
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def chance(nats: float) -> float:
    """Convert evidence to an upper bound on the probability under random loss."""
    return min(1.0, exp(-nats))


def loss_interval(lost: int, judged: int, runs: int, maybe: int = 0) -> tuple[float, float]:
    """Give the 95 % interval of a loss ratio, widened where losses come in runs.

    A packet after a lost one is lost with probability 1 - runs / lost. Its excess over the ratio itself is
    the correlation of neighbours, which reduces the effective sample size (two-state Markov chain).

    Parameters
    ----------
    lost, judged, runs : int
        Packets, and runs of lost packets without a delivery in between; `judged` is at least 1.
    maybe : int
        Further packets that were lost or that the capture dropped: the interval holds both cases.
    """
    if maybe:
        low, _ = loss_interval(lost, judged + maybe, runs)
        _, high = loss_interval(lost + maybe, judged + maybe, runs + maybe)
        return low, high
    ratio = lost / judged
    correlation = max(0.0, 1 - runs / lost - ratio) if lost else 0.0
    size = judged * (1 - correlation) / (1 + correlation)
    middle = ratio + _Z_95**2 / (2 * size)
    half = _Z_95 * sqrt(ratio * (1 - ratio) / size + _Z_95**2 / (4 * size * size))
    scale = 1 + _Z_95**2 / size
    # The limits are exactly 0 and 1; rounding would leave about 1e-17.
    low = max(0.0, (middle - half) / scale) if lost else 0.0
    high = min(1.0, (middle + half) / scale) if lost < judged else 1.0
    return low, high


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
