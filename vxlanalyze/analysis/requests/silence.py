"""When silence is more than a working server leaves behind.

A server of which one request in fifty stays unanswered is an incident of its own, so that ratio bounds from
above how often a working one is silent. The chance of so many silent requests or more among those asked is
bounded by Chernoff's inequality.

Source: H. Chernoff, "A measure of asymptotic efficiency for tests of a hypothesis based on the sum
of observations", Annals of Mathematical Statistics 23 (1952).
"""

from math import exp, log

from vxlanalyze.analysis.requests.answers import SILENT_RATIO


def chance(silent: int, requests: int, ratio: float = SILENT_RATIO) -> float:
    """Bound the chance that at least `silent` of `requests` stay unanswered where that happens at `ratio`."""
    if requests == 0 or silent <= ratio * requests:
        return 1.0
    share = silent / requests
    divergence = share * log(share / ratio)
    if share < 1:
        divergence += (1 - share) * log((1 - share) / (1 - ratio))
    return exp(-requests * divergence)
