"""Hypotheses about lost packets: every rule "all packets of this kind are lost" that no delivery refutes.

A rule holds for the entire direction, or from the moment after the last packet of its kind was delivered. So
each rule follows from the deliveries, without a search. Its `cost` is the negative logarithm of its prior
probability: first the kind of rule, all equally likely, then the choice among all rules of that kind.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.loss import hypotheses_of_classes
from vxlanalyze.analysis.loss.hypothesis import KIND, RARE, Hypothesis
from vxlanalyze.analysis.loss.losses import Losses
from vxlanalyze.analysis.loss.traits import Trait
from vxlanalyze.analysis.statistics import evidence

# IPv6 requires this of every link (RFC 8200 section 5), and IPv4 links carry it as well: a smaller path MTU
# is rare.
SMALLEST_LIKELY_MTU = 1280
_SMALLEST_MTU = 576  # what every IPv4 host must be able to receive (RFC 791 section 3.1)
# Overlays suffer most often from nothing arriving at all: a third; the remainder is shared by other kinds.
_NOTHING_ARRIVES = log(3)
_SINGLES = 3
_MOST_TIMES = 64  # runs that are examined together
_LASTING = 2.0  # a run that weighs less may be a single burst
_FEWEST_TALKS = 3  # conversations that go on after their first packet was lost
_NEARLY_ALL = 10  # times as many first packets are lost as arrive


def hypotheses(lost: Losses, unexplained: NDArray[np.bool_]) -> Iterator[Hypothesis]:
    """Give the rules that explain some of the unexplained losses and that no delivery contradicts."""
    rows = np.flatnonzero(unexplained)
    yield from _everything(lost, rows)
    if lost.delivered == 0:
        return
    yield from _interruptions(lost, rows)
    yield from _sizes(lost, rows)
    yield from _parts(lost, rows)
    for trait in Trait:
        yield from hypotheses_of_classes.of_classes(lost, rows, lost.traits[trait])
    yield from hypotheses_of_classes.of_remainders(lost, rows, lost.traits[Trait.OUTER_PORT])


@dataclass(frozen=True, eq=False)
class _Runs:
    """Runs of losses without a delivery in between, shape ``(r,)``; `first` and `last` are positions."""

    first: NDArray[np.intp]
    last: NDArray[np.intp]
    weights: NDArray[np.float64]

    def length_cost(self, sent: int) -> NDArray[np.float64]:
        """Cost of a length of any magnitude: 1 / (length * log n) sums to about one."""
        cost: NDArray[np.float64] = np.log(self.last - self.first + 1) + log(1 + log(sent))
        return cost


def _everything(lost: Losses, rows: NDArray[np.intp]) -> Iterator[Hypothesis]:
    """Nothing arrives: at all, or after the last delivery."""
    later = rows[lost.position[rows] > lost.last_position]
    if len(later):
        cost = _NOTHING_ARRIVES if lost.delivered == 0 else KIND + log(lost.n)
        losses = evidence.independent(lost.time_ns[later])
        yield Hypothesis(cost, losses, lost.last_position + 1, lost.n - 1)


def _interruptions(lost: Losses, rows: NDArray[np.intp]) -> Iterator[Hypothesis]:
    """Nothing arrives for a time, or several times: runs of losses without a delivery in between."""
    rows = rows[lost.position[rows] < lost.last_position]
    if len(rows) == 0:
        return
    runs = _runs(lost, rows)
    length_cost, weights = runs.length_cost(lost.n), runs.weights
    heaviest = np.argsort(-weights, kind="stable")
    for i in heaviest[:_SINGLES]:
        cost = KIND + log(lost.n) + float(length_cost[i])  # any start
        yield Hypothesis(cost, float(weights[i]), int(runs.first[i]), int(runs.last[i]), interrupts=True)
    heaviest = heaviest[weights[heaviest] >= _LASTING][:_MOST_TIMES]
    several = [np.sort(heaviest[:k]) for k in range(2, len(heaviest) + 1)]
    together = [_interrupted(lost, runs, chosen) for chosen in several]
    if together:
        total = float(weights.sum())
        yield min(
            together, key=lambda h: h.cost - evidence.log_random(max(total - h.losses, 0.0), lost.delivered)
        )


def _runs(lost: Losses, rows: NDArray[np.intp]) -> _Runs:
    before = lost.deliveries_before[rows]  # the same for all losses of a run
    start = np.flatnonzero(np.diff(before, prepend=-1))
    run = np.cumsum(np.diff(before, prepend=before[0]) != 0)
    weights = evidence.independent_by(run, lost.time_ns[rows], len(start))
    end = np.append(start[1:], len(rows)) - 1
    return _Runs(lost.position[rows[start]], lost.position[rows[end]], weights)


def _interrupted(lost: Losses, runs: _Runs, chosen: NDArray[np.intp]) -> Hypothesis:
    """Give the rule that chosen runs are interruptions; `k` of them are as likely as 1 / k²."""
    k = len(chosen)
    length_cost = float(runs.length_cost(lost.n)[chosen].sum())
    cost = KIND + evidence.log_choose(lost.n, k) + 2 * log(k) + length_cost
    times = tuple((int(a), int(b)) for a, b in zip(runs.first[chosen], runs.last[chosen], strict=True))
    losses = float(runs.weights[chosen].sum())
    return Hypothesis(cost, losses, times[0][0], times[-1][1], interrupts=True, times=times)


def _sizes(lost: Losses, rows: NDArray[np.intp]) -> Iterator[Hypothesis]:
    """Nothing above a size arrives: the largest delivered, or the largest delivered from some moment on."""
    for first, above in lost.sizes.largest:
        over = rows[(lost.length[rows] > above) & (lost.position[rows] >= first)]
        if len(over) == 0:
            continue
        cost = KIND + (log(lost.n) + RARE if first else 0.0)
        # A small threshold could be anywhere between two sizes, and few links have one.
        for rare in (SMALLEST_LIKELY_MTU, _SMALLEST_MTU):
            if int(lost.length[over].min()) <= rare:
                cost += RARE + log(lost.sizes.different)
        losses = evidence.independent(lost.time_ns[over])
        yield Hypothesis(cost, losses, first, lost.n - 1, above_bytes=above)


def _parts(lost: Losses, rows: NDArray[np.intp]) -> Iterator[Hypothesis]:
    """Only packets that open conversations are lost, first ones or some SYNs; or some of a service."""
    if lost.beginnings.sufficient:
        yield _new_conversations(lost, rows)
    openings = lost.openings
    first, syn = rows[openings.first[rows]], rows[openings.syn[rows]]
    if openings.first_delivered == 0 and openings.went_on >= _FEWEST_TALKS and len(first):
        losses = evidence.independent(lost.time_ns[first])
        yield Hypothesis(KIND + RARE, losses, 0, lost.n - 1, part=openings.first)
    elif openings.went_on >= _FEWEST_TALKS and len(first) >= _NEARLY_ALL * openings.first_delivered:
        yield _some(lost, openings.first, first, openings.first_delivered, log(2) + RARE)
    if len(syn):
        yield _some(lost, openings.syn, syn, openings.syn_delivered, log(2))
    services = lost.traits[Trait.SERVICE]
    if len(services) < 2:
        return
    member = services.of_flow[lost.flow]
    gone = np.bincount(member[rows], minlength=len(services))
    active = services.of_flow >= 0
    arrived = np.bincount(services.of_flow[active], lost.arrived[active], len(services))
    for i in np.argsort(-gone, kind="stable")[:_SINGLES]:
        if gone[i] and arrived[i]:
            mine = member == i
            yield _some(lost, mine, rows[mine[rows]], int(arrived[i]), log(2 * len(services)))


def _new_conversations(lost: Losses, rows: NDArray[np.intp]) -> Hypothesis:
    """Give the rule that all conversations that begin after a moment are lost."""
    begun = lost.beginnings
    losses = evidence.independent(lost.time_ns[rows[begun.part[rows]]])
    cost = KIND + RARE + log(lost.n)
    return Hypothesis(cost, losses, begun.first, lost.n - 1, part=begun.part, begins=True)


def _some(
    lost: Losses, part: NDArray[np.bool_], rows: NDArray[np.intp], arrived: int, which: float
) -> Hypothesis:
    """Give the rule that exactly these packets of a kind are lost: their number, and the choice of them."""
    of_all = len(rows) + arrived
    cost = KIND + which + evidence.log_choose(of_all, len(rows)) + log(of_all)
    return Hypothesis(cost, evidence.independent(lost.time_ns[rows]), 0, lost.n - 1, part=part)
