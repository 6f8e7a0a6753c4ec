"""Pairs of datagrams from new sockets that get one answer, at endpoints that answer every datagram.

Where a node has no connection tracking entry for a socket yet, two packets in quick succession each create
one, and the second is dropped (`insert_failed`). DNS shows it by its identifiers (`dns_pairs`); other
protocols show it by the number of their answers.

Source: kubernetes issues 56903 and 62628.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests import silence
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.request_events import RequestKind
from vxlanalyze.analysis.requests.services import ClientServerPairs
from vxlanalyze.pairing.grouping import members

_PAIR_NS = 1_000_000  # sent by one call, so close that both meet a node without an entry
_LEAST_SHORT, _LEAST_WHOLE = 3, 5


class AnsweredOnce(NamedTuple):
    """An endpoint where some pairs of datagrams got one answer.

    `server` is its text, `short` the requests with one answer, `whole` how many pairs got two.
    """

    server: str
    short: Requests
    whole: int
    chance: float


def answered_once(between: ClientServerPairs, requests: Requests) -> list[AnsweredOnce]:
    """Find such endpoints among requests that arrived, those with the most pairs first."""
    mine = requests.at(_pairs(requests))
    if not len(mine):
        return []
    texts = np.array(between.server_texts)[between.of_tuple[mine.tuple_of]]
    servers, of = np.unique(texts, return_inverse=True)
    found = []
    for server, places in zip(servers.tolist(), members(of, len(servers)), strict=True):
        judged = _judge(server, mine.at(places))
        found += [] if judged is None else [judged]
    return sorted(found, key=lambda f: (-len(f.short), f.server))


def _pairs(requests: Requests) -> NDArray[np.bool_]:
    """UDP requests of two datagrams sent at once that are all their socket sent."""
    times = requests.point.index.time_ns
    alone = np.bincount(requests.tuple_of)[requests.tuple_of] == 1 if len(requests) else np.zeros(0, np.bool_)
    close = times[requests.last_row] - times[requests.first_row] <= _PAIR_NS
    two = (requests.kind == RequestKind.UDP) & (requests.copies == 2) & requests.answered
    result: NDArray[np.bool_] = two & close & alone
    return result


def _judge(server: str, pairs: Requests) -> AnsweredOnce | None:
    """Distinguish an endpoint that answers every datagram from one that answers at its own pace."""
    once, twice = pairs.replies == 1, pairs.replies == 2
    short, whole = int(once.sum()), int(twice.sum())
    if short < _LEAST_SHORT or whole < max(_LEAST_WHOLE, short) or short + whole < len(pairs):
        return None
    size = pairs.point.index.payload_length[pairs.answer_row]
    if not np.isin(size[once], size[twice]).all():  # one answer to both would differ in size
        return None
    chance = silence.chance(short, len(pairs))
    return AnsweredOnce(server, pairs.at(once), whole, chance)
