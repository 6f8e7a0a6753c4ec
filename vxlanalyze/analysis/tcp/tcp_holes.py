"""TCP data missing from a capture although its receiver acknowledged it.

Bytes between two segments are a *hole* until a later segment fills it. A hole that the other end acknowledges
nevertheless was in packets that passed but were not captured. Holes are kept to the end, because captures may
hold a packet after its acknowledgement. A packet with an invalid checksum was captured too: its bytes fill
holes, but its acknowledgement is ignored. A late copy of a SYN does not begin a new connection, and an
acknowledgement that answers a new SYN with a number of the previous connection (a port reused within
TIME_WAIT) says nothing about the new one.

Sources: Zeek, policy/misc/capture-loss; RFC 9293 section 3.4.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.tcp.tcp_packets import InOrder, TcpColumns, TcpPackets, span
from vxlanalyze.kernels.arrays import I32, I64, Integer
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.sequence_numbers import after
from vxlanalyze.wire.numbers import ACK, RST, SYN

_HOLES = 8  # kept per stream in case they are filled; beyond that, the first acknowledged one is counted
_NEAR = 1 << 30  # a sequence number farther off belongs to another connection or is damaged
_NEAR_IF_DAMAGED = 1 << 20  # one window: the sequence number itself may be damaged
_LARGEST_HOLE = 1 << 26  # more than any real window: a number of another connection
_START, _END, _ACKNOWLEDGED = 0, 1, 2


class Missing(NamedTuple):
    """Missing data of each stream, shape ``(t,)``: bytes, holes, and a row near the last."""

    octets: NDArray[np.int64]
    holes: NDArray[np.int64]
    row: NDArray[np.int64]


class _State(NamedTuple):
    """State of each stream while it is followed, shape ``(t,)``.

    Parameters
    ----------
    begun : NDArray[np.bool_]
        Whether a packet of it was seen.
    top : NDArray[np.int64]
        The sequence number after the last byte seen or acknowledged.
    holes : NDArray[np.int64]
        Shape ``(t, _HOLES, 3)``: start, end, and whether it was acknowledged.
    some : NDArray[np.bool_]
        Whether it may have holes.
    initial : NDArray[np.int64]
        The sequence number of its SYN.
    opening : NDArray[np.bool_]
        Whether only that was seen.
    """

    begun: NDArray[np.bool_]
    top: NDArray[np.int64]
    holes: NDArray[np.int64]
    some: NDArray[np.bool_]
    initial: NDArray[np.int64]
    opening: NDArray[np.bool_]


def missing(packets: TcpPackets) -> Missing:
    """Find data that was acknowledged but never seen; partial streams are not judged."""
    size = len(packets.opposite)
    found = Missing(np.zeros(size, np.int64), np.zeros(size, np.int64), np.full(size, -1, np.int64))
    if len(packets.row):
        state = _State(
            begun=np.zeros(size, np.bool_),
            top=np.zeros(size, np.int64),
            holes=np.zeros((size, _HOLES, 3), np.int64),
            some=np.zeros(size, np.bool_),
            initial=np.full(size, -1, np.int64),
            opening=np.zeros(size, np.bool_),
        )
        _follow(packets.in_order, packets.opposite, packets.columns, state, found)
        found.octets[packets.partial] = 0
        found.holes[packets.partial] = 0
    return found


@compiled(
    "InOrder(i4[] i4[] b1[]) i4[] TcpColumns(u4[] u4[] u4[] u2[] i8[]) "
    "_State(b1[] i8[] i8[,,] b1[] i8[] b1[]) Missing(i8[] i8[] i8[])"
)
def _follow(packets: InOrder, opposite: I32, columns: TcpColumns, state: _State, found: Missing) -> None:
    begun, top, holes, some, initial, opening = state
    for i in range(len(packets.row)):
        row, this, sound = packets.row[i], packets.stream[i], packets.sound[i]
        that = opposite[this]
        flags, seq = np.int64(columns.flags[row]), np.int64(columns.seq[row])
        if flags & RST:
            continue
        if flags & ACK and that >= 0 and begun[that] and sound:
            ack = np.int64(columns.ack[row])
            # Nothing follows a SYN until it is acknowledged: acknowledging more belongs to another
            # connection.
            opening[that] = opening[that] and not 0 <= after(ack, top[that]) < _NEAR_IF_DAMAGED
            if not opening[that]:
                _acknowledge(that, ack, row, state, found)
        length = span(np.int64(columns.payload[row]), flags)
        near = _NEAR if sound else _NEAR_IF_DAMAGED
        if not begun[this] or (flags & SYN and seq != initial[this]):
            if some[this]:
                _settle(this, holes, found)
                some[this] = False
            begun[this] = True
            opening[this] = flags & SYN != 0
            initial[this] = seq if flags & SYN else (seq - 1) & 0xFFFFFFFF
            top[this] = (seq + length) & 0xFFFFFFFF
        elif flags & SYN == 0 and length > 0 and -near < after(seq, top[this]) < near:
            _cover(this, seq, (seq + length) & 0xFFFFFFFF, state, found)
    for stream in range(len(some)):
        if some[stream]:
            _settle(stream, holes, found)


@compiled
def _acknowledge(stream: Integer, ack: Integer, row: Integer, state: _State, found: Missing) -> None:
    """Mark the holes that an acknowledgement covers; anything beyond the last byte seen is also one."""
    top, holes = state.top, state.holes
    beyond = after(ack, top[stream])
    if beyond >= _LARGEST_HOLE or -beyond >= _NEAR:
        return
    if beyond > 1:  # 1: an unseen FIN
        _open(stream, top[stream], ack, state, found)
    if beyond > 0:
        top[stream] = ack
    if not state.some[stream]:
        return
    for at in range(_HOLES):
        hole = holes[stream, at]
        if hole[_START] != hole[_END] and after(ack, hole[_END]) >= 0:
            hole[_ACKNOWLEDGED] = 1
            found.row[stream] = row


@compiled
def _cover(stream: Integer, seq: Integer, end: Integer, state: _State, found: Missing) -> None:
    """Remove a segment's bytes from the holes; one beyond the last byte seen leaves a hole before it."""
    top, holes = state.top, state.holes
    if after(seq, top[stream]) > 0:
        _open(stream, top[stream], seq, state, found)
    if after(end, top[stream]) > 0:
        top[stream] = end
    if not state.some[stream]:
        return
    for at in range(_HOLES):
        hole = holes[stream, at]
        start, finish = hole[_START], hole[_END]
        if start == finish or after(end, start) <= 0 or after(finish, seq) <= 0:
            continue
        if after(seq, start) <= 0:
            hole[_START] = end if after(finish, end) > 0 else finish
        elif after(finish, end) <= 0:
            hole[_END] = seq
        else:  # in its middle: the part after it becomes a separate hole
            hole[_END] = seq
            _open(stream, end, finish, state, found)


