"""Hypotheses about lost packets: every rule "all packets of this kind are lost" that no delivery refutes.

A rule holds for the entire direction, or from the moment after the last packet of its kind was delivered. So
each rule follows from the deliveries, without a search. Its `cost` is the negative logarithm of its prior
probability: first the kind of rule, all equally likely, then the choice among all rules of that kind.
"""

from collections.abc import Iterator
from math import log

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.loss.hypothesis import Hypothesis
from vxlanalyze.analysis.loss.losses import Losses
from vxlanalyze.analysis.loss.traits import Classes, Trait
from vxlanalyze.analysis.statistics import evidence

# IPv6 requires this of every link (RFC 8200 section 5), and IPv4 links carry it as well: a smaller path MTU
# is rare.
SMALLEST_LIKELY_MTU = 1280
_SMALLEST_MTU = 576  # what every IPv4 host must be able to receive (RFC 791 section 3.1)
# Overlays suffer most often from nothing arriving at all: a third. The remainder is shared equally by the
# eight traits, remainders, size, parts, and times.
_NOTHING_ARRIVES = log(3)
_KIND = log(12 * 3 / 2)
_RARE = 2.0  # extra cost of a rule that is rare in practice
_TAILS = 6  # classes per trait whose losses at the end are examined
_SINGLES = 3
_MOST_TIMES = 64  # runs that are examined together
_LASTING = 2.0  # a run that weighs less may be a single burst
_MOST_PATHS = 16
_FEWEST_TALKS = 3  # conversations that go on after their first packet was lost
_FEWEST_PORTS = 3  # lost ports that must share a remainder
_ENDS = (Trait.DESTINATION, Trait.SOURCE, Trait.SERVICE, Trait.PORT)
_SETS = (Trait.PROTOCOL, Trait.OUTER_PORT, Trait.TUNNEL_ENDPOINT)


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
        yield from _classes(lost, rows, lost.traits[trait])
    yield from _remainders(lost, rows, lost.traits[Trait.OUTER_PORT])


def _everything(lost: Losses, rows: NDArray[np.intp]) -> Iterator[Hypothesis]:
    """Nothing arrives: at all, or after the last delivery."""
    later = rows[lost.position[rows] > lost.last_position]
    if len(later):
        cost = _NOTHING_ARRIVES if lost.delivered == 0 else _KIND + log(lost.n)
        losses = evidence.independent(lost.time_ns[later])
        yield Hypothesis(cost, losses, lost.last_position + 1, lost.n - 1)


def _interruptions(lost: Losses, rows: NDArray[np.intp]) -> Iterator[Hypothesis]:
    """Nothing arrives for a time, or several times: runs of losses without a delivery in between."""
    rows = rows[lost.position[rows] < lost.last_position]
    if len(rows) == 0:
        return
    before = lost.deliveries_before[rows]  # the same for all losses of a run
    start = np.flatnonzero(np.diff(before, prepend=-1))
    run = np.cumsum(np.diff(before, prepend=before[0]) != 0)
    weights = evidence.independent_by(run, lost.time_ns[rows], len(start))
    first, last = lost.position[rows[start]], lost.position[rows[np.append(start[1:], len(rows)) - 1]]
    # A length of any magnitude: 1 / (length * log n) sums to about one.
    length_cost = np.log(last - first + 1) + log(1 + log(lost.n))
    heaviest = np.argsort(-weights, kind="stable")
    for i in heaviest[:_SINGLES]:
        cost = _KIND + log(lost.n) + float(length_cost[i])  # any start
        yield Hypothesis(cost, float(weights[i]), int(first[i]), int(last[i]), interrupts=True)
    heaviest = heaviest[weights[heaviest] >= _LASTING][:_MOST_TIMES]
    several = [np.sort(heaviest[:k]) for k in range(2, len(heaviest) + 1)]
    together = [_interrupted(lost, weights, length_cost, first, last, chosen) for chosen in several]
    if together:
        total = float(weights.sum())
        yield min(
            together, key=lambda h: h.cost - evidence.log_random(max(total - h.losses, 0.0), lost.delivered)
        )


