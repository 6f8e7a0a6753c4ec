"""The round trips that QUIC's spin bit shows at one capture.

In packets with a short header, the client sends the opposite of the last value that it received, and the
server the value itself, so the bit changes once a round trip in each direction. An endpoint may leave it
constant, or random for each packet or connection; at least one in 16 does. QUIC is recognised by
a long header of a known version, or where the capture began later, by a port of QUIC and short headers both
ways.

Sources: RFC 9000 sections 17.2 (long header), 17.3.1 (short header) and 17.4 (spin bit); RFC 9369 (version
2); RFC 9312 section 3.8.2 (what observers may conclude).
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.messages.reading import read_payloads
from vxlanalyze.analysis.requests.requests import measure
from vxlanalyze.kernels.arrays import I32, I64, U8, Integer
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.wire.octets import be32, byte
from vxlanalyze.wire.protocols import UDP

_PORTS = (443, 784, 853, 4433, 8443)
_FORM_AND_FIXED, _SHORT, _LONG, _SPIN_SHIFT = 0xC0, 0x40, 0xC0, 5
_VERSION_1, _VERSION_2, _DRAFTS = 0x00000001, 0x6B3343CF, 0xFF0000
_MOST_FLOWS, _MOST_PACKETS = 4_096, 1 << 15
_FEWEST_PACKETS = 8
_RANDOM_SHARE = 0.3  # changes per packet; one in two where each packet has a value of its own
_OTHER, _SHORT_HEADER, _LONG_HEADER = 0, 1, 2
_PACKETS, _EDGES, _VALUE, _EDGE_NS = range(4)
_STREAM, _KIND, _WAITED_NS = range(3)  # columns of a sample
_PERIOD, _OWN = 0, 1  # kinds of samples


class Spin(IntEnum):
    """What the bit does in a flow; NONE where it is not known to be QUIC, or has few packets."""

    NONE = 0
    CONSTANT = 1
    RANDOM = 2
    SET = 3


@dataclass(frozen=True, eq=False)
class Spins:
    """The flows of a point's capture, shape ``(f,)``; times in nanoseconds, -1 where they are unknown.

    Parameters
    ----------
    spin : NDArray[np.uint8]
        `Spin`.
    rtt_p50_ns, rtt_p99_ns : NDArray[np.int64]
        Time between changes of the bit: the round trip, and pauses of both ends.
    own_p50_ns : NDArray[np.int64]
        The part of it between a change in the opposite direction and its answer in this one: at the
        sender's capture, the sender's own.
    """

    spin: NDArray[np.uint8]
    rtt_p50_ns: NDArray[np.int64]
    rtt_p99_ns: NDArray[np.int64]
    own_p50_ns: NDArray[np.int64]


class _QuicPackets(NamedTuple):
    """Packets of QUIC in order of time: the stream of each, its first octet, and its time."""

    stream: NDArray[np.int32]
    octet: NDArray[np.uint8]
    time_ns: NDArray[np.int64]


def spins(comparison: Comparison, point: Point) -> Spins | None:
    """Read the spin bits of a point's QUIC connections; None where there are none."""
    captures = sorted({p.capture for p in comparison.points})
    tuples = measure(comparison).tuples
    tuple_of = tuples.of_flow[captures.index(point.capture)]
    flows = _quic_flows(comparison, point, tuple_of, tuples.answer)
    if len(flows) == 0:
        return None
    streams, number = np.unique(tuple_of[flows], return_inverse=True)
    stream_of: NDArray[np.int32] = np.full(len(tuple_of) + 1, -1, np.int32)  # the last for NO_FLOW
    stream_of[flows] = number.reshape(-1)
    rows = _rows(point, stream_of, len(streams))
    opposite = np.searchsorted(streams, tuples.answer[streams])
    opposite = np.minimum(opposite, len(streams) - 1)
    answers = streams[opposite] == tuples.answer[streams]
    opposite_of: NDArray[np.int32] = np.where(answers, opposite, -1).astype(np.int32)
    octet, _ = _first_octets(comparison, point, rows)
    state = np.zeros((len(streams), 4), np.int64)
    state[:, _VALUE] = -1
    samples = np.empty((2 * len(rows), 3), np.int64)
    packets = _QuicPackets(stream_of[point.index.flow[rows]], octet, point.index.time_ns[rows])
    count = _follow(packets, opposite_of, state, samples)
    return _figures(stream_of[:-1], state, samples[:count])


