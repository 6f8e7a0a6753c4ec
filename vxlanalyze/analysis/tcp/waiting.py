"""What a TCP connection waits for at every moment, followed through the captures of both ends.

A connection advances when one end sends new data. The time since the last advance is charged to the cause
that held this packet back (`charging`): the sender's application, acknowledgements (its congestion window),
the window that its peer advertises, the recovery of lost data, or the path that the peer's data was still on.
Each end's actions are read from its own capture: data *leaves* at the sender's point and *arrives* at the
receiver's.

Sources: RFC 9293 section 3.8.6 (windows, probes); RFC 7323 section 2 (window scale); Zhang, Breslau, Paxson,
Shenker, "On the characteristics and origins of Internet flow rates" (2002), for the idea.
"""

import numpy as np

from vxlanalyze.analysis.tcp.acknowledged import acknowledge
from vxlanalyze.analysis.tcp.charging import add, charge, charge_again
from vxlanalyze.analysis.tcp.tcp_packets import span
from vxlanalyze.analysis.tcp.waiting_columns import (
    ACK_LEFT,
    ACKED,
    ARRIVED,
    ARRIVED_NS,
    ARRIVED_ROW,
    BEGUN,
    BYTES,
    CLIENT,
    CURSOR,
    DATA_NS,
    EDGE,
    EDGE_AT_SEND,
    END_NS,
    FIRST_NS,
    FLIGHT_NS,
    FULL_SEGMENT_BYTES,
    GAP,
    IDLE,
    IN_FLIGHT_MAX,
    IN_FLIGHT_NS,
    LARGEST,
    LAST_NS,
    MORE,
    PATH,
    PATH_TIMES,
    PROBED,
    PUSHES,
    RECOVER,
    RECOVERING,
    RECOVERY,
    SAMPLE,
    SAMPLE_ARRIVED_NS,
    SAMPLE_NS,
    SCALE,
    SEGMENTS,
    SENT_NS,
    START,
    TOP,
    UNSEEN,
    WAS_ZERO,
    ZERO,
    ZERO_NS,
    ZERO_TOTAL_NS,
    ZERO_WINDOW,
    Captured,
    FollowedStreams,
    StreamHomes,
    StreamPacket,
)
from vxlanalyze.kernels.arrays import I64, Integer
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.sequence_numbers import after
from vxlanalyze.wire.model import WINDOW_SCALE_SHIFT
from vxlanalyze.wire.numbers import ACK, PSH, RST, SYN


@compiled(
    "Captured(i4[] i4[] i8[] u4[] u4[] u4[] u2[] u4[]) Captured(i4[] i4[] i8[] u4[] u4[] u4[] u2[] u4[]) "
    "StreamHomes(i1[] i1[]) FollowedStreams(i8[,] i8[,] i8[,] i8[,] i8[,] i8[])"
)
def divide(near: Captured, far: Captured, homes: StreamHomes, out: FollowedStreams) -> None:
    """Follow all streams in time order, with the packets of two points, `far` by the clock of `near`."""
    time_near, time_far = near.time_ns, far.time_ns
    i = j = 0
    while i < len(time_near) or j < len(time_far):
        if j >= len(time_far) or (i < len(time_near) and time_near[i] <= time_far[j]):
            _packet(near, i, 0, homes, out)
            i += 1
        else:
            _packet(far, j, 1, homes, out)
            j += 1
    for stream in range(0, len(out.state), 2):
        _finish(stream, out)


