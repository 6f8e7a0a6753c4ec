"""Loss of every n-th packet, whatever its flow: paths are used in turn, and one of them is dead.

A bond in round robin (balance-rr) and per-packet balancing send consecutive packets over different members.
Positions count everything that the sender put into the tunnel, so packets of unknown fate take their turn as
well. Traffic whose kinds alternate (a large packet after each small one) looks similar; then size or flow
decides, not the turn.
"""

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.statistics import evidence
from vxlanalyze.pairing.model import Direction

_MOST_MEMBERS = 16
_IN_TURN = 0.9  # minimum share of the losses for a strict turn
_FEWEST = 8
_COST = log(2 * _MOST_MEMBERS)


@dataclass(frozen=True, slots=True)
class Turn:
    """Every `every`-th packet is lost; `in_turn` is the share of gaps between losses with that length."""

    every: int
    in_turn: float
    flows: int
    nats: float


def find(direction: Direction, lost: NDArray[np.intp], chance: float) -> Turn | None:
    """Find the turn in which the given packets are lost, if chance does not explain it."""
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
    """Whether size or flow separates the lost packets from the others equally well."""
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
