"""Retransmitted TCP data, and streams that stop.

A stream *stalls* when its first unacknowledged segment is sent repeatedly and never acknowledged, up to the
end of the capture or until either end resets the connection. A window of zero is not a stall: its probes
carry one byte at most, and each is answered.

Sources: RFC 6298 section 5 (retransmission, back-off); RFC 9293 section 3.8.6.1 (zero-window probes).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.tcp.tcp_packets import InOrder, TcpColumns, TcpPackets, span
from vxlanalyze.kernels.arrays import I32, I64, Integer
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.sequence_numbers import after
from vxlanalyze.wire.numbers import ACK, RST, SYN

# A segment sent this often, over this long, is no longer bad luck: at a loss rate of one in fifty, four in a
# row are lost once in six million times.
STALLED_COPIES = 4
STALLED_NS = 1_000_000_000


class Progress(NamedTuple):
    """The progress of each stream, shape ``(t,)``.

    Parameters
    ----------
    segments, resent : NDArray[np.int64]
        Packets with data, and those of them whose data had been sent before.
    opened, reset : NDArray[np.bool_]
        Whether its SYN was acknowledged; whether an open connection was reset, by either end.
    stalled : NDArray[np.bool_]
        Whether it stopped, its last data never acknowledged.
    copies : NDArray[np.int64]
        How often the segment at which it stopped was sent.
    first_row, last_row : NDArray[np.int64]
        Rows of the first and last of these, -1 where there are none.
    """

    segments: NDArray[np.int64]
    resent: NDArray[np.int64]
    opened: NDArray[np.bool_]
    reset: NDArray[np.bool_]
    stalled: NDArray[np.bool_]
    copies: NDArray[np.int64]
    first_row: NDArray[np.int64]
    last_row: NDArray[np.int64]


class _State(NamedTuple):
    """State of each stream while it is followed, shape ``(t,)``.

    Parameters
    ----------
    begun : NDArray[np.bool_]
        Whether a packet of it was seen.
    top, acked : NDArray[np.int64]
        The sequence numbers after the last byte sent, and of the first byte that is not acknowledged.
    probing : NDArray[np.bool_]
        Whether its last packet carried one byte.
    """

    begun: NDArray[np.bool_]
    top: NDArray[np.int64]
    acked: NDArray[np.int64]
    probing: NDArray[np.bool_]


def progress(packets: TcpPackets) -> Progress:
    """Follow every stream of a point to its end."""
    size = len(packets.opposite)
    counts = [np.zeros(size, np.int64) for _ in range(3)]
    marks = [np.zeros(size, np.bool_) for _ in range(3)]
    rows = [np.full(size, -1, np.int64) for _ in range(2)]
    found = Progress(counts[0], counts[1], marks[0], marks[1], marks[2], counts[2], rows[0], rows[1])
    if len(packets.row):
        state = _State(
            begun=np.zeros(size, np.bool_),
            top=np.zeros(size, np.int64),
            acked=np.zeros(size, np.int64),
            probing=np.zeros(size, np.bool_),
        )
        _follow(packets.in_order, packets.opposite, packets.columns, state, found)
    return found


@compiled(
    "InOrder(i4[] i4[] b1[]) i4[] TcpColumns(u4[] u4[] u4[] u2[] i8[]) _State(b1[] i8[] i8[] b1[]) "
    "Progress(i8[] i8[] b1[] b1[] b1[] i8[] i8[] i8[])"
)
def _follow(packets: InOrder, opposite: I32, columns: TcpColumns, state: _State, found: Progress) -> None:
    begun, top, acked, _ = state
    for i in range(len(packets.row)):
        row, this = packets.row[i], packets.stream[i]
        that = opposite[this]
        flags, seq = np.int64(columns.flags[row]), np.int64(columns.seq[row])
        payload = np.int64(columns.payload[row])
        if that >= 0:
            _hear(that, np.int64(columns.ack[row]), flags, state, found)
        if flags & RST:
            _reset(this, that, columns.time_ns, found)
            continue
        end = (seq + span(payload, flags)) & 0xFFFFFFFF
        if flags & SYN or not begun[this]:
            begun[this], top[this], acked[this] = True, end, seq
            found.copies[this] = 0
        if payload > 0:
            _send(this, seq, payload, state, found)
            if seq == acked[this]:
                _repeat(this, row, found)
        if after(end, top[this]) > 0:
            top[this] = end
    for stream in range(len(begun)):
        found.stalled[stream] |= _stands_still(stream, columns.time_ns, found)


@compiled
def _hear(stream: Integer, ack: Integer, flags: Integer, state: _State, found: Progress) -> None:
    """Record what the other end of a stream acknowledges."""
    if flags & RST or not flags & ACK or not state.begun[stream]:
        return
    if state.probing[stream]:
        found.copies[stream] = 0
    if after(ack, state.acked[stream]) <= 0:
        return
    state.acked[stream] = ack
    found.copies[stream] = 0
    if flags & SYN:
        found.opened[stream] = True


@compiled
def _send(stream: Integer, seq: Integer, payload: Integer, state: _State, found: Progress) -> None:
    """Count a packet with data, and whether all of it is new."""
    found.segments[stream] += 1
    state.probing[stream] = payload == 1  # of a window or of an idle connection
    if after(state.top[stream], seq) > 0 and payload > 1:
        found.resent[stream] += 1


@compiled
def _repeat(stream: Integer, row: Integer, found: Progress) -> None:
    """Record a copy of the first unacknowledged segment."""
    if found.copies[stream] == 0:
        found.first_row[stream] = row
    found.copies[stream] += 1
    found.last_row[stream] = row


@compiled
def _stands_still(stream: Integer, time_of: I64, found: Progress) -> bool:
    if found.copies[stream] < STALLED_COPIES:
        return False
    return time_of[found.last_row[stream]] - time_of[found.first_row[stream]] >= STALLED_NS


@compiled
def _reset(this: Integer, that: Integer, time_of: I64, found: Progress) -> None:
    """End a connection; a stream that stalled before stays stalled."""
    if found.opened[this] or (that >= 0 and found.opened[that]):
        found.reset[this] = True
        if that >= 0:
            found.reset[that] = True
    found.stalled[this] |= _stands_still(this, time_of, found)
    if that >= 0:
        found.stalled[that] |= _stands_still(that, time_of, found)
