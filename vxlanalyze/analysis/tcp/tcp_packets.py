"""The TCP packets at a point, in time order, by stream, which is one direction of a connection."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.requests.requests import measure
from vxlanalyze.kernels.arrays import I32, I64, U16, U32, Bools, Integer
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.pairing.numbered import NO_TUPLE
from vxlanalyze.wire.model import (
    CHECK_MASK,
    INNER_L4_SHIFT,
    UNKNOWN_LENGTH,
    Anomaly,
    Checksum,
)
from vxlanalyze.wire.numbers import FIN, SYN
from vxlanalyze.wire.protocols import TCP

_PARTIAL = (Anomaly.HEADER_CUT | Anomaly.FIRST_FRAGMENT | Anomaly.INNER_FRAGMENT).value
_REASSEMBLED = Anomaly.REASSEMBLED.value
_BAD, _ALL_ONES = Checksum.BAD.value, Checksum.ALL_ONES.value


class TcpColumns(NamedTuple):
    """Fields of TCP packets, by index row."""

    seq: U32
    ack: U32
    payload: U32
    flags: U16
    time_ns: I64


class InOrder(NamedTuple):
    """Packets of streams in time order, as `TcpPackets` has them."""

    row: I32
    stream: I32
    sound: Bools


@dataclass(frozen=True, eq=False)
class TcpPackets:
    """`k` packets of `t` streams.

    Parameters
    ----------
    row : NDArray[np.int32]
        Shape ``(k,)``: index rows, in time order.
    stream : NDArray[np.int32]
        Shape ``(k,)``: the 5-tuple of each packet.
    sound : NDArray[np.bool_]
        Shape ``(k,)``: packets without an invalid checksum, so that all their fields are reliable.
    opposite : NDArray[np.int32]
        Shape ``(t,)``: the stream that answers, or -1.
    partial : NDArray[np.bool_]
        Shape ``(t,)``: streams with packets that are cut or fragmented, so that sequence numbers or lengths
        of some are unknown. These packets are left out.
    """

    point: Point
    row: NDArray[np.int32]
    stream: NDArray[np.int32]
    sound: NDArray[np.bool_]
    opposite: NDArray[np.int32]
    partial: NDArray[np.bool_]

    @property
    def columns(self) -> TcpColumns:
        """The fields of all packets of the point's capture."""
        index = self.point.index
        return TcpColumns(index.seq, index.ack, index.payload_length, index.tcp_flags, index.time_ns)

    @property
    def in_order(self) -> InOrder:
        """The packets as compiled functions take them."""
        return InOrder(self.row, self.stream, self.sound)


@once
def tcp_packets(comparison: Comparison) -> dict[str, TcpPackets]:
    """Choose the TCP packets of each point, by its name; done once, and kept as long as the comparison."""
    numbered = measure(comparison).tuples
    captures = sorted({p.capture for p in comparison.points})
    return {
        point.name: _of_point(point, numbered.of_flow[captures.index(point.capture)], numbered.answer)
        for point in comparison.points
    }


def _of_point(point: Point, tuple_of: NDArray[np.int32], answer: NDArray[np.int32]) -> TcpPackets:
    """Choose the TCP packets of a point.

    Parameters
    ----------
    tuple_of : NDArray[np.int32]
        Shape ``(f,)``: the 5-tuple of each flow of the point's capture.
    answer : NDArray[np.int32]
        Shape ``(t,)``: the tuple of the opposite direction.
    """
    index, flows = point.index, point.flows
    ours = (flows.protocol == TCP) & point.own_flows
    rows = np.arange(len(index), dtype=np.int32) if point.rows is None else point.rows.copy()
    packets = InOrder(rows, np.empty(len(rows), np.int32), np.empty(len(rows), np.bool_))
    partial = np.zeros(len(answer), np.bool_)
    columns = (index.flow, index.anomalies, index.payload_length, index.checks)
    count = _choose(columns, np.where(ours, tuple_of, NO_TUPLE), packets, partial)
    partial |= np.append(partial, False)[answer]
    packets = InOrder._make(column[:count] for column in packets)
    times = index.time_ns[packets.row]
    if (times[1:] < times[:-1]).any():
        order = np.argsort(times, kind="stable")
        packets = InOrder._make(column[order] for column in packets)
    return TcpPackets(point, *packets, answer, partial)


@compiled("(i4[] u4[] u4[] u2[]) i4[] InOrder(i4[] i4[] b1[]) b1[]")
def _choose(columns: tuple[I32, U32, U32, U16], stream_of: I32, packets: InOrder, partial: Bools) -> int:
    """Keep the rows that are complete packets of streams, and count them; mark the streams of others."""
    flow_of, anomalies_of, payload_of, checks_of = columns
    count = 0
    for row in packets.row:
        stream = stream_of[flow_of[row]] if flow_of[row] >= 0 else NO_TUPLE
        if stream == NO_TUPLE:
            continue
        anomalies = anomalies_of[row]
        cut = anomalies & _PARTIAL != 0 and anomalies & _REASSEMBLED == 0
        if cut or payload_of[row] == UNKNOWN_LENGTH:
            partial[stream] = True
            continue
        state = checks_of[row] >> INNER_L4_SHIFT & CHECK_MASK
        packets.row[count], packets.stream[count] = row, stream
        packets.sound[count] = state != _BAD and state != _ALL_ONES
        count += 1
    return count


@compiled
def span(payload: Integer, flags: Integer) -> Integer:
    """Count the sequence numbers that a packet takes: its payload, SYN and FIN."""
    return payload + (1 if flags & SYN else 0) + (1 if flags & FIN else 0)
