"""Where an unanswered request died: on its way, inside the server's node, or on its answer's way back.

A request has the same key at every point, so the capture nearest its server tells whether it arrived there
and whether an answer left. What neither capture shows stays unknown.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests.requests import Requests, measure
from vxlanalyze.analysis.requests.services import BACKWARD, NEITHER, pairs
from vxlanalyze.pairing.model import NO_ROW, Comparison, Direction, Outcome


class Fate(IntEnum):
    """What became of a request that nothing came back to."""

    UNKNOWN = 0
    LOST = 1
    SILENT = 2  # it arrived, and nothing came out of the server's node
    ANSWER_LOST = 3


@dataclass(frozen=True, slots=True)
class Fates:
    """Fates of `k` requests, and the direction in which most of them died, by fate."""

    fate: NDArray[np.uint8]
    label: dict[Fate, str | None]


def fates(comparison: Comparison, requests: Requests, way: int) -> Fates:
    """Tell where unanswered requests died.

    Parameters
    ----------
    requests : Requests
        All unanswered, of one point, and of pairs that ask the same way.
    way : int
        FORWARD, BACKWARD or NEITHER.
    """
    fate = np.full(len(requests), Fate.UNKNOWN, np.uint8)
    if way == NEITHER or not comparison.hops or requests.point.capture == _far(comparison, way):
        return Fates(fate, dict.fromkeys(Fate))
    there, back = _directions(comparison, way)
    asked = measure(comparison)
    far = [r for r in asked.of_point if r.point.capture == _far(comparison, way)]
    seen = np.isin(requests.key, _joined([r.key for r in far]))
    answered = np.isin(requests.key, _joined([r.key[r.answer_row != NO_ROW] for r in far]))
    silent = np.isin(requests.key, _joined([r.key[r.unanswered] for r in far]))
    lost = [np.isin(requests.key, keys) & ~seen for keys in _lost(comparison, there)]
    fate[np.logical_or.reduce(lost)] = Fate.LOST
    fate[silent & ~answered] = Fate.SILENT
    fate[answered] = Fate.ANSWER_LOST
    worst = int(np.argmax([int(mask.sum()) for mask in lost]))
    return Fates(
        fate,
        {
            Fate.UNKNOWN: there[0].label,
            Fate.LOST: there[worst].label,
            Fate.SILENT: there[-1].label,
            Fate.ANSWER_LOST: _most_lost(back).label,
        },
    )


def _far(comparison: Comparison, way: int) -> int:
    return 0 if way == BACKWARD else len(comparison.captures) - 1


def _directions(comparison: Comparison, way: int) -> tuple[list[Direction], list[Direction]]:
    """Directions from client to server in the order that packets take, and those back."""
    forward = [h.forward for h in comparison.hops]
    backward = [h.backward for h in comparison.hops]
    return (backward[::-1], forward) if way == BACKWARD else (forward, backward[::-1])


def _joined(keys: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(keys) if keys else np.empty(0, np.int64)


def _lost(comparison: Comparison, there: list[Direction]) -> Iterator[NDArray[np.int64]]:
    """Keys of the requests of which a copy was lost in each direction."""
    asked = measure(comparison)
    for direction in there:
        place = [p.name for p in comparison.points].index(direction.sender.name)
        lost = np.zeros(len(direction.sender.index), np.bool_)
        lost[direction.sent_row[direction.outcome == Outcome.LOST]] = True
        requests = asked.of_point[place]
        yield requests.key[lost[requests.first_row] | lost[requests.last_row]]


def _most_lost(directions: list[Direction]) -> Direction:
    return max(directions, key=lambda d: int(np.count_nonzero(d.lost)))


def unanswered_of(comparison: Comparison, pair: int, place: int) -> Requests:
    """Unanswered requests of a pair of client and server at one point."""
    requests = measure(comparison).of_point[place]
    return requests.at((pairs(comparison).of_tuple[requests.tuple_of] == pair) & requests.unanswered)
