"""The TCP connections of a comparison, and how the time of each is spent.

Each connection is followed at both ends at once, with the far end's times converted to the near end's clock,
or at one end if only one capture shows it. If there are very many, those with the most packets are followed.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.requests.requests import measure
from vxlanalyze.analysis.tcp import waiting_columns as at
from vxlanalyze.analysis.tcp.by_stream import ByStream
from vxlanalyze.analysis.tcp.sockets import Sockets, sockets
from vxlanalyze.analysis.tcp.tcp_packets import TcpPackets, tcp_packets
from vxlanalyze.analysis.tcp.two_clocks import BOTH, near_time, overlapping
from vxlanalyze.analysis.tcp.waiting import divide
from vxlanalyze.analysis.tcp.waiting_columns import Captured, Cause, FollowedStreams, StreamHomes
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.pairing.sorting import present
from vxlanalyze.wire.protocols import TCP

MOST_CONNECTIONS = 20_000
_MOST_TURNS, _MOST_SAMPLES = 1 << 18, 1 << 18
NEAR, FAR = 0, 1

_EPHEMERAL = 32_768  # the lowest local port of Linux, net.ipv4.ip_local_port_range


@dataclass(frozen=True, eq=False)
class Connections:
    """The `c` connections that were followed; streams `2 k` and `2 k + 1` are the two directions of `k`.

    Parameters
    ----------
    points : tuple of Point
        The first and the last point of the path; one where there is one capture.
    total : int
        Total number of connections.
    stream : NDArray[np.int32]
        Shape ``(2 c,)``: the 5-tuple of each stream, -1 where no packet of it was seen.
    home : NDArray[np.int8]
        Shape ``(2 c,)``: the point (NEAR, FAR) nearest its sender.
    only : NDArray[np.int8]
        Shape ``(c,)``: the only point that shows it, or BOTH.
    waited_ns : NDArray[np.int64]
        Shape ``(2 c, CAUSES)``: time charged to each `Cause` of each stream.
    figures : NDArray[np.int64]
        Shape ``(2 c, FIGURE_COLUMNS)``: see `waiting_columns`.
    turns, samples : NDArray[np.int64]
        Changes of turns, and round trips; see `waiting_columns`.
    turns_left_out : int
        Quick turns that were not recorded for lack of space.
    tuple_of_flow : tuple of NDArray[np.int32]
        For each point, the 5-tuple of each flow of its capture.
    """

    points: tuple[Point, ...]
    total: int
    stream: NDArray[np.int32]
    home: NDArray[np.int8]
    only: NDArray[np.int8]
    waited_ns: NDArray[np.int64]
    figures: NDArray[np.int64]
    turns: NDArray[np.int64]
    samples: NDArray[np.int64]
    turns_left_out: int
    tuple_of_flow: tuple[NDArray[np.int32], ...]

    def __len__(self) -> int:
        return len(self.only)

    @cached_property
    def client(self) -> NDArray[np.int64]:
        """The stream sent by each connection's client, shape ``(c,)``.

        The SYN identifies the client. Where none was seen, the server's port is that of more connections, or
        else the smaller one.
        """
        syn, shared = self.figures[:, at.CLIENT].reshape(-1, 2), self._shared
        port = self.sockets.port
        larger = port[:, 1] > port[:, 0]
        unseen = np.where(shared[:, 0] == shared[:, 1], larger, shared[:, 1] < shared[:, 0])
        first = np.where(self.opened, syn[:, 1] > syn[:, 0], unseen)
        return 2 * np.arange(len(self)) + first

    @cached_property
    def opened(self) -> NDArray[np.bool_]:
        """Whether a SYN of each connection was followed, shape ``(c,)``."""
        return np.any(self.figures[:, at.CLIENT].reshape(-1, 2), axis=1)

    @cached_property
    def has_client(self) -> NDArray[np.bool_]:
        """Whether more than the order of two ephemeral ports shows the client, shape ``(c,)``."""
        shared = self._shared
        named = self.sockets.port.min(axis=1) < _EPHEMERAL
        return np.asarray(self.opened | named | (shared[:, 0] != shared[:, 1]))

    @cached_property
    def _shared(self) -> NDArray[np.intp]:
        """How many connections have the address and port that each stream is sent from, shape ``(c, 2)``."""
        return self.sockets.connections_with()

    @cached_property
    def sockets(self) -> Sockets:
        """The address and port that each stream is sent from."""
        return sockets(self.points, self.flow)

    @cached_property
    def _samples(self) -> "ByStream":
        return ByStream.of(self.samples)

    @cached_property
    def _turns(self) -> "ByStream":
        return ByStream.of(self.turns)

    def samples_of(self, stream: int, streams: int = 1) -> NDArray[np.int64]:
        """Give the samples of one or several consecutive streams."""
        return self._samples.rows(stream, streams)

    def turns_of(self, stream: int) -> NDArray[np.int64]:
        """Give the turns that end with data of a stream."""
        return self._turns.rows(stream, 1)

    @property
    def server(self) -> NDArray[np.int64]:
        """The stream sent by each connection's server, shape ``(c,)``."""
        return self.client ^ 1

    @cached_property
    def flow(self) -> NDArray[np.int64]:
        """For each connection, a point that shows it, its flow there, and its stream, shape ``(c, 3)``."""
        found = np.full((len(self), 3), -1, np.int64)
        slot = np.full(int(self.stream.max(initial=-1)) + 2, -1, np.int64)
        slot[self.stream[self.stream >= 0]] = np.flatnonzero(self.stream >= 0)
        for place, point in reversed(list(enumerate(self.points))):
            of_flow = np.minimum(self.tuple_of_flow[place], len(slot) - 1)
            mine = slot[of_flow]
            rows = np.flatnonzero((mine >= 0) & point.decoded.usage.used)
            found[mine[rows] >> 1] = np.column_stack([np.full(len(rows), place), rows, mine[rows]])
        return found