@compiled
def _packet(packets: Captured, at: Integer, place: Integer, homes: StreamHomes, out: FollowedStreams) -> None:
    state, figures = out.state, out.figures
    stream, now, row = packets.stream[at], packets.time_ns[at], packets.row[at]
    alone = homes.only[stream >> 1]
    if alone >= 0 and alone != place:
        return
    flags = np.int64(packets.tcp_flags[row])
    leader = stream & ~1
    if figures[stream, FIRST_NS] == 0:
        figures[stream, FIRST_NS] = now
    if state[leader, CURSOR] == 0:
        state[leader, CURSOR] = now
    state[leader, LAST_NS] = max(state[leader, LAST_NS], now)
    if flags & RST:
        return
    seq, ack = np.int64(packets.seq[row]), np.int64(packets.ack[row])
    payload, window = np.int64(packets.payload_length[row]), np.int64(packets.window[row])
    packet = StreamPacket(row, now, seq, ack, payload, flags, window)
    at_home = homes.home[stream] == place
    if alone >= 0 or at_home:
        _leave(stream, packet, alone >= 0 and at_home, out)
    if alone >= 0 or not at_home:
        _arrive(stream, packet, out)


@compiled
def _leave(stream: Integer, packet: StreamPacket, unseen_arrival: bool, out: FollowedStreams) -> None:
    """Process a packet at the point nearest its sender."""
    state, figures = out.state, out.figures
    seq, ack, payload, flags = packet.seq, packet.ack, packet.payload, packet.flags
    end = (seq + span(payload, flags)) & 0xFFFFFFFF
    other = stream ^ 1
    if flags & SYN:
        _open(stream, packet, out)
    if not state[stream, BEGUN]:
        state[stream, BEGUN], state[stream, TOP], state[stream, ACKED] = 1, seq, seq
        state[stream, ARRIVED], state[stream, RECOVER] = seq, seq
    if flags & ACK and (not state[other, ACK_LEFT] or after(ack, state[other, ACK_LEFT]) > 0):
        state[other, ACK_LEFT] = ack
        if after(ack, state[other, ARRIVED]) >= 0:
            state[other, GAP] = 0
    new = after(end, state[stream, TOP])
    if new <= 0:
        if seq != end:
            charge_again(stream, packet, end, unseen_arrival, out)
        elif state[stream, ZERO] and after(state[stream, TOP], seq) == 1:
            state[stream, PROBED] = 1
        return
    if state[stream, ZERO] and payload == 1:  # a probe that carries a byte
        state[stream, PROBED] = 1
        return
    if payload > 0:
        figures[stream, PUSHES] += flags & PSH != 0
        figures[stream, SEGMENTS] += 1
        figures[stream, BYTES] += new
    charge(stream, packet, out)
    _advance(stream, packet, end, out)


@compiled
def _advance(stream: Integer, packet: StreamPacket, end: Integer, out: FollowedStreams) -> None:
    """Record data that was sent for the first time."""
    state, figures, now = out.state, out.figures, packet.time_ns
    state[stream, TOP] = end
    state[stream, SENT_NS] = now
    state[stream, MORE] = _goes_on(stream, packet.payload, packet.flags, figures)
    if packet.payload > 0 and state[stream, FLIGHT_NS] == 0:
        state[stream, FLIGHT_NS] = now
    state[stream, EDGE_AT_SEND] = state[stream, EDGE]
    state[stream, WAS_ZERO] = 0
    in_flight = after(end, state[stream, ACKED])
    figures[stream, IN_FLIGHT_MAX] = max(figures[stream, IN_FLIGHT_MAX], in_flight)
    if state[stream, SAMPLE_NS] == 0 and not state[stream, RECOVERING]:
        state[stream, SAMPLE], state[stream, SAMPLE_NS], state[stream, SAMPLE_ARRIVED_NS] = end, now, 0


@compiled
def _goes_on(stream: Integer, payload: Integer, flags: Integer, figures: I64) -> bool:
    """Whether more data waited when a packet left: it has no PSH, or consists of full segments."""
    if payload == 0:
        return False
    largest = figures[stream, LARGEST]
    return (flags & PSH == 0 and figures[stream, PUSHES] > 0) or (
        largest >= FULL_SEGMENT_BYTES and payload % largest == 0
    )


