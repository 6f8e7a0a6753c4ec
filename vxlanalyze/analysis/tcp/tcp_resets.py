"""Open connections that are reset in the middle, and what came just before.

A connection is open where both ends acknowledged each other's SYN or data, and data went in either direction.
It is reset in the middle where a reset comes before either end sent its FIN: an end that closes first and
resets late data afterwards has ended the connection itself.

Sources: RFC 9293 sections 3.5.2 and 3.10.7.4 (resets, segments outside of the window).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.tcp.tcp_packets import InOrder, TcpColumns, TcpPackets, span
from vxlanalyze.kernels.arrays import I32, Boolean, Integer
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.sequence_numbers import after
from vxlanalyze.wire.numbers import ACK, FIN, FIRST_EPHEMERAL_PORT, RST, SYN


class Resets(NamedTuple):
    """The outcome of each stream, shape ``(t,)``; a reset is attributed to the stream that sent it.

    Parameters
    ----------
    opened : NDArray[np.bool_]
        Streams of a connection that was open and carried data in either direction.
    is_client : NDArray[np.bool_]
        Streams of the end that opened the connection, or that has the ephemeral port where no SYN was seen.
    reset_row, before_row : NDArray[np.int64]
        Rows of the reset, and of the last packet of the other end before it; -1 where there is none.
    old : NDArray[np.bool_]
        Whether that packet was below the window: all of it had been acknowledged.
    idle_ns : NDArray[np.int64]
        How long the connection had been idle before that packet.
    longest_idle_ns : NDArray[np.int64]
        The longest time without a packet after which the connection went on.
    first_segments : NDArray[np.int64]
        Segments of the stream's first message: before the other end sent data.
    """

    opened: NDArray[np.bool_]
    is_client: NDArray[np.bool_]
    reset_row: NDArray[np.int64]
    before_row: NDArray[np.int64]
    old: NDArray[np.bool_]
    idle_ns: NDArray[np.int64]
    longest_idle_ns: NDArray[np.int64]
    first_segments: NDArray[np.int64]


class _State(NamedTuple):
    """State of each stream while it is followed, shape ``(t,)``."""

    begun: NDArray[np.bool_]
    ended: NDArray[np.bool_]
    heard: NDArray[np.bool_]
    data: NDArray[np.bool_]
    acked: NDArray[np.int64]
    last_row: NDArray[np.int64]
    last_ns: NDArray[np.int64]
    last_old: NDArray[np.bool_]
    last_idle_ns: NDArray[np.int64]


def resets(packets: TcpPackets) -> Resets:
    """Follow every stream of a point to its first reset."""
    size = len(packets.opposite)

    def marks() -> NDArray[np.bool_]:
        return np.zeros(size, np.bool_)

    def numbers(fill: int = 0) -> NDArray[np.int64]:
        return np.full(size, fill, np.int64)

    found = Resets(marks(), marks(), numbers(-1), numbers(-1), marks(), numbers(), numbers(), numbers())
    if len(packets.row):
        state = _State(
            marks(), marks(), marks(), marks(), numbers(), numbers(-1), numbers(), marks(), numbers()
        )
        _follow(packets.in_order, packets.opposite, packets.columns, state, found)
        _by_port(packets, found)
    return found


def _by_port(packets: TcpPackets, found: Resets) -> None:
    """Find the client without a SYN: the receiver of the SYN ACK, or the only end with an ephemeral port."""
    index, flows = packets.point.index, packets.point.flows
    size, opposite = len(packets.opposite), packets.opposite
    flags = index.tcp_flags[packets.row] & (SYN | ACK)
    syn, accepts = np.zeros((2, size), np.bool_)
    syn[packets.stream[flags == SYN]] = True
    accepts[packets.stream[flags == SYN | ACK]] = True
    flow = np.full(size, -1, np.int64)
    flow[packets.stream] = index.flow[packets.row]
    both = (opposite >= 0) & (flow >= 0) & ~syn & ~syn[opposite]
    ephemeral, other = (ports[flow] >= FIRST_EPHEMERAL_PORT for ports in (flows.sport, flows.dport))
    is_client = np.where(accepts | accepts[opposite], accepts[opposite], ephemeral)
    known = both & (accepts | accepts[opposite] | (ephemeral != other))
    found.is_client[known] = is_client[known]


@compiled(
    "InOrder(i4[] i4[] b1[]) i4[] TcpColumns(u4[] u4[] u4[] u2[] i8[]) "
    "_State(b1[] b1[] b1[] b1[] i8[] i8[] i8[] b1[] i8[]) Resets(b1[] b1[] i8[] i8[] b1[] i8[] i8[] i8[])"
)
def _follow(packets: InOrder, opposite: I32, columns: TcpColumns, state: _State, found: Resets) -> None:
    for i in range(len(packets.row)):
        row, this = packets.row[i], packets.stream[i]
        that = opposite[this]
        if that < 0:
            continue
        flags, payload = np.int64(columns.flags[row]), np.int64(columns.payload[row])
        if flags & RST:
            _reset(this, that, row, state, found)
            continue
        if flags & SYN and not flags & ACK:
            _begin_anew(this, that, state, found)
        seq = np.int64(columns.seq[row])
        if not state.begun[this]:
            state.begun[this], state.acked[this] = True, seq
            found.is_client[this] = not state.begun[that]
        if flags & ACK and state.begun[that]:
            _acknowledge(that, np.int64(columns.ack[row]), state)
        now_ns = columns.time_ns[row]
        idle_ns = _idle(this, that, now_ns, state)
        state.last_old[this] = _is_old(this, seq, span(payload, flags), state)
        state.last_row[this], state.last_ns[this], state.last_idle_ns[this] = row, now_ns, idle_ns
        _survive(this, that, state, found)
        state.ended[this] |= flags & FIN != 0
        if payload > 0:
            _send(this, that, state, found)
        if state.heard[this] and state.heard[that] and (state.data[this] or state.data[that]):
            found.opened[this] = found.opened[that] = True


@compiled
def _is_old(stream: Integer, seq: Integer, length: Integer, state: _State) -> Boolean:
    """Whether all of a segment had been acknowledged; a pure acknowledgement repeats nothing."""
    if not state.heard[stream] or after(seq, state.acked[stream]) >= 0:
        return False
    return after((seq + length) & 0xFFFFFFFF, state.acked[stream]) <= 0


@compiled
def _send(this: Integer, that: Integer, state: _State, found: Resets) -> None:
    if not state.data[that]:
        found.first_segments[this] += 1
    state.data[this] = True


@compiled
def _begin_anew(this: Integer, that: Integer, state: _State, found: Resets) -> None:
    """Discard a connection on the same ports, unless the SYN is a retransmission."""
    if not state.heard[this]:
        return
    for stream in (this, that):
        state.begun[stream] = state.ended[stream] = state.heard[stream] = state.data[stream] = False
        state.last_old[stream], state.last_row[stream], state.last_ns[stream] = False, -1, 0
        if found.reset_row[stream] < 0:
            found.first_segments[stream] = 0


@compiled
def _acknowledge(stream: Integer, ack: Integer, state: _State) -> None:
    if after(ack, state.acked[stream]) > 0:
        state.acked[stream] = ack
        state.heard[stream] = True


@compiled
def _idle(this: Integer, that: Integer, now_ns: Integer, state: _State) -> Integer:
    """Time since the last packet of a connection, in either direction."""
    last_ns = max(state.last_ns[this], state.last_ns[that])
    return now_ns - last_ns if last_ns > 0 else 0


@compiled
def _reset(this: Integer, that: Integer, row: Integer, state: _State, found: Resets) -> None:
    """Record the first reset of an open connection that neither end had closed."""
    if found.reset_row[this] >= 0 or found.reset_row[that] >= 0:
        return
    if not found.opened[this] or state.ended[this] or state.ended[that]:
        return
    if not (state.begun[this] and state.begun[that]):
        return
    found.reset_row[this], found.before_row[this] = row, state.last_row[that]
    found.old[this] = state.last_old[that]
    found.idle_ns[this] = state.last_idle_ns[that]


@compiled
def _survive(this: Integer, that: Integer, state: _State, found: Resets) -> None:
    """Record the idle time before the other end's last packet: the connection went on after it."""
    if found.reset_row[this] >= 0 or found.reset_row[that] >= 0:
        return
    longest_ns = max(found.longest_idle_ns[this], state.last_idle_ns[that])
    found.longest_idle_ns[this] = found.longest_idle_ns[that] = longest_ns
