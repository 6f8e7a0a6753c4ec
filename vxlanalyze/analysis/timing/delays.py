"""Times in which all packets of a direction take longer than usual.

A change in the network delays every packet; jitter and self-queueing bursts delay some. So time is divided
into slots of 10 ms, and the fastest packet of each counts. A spike is a *run*: consecutive slots whose
fastest packets are all slower than usual, by more than the spread of the fast ones. If the `k` slow slots of
`n` were distributed at random, a run of `l` of them would occur somewhere with a probability of at most ``(n
- l + 1) * C(n - l, k - l) / C(n, k)``.

Not every run is a change of the path. After a brief standstill (a paused host, a full queue), the packets
held back arrive all at once: their arrivals are compressed, whereas a longer path preserves their spacing. A
direction's own load fills queues as well, so it is compared. Delays are differences of two clocks, so the
other direction must not have become faster at the same time.
"""

from dataclasses import dataclass, replace
from enum import Enum
from math import log

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.statistics.evidence import log_choose
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.model import NO_DELAY, Clock, Direction, Reason

_MS = 1_000_000
_NOISE_NS = 1 * _MS  # host stamps and schedulers; pcap-tstamp(7)
# How long a process waits for its turn on a busy host: the slices of Linux's scheduler (EEVDF's base slice is
# 3 ms at most, a tick up to 10 ms), and a capture on a virtual card shows that wait as delay.
_TURN_NS = 5 * _MS
_SPREADS = 8  # of the fast packets; anything more counts as slow, and runs rule out chance
_SLOT_NS = 10 * _MS  # bursts of a sender are shorter
# Linux's least retransmission time-out (TCP_RTO_MIN): packets delayed longer are retransmitted, shorter
# delays trigger no time-out.
_LEAST_DURATION_NS = 200 * _MS
_LEAST_STALL_NS = 200 * _MS
_LOAD_WINDOW_NS = 100 * _MS
_FEW_FLOWS = 3
_NOISE_SHARE = 0.05  # share of the time outside of all runs in which packets may be equally slow
_LONGEST_WORD_NS = 1_000 * _MS  # a packet represents the time up to the next one, but at most this long

_AMBIGUOUS = Reason.AMBIGUOUS.value


class Doubt(Enum):
    """Why a run does not count as a change of the path."""

    NONE = ""
    CLOCK = "the clocks may have been set against each other then"
    LOAD = "the direction carries more of its own traffic then, which fills queues"
    FLOWS = "only flows that are never seen otherwise are slow: another path, not another time"
    TURNS = "as little and as unevenly as on a host that is busy"
    NOISE = "packets at other times are as slow, one here and one there, as on a host that is busy"


@dataclass(frozen=True, slots=True)
class Spike:
    """Packets that all take longer than usual.

    Parameters
    ----------
    packets : NDArray[np.int64]
        Their positions in the direction's arrays, in the order sent.
    from_ns, to_ns : int
        When the first and the last were sent, by the sender's clock.
    by_ns, most_ns : int
        How much longer than usual, median and maximum.
    at_start, at_end : bool
        Whether it includes the first packet, or the last.
    held_back : bool
        Whether they arrive all at once, rather than each later than usual.
    doubt : Doubt
        What else may explain it.
    """

    packets: NDArray[np.int64]
    from_ns: int
    to_ns: int
    by_ns: int
    most_ns: int
    at_start: bool
    at_end: bool
    held_back: bool
    doubt: Doubt


@dataclass(frozen=True, slots=True)
class Series:
    """The fastest packets of a direction's time slots, in the order sent, shape ``(n,)``.

    `packets` are their positions in the direction's arrays. `usual_ns` is the delay of the fast ones; delays
    that exceed it by `slow_ns` are slow.
    """

    packets: NDArray[np.int64]
    sent_ns: NDArray[np.int64]
    delay_ns: NDArray[np.int64]
    usual_ns: int
    slow_ns: int

    def __len__(self) -> int:
        return len(self.packets)


def known(direction: Direction) -> NDArray[np.int64]:
    """Positions of packets with a delay and a certain pairing."""
    return np.flatnonzero((direction.delay_ns != NO_DELAY) & (direction.reason != Reason.AMBIGUOUS))


