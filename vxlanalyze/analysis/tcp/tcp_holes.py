"""TCP data missing from a capture although its receiver acknowledged it.

Bytes between two segments are a *hole* until a later segment fills it. A hole that the other end acknowledges
nevertheless was in packets that passed but were not captured. Holes are kept to the end, because captures may
hold a packet after its acknowledgement. A packet with an invalid checksum was captured too: its bytes fill
holes, but its acknowledgement is ignored. A late copy of a SYN does not begin a new connection, and an
acknowledgement that answers a new SYN with a number of the previous connection (a port reused within
TIME_WAIT) says nothing about the new one.

Sources: Zeek, policy/misc/capture-loss; RFC 9293 section 3.4.
"""

# The bodies of compiled functions have no types:
# mypy: disable-error-code="no-untyped-call, arg-type"

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.tcp.tcp_packets import ACK, RST, SYN, TcpPackets, span
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.sequence_numbers import after

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


def missing(packets: TcpPackets) -> Missing:
    """Find data that was acknowledged but never seen; partial streams are not judged."""
    size = len(packets.opposite)
    found = Missing(np.zeros(size, np.int64), np.zeros(size, np.int64), np.full(size, -1, np.int64))
    if len(packets.row):
        scratch = (
            np.zeros(size, np.bool_),
            np.zeros(size, np.int64),
            np.zeros((size, _HOLES, 3), np.int64),
            np.zeros(size, np.bool_),
            np.full(size, -1, np.int64),
            np.zeros(size, np.bool_),
        )
        _follow(packets.row, packets.stream, packets.sound, packets.opposite, packets.columns, scratch, found)
        found.octets[packets.partial] = 0
        found.holes[packets.partial] = 0
    return found


@compiled(
    "i4[] i4[] b1[] i4[] (u4[] u4[] u4[] u2[] i8[]) (b1[] i8[] i8[,,] b1[] i8[] b1[]) Missing(i8[] i8[] i8[])"
)
def _follow(rows, streams, sound, opposite, columns, scratch, found):  # type: ignore[no-untyped-def]
    seq_of, ack_of, payload_of, flags_of, _ = columns
    # For each stream: whether it has begun, the position after the last byte seen or acknowledged, its holes,
    # whether it may have any, the sequence number of its SYN, and whether only that was seen.
    begun, top, holes, some, initial, opening = scratch
    for i in range(len(rows)):
        row, this = rows[i], streams[i]
        that = opposite[this]
        flags, seq = np.int64(flags_of[row]), np.int64(seq_of[row])
        if flags & RST:
            continue
        if flags & ACK and that >= 0 and begun[that] and sound[i]:
            ack = np.int64(ack_of[row])
            # Nothing follows a SYN until it is acknowledged: acknowledging more belongs to another
            # connection.
            opening[that] = opening[that] and not 0 <= after(ack, top[that]) < _NEAR_IF_DAMAGED
            if not opening[that]:
                _acknowledge(that, ack, row, top, holes, some, found)
        length = span(np.int64(payload_of[row]), flags)
        if not begun[this] or (flags & SYN and seq != initial[this]):
            if some[this]:
                _settle(this, holes, found)
                some[this] = False
            begun[this] = True
            opening[this] = flags & SYN != 0
            initial[this] = seq if flags & SYN else (seq - 1) & 0xFFFFFFFF
            top[this] = (seq + length) & 0xFFFFFFFF
        elif (
            flags & SYN == 0
            and length > 0
            and abs(after(seq, top[this])) < (_NEAR if sound[i] else _NEAR_IF_DAMAGED)
        ):
            _cover(this, seq, (seq + length) & 0xFFFFFFFF, top, holes, some, found)
    for stream in range(len(some)):
        if some[stream]:
            _settle(stream, holes, found)


@compiled
def _acknowledge(stream, ack, row, top, holes, some, found):  # type: ignore[no-untyped-def]
    """Mark the holes that an acknowledgement covers; anything beyond the last byte seen is also one."""
    beyond = after(ack, top[stream])
    if beyond >= _LARGEST_HOLE or -beyond >= _NEAR:
        return
    if beyond > 1:  # 1: an unseen FIN
        _open(stream, top[stream], ack, holes, some, found)
    if beyond > 0:
        top[stream] = ack
    if not some[stream]:
        return
    for at in range(_HOLES):
        hole = holes[stream, at]
        if hole[_START] != hole[_END] and after(ack, hole[_END]) >= 0:
            hole[_ACKNOWLEDGED] = 1
            found.row[stream] = row


@compiled
def _cover(stream, seq, end, top, holes, some, found):  # type: ignore[no-untyped-def]
    """Remove a segment's bytes from the holes; one beyond the last byte seen leaves a hole before it."""
    if after(seq, top[stream]) > 0:
        _open(stream, top[stream], seq, holes, some, found)
    if after(end, top[stream]) > 0:
        top[stream] = end
    if not some[stream]:
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
            _open(stream, end, finish, holes, some, found)


@compiled
def _open(stream, start, end, holes, some, found):  # type: ignore[no-untyped-def]
    """Record a hole; without room, an acknowledged one is dropped."""
    some[stream] = True
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
def _count(stream, hole, found):  # type: ignore[no-untyped-def]
    if hole[_START] != hole[_END] and hole[_ACKNOWLEDGED]:
        found.octets[stream] += after(hole[_END], hole[_START])
        found.holes[stream] += 1


@compiled
def _settle(stream, holes, found):  # type: ignore[no-untyped-def]
    """Count the holes that stayed open and were acknowledged, and clear all."""
    for at in range(_HOLES):
        hole = holes[stream, at]
        _count(stream, hole, found)
        hole[_START], hole[_END], hole[_ACKNOWLEDGED] = 0, 0, 0
