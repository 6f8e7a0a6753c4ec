"""Pair the packets of each request of a point with the packets that answer it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.request_events import RequestEvents, RequestKind
from vxlanalyze.kernels.arrays import I32, I64, Bools, Integer
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.model import NO_ROW, Point
from vxlanalyze.pairing.sorting import present, stable_order
from vxlanalyze.pairing.tuples import number_rows

# Copies in a burst (queued for ARP resolution, for example) expect one answer; later ones show that none
# came.
_RETRY_NS = 100_000_000


def paired_requests(point: Point, found: RequestEvents) -> Requests:
    """Join the packets of each request with the first packet that answers it."""
    size = len(found.row)
    dtypes = (np.int32, np.int64, np.uint8, *[np.int32] * 4, np.bool_, *[np.int32] * 3)
    room = _Paired(*(np.empty(size, dtype) for dtype in dtypes))
    in_time = in_time_of(point.index.time_ns[found.row], found.is_request)
    count = _pair(point.index.time_ns, in_time, _groups(found), found, room)
    order = np.arange(count)
    for column in (room.number, room.tuple_of):
        order = order[stable_order(column[order])]
    paired = _Paired._make(column[order] for column in room)
    return Requests(point, *paired, decided=paired.answer_row != NO_ROW)


def in_time_of(time_ns: NDArray[np.int64], is_request: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Order packets by time, requests first at equal times; nearly all are in order already."""
    steps = np.diff(time_ns)
    if (steps < 0).any():
        return np.lexsort((~is_request, time_ns)).astype(np.int64)
    order = np.arange(len(time_ns))
    equal = np.flatnonzero(steps == 0)
    tied = present(np.concatenate([equal, equal + 1]))
    order[tied] = tied[np.lexsort((~is_request[tied], time_ns[tied]))]
    return order


class _Groups(NamedTuple):
    """Events with the same tuple and number, and the state of each of these groups as they are paired.

    Parameters
    ----------
    of_event : NDArray[np.int32]
        Shape ``(k,)``: the group of each event.
    last : NDArray[np.int32]
        Shape ``(g,)``: the last request of each group, or -1.
    answered : NDArray[np.bool_]
        Shape ``(g,)``: whether no request followed an answer.
    """

    of_event: I32
    last: I32
    answered: Bools


def _groups(found: RequestEvents) -> _Groups:
    """Number the groups; none has a request yet."""
    group = found.tuple_of.copy()
    of_tuple = int(group.max(initial=-1)) + 1  # without another number, the tuple's is sufficient
    numbered = np.flatnonzero(found.number)
    keys = group[numbered].astype(np.uint64) << np.uint64(32) | found.number[numbered].astype(np.uint64)
    code, first = number_rows(keys[:, np.newaxis])
    group[numbered] = of_tuple + code
    size = of_tuple + len(first)
    return _Groups(group, np.full(size, -1, np.int32), np.zeros(size, np.bool_))


class _Paired(NamedTuple):
    """Columns of `Requests`."""

    tuple_of: NDArray[np.int32]
    number: NDArray[np.int64]
    kind: NDArray[np.uint8]
    first_row: NDArray[np.int32]
    last_row: NDArray[np.int32]
    copies: NDArray[np.int32]
    answer_row: NDArray[np.int32]
    refused: NDArray[np.bool_]
    missed: NDArray[np.int32]
    replies: NDArray[np.int32]
    again: NDArray[np.int32]


@compiled(
    "i8[] i8[] _Groups(i4[] i4[] b1[]) RequestEvents(i4[] i4[] i8[] u1[] b1[] b1[]) "
    "_Paired(i4[] i8[] u1[] i4[] i4[] i4[] i4[] b1[] i4[] i4[] i4[])"
)
def _pair(time_ns: I64, in_time: I64, groups: _Groups, events_: RequestEvents, paired: _Paired) -> int:
    """Record the requests, in the order in which they begin, and count them."""
    last, answered = groups.last, groups.answered
    count = 0
    for i in in_time:
        row, this = events_.row[i], groups.of_event[i]
        request = last[this]
        if not events_.is_request[i]:
            answered[this] = True
            if request >= 0:  # else it answers a request from before the capture
                _answer(request, row, events_.refuses[i], paired)
            continue
        tcp = events_.kind[i] == RequestKind.TCP.value
        # Identifiers are reused, so a query after an answer is a new one; a SYN's number is not.
        if request < 0 or (answered[this] and not tcp):
            request = last[this] = count
            paired.tuple_of[count], paired.number[count] = events_.tuple_of[i], events_.number[i]
            paired.kind[count], paired.first_row[count], paired.copies[count] = events_.kind[i], row, 0
            paired.answer_row[count], paired.refused[count] = NO_ROW, False
            paired.missed[count], paired.replies[count], paired.again[count] = 0, 0, 0
            count += 1
        elif answered[this]:
            waited_ns = time_ns[row] - time_ns[paired.answer_row[request]]
            paired.again[request] += 1 if waited_ns >= _RETRY_NS else 0
        elif time_ns[row] - time_ns[paired.last_row[request]] >= _RETRY_NS:
            paired.missed[request] += 1
        answered[this] = False
        paired.last_row[request] = row
        paired.copies[request] += 1
    return count


@compiled
def _answer(request: Integer, row: Integer, refuses: bool, paired: _Paired) -> None:
    """Record an answer; a further one belongs to a transmission that seemed to get none."""
    if paired.answer_row[request] == NO_ROW:
        paired.answer_row[request], paired.refused[request] = row, refuses
    elif paired.missed[request] > 0 and not refuses:
        paired.missed[request] -= 1
    paired.replies[request] += 1