def series(direction: Direction, clock: Clock) -> Series:
    """Take the fastest packet of each slot."""
    packets = _fastest(direction)
    if len(packets) == 0:
        return Series(packets, packets, packets, 0, _NOISE_NS)
    delay = direction.delay_ns[packets]
    fastest, usual = (int(v) for v in np.percentile(delay, [1, 20]))
    slow = max(_NOISE_NS, _SPREADS * (usual - fastest), 0 if clock.relative else usual // 2)
    return Series(packets, direction.sent_ns(packets), delay, usual, slow)


@once
def _fastest(direction: Direction) -> NDArray[np.int64]:
    """Positions of each slot's fastest packet; found once, and kept as long as the direction."""
    packets = np.empty(len(direction), np.int64)
    index = direction.sender.index
    count = _find_fastest(direction.sent_row, index.time_ns, direction.delay_ns, direction.reason, packets)
    return packets[:count].copy()


@compiled("i4[] i8[] i8[] u1[] i8[]")
def _find_fastest(
    sent_row: NDArray[np.int32],
    time_ns: NDArray[np.int64],
    delay_ns: NDArray[np.int64],
    reason: NDArray[np.uint8],
    packets: NDArray[np.int64],
) -> int:
    """Record the positions, the first of equals, and count them; packets are in the order sent."""
    count, last_slot = 0, np.int64(0)
    for i in range(len(sent_row)):
        if delay_ns[i] == NO_DELAY or reason[i] == _AMBIGUOUS:
            continue
        slot = time_ns[sent_row[i]] // _SLOT_NS
        if count == 0 or slot != last_slot:
            packets[count], last_slot = i, slot
            count += 1
        elif delay_ns[i] < delay_ns[packets[count - 1]]:
            packets[count - 1] = i
    return count


def least_slots(chance: float) -> int:
    """Number of slots with packets needed for a spike among them to stand out against chance."""
    n = 4
    while min(_log_chance(n, k, k) for k in range(1, n // 2 + 1)) >= log(chance):
        n += 1
    return n


def spikes(direction: Direction, back: Direction, clock: Clock, chance: float) -> list[Spike]:
    """Find the runs of slow slots, with the doubts about each.

    Parameters
    ----------
    back : Direction
        The opposite direction.
    chance : float
        The accepted probability that chance alone produces such a run in this direction.
    """
    found = series(direction, clock)
    slow = found.delay_ns > found.usual_ns + found.slow_ns
    edges = np.flatnonzero(np.diff(np.concatenate(([0], slow.astype(np.int8), [0]))))
    total = int(slow.sum())
    runs = [
        slice(first, end)
        for first, end in edges.reshape(-1, 2).tolist()
        if _log_chance(len(found), total, end - first) < log(chance)
    ]
    noise_ns = _noise_ns(found, runs)
    found_ = (_spike(direction, back, clock, found, run) for run in runs)
    return [
        replace(spike, doubt=Doubt.NOISE) if spike.doubt is Doubt.NONE and spike.by_ns <= noise_ns else spike
        for spike in found_
        if spike is not None
    ]


def _noise_ns(found: Series, runs: list[slice]) -> int:
    """How much longer than usual packets outside of all runs take some of the time.

    Counted by time, not by packets: a ping every second reveals a busy host as well as a stream does.
    """
    outside = np.ones(len(found), np.bool_)
    for run in runs:
        outside[run] = False
    if not outside.any():
        return 0
    until_next = np.append(np.diff(found.sent_ns), _SLOT_NS)
    lasting = np.clip(until_next, _SLOT_NS, _LONGEST_WORD_NS)[outside]
    delay = found.delay_ns[outside]
    slowest = np.argsort(-delay, kind="stable")
    slower = np.cumsum(lasting[slowest]) > _NOISE_SHARE * lasting.sum()
    return int(delay[slowest[np.argmax(slower)]]) - found.usual_ns


def _log_chance(n: int, slow: int, length: int) -> float:
    """Logarithm of the bound for a run of this length with slow slots distributed at random."""
    if not 0 < length <= slow < n:
        return 0.0
    log_ways = log_choose(n - length, slow - length) - log_choose(n, slow)
    return min(0.0, log(n - length + 1) + log_ways)


def _spike(direction: Direction, back: Direction, clock: Clock, found: Series, run: slice) -> Spike | None:
    sent, delay = found.sent_ns[run], found.delay_ns[run]
    arrived = sent + delay
    excess = delay - found.usual_ns
    by_ns, most_ns = int(np.median(excess)), int(excess.max())
    duration = int(sent[-1] - sent[0])
    held_back = 2 * int(arrived.max() - arrived.min()) < duration
    if held_back and most_ns < _LEAST_STALL_NS:
        return None
    if not held_back and duration < max(_LEAST_DURATION_NS, by_ns):
        return None
    at_start, at_end = run.start == 0, run.stop == len(found)
    doubt = Doubt.NONE
    if _clock_in_doubt(back, clock, (int(sent[0]), int(sent[-1])), by_ns, edge=at_start or at_end):
        doubt = Doubt.CLOCK
    elif _flows_apart(direction, found, run):
        doubt = Doubt.FLOWS
    elif _more_load(direction, found, run):
        doubt = Doubt.LOAD
    elif by_ns < _TURN_NS and np.subtract(*np.percentile(excess, (75, 25))) > by_ns / 2:
        doubt = Doubt.TURNS
    packets = _slow_within(direction, (int(sent[0]), int(sent[-1])), found.usual_ns + found.slow_ns)
    return Spike(packets, int(sent[0]), int(sent[-1]), by_ns, most_ns, at_start, at_end, held_back, doubt)


def _slow_within(direction: Direction, span_ns: tuple[int, int], limit_ns: int) -> NDArray[np.int64]:
    """All packets sent in a time range that take longer than a limit."""
    packets = known(direction)
    sent = direction.sent_ns(packets)
    chosen = (sent >= span_ns[0]) & (sent <= span_ns[1]) & (direction.delay_ns[packets] > limit_ns)
    return packets[chosen]


def _clock_in_doubt(
    back: Direction, clock: Clock, span_ns: tuple[int, int], by_ns: int, *, edge: bool
) -> bool:
    """Whether the clocks, rather than the path, may have changed.

    One direction alone cannot distinguish a permanent change of delay from a clock that was set. With both,
    the other direction becomes faster by the same amount; delays are never negative, so it falls to 0.
    """
    if clock.relative:
        return edge
    return _near_a_step(clock, span_ns) or _becomes_faster(back, clock, span_ns, by_ns)


def _near_a_step(clock: Clock, span_ns: tuple[int, int]) -> bool:
    starts = [p.from_ns for p in clock.pieces[1:]]
    margin = _LOAD_WINDOW_NS
    # The pieces use the first point's clock; the other one may be far from it, so both are tried.
    shifted = [s + p.offset_ns for s, p in zip(starts, clock.pieces[1:], strict=True)]
    return any(abs(at - edge) < margin for at in (*starts, *shifted) for edge in span_ns)


def _becomes_faster(back: Direction, clock: Clock, span_ns: tuple[int, int], by_ns: int) -> bool:
    other = series(back, clock)
    if len(other) == 0:
        return False
    # Its times are by the other clock, its arrival times by this one.
    arrived = back.received_time_ns[other.packets]
    meanwhile = (arrived >= span_ns[0]) & (arrived <= span_ns[1])
    if meanwhile.sum() < 3 or meanwhile.all():
        return False
    before = float(np.median(other.delay_ns[~meanwhile]))
    return float(np.median(other.delay_ns[meanwhile])) <= max(0.0, before - by_ns / 2)


def _flows_apart(direction: Direction, found: Series, run: slice) -> bool:
    """Whether the slow packets belong to a few flows that are seen at no other time."""
    packets = known(direction)
    flow, sent = direction.flow[packets], direction.sent_ns(packets)
    meanwhile = (sent >= found.sent_ns[run.start]) & (sent <= found.sent_ns[run.stop - 1])
    inside = np.unique(flow[meanwhile])
    return len(inside) <= _FEW_FLOWS and not np.isin(inside, flow[~meanwhile]).any()


def _more_load(direction: Direction, found: Series, run: slice) -> bool:
    """Whether the direction sends more before the slow packets than before nine in ten of the others."""
    sent_ns = direction.time_ns
    total = np.concatenate(([0], np.cumsum(direction.wire_length.astype(np.int64))))
    upto = np.searchsorted(sent_ns, found.sent_ns, side="right")
    since = np.searchsorted(sent_ns, found.sent_ns - _LOAD_WINDOW_NS, side="right")
    load = total[upto] - total[since]
    others = np.concatenate((load[: run.start], load[run.stop :]))
    return len(others) > 0 and float(np.median(load[run])) > 1.5 * float(np.percentile(others, 90))
