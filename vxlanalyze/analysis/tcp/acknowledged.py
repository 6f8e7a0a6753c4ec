"""What the sender of a stream learns from its peer: bytes that arrived, and the window; part of `waiting`.

Sources: RFC 7323 section 2 (window scale); RFC 6298 section 3 (Karn's algorithm: no round trip is measured on
retransmitted data).
"""

import numpy as np

from vxlanalyze.analysis.tcp.waiting_columns import (
    ACK_NS,
    ACKED,
    BEGUN,
    EDGE,
    EDGE_AT_SEND,
    EDGE_KNOWN,
    EDGE_NS,
    FLIGHT_NS,
    IN_FLIGHT_NS,
    NO_SCALE,
    RECOVER,
    RECOVERING,
    ROW_ZERO,
    RTT_MIN_NS,
    SAMPLE,
    SAMPLE_ARRIVED_NS,
    SAMPLE_NS,
    SAMPLE_ONE_WAY_NS,
    SAMPLE_RTT_NS,
    SAMPLE_SENT_NS,
    SAMPLE_STREAM,
    SAMPLE_WINDOW,
    SAMPLES,
    SCALE,
    SCALED,
    TOP,
    UNSEEN,
    WAS_ZERO,
    WINDOW_MAX,
    WINDOW_NOW,
    WITH_SCALE,
    WITHOUT_SCALE,
    ZERO,
    ZERO_NS,
    ZERO_TIMES,
    ZERO_TOTAL_NS,
    FollowedStreams,
    StreamPacket,
)
from vxlanalyze.kernels.arrays import I64, Integer
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.sequence_numbers import after
from vxlanalyze.wire.model import WINDOW_MASK
from vxlanalyze.wire.numbers import FIN, SYN


@compiled
def acknowledge(stream: Integer, packet: StreamPacket, out: FollowedStreams) -> None:
    """Record what the sender of a stream learns: bytes that arrived, and the window."""
    state, figures, now = out.state, out.figures, packet.time_ns
    ack, flags, window = packet.ack, packet.flags, packet.window
    other = stream ^ 1
    if not state[stream, BEGUN] or after(ack, state[stream, ACKED]) < 0:
        return
    if after(ack, state[stream, ACKED]) > 0:
        state[stream, ACKED], state[stream, ACK_NS] = ack, now
        if state[stream, RECOVERING] and after(ack, state[stream, RECOVER]) >= 0:
            state[stream, RECOVERING] = 0
        if state[stream, FLIGHT_NS] and after(ack, state[stream, TOP]) >= 0:
            figures[stream, IN_FLIGHT_NS] += now - state[stream, FLIGHT_NS]
            state[stream, FLIGHT_NS] = 0
        if state[stream, SAMPLE_NS] and after(ack, state[stream, SAMPLE]) >= 0:
            _sample(stream, now, out)
    if flags & FIN and window == 0:
        return
    _close_or_open(stream, packet, out)
    octets = _octets(other, stream, window, flags, state)
    if octets < 0:
        return
    figures[stream, SCALED] = WITH_SCALE if _both_scale(other, stream, state) else WITHOUT_SCALE
    edge = (ack + octets) & 0xFFFFFFFF
    figures[stream, WINDOW_MAX] = max(figures[stream, WINDOW_MAX], octets)
    state[stream, WINDOW_NOW] = octets
    if not state[stream, EDGE_KNOWN] or after(edge, state[stream, EDGE]) > 0:
        if not state[stream, EDGE_KNOWN]:
            state[stream, EDGE_AT_SEND] = edge
        state[stream, EDGE], state[stream, EDGE_NS], state[stream, EDGE_KNOWN] = edge, now, 1


@compiled
def _close_or_open(stream: Integer, packet: StreamPacket, out: FollowedStreams) -> None:
    """Record a window that closes or opens."""
    state, figures, now, row = out.state, out.figures, packet.time_ns, packet.row
    zero = packet.window & WINDOW_MASK == 0 and not packet.flags & SYN
    if zero and not state[stream, ZERO]:
        state[stream, ZERO], state[stream, ZERO_NS] = 1, now
        figures[stream, ZERO_TIMES] += 1
        figures[stream, ROW_ZERO] = row if figures[stream, ROW_ZERO] < 0 else figures[stream, ROW_ZERO]
    elif not zero and state[stream, ZERO]:
        state[stream, ZERO], state[stream, WAS_ZERO], state[stream, EDGE_NS] = 0, 1, now
        figures[stream, ZERO_TOTAL_NS] += now - state[stream, ZERO_NS]


@compiled
def _octets(advertiser: Integer, stream: Integer, window: Integer, flags: Integer, state: I64) -> Integer:
    """Scale a window as negotiated in the handshake; -1 where that was not seen."""
    if flags & SYN:
        return window & WINDOW_MASK
    mine, theirs = state[advertiser, SCALE], state[stream, SCALE]
    if mine == UNSEEN or theirs == UNSEEN:
        return np.int64(-1)
    return (window & WINDOW_MASK) << (min(mine, 14) if _both_scale(advertiser, stream, state) else 0)


@compiled
def _both_scale(one: Integer, other: Integer, state: I64) -> bool:
    """Whether both SYNs had the window scale option, without which neither end scales."""
    return state[one, SCALE] > NO_SCALE and state[other, SCALE] > NO_SCALE


@compiled
def _sample(stream: Integer, now: Integer, out: FollowedStreams) -> None:
    """Record the round trip of a segment that was sent once."""
    state, figures, samples, counts = out.state, out.figures, out.samples, out.counts
    sent = state[stream, SAMPLE_NS]
    state[stream, SAMPLE_NS] = 0
    rtt = max(0, now - sent)
    if figures[stream, RTT_MIN_NS] < 0 or rtt < figures[stream, RTT_MIN_NS]:
        figures[stream, RTT_MIN_NS] = rtt
    if counts[SAMPLES] < len(samples):
        sample, arrived = samples[counts[SAMPLES]], state[stream, SAMPLE_ARRIVED_NS]
        sample[SAMPLE_STREAM], sample[SAMPLE_SENT_NS], sample[SAMPLE_RTT_NS] = stream, sent, rtt
        sample[SAMPLE_ONE_WAY_NS] = arrived - sent if arrived else -1
        sample[SAMPLE_WINDOW] = state[stream, WINDOW_NOW] if state[stream, EDGE_KNOWN] else -1
        counts[SAMPLES] += 1