def _interrupted(
    lost: Losses,
    weights: NDArray[np.float64],
    length_cost: NDArray[np.float64],
    first: NDArray[np.intp],
    last: NDArray[np.intp],
    chosen: NDArray[np.intp],
) -> Hypothesis:
    """Give the rule that chosen runs are interruptions; `k` of them are as likely as 1 / k²."""
    k = len(chosen)
    cost = _KIND + evidence.log_choose(lost.n, k) + 2 * log(k) + float(length_cost[chosen].sum())
    times = tuple((int(a), int(b)) for a, b in zip(first[chosen], last[chosen], strict=True))
    losses = float(weights[chosen].sum())
    return Hypothesis(cost, losses, times[0][0], times[-1][1], interrupts=True, times=times)


def _sizes(lost: Losses, rows: NDArray[np.intp]) -> Iterator[Hypothesis]:
    """Nothing above a size arrives: the largest delivered, or the largest delivered from some moment on."""
    for first, above in lost.sizes.largest:
        over = rows[(lost.length[rows] > above) & (lost.position[rows] >= first)]
        if len(over) == 0:
            continue
        cost = _KIND + (log(lost.n) + _RARE if first else 0.0)
        # A small threshold could be anywhere between two sizes, and few links have one.
        for rare in (SMALLEST_LIKELY_MTU, _SMALLEST_MTU):
            if int(lost.length[over].min()) <= rare:
                cost += _RARE + log(lost.sizes.different)
        losses = evidence.independent(lost.time_ns[over])
        yield Hypothesis(cost, losses, first, lost.n - 1, above_bytes=above)


def _parts(lost: Losses, rows: NDArray[np.intp]) -> Iterator[Hypothesis]:
    """Only packets that open conversations are lost, all first ones or some SYNs; or some of a service."""
    if lost.beginnings.sufficient:
        yield _new_conversations(lost, rows)
    openings = lost.openings
    first, syn = rows[openings.first[rows]], rows[openings.syn[rows]]
    if openings.first_delivered == 0 and openings.went_on >= _FEWEST_TALKS and len(first):
        losses = evidence.independent(lost.time_ns[first])
        yield Hypothesis(_KIND + _RARE, losses, 0, lost.n - 1, part=openings.first)
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
    cost = _KIND + _RARE + log(lost.n)
    return Hypothesis(cost, losses, begun.first, lost.n - 1, part=begun.part, begins=True)


def _some(
    lost: Losses, part: NDArray[np.bool_], rows: NDArray[np.intp], arrived: int, which: float
) -> Hypothesis:
    """Give the rule that exactly these packets of a kind are lost: their number, and the choice of them."""
    of_all = len(rows) + arrived
    cost = _KIND + which + evidence.log_choose(of_all, len(rows)) + log(of_all)
    return Hypothesis(cost, evidence.independent(lost.time_ns[rows]), 0, lost.n - 1, part=part)


def _classes(lost: Losses, rows: NDArray[np.intp], sorted_by: Classes) -> Iterator[Hypothesis]:
    """Nothing of some classes arrives, at all or from some moment on, while others keep arriving."""
    if len(sorted_by) < 2:
        return
    last = _last_delivered(lost, sorted_by)
    member = sorted_by.of_flow[lost.flow[rows]]
    later = lost.position[rows] > last[member]
    rows, member = rows[later], member[later]
    weights = evidence.independent_by(member, lost.time_ns[rows], len(sorted_by))
    if sorted_by.trait not in _SETS:
        yield from _single_classes(lost, rows, member, sorted_by, last, weights)
    for first in _onsets(last, weights):
        bad = (last < first) & (weights > 0)
        if (last[~bad] < first).all():
            continue  # nothing else arrives, so this is not a rule about classes
        yield from _set_of_classes(lost, rows, member, sorted_by, bad, first)


def _last_delivered(lost: Losses, sorted_by: Classes) -> NDArray[np.intp]:
    """Position of the last packet of each class that arrived, -1 where none did."""
    last = np.full(len(sorted_by), -1, np.intp)
    active = sorted_by.of_flow >= 0
    np.maximum.at(last, sorted_by.of_flow[active], lost.last_delivered[active])
    return last


