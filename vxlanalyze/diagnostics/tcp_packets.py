"""The TCP packets that a point saw, in the order of time, by stream: one way of a connection is one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.compiled import compiled
from vxlanalyze.pairing.model import Point
from vxlanalyze.wire.model import (
    CHECK_MASK,
    INNER_L4_SHIFT,
    UNKNOWN_LENGTH,
    Anomaly,
    Checksum,
    Tunnel,
)

TCP = 6
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10

_PARTIAL = (Anomaly.HEADER_CUT | Anomaly.FIRST_FRAGMENT | Anomaly.INNER_FRAGMENT).value


@dataclass(frozen=True, eq=False)
class TcpPackets:
    """`k` packets of `t` streams.

    Parameters
    ----------
    row : NDArray[np.int64]
        Shape ``(k,)``: index rows, in the order of time.
    stream : NDArray[np.int32]
        Shape ``(k,)``: the 5-tuple of each packet.
    sound : NDArray[np.bool_]
        Shape ``(k,)``: packets whose checksum is not wrong, so that each of their fields is to be believed.
    opposite : NDArray[np.int32]
        Shape ``(t,)``: the stream that answers, or -1.
    partial : NDArray[np.bool_]
        Shape ``(t,)``: streams with packets that are cut or fragmented, so that sequence numbers or lengths
        of some are unknown. These packets are left out.
    """

    point: Point
    row: NDArray[np.int64]
    stream: NDArray[np.int32]
    sound: NDArray[np.bool_]
    opposite: NDArray[np.int32]
    partial: NDArray[np.bool_]

    @property
    def columns(self) -> tuple[NDArray[np.generic], ...]:
        """Sequence, acknowledgement, payload length, flags and time, by index row."""
        index = self.point.index
        return index.seq, index.ack, index.payload_length, index.tcp_flags, index.time_ns


def tcp_packets(point: Point, tuple_of: NDArray[np.int32], answer: NDArray[np.int32]) -> TcpPackets:
    """Choose the TCP packets of a point.

    Parameters
    ----------
    tuple_of : NDArray[np.int32]
        Shape ``(f,)``: the 5-tuple of each flow of the point's capture.
    answer : NDArray[np.int32]
        Shape ``(t,)``: the tuple of the opposite way.
    """
    index, flows = point.index, point.flows
    ours = (flows.protocol == TCP) & ((flows.tunnel != Tunnel.NONE) == point.encapsulated)
    rows = np.arange(len(index)) if point.rows is None else point.rows.astype(np.int64)
    rows = rows[np.append(ours, False)[index.flow[rows]]]  # the last for NO_FLOW
    whole = index.anomalies[rows] & _PARTIAL == 0
    whole |= index.anomalies[rows] & Anomaly.REASSEMBLED.value != 0
    whole &= index.payload_length[rows] != UNKNOWN_LENGTH
    partial = np.zeros(len(answer), np.bool_)
    partial[tuple_of[index.flow[rows[~whole]]]] = True
    partial |= np.append(partial, False)[answer]
    rows = rows[whole]
    times = index.time_ns[rows]
    if (times[1:] < times[:-1]).any():
        rows = rows[np.argsort(times, kind="stable")]
    state = index.checks[rows] >> INNER_L4_SHIFT & CHECK_MASK
    sound = (state != Checksum.BAD) & (state != Checksum.ALL_ONES)
    return TcpPackets(point, rows, tuple_of[index.flow[rows]], sound, answer, partial)


@compiled
def after(one: int, other: int) -> int:
    """Tell how far one sequence number stands behind the other, modulo 2**32 (RFC 9293 section 3.4)."""
    return ((one - other + 0x80000000) & 0xFFFFFFFF) - 0x80000000


@compiled
def span(payload: int, flags: int) -> int:
    """Count the sequence numbers that a packet takes: its payload, SYN and FIN."""
    return payload + (1 if flags & SYN else 0) + (1 if flags & FIN else 0)