def _quic_flows(
    comparison: Comparison, point: Point, tuple_of: NDArray[np.int32], answer: NDArray[np.int32]
) -> NDArray[np.int64]:
    """Find the flows of QUIC by the first packet of each."""
    flows, usage = point.flows, point.decoded.usage
    some = np.flatnonzero((flows.protocol == UDP) & (flows.encryption == 0) & usage.used & (tuple_of >= 0))
    some = some[np.linspace(0, len(some) - 1, min(len(some), _MOST_FLOWS)).astype(np.int64)]
    if len(some) == 0:
        return some
    _, header = _first_octets(comparison, point, usage.first_row[some].astype(np.int64))
    long_, short = (np.zeros(len(answer) + 1, np.bool_) for _ in range(2))  # the last for no answer
    long_[tuple_of[some[header == _LONG_HEADER]]] = True
    known = np.isin(flows.sport[some], _PORTS) | np.isin(flows.dport[some], _PORTS)
    short[tuple_of[some[(header == _SHORT_HEADER) & known]]] = True
    mine, theirs = tuple_of[some], answer[tuple_of[some]]
    return some[long_[mine] | long_[theirs] | (short[mine] & short[theirs])]


def _rows(point: Point, stream_of: NDArray[np.int32], streams: int) -> NDArray[np.int64]:
    """Give the packets of the streams, in order of time; of very many, those of the shortest streams."""
    every = np.arange(len(point.index)) if point.rows is None else point.rows.astype(np.int64)
    rows = every[stream_of[point.index.flow[every]] >= 0]
    if len(rows) > _MOST_PACKETS:
        stream = stream_of[point.index.flow[rows]]
        packets = np.bincount(stream, minlength=streams)
        order = np.argsort(packets, kind="stable")
        read = np.zeros(streams, np.bool_)
        read[order[np.cumsum(packets[order]) <= _MOST_PACKETS]] = True
        rows = rows[read[stream]] if read.any() else rows[:_MOST_PACKETS]
    return rows[np.argsort(point.index.time_ns[rows], kind="stable")]


def _first_octets(
    comparison: Comparison, point: Point, rows: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    payloads = read_payloads(comparison, point, rows, np.zeros(len(rows), np.int64))
    octet, header = np.zeros(len(rows), np.uint8), np.zeros(len(rows), np.uint8)
    _look(payloads.data, payloads.start, payloads.captured, octet, header)
    return octet, header


@compiled("u1[] i8[] i8[] u1[] u1[]")
def _look(data: U8, start: I64, captured: I64, octet: U8, header: U8) -> None:
    """Give the first octet of each payload, and which header of QUIC it may begin."""
    for i in range(len(start)):
        at, held = start[i], captured[i]
        if held < 1:
            continue
        first = byte(data, at)
        octet[i] = first
        if first & _FORM_AND_FIXED == _SHORT:
            header[i] = _SHORT_HEADER
        elif first & _FORM_AND_FIXED == _LONG and held >= 5:
            version = be32(data, at + 1)
            if version == _VERSION_1 or version == _VERSION_2 or version >> 8 == _DRAFTS:  # noqa: SIM109
                header[i] = _LONG_HEADER


@compiled("_QuicPackets(i4[] u1[] i8[]) i4[] i8[,] i8[,]")
def _follow(packets: _QuicPackets, opposite: I32, state: I64, samples: I64) -> int:
    """Record the times between changes of the bit, and count them."""
    count = 0
    for i in range(len(packets.stream)):
        this, now, first = packets.stream[i], packets.time_ns[i], packets.octet[i]
        if first & _FORM_AND_FIXED != _SHORT:
            continue
        state[this, _PACKETS] += 1
        value, before = first >> _SPIN_SHIFT & 1, state[this, _VALUE]
        state[this, _VALUE] = value
        if before < 0 or value == before:
            continue
        state[this, _EDGES] += 1
        own, other = state[this, _EDGE_NS], opposite[this]
        if own:
            _add((this, _PERIOD, now - own), samples[count])
            count += 1
        if other >= 0 and state[other, _EDGE_NS] > own:
            _add((this, _OWN, now - state[other, _EDGE_NS]), samples[count])
            count += 1
        state[this, _EDGE_NS] = now
    return count


@compiled
def _add(values: tuple[Integer, int, Integer], sample: I64) -> None:
    sample[_STREAM], sample[_KIND], sample[_WAITED_NS] = values


def _figures(stream_of: NDArray[np.int32], state: NDArray[np.int64], samples: NDArray[np.int64]) -> Spins:
    packets, edges = state[:, _PACKETS], state[:, _EDGES]
    spin = np.where(edges == 0, np.uint8(Spin.CONSTANT), np.uint8(Spin.SET))
    spin[edges > _RANDOM_SHARE * packets] = Spin.RANDOM
    spin[packets < _FEWEST_PACKETS] = Spin.NONE
    values = np.full((3, len(spin)), -1)
    for stream in np.flatnonzero(spin == Spin.SET).tolist():
        mine = samples[samples[:, _STREAM] == stream]
        for place, kind, share in ((0, _PERIOD, 0.5), (1, _PERIOD, 0.99), (2, _OWN, 0.5)):
            of_kind = mine[mine[:, _KIND] == kind, _WAITED_NS]
            if len(of_kind):
                values[place, stream] = np.quantile(of_kind, share, method="inverted_cdf")
    known = stream_of >= 0
    safe = np.maximum(stream_of, 0)
    return Spins(
        np.where(known, spin[safe], np.uint8(Spin.NONE)),
        *(np.where(known, column[safe], -1) for column in values),
    )