def _remainders(lost: Losses, rows: NDArray[np.intp], sorted_by: Classes) -> Iterator[Hypothesis]:
    """Nothing arrives from outer source ports with the same remainder modulo a small number.

    Where one of several paths is chosen that way (Linux bonding's layer3+4 and others use the low bits of the
    ports), one dead path is a much simpler rule than the set of its ports.
    """
    port, silent = lost.outer_sport[sorted_by.example], _last_delivered(lost, sorted_by) < 0
    member = sorted_by.of_flow[lost.flow[rows]]
    losing = np.bincount(member, minlength=len(sorted_by)) > 0
    for paths in range(2, _MOST_PATHS + 1):
        remainder = port % paths
        whole = np.bincount(remainder, ~silent, paths) == 0
        whole &= np.bincount(remainder, losing, paths) >= _FEWEST_PORTS
        for i in np.flatnonzero(whole):
            losses = evidence.independent(lost.time_ns[rows[remainder[member] == i]])
            cost = _KIND + log(_MOST_PATHS - 1) + log(paths) + _RARE
            members = np.flatnonzero(remainder == i)
            yield Hypothesis(cost, losses, 0, lost.n - 1, sorted_by.trait, members, paths=paths)


def _onsets(last: NDArray[np.intp], weights: NDArray[np.float64]) -> list[int]:
    """Positions from which whole classes are lost: the start, and after the last delivery of some."""
    tails = np.flatnonzero((last >= 0) & (weights >= 2))
    heavy = tails[np.argsort(-weights[tails], kind="stable")[:_TAILS]]
    return sorted({0, *(int(p) + 1 for p in last[heavy])})


def _single_classes(
    lost: Losses,
    rows: NDArray[np.intp],
    member: NDArray[np.intp],
    sorted_by: Classes,
    last: NDArray[np.intp],
    weights: NDArray[np.float64],
) -> Iterator[Hypothesis]:
    """Give the rules that nothing of one class arrives, for the classes with the most losses."""
    for i in np.argsort(-weights, kind="stable")[:_SINGLES]:
        others_arrive = (np.delete(last, i) > last[i]).any()
        if weights[i] > 0 and others_arrive and _is_general(lost, sorted_by, rows[member == i]):
            yield _of_members(lost, sorted_by, np.array([i]), int(last[i]) + 1, float(weights[i]))


def _set_of_classes(
    lost: Losses,
    rows: NDArray[np.intp],
    member: NDArray[np.intp],
    sorted_by: Classes,
    bad: NDArray[np.bool_],
    first: int,
) -> Iterator[Hypothesis]:
    """Give the rule that all of these classes are lost; of a few services, only those proved one by one."""
    here = bad[member] & (lost.position[rows] >= first)
    members = np.unique(member[here])
    if sorted_by.trait not in _SETS:
        weights = evidence.independent_by(member[here], lost.time_ns[rows[here]], len(sorted_by))
        members = members[weights[members] >= 2]
        here &= np.isin(member, members)
        if len(members) < 2:
            return
    if len(members) and _is_general(lost, sorted_by, rows[here]):
        losses = evidence.independent(lost.time_ns[rows[here]])
        yield _of_members(lost, sorted_by, members, first, losses)


def _is_general(lost: Losses, sorted_by: Classes, rows: NDArray[np.intp]) -> bool:
    """Whether a rule says more than a rule about a single port or service would.

    If all lost UDP is DNS, the rule is about DNS. ICMP has no ports and counts as a whole.
    """
    if sorted_by.trait is Trait.FAMILY:
        return len(np.unique(lost.traits[Trait.PROTOCOL].of_flow[lost.flow[rows]])) > 1
    flow = lost.flow[rows]
    if sorted_by.trait in _ENDS and (lost.portless & lost.beside)[flow].all():
        return False  # the protocol of the nodes' own packets says more than their addresses
    narrower = {Trait.PROTOCOL: Trait.PORT, Trait.PORT: Trait.SERVICE}.get(sorted_by.trait)
    if sorted_by.trait in (Trait.DESTINATION, Trait.SOURCE):
        narrower = Trait.SERVICE
    if narrower is None:
        return True
    return bool(lost.portless[flow].all()) or len(np.unique(lost.traits[narrower].of_flow[flow])) > 1


def _of_members(
    lost: Losses, sorted_by: Classes, members: NDArray[np.intp], first: int, losses: float
) -> Hypothesis:
    cost = _KIND + evidence.log_choose(len(sorted_by), len(members))
    cost += log(len(sorted_by))  # their number
    if first:
        cost += log(lost.n) + _RARE
    if sorted_by.trait is Trait.OUTER_PORT:
        cost += _RARE  # an address or service says the same more simply
    return Hypothesis(cost, losses, first, lost.n - 1, sorted_by.trait, members)