class _Chosen(NamedTuple):
    """The streams to follow: their tuples, homes and points, and the slot of each tuple."""

    total: int
    stream: NDArray[np.int32]
    home: NDArray[np.int8]
    only: NDArray[np.int8]
    slot_of: NDArray[np.int32]


@once
def connections(comparison: Comparison) -> Connections | None:
    """Follow the connections of a comparison; None without TCP. Done once, and kept as long as it."""
    points = _ends(comparison)
    if not any((p.flows.protocol == TCP).any() for p in points):
        return None
    numbered = measure(comparison).tuples
    captures = sorted({p.capture for p in comparison.points})
    tuple_of = tuple(numbered.of_flow[captures.index(p.capture)] for p in points)
    packets = [tcp_packets(comparison)[point.name] for point in points]
    chosen = _choose(comparison, packets, tuple_of, numbered.answer)
    if len(chosen.only) == 0:
        return None
    events = [_events(p, chosen, comparison, far=bool(i)) for i, p in enumerate(packets)]
    if len(events) == 1:
        events.append(Captured._make(column[:0] for column in events[0]))
    else:
        events = overlapping(chosen.only, comparison, events)
    return _followed(points, tuple_of, chosen, events)


def _ends(comparison: Comparison) -> tuple[Point, ...]:
    if comparison.hops:
        return comparison.hops[0].forward.sender, comparison.hops[-1].forward.receiver
    nics = [p for p in comparison.points if p.name == comparison.captures[p.capture].name]
    return tuple(nics[:1])


