"""The fate of each wire packet of a direction: partner, copies, damage.

The input is the rows of the direction at both points and the pairs already found by the strict key; the
remaining packets are matched level by level (`identity.Level`), first within the usual delays, then within
any possible delay.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.arrays import I32, I64, U16, Bools
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing import damaged_copies, identity, match, segments
from vxlanalyze.pairing.altered_bytes import Rereading
from vxlanalyze.pairing.identity import Level
from vxlanalyze.pairing.model import Point
from vxlanalyze.pairing.rows import rows_of
from vxlanalyze.pairing.sorting import present
from vxlanalyze.wire.protocols import TCP

ANY_NS = 1 << 61  # wider than any difference of two times, and safe to add to one
LONGEST_NS = 10_000_000_000  # no network holds a packet for ten seconds
# A merged frame has the time of its first packet: the others may seem to arrive before they were sent, by as
# long as the kernel waits for more (net.core gro_flush_timeout; a few ms at most).
HELD_NS = 5_000_000
_SLACK_NS = 500_000  # host time stamps: jitter of interrupts and of several queues; pcap-tstamp(7)
_ENDS_OF_TIME_NS = np.iinfo(np.int64)
_ENOUGH = 8  # pairs needed before their delays count as the usual ones


@dataclass(frozen=True, slots=True)
class Units:
    """The wire packets of some rows of a point, shapes ``(k,)``."""

    point: Point
    row: NDArray[np.int32]
    segment: NDArray[np.uint16]
    time_ns: NDArray[np.int64]

    @classmethod
    def of(cls, point: Point, rows: NDArray[np.int32]) -> "Units":
        """Split rows into wire packets."""
        row, segment = segments.units(rows, point.segment_bytes, point.index.payload_length)
        return cls(point, row, segment, point.index.time_ns[row])

    def keys(self, level: Level, chosen: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Keys of the packets at given positions."""
        return identity.keys(
            level, self.point.decoded, self.row[chosen], self.segment[chosen], self.point.segment_bytes
        )

    def is_tcp(self, chosen: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the packets at given positions are TCP."""
        return self.point.flows.protocol[self.point.index.flow[self.row[chosen]]] == TCP

    def outer_ip_id(self, chosen: NDArray[np.int64]) -> NDArray[np.uint16]:
        """Outer IP ID of the frames that hold the packets at given positions."""
        return self.point.index.outer_ip_id[self.row[chosen]]


@dataclass(frozen=True, slots=True)
class Matched:
    """Partners of `m` packets sent, and the fate of `k` received; positions in `Units`.

    `copies` counts how often the receiver saw each, `unmatched` marks those without a sent packet.
    """

    partner: NDArray[np.int32]
    copies: NDArray[np.uint8]
    ambiguous: NDArray[np.bool_]
    damaged: NDArray[np.bool_]  # found by the outer header alone
    unmatched: NDArray[np.bool_]


class _Limits(NamedTuple):
    """Shortest possible, longest usual and longest possible delay."""

    shortest_ns: int
    usual_ns: int
    longest_ns: int


class _State(NamedTuple):
    """Result of the rounds so far.

    Partner of each packet sent, how often the receiver saw it, and which of those received are taken.
    """

    partner: I32
    copies: I32
    used: Bools


def match_units(
    sent: Units, received: Units, known: NDArray[np.int32], *, timed: bool, reread: Rereading
) -> Matched:
    """Find the partner of each wire packet.

    Parameters
    ----------
    sent, received : Units
        The packets of a direction at both points, with times by the receiver's clock.
    known : NDArray[np.int32]
        Shape ``(m,)``: positions found before by the strict key, else NO_PARTNER.
    timed : bool
        Whether the clocks are known, so that times may decide.
    reread : Rereading
        Reads packets again if their headers do not show whether they are the same.
    """
    limits = _delays(known, sent.time_ns, received.time_ns, timed)
    partner = np.full(len(known), match.NO_PARTNER, np.int32)
    copies, used = np.zeros(len(known), np.int32), np.zeros(len(received.row), np.bool_)
    state = _State(partner, copies, used)
    numbers = sent.point.index.outer_ip_id[sent.row]
    _accept_known(known, numbers, (sent.time_ns, received.time_ns), limits, state)
    ambiguous = np.zeros(len(partner), dtype=np.bool_)
    damaged = np.zeros(len(partner), dtype=np.bool_)
    for round_ in _rounds(limits, timed):
        level = round_.level
        left, right = np.flatnonzero(partner < 0), np.flatnonzero(~used)
        if level in (Level.BYTELESS, Level.WRAPPED):  # these rest on the outer IP ID
            left, right = left[sent.outer_ip_id(left) != 0], right[received.outer_ip_id(right) != 0]
        if round_.tcp_only:
            left, right = left[sent.is_tcp(left)], right[received.is_tcp(right)]
        if not len(right) or not len(left):
            continue
        here, copy_of, doubt = match.assign(
            match.Keyed(sent.keys(level, left), sent.time_ns[left]),
            match.Keyed(received.keys(level, right), received.time_ns[right]),
            match.Limits(np.int64(round_.shortest_ns), np.int64(round_.longest_ns)),
        )
        if level not in damaged_copies.WHOLE:
            ends = (sent.point, sent.row[left]), (received.point, received.row[right])
            damaged_copies.refuse_others((level, reread), *ends, here, copy_of)
        found = here >= 0
        partner[left[found]] = right[here[found]]
        damaged[left[found]] = level == Level.WRAPPED
        used[right[here[found]]] = True
        ambiguous[left] |= doubt
        again = copy_of >= 0
        used[right[again]] = True
        np.add.at(copies, left[found], 1)
        np.add.at(copies, left[copy_of[again]], 1)
    _late_copies(sent, received, state, limits)
    np.minimum(copies, 255, out=copies)
    return Matched(partner, copies.astype(np.uint8), ambiguous, damaged, ~used)


@dataclass(frozen=True, slots=True)
class _Round:
    """One round of matching: how much must agree, and within which delays."""

    level: Level
    shortest_ns: int
    longest_ns: int
    tcp_only: bool = False


def _rounds(limits: _Limits, timed: bool) -> list[_Round]:
    """Rounds from the surest to the weakest.

    A TCP segment is identified by its place in the stream, without IP ID, before unusual delays are accepted
    (a retransmission may equal its original in all else). Packets other than TCP that share neither digest
    nor IP ID are barely identifiable and come last.
    """
    shortest, usual, longest = limits
    held = shortest - HELD_NS if timed else shortest
    rounds = [
        _Round(Level.OUTER, shortest, usual),
        _Round(Level.INNER, shortest, usual),
        _Round(Level.BYTELESS, shortest, usual),
        _Round(Level.LOOSE, shortest, usual, tcp_only=True),
    ]
    for limit in dict.fromkeys((usual, longest)):
        rounds += [_Round(Level.INNER, held, limit), _Round(Level.LOOSE, held, limit, tcp_only=True)]
    rounds.append(_Round(Level.LOOSE, shortest, usual))
    # Without a clock there is no evidence that the captures have anything in common; equal outer headers are
    # not enough.
    return [*rounds, _Round(Level.WRAPPED, shortest, usual)] if timed else rounds


def _delays(
    known: NDArray[np.int32], sent_ns: NDArray[np.int64], received_ns: NDArray[np.int64], timed: bool
) -> _Limits:
    """Derive the possible and the usual delays from those of the known pairs."""
    if not timed:
        return _Limits(-ANY_NS, ANY_NS, ANY_NS)
    paired = known >= 0
    delay = received_ns[known[paired]] - sent_ns[paired]
    if len(delay) < _ENOUGH:
        least = int(delay.min()) if len(delay) else 0
        return _Limits(max(min(least, 0) - _SLACK_NS, -ANY_NS), LONGEST_NS, LONGEST_NS)
    # A line under the delays touches the smallest: a value far below it is not a delay. Quartiles, since some
    # pairs may be wrong; packets that take longer are paired in a later round.
    low, quarter, middle, most = np.quantile(delay, [0.001, 0.25, 0.5, 0.75])
    spread = max(_SLACK_NS, int(middle - low))
    usual = int(most) + max(10 * _SLACK_NS, 6 * int(most - quarter))
    # A damaged file has times at the limits of int64: the possible delays stay within what can be computed.
    shortest = min(max(int(low) - spread, -ANY_NS), LONGEST_NS)
    return _Limits(shortest, min(max(usual, shortest), LONGEST_NS), LONGEST_NS)


@compiled("i4[] u2[] (i8[] i8[]) _Limits(i8 i8 i8) _State(i4[] i4[] b1[])")
def _accept_known(
    known: I32, numbers: U16, times_ns: tuple[I64, I64], limits: _Limits, state: _State
) -> None:
    """Accept the known pairs whose delay is possible.

    A pair with an unusual delay may be a lost packet and the arrival of its retransmission, except where the
    outer header is numbered, since then each packet has its own number.
    """
    sent_ns, received_ns = times_ns
    for i in range(len(known)):
        there = known[i]
        if there < 0:
            continue
        delay = received_ns[there] - sent_ns[i]
        longest = limits.longest_ns if numbers[i] != 0 else limits.usual_ns
        if limits.shortest_ns <= delay <= longest:
            state.partner[i], state.copies[i], state.used[there] = there, 1, True


def _late_copies(sent: Units, received: Units, state: _State, limits: _Limits) -> None:
    """Count the further arrivals of packets whose partner was found before."""
    partner, copies, used = state
    right = np.flatnonzero(~used)
    if not len(right):
        return
    identities = received.point.flows.identity[present(received.point.index.flow[received.row[right]])]
    flows = np.isin(sent.point.flows.identity, identities)
    left = np.flatnonzero((partner >= 0) & flows[sent.point.index.flow[sent.row]])
    if not len(left):
        return
    # A damaged file has times at the limits of int64, from which nothing can be subtracted.
    arrived = received.time_ns[right].clip(_ENDS_OF_TIME_NS.min + ANY_NS, _ENDS_OF_TIME_NS.max - ANY_NS)
    keys = np.concatenate([sent.keys(Level.INNER, left), received.keys(Level.INNER, right)])
    times = np.concatenate([sent.time_ns[left], arrived - limits.shortest_ns])
    is_arrival = np.arange(len(keys)) >= len(left)
    order = np.lexsort((is_arrival, times, keys))
    # The last packet sent before each arrival, if it has the same key.
    before = np.maximum.accumulate(np.where(is_arrival[order], -1, np.arange(len(order))))
    position = np.flatnonzero(is_arrival[order] & (before >= 0))
    original, again = order[before[position]], order[position]
    fits = keys[original] == keys[again]
    original, again = original[fits], again[fits] - len(left)
    fits = arrived[again] - sent.time_ns[left[original]] <= limits.longest_ns
    np.add.at(copies, left[original[fits]], 1)
    used[right[again[fits]]] = True


def rows_where(point: Point, chosen: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Rows of a point whose flow is chosen; `chosen` has shape ``(f,)``."""
    return rows_of(point.index.flow, chosen)
