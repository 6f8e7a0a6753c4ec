"""Requests and their responses, as seen by each point of a comparison.

A *request* is an ICMP echo request, a DNS query over UDP, a TCP SYN, or what a client sends over UDP before
its server sends again. Copies (a retransmitted SYN, a query with the same identifier) are one request. It is
*answered* by the reply with its number, *refused* by a reset of the SYN or an ICMP error, and *unanswered*
where neither came although the capture went on long enough. A UDP packet without any answer is only known to
be a request by the port of its protocol, by what answers others, or where the network lost it.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.requests import refusals, replies_from_elsewhere, undecided, untranslated
from vxlanalyze.analysis.requests.media_streams import steady_streams
from vxlanalyze.analysis.requests.refusals import Refusals
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.request_events import Numbered, RequestKind, events
from vxlanalyze.analysis.requests.request_pairing import paired_requests
from vxlanalyze.pairing import tuples
from vxlanalyze.pairing.model import NO_ROW, Comparison, Outcome
from vxlanalyze.pairing.numbered import Tuples
from vxlanalyze.pairing.one_sided import hides_arrivals, hides_departures

# A client waits a second before it sends a SYN again (RFC 6298 section 2.1), a resolver five; servers that
# query others answer later. So the wait for an answer is ten times as long as for the slowest one.
_LEAST_PATIENCE_NS = 1_000_000_000
_MOST_PATIENCE_NS = 5_000_000_000
_SLOWEST_TIMES = 10
_NEVER_NS = 0
_LEAST_TURNS = 3  # turns before a UDP conversation counts as requests with a response each


@dataclass(frozen=True, eq=False)
class MeasuredRequests:
    """Requests at all points of a comparison; `of_point` and `refusals` are in the order of its points."""

    tuples: Tuples
    of_point: tuple[Requests, ...]
    refusals: tuple[Refusals, ...]


@once
def measure(comparison: Comparison) -> MeasuredRequests:
    """Find the requests of every point; done once, and kept as long as the comparison."""
    by_capture = {p.capture: p for p in comparison.points}
    numbered = tuples.at([by_capture[c] for c in sorted(by_capture)])
    tuples_of = dict(zip(sorted(by_capture), numbered.of_flow, strict=True))
    found, refused = [], []
    lost = _all_lost(comparison, tuples_of, len(numbered))
    streams = steady_streams(comparison, numbered, tuples_of)
    half = {d.receiver.capture for d in comparison.directions if hides_arrivals(d)}
    half |= {d.sender.capture for d in comparison.directions if hides_departures(d)}
    ends_ns = {capture: _end_ns(comparison, capture) for capture in by_capture}
    for point, elsewhere in zip(comparison.points, replies_from_elsewhere.find(comparison), strict=True):
        tuple_of = tuples_of[point.capture]
        refused.append(refusals.find(comparison, point, tuple_of))
        marked = np.zeros(len(numbered), np.bool_)
        marked[refused[-1].tuple_of] = True
        tuples_ = Numbered(tuple_of, numbered.answer, marked, lost, streams)
        paired = paired_requests(point, events(point, tuples_))
        # A capture of one direction only never goes on long enough for an answer.
        end_ns = _NEVER_NS if point.capture in half else ends_ns[point.capture]
        decided = _decide(_refuse(paired, refused[-1]), end_ns)
        taken = untranslated.left_unanswered(decided, elsewhere)
        found.append(undecided.left_open(comparison, taken))
    return MeasuredRequests(numbered, tuple(found), tuple(refused))


def _all_lost(
    comparison: Comparison, tuples_of: dict[int, NDArray[np.int32]], size: int
) -> NDArray[np.bool_]:
    """Tuples that the network completely lost, as far as known; shape ``(t,)``."""
    lost, kept = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
    for direction in comparison.directions:
        tuple_of = tuples_of[direction.sender.capture][direction.flow]
        lost[tuple_of[direction.lost]] = True
        kept[tuple_of[direction.outcome == Outcome.DELIVERED]] = True
    result: NDArray[np.bool_] = lost & ~kept
    return result


def _end_ns(comparison: Comparison, capture: int) -> int:
    """End of a capture, or of its selected part.

    It is taken from its statistics, else from its last frame. Where only a part of its rows is selected, an
    answer after the last of them would not be seen.
    """
    places = [p for p in comparison.points if p.capture == capture]
    times = places[0].index.time_ns
    whole = int(times.max()) if len(times) else 0
    shown = [times if p.rows is None else times[p.rows] for p in places]
    last = max((int(s.max()) for s in shown if len(s)), default=0)
    stated = [s.end_ns for s in comparison.captures[capture].statistics if s.end_ns is not None]
    return max([*stated, last]) if last == whole else last


def _refuse(requests: Requests, refused: Refusals) -> Requests:
    """Mark requests refused by ICMP errors: the last open one of the quoted tuple before the error."""
    if len(refused) == 0:
        return requests
    times, open_ = requests.point.index.time_ns, np.flatnonzero(requests.answer_row == NO_ROW)
    tuple_of = np.concatenate([requests.tuple_of[open_], refused.tuple_of])
    time_ns = times[np.concatenate([requests.first_row[open_], refused.row])]
    is_error = np.arange(len(tuple_of)) >= len(open_)
    order = np.lexsort((is_error, time_ns, tuple_of))
    last = np.maximum.accumulate(np.where(is_error[order], -1, np.arange(len(order))))
    meant = (last >= 0) & is_error[order]
    request, error = order[last[meant]], order[meant]
    same = tuple_of[request] == tuple_of[error]
    chosen, row = open_[request[same]][::-1], refused.row[error[same] - len(open_)][::-1]
    answer_row, marked = requests.answer_row.copy(), requests.refused.copy()
    answer_row[chosen], marked[chosen] = row, True  # the first of several errors wins
    return replace(requests, answer_row=answer_row, refused=marked)


def _decide(requests: Requests, end_ns: int) -> Requests:
    """Decide which requests have a known fate, and which transmissions got no answer."""
    replied = requests.answer_row != NO_ROW
    wait_ns = end_ns - requests.point.index.time_ns[requests.first_row]
    decided = replied | (wait_ns >= _patience_ns(requests)[requests.kind])
    udp = requests.kind == RequestKind.UDP
    by_turns = udp & _by_turns(requests)
    missed = np.where(replied, requests.missed, requests.copies)
    missed = np.where(udp & replied, 0, missed)
    missed = np.where(by_turns & replied, np.maximum(requests.copies - requests.replies, 0), missed)
    missed = np.minimum(missed, _open(requests, by_turns, missed.astype(np.int64)))
    requests = replace(requests, decided=decided, missed=missed.astype(np.int32))
    # In a conversation without requests and responses, the last packets do not expect an answer.
    talked = np.isin(requests.tuple_of, requests.tuple_of[udp & replied])
    return requests.at(~udp | replied | by_turns | ~talked)


def _open(requests: Requests, by_turns: NDArray[np.bool_], missed: NDArray[np.int64]) -> NDArray[np.int64]:
    """Maximum number of transmissions of each request that can lack an answer.

    Where the round trip is longer than the time between requests, several are in flight, and the answers to
    the first come after the last. So a conversation lacks at most as many answers as it has fewer than
    requests.
    """
    most = missed.copy()
    chosen = np.flatnonzero(by_turns)
    of, code = np.unique(requests.tuple_of[chosen], return_inverse=True)
    lacking = np.bincount(code, requests.copies[chosen] - requests.replies[chosen], len(of)).astype(np.int64)
    late_first = chosen[np.lexsort((-requests.first_row[chosen].astype(np.int64), code))]
    code = np.sort(code)
    before: NDArray[np.int64] = np.cumsum(missed[late_first]) - missed[late_first]
    of_tuple = before - before[np.searchsorted(code, code)]
    most[late_first] = np.clip(np.maximum(lacking, 0)[code] - of_tuple, 0, None)
    return most


def _by_turns(requests: Requests) -> NDArray[np.bool_]:
    """UDP conversations in which most packets of the client are each followed by one of the server."""
    udp = np.flatnonzero((requests.kind == RequestKind.UDP) & (requests.replies > 0))
    result = np.zeros(len(requests), np.bool_)
    if not len(udp):
        return result
    of, code = np.unique(requests.tuple_of[udp], return_inverse=True)
    single = np.bincount(code, (requests.copies[udp] == 1) & (requests.replies[udp] == 1), len(of))
    turns = np.bincount(code, minlength=len(of))
    regular = of[(turns >= _LEAST_TURNS) & (single > 0.5 * turns)]
    result[np.isin(requests.tuple_of, regular)] = True
    return result & (requests.kind == RequestKind.UDP)


def _patience_ns(found: Requests) -> NDArray[np.int64]:
    """How long to wait for an answer, by `RequestKind`."""
    result = np.full(len(RequestKind), _LEAST_PATIENCE_NS)
    answered = found.at(found.answered)
    latency_ns = answered.latency_ns
    for kind in RequestKind:
        mine = latency_ns[answered.kind == kind]
        if len(mine):
            slowest_ns = np.clip(mine.max(), 0, _MOST_PATIENCE_NS)  # clocks may jump
            result[kind] = np.clip(_SLOWEST_TIMES * slowest_ns, _LEAST_PATIENCE_NS, _MOST_PATIENCE_NS)
    return result
