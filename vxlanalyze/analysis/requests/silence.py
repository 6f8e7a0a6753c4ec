"""Decide when silence is more than a working server would show.

A server that leaves one request in fifty unanswered is an incident in itself, so that ratio is an upper bound
on how often a working one is silent. The probability of this many unanswered requests or more is bounded by
Chernoff's inequality.

Source: H. Chernoff, "A measure of asymptotic efficiency for tests of a hypothesis based on the sum
of observations", Annals of Mathematical Statistics 23 (1952).
"""

from math import exp, log

from vxlanalyze.analysis.requests.answers import SILENT_RATIO


def chance(silent: int, requests: int, ratio: float = SILENT_RATIO) -> float:
    """Bound the probability that at least `silent` of `requests` stay unanswered at a rate of `ratio`."""
    if requests == 0 or silent <= ratio * requests:
        return 1.0
    share = silent / requests
    divergence = share * log(share / ratio)
    if share < 1:
        divergence += (1 - share) * log((1 - share) / (1 - ratio))
    return exp(-requests * divergence)
