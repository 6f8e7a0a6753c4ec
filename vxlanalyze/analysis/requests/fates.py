"""Where an unanswered request died: on the forward path, in the server's node, or on the return path.

A request has the same key at every point, so the capture nearest its server shows how many of its
transmissions arrived and how many answers left. Whatever neither capture shows stays unknown.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.requests import measure
from vxlanalyze.analysis.requests.services import BACKWARD, NEITHER, pairs
from vxlanalyze.pairing.model import Comparison, Direction, Outcome
from vxlanalyze.text.words import count
from vxlanalyze.wire.model import NO_FLOW


class RequestFate(IntEnum):
    """The fate of a request without an answer."""

    UNKNOWN = 0
    LOST = 1
    SILENT = 2  # it arrived, but nothing left the server's node
    ANSWER_LOST = 3


_WHERE = {
    RequestFate.UNKNOWN: "the captures do not show where {n} died",
    RequestFate.LOST: "{n} were lost between the captures",
    RequestFate.SILENT: "{n} arrived, and no answer left the server's node",
    RequestFate.ANSWER_LOST: "{n} were answered, and the responses were lost on the return path",
}


@dataclass(frozen=True, slots=True)
class Fates:
    """Fates of the transmissions of `k` requests that got no answer.

    Parameters
    ----------
    counts : NDArray[np.int64]
        Shape ``(k, 4)``: transmissions by fate.
    label : dict
        The direction in which most of them died, by fate.
    inside : dict
        The direction between two interfaces of one node in which most of them died, by fate; no entry where
        no capture shows it.
    """

    counts: NDArray[np.int64]
    label: dict[RequestFate, str | None]
    inside: dict[RequestFate, str]


def fates(comparison: Comparison, requests: Requests, sense: int) -> Fates:
    """Determine where transmissions without an answer died.

    Parameters
    ----------
    requests : Requests
        Of one point and of pairs with requests in the same direction, each with such transmissions.
    sense : int
        FORWARD, BACKWARD or NEITHER.
    """
    counts = np.zeros((len(requests), len(RequestFate)), np.int64)
    missed = requests.unanswered_transmissions.astype(np.int64)
    counts[:, RequestFate.UNKNOWN] = missed
    if sense == NEITHER or not comparison.hops or requests.point.capture == _far(comparison, sense):
        return Fates(counts, dict.fromkeys(RequestFate), {})
    there, back = _directions(comparison, sense)
    far = [r for r in measure(comparison).of_point if r.point.capture == _far(comparison, sense)]
    silent = np.max([_sums(requests, r, r.unanswered_transmissions) for r in far], axis=0)
    answered = np.max([_sums(requests, r, r.replies) for r in far], axis=0)
    answered -= _sums(requests, requests, requests.replies)
    lost = [_sums(requests, r, gone) for r, gone in _lost(comparison, there)]
    left = missed.copy()
    for fate, found in (
        (RequestFate.LOST, np.sum(lost, axis=0)),
        (RequestFate.SILENT, silent),
        (RequestFate.ANSWER_LOST, answered),
    ):
        counts[:, fate] = np.clip(found, 0, left)
        left -= counts[:, fate]
    counts[:, RequestFate.UNKNOWN] = left
    worst = int(np.argmax([int(part.sum()) for part in lost]))
    return Fates(
        counts,
        {
            RequestFate.UNKNOWN: there[0].label,
            RequestFate.LOST: there[worst].label,
            RequestFate.SILENT: there[-1].label,
            RequestFate.ANSWER_LOST: _most_lost(back).label,
        },
        _inside(comparison, requests, sense),
    )


def _inside(comparison: Comparison, requests: Requests, sense: int) -> dict[RequestFate, str]:
    """Name the hops inside nodes that lost the requests, or their answers."""
    here, there = (0, len(comparison.captures) - 1)[:: -1 if sense == BACKWARD else 1]
    wanted = np.unique(requests.tuple_of)
    found = {}
    for fate, capture, inwards in (
        (RequestFate.LOST, here, False),
        (RequestFate.SILENT, there, True),
        (RequestFate.ANSWER_LOST, here, True),
    ):
        lost = {
            d.label: _packets_lost(comparison, d, wanted, fate is RequestFate.ANSWER_LOST)
            for hop in comparison.inside
            for d in hop.directions
            if d.sender.capture == capture and d.sender.encapsulated == inwards and d.assessed
        }
        if any(lost.values()):
            found[fate] = max(lost, key=lost.__getitem__)
    return found


def _packets_lost(
    comparison: Comparison, direction: Direction, wanted: NDArray[np.int32], answers: bool
) -> int:
    """Count the packets that a direction lost of some requests' 5-tuples, or of their answers'."""
    numbered = measure(comparison).tuples
    place = sorted({p.capture for p in comparison.points}).index(direction.sender.capture)
    flow = direction.flow[direction.lost]
    tuple_of = numbered.of_flow[place][flow[flow != NO_FLOW]]
    return int(np.isin(tuple_of, numbered.answer[wanted] if answers else wanted).sum())


def _sums(wanted: Requests, there: Requests, values: NDArray[np.integer]) -> NDArray[np.int64]:
    """Sum a column of requests at another point by their keys, for each wanted one; shape ``(k,)``.

    Requests with one key (a reused identifier) share the sum: it is assigned to the first ones.
    """
    keys, code = np.unique(there.key, return_inverse=True)
    sums = np.bincount(code, values, len(keys)).astype(np.int64)
    place = np.minimum(np.searchsorted(keys, wanted.key), max(len(keys) - 1, 0))
    if not len(keys):
        return np.zeros(len(wanted), np.int64)
    return np.where(keys[place] == wanted.key, sums[place], 0)


def _far(comparison: Comparison, sense: int) -> int:
    return 0 if sense == BACKWARD else len(comparison.captures) - 1


def _directions(comparison: Comparison, sense: int) -> tuple[list[Direction], list[Direction]]:
    """Directions from client to server in path order, and those back."""
    forward = [h.forward for h in comparison.hops]
    backward = [h.backward for h in comparison.hops]
    return (backward[::-1], forward) if sense == BACKWARD else (forward, backward[::-1])


def _lost(comparison: Comparison, there: list[Direction]) -> Iterator[tuple[Requests, NDArray[np.int64]]]:
    """Give the requests at the sender of each direction, and how many copies of each it lost."""
    measured = measure(comparison)
    for direction in there:
        place = [p.name for p in comparison.points].index(direction.sender.name)
        requests = measured.of_point[place]
        lost = direction.outcome == Outcome.LOST
        gone = np.zeros(len(direction.sender.index), np.bool_)
        gone[direction.sent_row[lost]] = True
        yield requests, _copies(requests, gone)


def _copies(requests: Requests, marked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count marked copies of each request; those between the first and the last count in proportion."""
    ends = marked[requests.first_row].astype(np.int64) + marked[requests.last_row]
    both = np.where(requests.copies > 1, ends, marked[requests.first_row])
    between = np.maximum(requests.copies - 2, 0)
    return both + np.where(ends == 2, between, 0)


