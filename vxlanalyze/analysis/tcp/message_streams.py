"""The data of TCP streams that carry messages: which they are, and their octets, read again from a capture.

A few segments of each connection show what it carries. Those that carry a known protocol are read, within a
budget, the connections with the fewest octets first; a connection that exceeds the budget is read up to it.
One capture is read, that with the longer packets: both show the same octets, and times come from both.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.messages.columns import EPOCH_SHIFT, ORIGIN
from vxlanalyze.analysis.tcp import waiting_columns as at
from vxlanalyze.analysis.tcp.connections import Connections
from vxlanalyze.analysis.tcp.message_payloads import protocols
from vxlanalyze.analysis.tcp.tcp_packets import TcpPackets
from vxlanalyze.analysis.tcp.two_clocks import BOTH
from vxlanalyze.kernels.arrays import I32, I64, U16, U32, Integer
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.pairing.sequence_numbers import after
from vxlanalyze.wire.numbers import SYN

MOST_CONNECTIONS = 4_096
MOST_PACKETS, MOST_BYTES = 1 << 15, 24 << 20
# The packets of a connection are far apart in a large capture, and each costs a read of its own.
_NEAR_BYTES, _FEWEST_PACKETS = 128 << 20, 1 << 13
_FIRST_SEGMENTS = 3  # of each stream, to recognise what it carries
_MOST_LOOKED_AT = 1 << 13
_MOST_COLLECTED = 1 << 18
_HEADER_BYTES = 128  # around the payload of a packet, as captured; for the budget only
_FARTHEST, _MOST_EPOCHS = 1 << 35, 127

# Columns of the state of a stream while its segments are collected.
_STARTED, _SEQ, _TOP, _EPOCH, _FIRST_SEQ, _TAKEN, _MOST, _LAST_NS = range(8)
_COLUMNS = 8


@dataclass(frozen=True, eq=False)
class MessageStreams:
    """The connections whose messages can be followed, shape ``(c,)``; ``(2 c,)`` by stream.

    Parameters
    ----------
    connection : NDArray[np.int64]
        Their numbers in `Connections`.
    protocol : NDArray[np.uint8]
        `Protocol` of each connection.
    client : NDArray[np.int64]
        Which of its two streams the client sends: 0 or 1.
    place : int
        The point, in ``Connections.points``, whose capture is read.
    most_packets : NDArray[np.int64]
        How many of the segments of each stream are read; shape ``(2 c,)``.
    left_out : int
        Connections that carry such messages and exceed the budget, and those that were not looked at.
    """

    connection: NDArray[np.int64]
    protocol: NDArray[np.uint8]
    client: NDArray[np.int64]
    place: int
    most_packets: NDArray[np.int64]
    left_out: int


class _StreamData(NamedTuple):
    """What each of `s` streams sent at a point.

    Parameters
    ----------
    first : NDArray[np.int64]
        Shape ``(s, k)``: rows of its first segments with data; -1 where it has fewer.
    segments, octets : NDArray[np.int64]
        Shape ``(s,)``: segments with data, and octets of data.
    """

    first: I64
    segments: I64
    octets: I64


class Collected(NamedTuple):
    """Segments with data at a point, in the order of time; `stream` is ``2 * connection + side``."""

    stream: I32
    offset: I64
    length: I64
    row: I32


def message_streams(
    comparison: Comparison,
    found: Connections,
    packets: list[TcpPackets],
    among: NDArray[np.int64] | None = None,
) -> MessageStreams | None:
    """Find the connections with messages; None where there are none.

    Parameters
    ----------
    among : NDArray[np.int64]
        Connections to choose from; without it, those with data both ways.
    """
    every = _both_ways(found) if among is None else among
    chosen = _fewer(every)
    if len(chosen) == 0:
        return None
    place = _place(comparison, found, chosen)
    slot_of = _slots(found, chosen, len(packets[place].opposite))
    sent = _sent(packets[place], slot_of, len(chosen))
    protocol, client = protocols(comparison, found.points[place], sent.first, found.client[chosen] & 1)
    carries = np.flatnonzero(protocol)
    if len(carries) == 0:
        return None
    kept, most = _within_budget(carries, sent, _most_packets(found.points[place]))
    left_out = len(every) - len(chosen) + len(carries) - len(kept)
    return MessageStreams(chosen[kept], protocol[kept], client[kept], place, most, left_out)


def _both_ways(found: Connections) -> NDArray[np.int64]:
    """Connections with data both ways."""
    return np.flatnonzero((found.figures[:, at.DATA_NS].reshape(-1, 2) > 0).all(axis=1))


def _fewer(chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Choose at most `MOST_CONNECTIONS`, evenly spread over all."""
    if len(chosen) > MOST_CONNECTIONS:
        chosen = chosen[np.linspace(0, len(chosen) - 1, MOST_CONNECTIONS).astype(np.int64)]
    return chosen


