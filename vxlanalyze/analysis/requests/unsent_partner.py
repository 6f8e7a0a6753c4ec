"""Answered queries that a resolver repeats because their partner never left the client's node.

A resolver sends two queries from one socket at once (A and AAAA) and repeats both if either gets no answer.
Where the second dies before the network card, a capture there shows the first alone, answered, and some
seconds later both: the answer was taken.

Source: kubernetes issues 56903, 62628 (a race in connection tracking drops the second).
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests.request_columns import Requests

PARTNER_NS = 50_000_000
_NOBODY = -1


def unsent(requests: Requests, repeated_by: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark queries that were alone at first and have a partner when they are repeated, shape ``(r,)``.

    `repeated_by` has shape ``(r,)``: the request that repeats each, or -1.
    """
    result = np.zeros(len(requests), np.bool_)
    first = np.flatnonzero(repeated_by != _NOBODY)
    if len(first):
        with_partner = _with_partner(requests)
        result[first] = ~with_partner[first] & with_partner[repeated_by[first]]
    return result


def _with_partner(requests: Requests) -> NDArray[np.bool_]:
    """Requests with another one of the same socket close to them."""
    times = requests.point.index.time_ns[requests.first_row]
    order = np.lexsort((times, requests.tuple_of))
    near = (np.diff(requests.tuple_of[order]) == 0) & (np.diff(times[order]) <= PARTNER_NS)
    result = np.zeros(len(requests), np.bool_)
    result[order[1:]] |= near
    result[order[:-1]] |= near
    return result
