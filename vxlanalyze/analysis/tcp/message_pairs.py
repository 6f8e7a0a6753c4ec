"""Join requests with their responses: by stream number in HTTP/2, in order in HTTP/1, by turns in TLS."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.messages.columns import (
    BEGINS,
    ENDS,
    EPOCH_SHIFT,
    GAP,
    GRPC_MESSAGE,
    HANDSHAKE,
    INCOMPLETE,
    RESETS,
    MessageEvents,
    Protocol,
)
from vxlanalyze.kernels.arrays import I64, Bools
from vxlanalyze.kernels.decorator import compiled

_Longs = NDArray[np.int64]
UNKNOWN = -1
_NUMBER_BITS, _EPOCH_BITS = 32, 7  # of an HTTP/2 stream identifier, and of connections on the same ports
# What `MessagePairs.flags` says.
IS_GRPC, IS_HANDSHAKE, IS_STREAM = 1, 2, 4


class MessagePairs(NamedTuple):
    """Requests and their responses as octets of streams, shape ``(r,)``.

    Parameters
    ----------
    connection : NDArray[np.int64]
        The position in `MessageStreams`.
    number : NDArray[np.int64]
        Stream identifier in HTTP/2; content type in TLS; else 0.
    begin, end : NDArray[np.int64]
        Offsets of the request's first octet, and of the one after its last; `end` is UNKNOWN where the
        request continues beyond what was read.
    answer_begin, answer_end : NDArray[np.int64]
        The same of the response.
    flags : NDArray[np.int64]
        IS_GRPC, IS_HANDSHAKE and IS_STREAM.
    """

    connection: _Longs
    number: _Longs
    begin: _Longs
    end: _Longs
    answer_begin: _Longs
    answer_end: _Longs
    flags: _Longs


def message_pairs(
    events: MessageEvents, protocol: NDArray[np.uint8], responds: NDArray[np.bool_], server_ns: _Longs
) -> MessagePairs:
    """Join the messages of all connections.

    Parameters
    ----------
    events : Events
        The messages and parts of messages that were found, shape ``(e,)``.
    protocol, responds : NDArray
        `Protocol` of each event's connection, and whether its sender is the server; shape ``(e,)``.
    server_ns : NDArray[np.int64]
        Shape ``(e,)``: when the server received or sent its first octet.
    """
    numbered = protocol == Protocol.HTTP2
    parts = [_by_number(_chosen(events, numbered), responds[numbered])]
    for kind in (Protocol.HTTP1, Protocol.TLS):
        mine = protocol == kind
        parts.append(_in_order(_chosen(events, mine), responds[mine], server_ns[mine], kind))
    return MessagePairs._make(np.concatenate(columns) for columns in zip(*parts, strict=True))


def _chosen(events: MessageEvents, mine: NDArray[np.bool_]) -> MessageEvents:
    return MessageEvents._make(column[mine] for column in events)


def _by_number(events: MessageEvents, responds: NDArray[np.bool_]) -> MessagePairs:
    """Join the HEADERS of a stream's client with what its server sends in the same stream."""
    connection = events.stream.astype(np.int64) >> 1
    epoch = events.begin >> EPOCH_SHIFT
    call = connection << _EPOCH_BITS + _NUMBER_BITS | epoch << _NUMBER_BITS | events.number
    asks = np.flatnonzero(~responds & (events.flags & BEGINS != 0))
    calls, first = np.unique(call[asks], return_index=True)
    asks = asks[first]
    flags = events.flags
    end = _first(calls, call, ~responds & (flags & ENDS != 0), events.end)
    answer = _first(calls, call, responds & (flags & BEGINS != 0), events.begin)
    answer_end = _first(calls, call, responds & (flags & (ENDS | RESETS) != 0), events.end)
    sent, received = (
        _counts(calls, call, side & (flags & GRPC_MESSAGE != 0)) for side in (~responds, responds)
    )
    is_stream = (received > 1) | (sent > 1) | (end == UNKNOWN)
    pairs = MessagePairs(
        connection=connection[asks],
        number=events.number[asks],
        begin=events.begin[asks],
        end=end,
        answer_begin=answer,
        answer_end=answer_end,
        flags=IS_GRPC * (sent + received > 0).astype(np.int64) | IS_STREAM * is_stream.astype(np.int64),
    )
    return MessagePairs._make(column[answer != UNKNOWN] for column in pairs)


def _first(calls: _Longs, call: _Longs, chosen: NDArray[np.bool_], values: _Longs) -> _Longs:
    """Give the value of the first chosen event of each call; UNKNOWN where there is none."""
    result = np.full(len(calls), UNKNOWN)
    found, first = np.unique(call[chosen], return_index=True)
    known = np.isin(found, calls)  # not a call whose beginning was not seen
    result[np.searchsorted(calls, found[known])] = values[chosen][first[known]]
    return result


