"""Determine whether clients accepted the answers that their node's capture shows.

A client that got its answer does not repeat the request: it sends no second SYN with the same sequence
number, and no second query with the same identifier, ports and content. One capture shows both, so clocks do
not matter. A resolver that misses one of two answers repeats both queries, so a query whose partner got no
answer proves nothing; nor does one whose answer was an error or truncated.

Source: RFC 9293 section 3.10.7.3 (SYN-SENT), RFC 1035 section 4.1.1 (RCODE, TC), RFC 6298 section 2.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests import silence, unsent_partner
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.request_events import RequestKind
from vxlanalyze.analysis.requests.requests import measure
from vxlanalyze.analysis.requests.services import BACKWARD, FORWARD, pairs
from vxlanalyze.analysis.requests.unsent_partner import PARTNER_NS
from vxlanalyze.pairing.model import NO_ROW, Comparison

CHANCE = 1e-3  # of a false alarm
_SOON_NS, _LATE_NS = 100_000_000, 30_000_000_000  # a retry comes after the former and before the latter
_RCODE, _TRUNCATED = 0x000F, 0x0200
_GOOD_RCODES = (0, 3)  # no error; no such name


@dataclass(frozen=True, eq=False)
class NotTaken:
    """Answers of one direction that were not accepted.

    Parameters
    ----------
    label : str
        The direction of the answers.
    requests : Requests
        Those whose answer was not accepted, of all affected clients.
    times : NDArray[np.int64]
        Shape ``(r,)``: how often each was repeated.
    answered : int
        Answered requests of the same clients to the same servers, except where the answer is an error.
    inside : int
        Requests whose answer a place inside the node shows as well.
    chance : float
        Upper bound on the probability of this many if one in fifty is lost inside a node.
    alone : int
        Queries that were repeated together with a second one, which never left the node at first.
    """

    label: str
    requests: Requests
    times: NDArray[np.int64]
    answered: int
    inside: int
    chance: float
    alone: int = 0

    @property
    def second_unsent(self) -> bool:
        """Whether most were accepted, and repeated for a second query that never left the node."""
        return 2 * self.alone > len(self.requests)


def not_taken(comparison: Comparison, chance: float) -> list[NotTaken]:
    """Find answers that reach a node's wire although the requests are repeated."""
    if not comparison.hops:
        return []
    found = []
    for sense, capture, label in (
        (FORWARD, 0, comparison.hops[0].backward.label),
        (BACKWARD, len(comparison.captures) - 1, comparison.hops[-1].forward.label),
    ):
        places = [r for r in measure(comparison).of_point if r.point.capture == capture]
        one = _one_way(comparison, places, sense, label, chance)
        found += [] if one is None else [one]
    return found


def not_taken_by_pair(comparison: Comparison) -> dict[int, int]:
    """Count the answers that were not accepted, by row of `pairs`."""
    between, counts = pairs(comparison), Counter[int]()
    for found in not_taken(comparison, CHANCE):
        if not found.second_unsent:
            counts.update(between.of_tuple[found.requests.tuple_of].tolist())
    return counts


def _one_way(
    comparison: Comparison, places: list[Requests], sense: int, label: str, chance: float
) -> NotTaken | None:
    between = pairs(comparison)
    main = places[0]
    if not len(main):
        return None
    times, repeated_by = _again(main)
    pair = between.of_tuple[main.tuple_of]
    times[between.sense[pair] != sense] = 0
    if not times.any():
        return None
    repeated = np.bincount(pair, times, len(between))
    answered = np.bincount(pair, main.answered & _tells(main), len(between))
    concerned = np.flatnonzero(repeated)
    bounds = {
        int(p): silence.chance(int(repeated[p]), int(repeated[p] + answered[p])) * len(concerned)
        for p in concerned
    }
    # What a node drops concerns all of its clients, each of which may have too few to show it.
    dns = np.isin(np.arange(len(between)), pair[main.kind == RequestKind.DNS])
    for same in (dns, ~dns):
        mine = same & (between.sense == sense)
        together = silence.chance(int(repeated[mine].sum()), int((repeated + answered)[mine].sum()))
        bounds |= {p: min(bound, together) for p, bound in bounds.items() if same[p]}
    unlikely = [p for p, bound in bounds.items() if bound < chance]
    if not unlikely:
        return None
    mine = (times > 0) & np.isin(pair, unlikely)
    requests = main.at(mine)
    inside = np.zeros(len(requests), np.bool_)
    for other in places[1:]:
        inside |= np.isin(requests.key, other.key[other.answered])
    total = int(answered[unlikely].sum())
    least = min(bounds[p] for p in unlikely)
    alone = int((unsent_partner.unsent(main, repeated_by) & mine).sum())
    return NotTaken(label, requests, times[mine], total, int(inside.sum()), least, alone)


def _again(requests: Requests) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How often each request was repeated although its answer had arrived, and by which query (-1: none)."""
    times = np.where(requests.kind == RequestKind.TCP, requests.again, 0).astype(np.int64)
    times[requests.refused] = 0
    repeated_by = np.full(len(requests), -1, np.int64)
    dns = np.flatnonzero(requests.kind == RequestKind.DNS)
    if len(dns) < 2:
        return times, repeated_by
    index = requests.point.index
    key, first_ns = requests.key[dns], index.time_ns[requests.first_row[dns]]
    order = np.lexsort((first_ns, key))
    before, after = dns[order[:-1]], dns[order[1:]]
    answer = requests.answer_row[before]
    repeated = (key[order[:-1]] == key[order[1:]]) & (answer != NO_ROW) & ~requests.refused[before]
    repeated &= _tells(requests)[before]
    rows = requests.first_row
    repeated &= index.digest[rows[before]] == index.digest[rows[after]]
    waited_ns = index.time_ns[rows[after]] - index.time_ns[np.maximum(answer, 0)]
    repeated &= (waited_ns >= _SOON_NS) & (waited_ns <= _LATE_NS)
    repeated &= ~_partner_waits(requests, dns)[order[:-1]]
    times[before[repeated]] = 1
    repeated_by[before[repeated]] = after[repeated]
    return times, repeated_by


def _tells(requests: Requests) -> NDArray[np.bool_]:
    """Requests whose answer gives no reason for a repetition, shape ``(r,)``: no error, not truncated."""
    flags = requests.point.index.seq[np.maximum(requests.answer_row, 0)]
    good = np.isin(flags & _RCODE, _GOOD_RCODES) & (flags & _TRUNCATED == 0)
    tells: NDArray[np.bool_] = (requests.kind != RequestKind.DNS) | good
    return tells


def _partner_waits(requests: Requests, dns: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Queries next to one of the same socket that got no answer at first, shape of `dns`."""
    index = requests.point.index
    first_ns = index.time_ns[requests.first_row[dns]]
    missed = (requests.missed[dns] > 0) | (requests.answer_row[dns] == NO_ROW)
    order = np.lexsort((first_ns, requests.tuple_of[dns]))
    tuple_of, sorted_ns, open_ = requests.tuple_of[dns][order], first_ns[order], missed[order]
    near = (tuple_of[1:] == tuple_of[:-1]) & (np.diff(sorted_ns) <= PARTNER_NS)
    waits = np.zeros(len(dns), np.bool_)
    waits[order[1:]] |= near & open_[:-1]
    waits[order[:-1]] |= near & open_[1:]
    return waits