@compiled
def _open(stream: Integer, start: Integer, end: Integer, state: _State, found: Missing) -> None:
    """Record a hole; without room, an acknowledged one is dropped."""
    state.some[stream] = True
    holes = state.holes
    chosen = -1
    for at in range(_HOLES):
        hole = holes[stream, at]
        if hole[_START] == hole[_END]:
            chosen = at
            break
        if hole[_ACKNOWLEDGED] and (chosen < 0 or after(hole[_START], holes[stream, chosen, _START]) < 0):
            chosen = at
    if chosen >= 0:
        hole = holes[stream, chosen]
        _count(stream, hole, found)
        hole[_START], hole[_END], hole[_ACKNOWLEDGED] = start, end, 0


@compiled
def _count(stream: Integer, hole: I64, found: Missing) -> None:
    if hole[_START] != hole[_END] and hole[_ACKNOWLEDGED]:
        found.octets[stream] += after(hole[_END], hole[_START])
        found.holes[stream] += 1


@compiled
def _settle(stream: Integer, holes: I64, found: Missing) -> None:
    """Count the holes that stayed open and were acknowledged, and clear all."""
    for at in range(_HOLES):
        hole = holes[stream, at]
        _count(stream, hole, found)
        hole[_START], hole[_END], hole[_ACKNOWLEDGED] = 0, 0, 0