def _place(comparison: Comparison, found: Connections, chosen: NDArray[np.int64]) -> int:
    """Choose the capture that is read: the one that shows more of the connections, or else longer packets."""
    if len(found.points) == 1:
        return 0
    only = found.only[chosen]
    shown = [int(np.count_nonzero((only == BOTH) | (only == place))) for place in (0, 1)]
    if shown[0] != shown[1]:
        return int(shown[1] > shown[0])
    near, far = (comparison.captures[point.capture].snaplen_bytes for point in found.points)
    return int(near is not None and (far is None or far > near))


def _slots(found: Connections, chosen: NDArray[np.int64], tuples: int) -> NDArray[np.int32]:
    """Number the streams of chosen connections by 5-tuple, shape ``(tuples,)``; -1 for all others.

    The numbers are ``2 * position in chosen + side``.
    """
    slot_of = np.full(tuples, -1, np.int32)
    stream = found.stream[(2 * chosen[:, np.newaxis] + (0, 1)).ravel()]
    slot_of[stream[stream >= 0]] = np.flatnonzero(stream >= 0)
    return slot_of


def _sent(packets: TcpPackets, slot_of: NDArray[np.int32], size: int) -> _StreamData:
    """Find what both streams of each of `size` connections sent."""
    each = int(np.clip(_MOST_LOOKED_AT // (2 * size), 1, _FIRST_SEGMENTS))
    first = np.full((2 * size, each), -1, np.int64)
    sent = _StreamData(first, np.zeros(2 * size, np.int64), np.zeros(2 * size, np.int64))
    _look(packets.row, packets.stream, slot_of, packets.point.index.payload_length, sent)
    return sent


@compiled("i4[] i4[] i4[] u4[] _StreamData(i8[,] i8[] i8[])")
def _look(rows: I32, streams: I32, slot_of: I32, payload_of: U32, sent: _StreamData) -> None:
    for i in range(len(rows)):
        slot = slot_of[streams[i]]
        payload = payload_of[rows[i]]
        if slot < 0 or payload == 0:
            continue
        if sent.segments[slot] < sent.first.shape[1]:
            sent.first[slot, sent.segments[slot]] = rows[i]
        sent.segments[slot] += 1
        sent.octets[slot] += payload


def _most_packets(point: Point) -> int:
    """Give the number of packets that can be read again in a small part of a run's time."""
    size = int(point.index.length.sum())
    return int(np.clip(MOST_PACKETS * _NEAR_BYTES // max(size, 1), _FEWEST_PACKETS, MOST_PACKETS))


def _within_budget(
    carries: NDArray[np.int64], sent: _StreamData, most_packets: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose connections whose segments can be read, and how many of each stream's.

    `carries`, shape ``(n,)``, are the positions of the connections with messages.
    """
    number = sent.segments.reshape(-1, 2).sum(axis=1)[carries]
    cost = sent.octets.reshape(-1, 2).sum(axis=1)[carries] + _HEADER_BYTES * number
    order = np.argsort(cost, kind="stable")
    over = (np.cumsum(cost[order]) > MOST_BYTES) | (np.cumsum(number[order]) > most_packets)
    whole = order[~over]
    most = np.full(len(carries), np.iinfo(np.int64).max)
    if over.any():  # the next one, as far as the budget goes
        following = order[len(whole)]
        left = min(
            (most_packets - number[whole].sum()) / number[following],
            (MOST_BYTES - cost[whole].sum()) / cost[following],
        )
        most[following] = int(left * number[following] / 2)
        whole = np.append(whole, following)
    kept = np.sort(whole)
    return carries[kept], np.repeat(most[kept], 2)


def collect(
    packets: TcpPackets,
    found: Connections,
    streams: MessageStreams,
    first_seq: NDArray[np.int64],
    most: NDArray[np.int64],
) -> tuple[Collected, NDArray[np.int64]]:
    """Collect the segments of chosen streams at a point, and the time up to which each was collected.

    Parameters
    ----------
    first_seq : NDArray[np.int64]
        Shape ``(2 c,)``: the sequence number at each stream's origin; negative ones are filled in.
    most : NDArray[np.int64]
        Shape ``(2 c,)``: how many of its segments are collected.
    """
    size = len(most)
    slot_of = _slots(found, streams.connection, len(packets.opposite))
    state = np.zeros((size, _COLUMNS), np.int64)
    state[:, _FIRST_SEQ], state[:, _MOST] = first_seq, most
    chosen = slot_of[packets.stream] >= 0
    rows, slots = packets.row[chosen], slot_of[packets.stream[chosen]]
    room = min(len(rows), _MOST_COLLECTED)
    out = Collected(
        np.empty(room, np.int32), np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int32)
    )
    index = packets.point.index
    columns = (index.seq, index.payload_length, index.tcp_flags, index.time_ns)
    count = _collect(rows, slots, columns, state, out)
    first_seq[:] = state[:, _FIRST_SEQ]
    cut = state[:, _TAKEN] > most
    until = np.where(cut, state[:, _LAST_NS], np.iinfo(np.int64).max)
    return Collected._make(column[:count] for column in out), until


@compiled("i4[] i4[] (u4[] u4[] u2[] i8[]) i8[,] Collected(i4[] i8[] i8[] i4[])")
def _collect(rows: I32, slots: I32, columns: tuple[U32, U32, U16, I64], state: I64, out: Collected) -> int:
    """Write down the segments with data, with offsets that go on where sequence numbers wrap."""
    seq_of, payload_of, flags_of, time_of = columns
    count = 0
    for i in range(len(rows)):
        row, slot = rows[i], slots[i]
        seq, payload = np.int64(seq_of[row]), np.int64(payload_of[row])
        if flags_of[row] & SYN:
            seq = (seq + 1) & 0xFFFFFFFF
            _open(slot, seq, state)
        if payload == 0:
            continue
        state[slot, _TAKEN] += 1
        if state[slot, _TAKEN] > state[slot, _MOST] or count >= len(out.row):
            continue
        state[slot, _LAST_NS] = time_of[row]
        if not state[slot, _STARTED]:
            if state[slot, _FIRST_SEQ] < 0:
                state[slot, _FIRST_SEQ] = seq
            state[slot, _STARTED], state[slot, _SEQ] = 1, state[slot, _FIRST_SEQ]
        begin = state[slot, _TOP] + after(seq, state[slot, _SEQ])
        if abs(begin) > _FARTHEST:
            continue
        if begin + payload > state[slot, _TOP]:
            state[slot, _TOP], state[slot, _SEQ] = begin + payload, (seq + payload) & 0xFFFFFFFF
        out.stream[count], out.length[count], out.row[count] = slot, payload, row
        out.offset[count] = (state[slot, _EPOCH] << EPOCH_SHIFT) + ORIGIN + begin
        count += 1
    return count


@compiled
def _open(slot: Integer, seq: Integer, state: I64) -> None:
    """Begin a stream at its SYN; another SYN later begins a further connection on the same ports."""
    if not state[slot, _STARTED]:
        if state[slot, _FIRST_SEQ] < 0:
            state[slot, _FIRST_SEQ] = seq
        seq = state[slot, _FIRST_SEQ]
    elif state[slot, _TOP] == 0 or state[slot, _EPOCH] >= _MOST_EPOCHS:
        return
    else:
        state[slot, _EPOCH] += 1
    state[slot, _STARTED], state[slot, _SEQ], state[slot, _TOP] = 1, seq, 0