def _most_lost(directions: list[Direction]) -> Direction:
    return max(directions, key=lambda d: int(np.count_nonzero(d.lost)))


def unanswered_of(comparison: Comparison, pair: int, place: int) -> Requests:
    """Requests of a pair of client and server at one point with transmissions that got no answer."""
    requests = measure(comparison).of_point[place]
    return requests.at(
        (pairs(comparison).of_tuple[requests.tuple_of] == pair) & (requests.unanswered_transmissions > 0)
    )


def died(fate: NDArray[np.int64]) -> str:
    """State where unanswered queries died, counted by fate."""
    unanswered, kinds = int(fate.sum()), [f for f in RequestFate if fate[f]]
    if len(kinds) > 1:
        parts = [_WHERE[f].format(n=_share(int(fate[f]), unanswered)) for f in kinds]
        return f"Of {count(unanswered, 'unanswered query', 'unanswered queries')}, {'; '.join(parts)}"
    text = _WHERE[kinds[0]].format(n=f"all {unanswered:,} unanswered queries")
    if unanswered == 1:
        text = text.replace("all 1 unanswered queries were", "the unanswered query was")
        text = text.replace("all 1 unanswered queries", "the unanswered query")
    return text[:1].upper() + text[1:]


def _share(part: int, whole: int) -> str:
    return "all" if part == whole > 1 else f"{part:,}"
