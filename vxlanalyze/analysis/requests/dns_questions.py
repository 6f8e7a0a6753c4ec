"""DNS queries by client, name and type, since A and AAAA of one name fail independently.

The name and type of a query are read again from its frame. So in captures with very many queries, only the
first ones are covered.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vxlanalyze.analysis.requests import dns_names
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.request_events import RequestKind
from vxlanalyze.analysis.requests.requests import measure
from vxlanalyze.analysis.requests.services import pairs, services
from vxlanalyze.pairing.model import Comparison

_MOST_READ = 4_000  # queries per point
_MOST_SHOWN = 20  # names and types per pair


@dataclass(frozen=True, slots=True)
class DnsQuestion:
    """One name and type, with the fate of the transmissions for it; `name` is None where cut."""

    name: str | None
    type: str
    requests: int
    answered: int
    unanswered: int


def questions(comparison: Comparison) -> Mapping[int, tuple[DnsQuestion, ...]]:
    """Give the questions of each pair of DNS client and server, the worst first."""
    wanted = {f.pair: f.point for f in services(comparison) if f.protocol == "dns"}
    found: dict[int, tuple[DnsQuestion, ...]] = {}
    for place in sorted(set(wanted.values())):
        mine = [pair for pair, point in wanted.items() if point == place]
        found |= _of_point(comparison, measure(comparison).of_point[place], mine)
    return found


def _of_point(
    comparison: Comparison, requests: Requests, wanted: list[int]
) -> dict[int, tuple[DnsQuestion, ...]]:
    pair = pairs(comparison).of_tuple[requests.tuple_of]
    chosen = (requests.kind == RequestKind.DNS) & requests.decided & np.isin(pair, wanted)
    queries = requests.at(np.flatnonzero(chosen)[:_MOST_READ])
    named = dns_names.questions(comparison, queries.point, queries.first_row)
    counts: dict[int, dict[tuple[str | None, str], list[int]]] = {}
    columns = (
        pairs(comparison).of_tuple[queries.tuple_of],
        queries.answered.astype(np.int64),
        queries.unanswered_transmissions,
    )
    rows = zip(named, *(column.tolist() for column in columns), strict=True)
    for question, of, answered, unanswered in rows:
        if question is not None:
            both = counts.setdefault(of, {}).setdefault(question, [0, 0])
            both[0], both[1] = both[0] + answered, both[1] + unanswered
    return {of: _sorted(found) for of, found in counts.items()}


def _sorted(found: dict[tuple[str | None, str], list[int]]) -> tuple[DnsQuestion, ...]:
    result = [
        DnsQuestion(name, kind, answered + unanswered, answered, unanswered)
        for (name, kind), (answered, unanswered) in found.items()
    ]
    result.sort(key=lambda q: (-q.unanswered, -q.requests, q.name or "", q.type))
    return tuple(result[:_MOST_SHOWN])