def _choose(
    comparison: Comparison,
    packets: list[TcpPackets],
    tuple_of: tuple[NDArray[np.int32], ...],
    answer: NDArray[np.int32],
) -> _Chosen:
    """Choose the connections between the ends; if very many, those with the most packets."""
    size = len(answer)
    counts = np.zeros((2, size + 1), np.int64)  # one more, for tuples without an opposite
    for place, each in enumerate(packets):
        counts[place, :size] = np.bincount(each.stream, minlength=size)
    home = np.full(size + 1, -1, np.int8)
    if comparison.hops:
        home[:size][_tuples(comparison.hops[0].forward, tuple_of[0], size)] = NEAR
        home[:size][_tuples(comparison.hops[-1].backward, tuple_of[-1], size)] = FAR
    else:
        home[:size][counts[0, :size] > 0] = NEAR
    opposite = np.where(answer >= 0, answer, size)
    known = (home[:size] >= 0) | (home[opposite] >= 0)
    seen = counts[:, :size].sum(axis=0) > 0
    leads = seen & known & ((np.arange(size) < opposite) | (counts[:, opposite].sum(axis=0) == 0))
    first = np.flatnonzero(leads)
    total = len(first)
    if total > MOST_CONNECTIONS:
        weight = counts[:, first].sum(axis=0) + counts[:, opposite[first]].sum(axis=0)
        first = np.sort(first[np.argsort(-weight, kind="stable")[:MOST_CONNECTIONS]])
    pair = np.column_stack([first, opposite[first]])
    there = home[pair]
    there[:, 0] = np.where(there[:, 0] >= 0, there[:, 0], 1 - there[:, 1])
    there[:, 1] = 1 - there[:, 0]
    stream = np.where(pair < size, pair, -1).astype(np.int32).ravel()
    slot_of = np.full(size + 1, -1, np.int32)
    slot_of[pair.ravel()] = np.arange(stream.size)
    return _Chosen(total, stream, there.ravel(), _only(counts, pair), slot_of[:size])


def _tuples(direction: Direction, tuple_of: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    used = present(direction.flow)
    return tuple_of[used[used >= 0]]


def _only(counts: NDArray[np.int64], pair: NDArray[np.int64]) -> NDArray[np.int8]:
    """Find connections that only one point shows completely: each existing stream must be at both."""
    near, far = counts[0][pair], counts[1][pair]
    both = ((near > 0) == (far > 0)).all(axis=1)
    alone = np.where(near.sum(axis=1) >= far.sum(axis=1), NEAR, FAR)
    return np.where(both, BOTH, alone).astype(np.int8)


def _events(packets: TcpPackets, chosen: _Chosen, comparison: Comparison, *, far: bool) -> Captured:
    """Return the packets of chosen streams."""
    slot = chosen.slot_of[packets.stream]
    kept = (slot >= 0) & packets.sound
    row = packets.row
    if not kept.all():
        row, slot = row[kept], slot[kept]
    index = packets.point.index
    time_ns = index.time_ns[row]
    if far:
        time_ns = near_time(comparison, time_ns)
    return Captured(
        *(row, slot, time_ns, index.seq, index.ack, index.payload_length),
        *(index.tcp_flags, index.window),
    )


def _followed(
    points: tuple[Point, ...],
    tuple_of: tuple[NDArray[np.int32], ...],
    chosen: _Chosen,
    events: list[Captured],
) -> Connections:
    size = len(chosen.stream)
    packets = len(events[0][0]) + len(events[1][0])
    state = np.zeros((size, at.STATE_COLUMNS), np.int64)
    state[:, at.SCALE] = at.UNSEEN
    waited = np.zeros((size, at.CAUSES), np.int64)
    figures = np.zeros((size, at.FIGURE_COLUMNS), np.int64)
    figures[:, [at.RTT_MIN_NS, at.ROW_BLOCKED, at.ROW_ZERO]] = -1
    room = min(packets, _MOST_TURNS) + at.RESERVED_TURNS
    turns = np.empty((room, at.TURN_COLUMNS), np.int64)
    samples = np.empty((min(packets, _MOST_SAMPLES), at.SAMPLE_COLUMNS), np.int64)
    counts = np.zeros(at.COUNTS, np.int64)
    found = FollowedStreams(state, waited, figures, turns, samples, counts)
    divide(events[0], events[1], StreamHomes(chosen.home, chosen.only), found)
    return Connections(
        points=points,
        total=chosen.total,
        stream=chosen.stream,
        home=chosen.home,
        only=chosen.only,
        waited_ns=waited,
        figures=figures,
        turns=turns[: counts[at.TURNS]],
        samples=samples[: counts[at.SAMPLES]],
        turns_left_out=int(counts[at.TURNS_LEFT_OUT]),
        tuple_of_flow=tuple_of,
    )


def active_ns(found: Connections) -> NDArray[np.int64]:
    """Time of each connection in which either end waited for something, shape ``(c,)``."""
    waited = found.waited_ns.reshape(len(found), 2, at.CAUSES)
    total: NDArray[np.int64] = waited.sum(axis=(1, 2)) - waited[:, :, Cause.IDLE].sum(axis=1)
    return total