@compiled
def _open(stream: Integer, packet: StreamPacket, out: FollowedStreams) -> None:
    """Begin a stream by its SYN; a copy of the SYN changes nothing."""
    state, figures = out.state, out.figures
    seq, flags, now = packet.seq, packet.flags, packet.time_ns
    if state[stream, BEGUN] and state[stream, START] == seq:
        return
    if state[stream, BEGUN] and not flags & ACK:  # its port is reused
        leader = stream & ~1
        add(stream, IDLE, now - state[leader, CURSOR], out)
        state[leader, CURSOR] = now
        cursor, last = now, state[leader, LAST_NS]
        state[stream, :], state[stream ^ 1, :] = 0, 0
        state[stream, SCALE], state[stream ^ 1, SCALE] = UNSEEN, UNSEEN
        state[leader, CURSOR], state[leader, LAST_NS] = cursor, last
    state[stream, BEGUN], state[stream, START] = 1, seq
    state[stream, TOP], state[stream, ACKED], state[stream, ARRIVED] = seq, seq, seq
    state[stream, RECOVER] = seq
    state[stream, SCALE] = (packet.window >> WINDOW_SCALE_SHIFT) - 1
    if not flags & ACK:
        figures[stream, CLIENT] = 1


@compiled
def _arrive(stream: Integer, packet: StreamPacket, out: FollowedStreams) -> None:
    """Process a packet at the point nearest its receiver, which sends the other stream."""
    state, figures = out.state, out.figures
    seq, payload, flags, now = packet.seq, packet.payload, packet.flags, packet.time_ns
    end = (seq + span(payload, flags)) & 0xFFFFFFFF
    if not state[stream, BEGUN]:
        state[stream, BEGUN], state[stream, TOP], state[stream, ACKED] = 1, end, seq
        state[stream, ARRIVED], state[stream, RECOVER] = seq, seq
        if flags & SYN:
            state[stream, START], state[stream, SCALE] = seq, (packet.window >> WINDOW_SCALE_SHIFT) - 1
    if after(seq, state[stream, ARRIVED]) > 0:
        state[stream, GAP] = 1
    if after(end, state[stream, ARRIVED]) > 0:
        state[stream, ARRIVED], state[stream, ARRIVED_NS] = end, now
        state[stream, ARRIVED_ROW] = packet.row
        if payload > 0:
            figures[stream, DATA_NS] = now
        figures[stream, LARGEST] = max(figures[stream, LARGEST], min(payload, 65535))
        waits = state[stream, SAMPLE_NS] and not state[stream, SAMPLE_ARRIVED_NS]
        if waits and after(end, state[stream, SAMPLE]) >= 0:
            state[stream, SAMPLE_ARRIVED_NS] = now
    if flags & ACK:
        acknowledge(stream ^ 1, packet, out)


@compiled
def _finish(leader: Integer, out: FollowedStreams) -> None:
    """Charge the remaining time at the end of a connection."""
    state, figures = out.state, out.figures
    left = state[leader, LAST_NS] - state[leader, CURSOR]
    cause, charged = IDLE, leader
    for stream in (leader, leader + 1):
        if state[stream, ZERO]:
            figures[stream, ZERO_TOTAL_NS] += state[leader, LAST_NS] - state[stream, ZERO_NS]
        if state[stream, ZERO] and state[stream, PROBED]:
            cause, charged = ZERO_WINDOW, stream
        elif state[stream, RECOVERING] and cause == IDLE:
            cause, charged = RECOVERY, stream
        figures[stream, END_NS] = state[leader, LAST_NS]
        if state[stream, FLIGHT_NS]:
            figures[stream, IN_FLIGHT_NS] += state[leader, LAST_NS] - state[stream, FLIGHT_NS]
        if cause == IDLE and state[stream, ARRIVED_NS] > state[leader, CURSOR]:
            on_path = min(left, state[stream, ARRIVED_NS] - state[leader, CURSOR])
            add(stream, PATH, on_path, out)
            figures[stream, PATH_TIMES] += 1
            left -= on_path
    add(charged, cause, left, out)
