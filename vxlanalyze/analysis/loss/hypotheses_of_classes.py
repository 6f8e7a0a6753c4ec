"""Hypotheses that nothing of some classes arrives: protocols, addresses, services, one of several paths."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.loss.hypothesis import KIND, RARE, Hypothesis
from vxlanalyze.analysis.loss.losses import Losses
from vxlanalyze.analysis.loss.traits import Classes, Trait
from vxlanalyze.analysis.statistics import evidence

_TAILS = 6  # classes per trait whose losses at the end are examined
_SINGLES = 3  # classes with the most losses that are examined one by one
_MOST_PATHS = 16
_FEWEST_PORTS = 3  # lost ports that must share a remainder
_ENDS = (Trait.DESTINATION, Trait.SOURCE, Trait.SERVICE, Trait.PORT)
_SETS = (Trait.PROTOCOL, Trait.OUTER_PORT, Trait.TUNNEL_ENDPOINT)


@dataclass(frozen=True, eq=False)
class _Late:
    """Losses after the last packet of their class was delivered.

    `rows` and `member`, shape ``(k,)``, are these losses and the class of each; `last` and `weights`, shape
    ``(c,)``, the position of the last delivery of each class, -1 where there is none, and what its losses
    weigh.
    """

    classes: Classes
    rows: NDArray[np.intp]
    member: NDArray[np.intp]
    last: NDArray[np.intp]
    weights: NDArray[np.float64]


def of_classes(lost: Losses, rows: NDArray[np.intp], sorted_by: Classes) -> Iterator[Hypothesis]:
    """Nothing of some classes arrives, at all or from some moment on, while others keep arriving."""
    if len(sorted_by) < 2:
        return
    late = _late(lost, rows, sorted_by)
    if sorted_by.trait not in _SETS:
        yield from _single_classes(lost, late)
    for first in _onsets(late.last, late.weights):
        bad = (late.last < first) & (late.weights > 0)
        if (late.last[~bad] < first).all():
            continue  # nothing else arrives, so this is not a rule about classes
        yield from _set_of_classes(lost, late, bad, first)


def _late(lost: Losses, rows: NDArray[np.intp], sorted_by: Classes) -> _Late:
    last = _last_delivered(lost, sorted_by)
    member = sorted_by.of_flow[lost.flow[rows]]
    later = lost.position[rows] > last[member]
    rows, member = rows[later], member[later]
    weights = evidence.independent_by(member, lost.time_ns[rows], len(sorted_by))
    return _Late(sorted_by, rows, member, last, weights)


def _last_delivered(lost: Losses, sorted_by: Classes) -> NDArray[np.intp]:
    """Position of the last packet of each class that arrived, -1 where none did."""
    last = np.full(len(sorted_by), -1, np.intp)
    active = sorted_by.of_flow >= 0
    np.maximum.at(last, sorted_by.of_flow[active], lost.last_delivered[active])
    return last


def _onsets(last: NDArray[np.intp], weights: NDArray[np.float64]) -> list[int]:
    """Positions from which whole classes are lost: the start, and after the last delivery of some."""
    tails = np.flatnonzero((last >= 0) & (weights >= 2))
    heavy = tails[np.argsort(-weights[tails], kind="stable")[:_TAILS]]
    return sorted({0, *(int(p) + 1 for p in last[heavy])})


def _single_classes(lost: Losses, late: _Late) -> Iterator[Hypothesis]:
    """Give the rules that nothing of one class arrives, for the classes with the most losses."""
    last, weights = late.last, late.weights
    for i in np.argsort(-weights, kind="stable")[:_SINGLES]:
        others_arrive = (np.delete(last, i) > last[i]).any()
        mine = late.rows[late.member == i]
        if weights[i] > 0 and others_arrive and _is_general(lost, late.classes, mine):
            yield _of_members(lost, late.classes, np.array([i]), int(last[i]) + 1, float(weights[i]))


def _set_of_classes(lost: Losses, late: _Late, bad: NDArray[np.bool_], first: int) -> Iterator[Hypothesis]:
    """Give the rule that all of these classes are lost; of a few services, only those proved one by one."""
    rows, member, sorted_by = late.rows, late.member, late.classes
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
    cost = KIND + evidence.log_choose(len(sorted_by), len(members))
    cost += log(len(sorted_by))  # their number
    if first:
        cost += log(lost.n) + RARE
    if sorted_by.trait is Trait.OUTER_PORT:
        cost += RARE  # an address or service says the same more simply
    return Hypothesis(cost, losses, first, lost.n - 1, sorted_by.trait, members)


def of_remainders(lost: Losses, rows: NDArray[np.intp], sorted_by: Classes) -> Iterator[Hypothesis]:
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
            cost = KIND + log(_MOST_PATHS - 1) + log(paths) + RARE
            members = np.flatnonzero(remainder == i)
            yield Hypothesis(cost, losses, 0, lost.n - 1, sorted_by.trait, members, paths=paths)
