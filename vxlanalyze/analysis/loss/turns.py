"""Loss that takes every n-th packet, whatever its flow: paths are taken in turn, and one of them is dead.

A bond in round robin (balance-rr) and per-packet balancing send consecutive packets over different members.
Places count all that the sender put into the tunnel, so packets whose fate is unknown take their turn as
well. Traffic whose own kinds come in turn (a large packet after each small one) looks alike; then size or
flow decides, and not the turn.
"""

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.statistics import evidence
from vxlanalyze.pairing.model import Direction

_MOST_MEMBERS = 16
_IN_TURN = 0.9  # of the losses at least, for it to be strict
_FEWEST = 8
_COST = log(2 * _MOST_MEMBERS)


@dataclass(frozen=True, slots=True)
class Turn:
    """Every `every`-th packet is lost; `in_turn` is the share of gaps between losses that are so long."""

    every: int
    in_turn: float
    flows: int
    nats: float


def find(direction: Direction, lost: NDArray[np.intp], chance: float) -> Turn | None:
    """Find the turn in which the given packets are lost, if there is one beyond chance."""
    if len(lost) < _FEWEST:
        return None
    gaps = np.diff(np.sort(lost))
    counts = np.bincount(gaps[gaps <= _MOST_MEMBERS], minlength=_MOST_MEMBERS + 1)
    every = int(np.argmax(counts))
    rate = len(lost) / len(direction)
    share = int(counts[every]) / len(gaps)
    if every < 2 or share < _IN_TURN:
        return None
    by_chance = rate * (1 - rate) ** (every - 1)
    nats = evidence.excess(int(counts[every]), len(gaps), by_chance) - _COST
    flows = len(np.unique(direction.flow[lost]))
    if nats < -log(chance) or flows < 2 or _decided_otherwise(direction, lost, -log(chance)):
        return None
    return Turn(every, share, flows, nats)


def _decided_otherwise(direction: Direction, lost: NDArray[np.intp], enough: float) -> bool:
    """Whether size or flow tells the lost packets from the others as well."""
    used = direction.delivered.copy()
    gone = np.zeros(len(direction), np.bool_)
    gone[lost] = True
    used |= gone
    length, flow = direction.wire_length[used], direction.flow[used]
    middle = (int(length.min()) + int(length.max())) // 2
    heaviest = int(np.argmax(np.bincount(flow[gone[used]])))
    return any(
        _uneven(part, gone[used]) >= enough for part in (length > middle, length <= middle, flow == heaviest)
    )


def _uneven(part: NDArray[np.bool_], gone: NDArray[np.bool_]) -> float:
    if not part.any() or part.all():
        return 0.0
    return evidence.uneven(int((part & gone).sum()), int(part.sum()), int(gone.sum()), len(gone))
