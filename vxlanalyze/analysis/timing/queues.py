"""Queues that a direction fills itself: delay that grows with the load.

A packet in the queue of a link with rate `R` waits for the packets ahead of it: if it takes `e` longer than
the fastest, ``R * e`` bits of its direction arrive in the meantime, whatever was sent. So the quotient of the
two is the same for all packets, and it is the rate of the link. A path that became longer shows the sending
rate instead; so the rate must also have been exceeded before, and not be reached where nothing waits.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.timing import delays
from vxlanalyze.pairing.model import Clock, Direction

_MS = 1_000_000
# Half of the one-way delay that ITU-T G.114 allows for speech, and twenty times what queues should hold (RFC
# 8289: 5 ms).
LEAST_NS = 100 * _MS
_LEAST_LASTING_NS = 500 * _MS
_SLOT_NS = 10 * _MS
_RATE_WINDOW_NS = 200 * _MS
_MOST_MEASURED = 4_000
_SPREAD = 0.25  # interquartile range of the quotients relative to their median
_FASTER, _SLOWER = 1.2, 0.85  # of the link's rate: sent before the queue grew; sent where nothing waits
_BULK_SHARE = 0.1  # a flow with at least this share of the waiting bytes fills the queue


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue of one direction.

    Parameters
    ----------
    packets : NDArray[np.int64]
        Positions of the packets that waited `LEAST_NS` or longer.
    waited_ns : NDArray[np.int64]
        How much longer than the fastest each took.
    bits_per_s, sent_bits_per_s : float
        Rate at which the queue drains, and the most that was sent within 200 ms.
    floor_ns : int
        Delay of the fastest packets.
    lasting_ns : int
        How long packets kept waiting.
    bulk : NDArray[np.int64]
        Flows that fill it, those with the most bytes first.
    others : NDArray[np.bool_]
        Which of the packets belong to other flows, shape of `packets`.
    """

    packets: NDArray[np.int64]
    waited_ns: NDArray[np.int64]
    bits_per_s: float
    sent_bits_per_s: float
    floor_ns: int
    lasting_ns: int
    bulk: NDArray[np.int64]
    others: NDArray[np.bool_]


def queue(direction: Direction, clock: Clock) -> Queue | None:
    """Find the queue that a direction fills; None where packets do not wait, or for something else."""
    slots = delays.series(direction, clock)
    if len(slots) == 0:
        return None
    floor_ns = int(np.percentile(slots.delay_ns, 1))
    until_next = np.clip(np.diff(slots.sent_ns, append=slots.sent_ns[-1]), _SLOT_NS, LEAST_NS)
    lasting_ns = int(until_next[slots.delay_ns - floor_ns >= LEAST_NS].sum())
    if lasting_ns < _LEAST_LASTING_NS:
        return None
    packets = delays.known(direction)
    waited = direction.delay_ns[packets] - floor_ns
    slow = waited >= LEAST_NS
    rates = _rates(direction, packets, floor_ns, np.flatnonzero(slow))
    low, rate, high = np.percentile(rates, (25, 50, 75))
    sent = _sent_rates(direction)
    if rate <= 0 or high - low > _SPREAD * rate or sent.max() < _FASTER * rate:
        return None
    quiet = sent[packets[waited < LEAST_NS // 10]]
    if len(quiet) == 0 or np.median(quiet) > _SLOWER * rate:
        return None
    packets = packets[slow]
    flow = direction.flow[packets]
    of_flow = np.bincount(flow, direction.wire_length[packets])
    bulk = np.flatnonzero(of_flow >= _BULK_SHARE * of_flow.sum())
    bulk = bulk[np.argsort(-of_flow[bulk], kind="stable")]
    return Queue(
        packets,
        waited[slow],
        float(rate),
        float(sent.max()),
        floor_ns,
        lasting_ns,
        bulk,
        ~np.isin(flow, bulk),
    )


def _rates(
    direction: Direction, packets: NDArray[np.int64], floor_ns: int, slow: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Give the bits per second that arrived while some of the slow packets waited."""
    sent, delay = direction.sent_ns(packets), direction.delay_ns[packets]
    arrived = sent + delay
    order = np.argsort(arrived, kind="stable")
    total = np.concatenate(([0], np.cumsum(direction.wire_length[packets][order].astype(np.int64))))
    times = arrived[order]
    some = slow[:: max(1, len(slow) // _MOST_MEASURED)]
    ahead = (
        total[np.searchsorted(times, arrived[some], side="right")]
        - total[np.searchsorted(times, sent[some] + floor_ns, side="right")]
    )
    return np.asarray(8e9 * ahead / (delay[some] - floor_ns))


def _sent_rates(direction: Direction) -> NDArray[np.float64]:
    """Give for each packet the bits per second sent in the 200 ms up to it."""
    times = direction.time_ns
    total = np.concatenate(([0], np.cumsum(direction.wire_length.astype(np.int64))))
    upto = np.searchsorted(times, times, side="right")
    since = np.searchsorted(times, times - _RATE_WINDOW_NS, side="right")
    return np.asarray(8e9 * (total[upto] - total[since]) / _RATE_WINDOW_NS)