def _counts(calls: _Longs, call: _Longs, chosen: NDArray[np.bool_]) -> _Longs:
    """Count the chosen events of each call."""
    ordered = np.sort(call[chosen])
    counts: _Longs = np.searchsorted(ordered, calls, side="right") - np.searchsorted(ordered, calls)
    return counts


def _in_order(
    events: MessageEvents, responds: NDArray[np.bool_], server_ns: _Longs, kind: Protocol
) -> MessagePairs:
    """Join messages in the order in which the server received and sent them."""
    group = events.stream.astype(np.int64) >> 1 << _EPOCH_BITS | events.begin >> EPOCH_SHIFT
    order = np.lexsort((events.begin, responds, server_ns, group))
    ordered = MessageEvents._make(column[order] for column in events)
    size = len(order)
    room = MessagePairs._make(np.empty(size, np.int64) for _ in MessagePairs._fields)
    join = _join_messages if kind is Protocol.HTTP1 else _join_records
    count = join(group[order], ordered, responds[order], np.empty(size + 2, np.int64), room)
    return MessagePairs._make(column[:count] for column in room)


@compiled(
    "i8[] MessageEvents(i4[] i8[] i8[] i8[] i8[]) b1[] i8[] MessagePairs(i8[] i8[] i8[] i8[] i8[] i8[] i8[])"
)
def _join_messages(
    group: I64, events: MessageEvents, responds: Bools, waiting: I64, out: MessagePairs
) -> int:
    """Give each response the oldest request without one; missing octets leave the rest without."""
    count, first, last = 0, 0, 0
    for i in range(len(group)):
        if i == 0 or group[i] != group[i - 1] or events.flags[i] & GAP:
            first = last
        if events.flags[i] & GAP:
            continue
        end = UNKNOWN if events.flags[i] & INCOMPLETE else events.end[i]
        if not responds[i]:
            waiting[last] = count
            last += 1
            out.connection[count], out.number[count], out.flags[count] = events.stream[i] >> 1, 0, 0
            out.begin[count], out.end[count] = events.begin[i], end
            out.answer_begin[count], out.answer_end[count] = UNKNOWN, UNKNOWN
            count += 1
        elif first < last:
            request = waiting[first]
            first += 1
            out.answer_begin[request], out.answer_end[request] = events.begin[i], end
    return _answered(count, out)


@compiled(
    "i8[] MessageEvents(i4[] i8[] i8[] i8[] i8[]) b1[] i8[] MessagePairs(i8[] i8[] i8[] i8[] i8[] i8[] i8[])"
)
def _join_records(group: I64, events: MessageEvents, responds: Bools, last: I64, out: MessagePairs) -> int:
    """Join runs of records of one side with the next run of the other; handshakes and data separately.

    `last` is the last request: of data, of the handshake.
    """
    count = 0
    for i in range(len(group)):
        if i == 0 or group[i] != group[i - 1]:
            last[0], last[1] = -1, -1
        flags = events.flags[i]
        if flags & GAP:
            last[0] = -1
            continue
        hello = 1 if flags & HANDSHAKE else 0
        now = last[hello]
        if responds[i]:
            if now >= 0 and (out.answer_begin[now] < 0 or not hello):
                if out.answer_begin[now] < 0:
                    out.answer_begin[now] = events.begin[i]
                out.answer_end[now] = events.end[i]
        elif now >= 0 and out.answer_begin[now] < 0:
            out.end[now] = events.end[i] if not hello else out.end[now]
        elif not hello or now < 0:
            last[hello] = count
            out.connection[count], out.number[count] = events.stream[i] >> 1, events.number[i]
            out.flags[count] = IS_HANDSHAKE if hello else 0
            out.begin[count], out.end[count] = events.begin[i], events.end[i]
            out.answer_begin[count], out.answer_end[count] = UNKNOWN, UNKNOWN
            count += 1
    return _answered(count, out)


@compiled
def _answered(count: int, out: MessagePairs) -> int:
    """Keep those with a response, and count them."""
    kept = 0
    for i in range(count):
        if out.answer_begin[i] < 0:
            continue
        out.connection[kept], out.number[kept], out.flags[kept] = (
            out.connection[i],
            out.number[i],
            out.flags[i],
        )
        out.begin[kept], out.end[kept] = out.begin[i], out.end[i]
        out.answer_begin[kept], out.answer_end[kept] = out.answer_begin[i], out.answer_end[i]
        kept += 1
    return kept
