"""Find requests to an endpoint that were refused, and by what."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.requests import forged
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.request_events import RequestKind
from vxlanalyze.analysis.requests.requests import MeasuredRequests, measure
from vxlanalyze.analysis.requests.services import pairs
from vxlanalyze.pairing.model import Comparison

_NEVER_NS = np.iinfo(np.int64).max


_IN_FLIGHT_NS = 1_000_000_000  # longer than a path and its queues hold a packet


@dataclass(frozen=True, slots=True)
class RefusedRequests:
    """Refused requests at a point, grouped by client and server: `order` sorts them by `pair`."""

    requests: Requests
    order: NDArray[np.int64]
    pair: NDArray[np.int32]


@once
def refused_requests(pair: Comparison) -> tuple[RefusedRequests, ...]:
    """Find refused requests at each point; done once, as there may be an endpoint for every port."""
    measured, of_tuple = measure(pair), pairs(pair).of_tuple
    found = []
    for requests in measured.of_point:
        refused = requests.at(requests.refused)
        refused = refused.at(~_after_a_talk(measured, refused) & ~_not_sent(pair, refused))
        of = of_tuple[refused.tuple_of]
        order = np.argsort(of, kind="stable")
        found.append(RefusedRequests(refused, order, of[order]))
    return tuple(found)


def _not_sent(pair: Comparison, refused: Requests) -> NDArray[np.bool_]:
    """Whether the alleged sender's capture lacks a refusal: then there is no proof that it refused."""
    result = np.zeros(len(refused), np.bool_)
    for direction in pair.directions:
        if direction.receiver.capture == refused.point.capture:
            result |= np.isin(refused.answer_row, forged.rows(direction))
    return result


def _after_a_talk(measured: MeasuredRequests, refused: Requests) -> NDArray[np.bool_]:
    """Refused packets that were in flight when the refusing end, after a conversation, closed its port.

    A client that goes on sending has not noticed that the conversation is over, which deserves a note.
    """
    point = refused.point
    index, tuple_of = point.index, measured.tuples.of_flow[point.capture]
    usage = point.decoded.usage
    spoke_ns = np.full(len(measured.tuples), _NEVER_NS)
    np.minimum.at(spoke_ns, tuple_of[usage.used], index.time_ns[usage.first_row[usage.used]])
    refused_ns, sent_ns = index.time_ns[refused.answer_row], index.time_ns[refused.last_row]
    first_ns = np.full(len(measured.tuples), _NEVER_NS)
    np.minimum.at(first_ns, refused.tuple_of, refused_ns)
    last_ns = np.full(len(measured.tuples), -_NEVER_NS)
    np.maximum.at(last_ns, refused.tuple_of, sent_ns)
    ended = last_ns <= first_ns + _IN_FLIGHT_NS
    talked = spoke_ns[measured.tuples.answer[refused.tuple_of]] < first_ns[refused.tuple_of]
    result: NDArray[np.bool_] = (refused.kind == RequestKind.UDP) & talked & ended[refused.tuple_of]
    return result
