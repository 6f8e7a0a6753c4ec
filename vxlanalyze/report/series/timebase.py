"""One time axis for all points: convert times of any point's clock to the first point's."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import Clock, Comparison, Direction, Point
from vxlanalyze.text.times import rfc3339

_NICE_STEPS = (1, 2, 5)


@dataclass(frozen=True)
class Timebase:
    """Maps times to the first point's clock, and to bins shared by all series.

    Parameters
    ----------
    origin_ns : int
        The earliest time at which any point saw a packet, by the first point's clock.
    bin_ns : int
        Width of a bin: 1, 2 or 5 times a power of ten.
    bins : int
        Number of bins.
    """

    comparison: Comparison
    origin_ns: int
    bin_ns: int
    bins: int

    @property
    def start(self) -> str:
        """The origin as RFC 3339 in UTC, with nanoseconds."""
        return rfc3339(self.origin_ns)

    def since_start_ns(self, point: Point, time_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Nanoseconds since the origin of times by a point's clock, shape kept."""
        return to_first_clock(self.comparison, point, time_ns) - self.origin_ns

    def bin_of(self, direction: Direction) -> NDArray[np.int64]:
        """The bin in which each packet of a direction was sent, shape ``(m,)``."""
        elapsed_ns = self.since_start_ns(direction.sender, direction.time_ns)
        return np.clip(elapsed_ns // self.bin_ns, 0, self.bins - 1)


def timebase(comparison: Comparison, most_bins: int) -> Timebase:
    """Create the time axis for everything sent in any direction.

    Few packets get few bins, so that a bin is not merely one packet.
    """
    first_ns, last_ns, packets = [], [], 0
    for direction in comparison.directions:
        if len(direction):
            sent_ns = direction.time_ns
            ends = np.array([sent_ns.min(), sent_ns.max()])
            low_ns, high_ns = to_first_clock(comparison, direction.sender, ends)
            first_ns.append(int(low_ns))
            last_ns.append(int(high_ns))
            packets = max(packets, len(direction))
    if not first_ns:
        return Timebase(comparison, comparison.captures[0].first_ns or 0 if comparison.captures else 0, 1, 1)
    wanted = int(np.clip(4 * np.sqrt(packets), 24, most_bins))
    span_ns = max(last_ns) - min(first_ns) + 1
    bin_ns = nice_at_least(span_ns / wanted)
    return Timebase(comparison, min(first_ns), bin_ns, -(-span_ns // bin_ns))


def to_first_clock(comparison: Comparison, point: Point, time_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Convert times of the clock of `point` to the first point's clock, shape kept.

    Only points between captures have a clock; times of other points are returned as they are.
    """
    for hop in comparison.hops[: _hops_before(comparison, point)][::-1]:
        time_ns = _by_clock_of_sender(hop.clock, time_ns)
    return time_ns


def _hops_before(comparison: Comparison, point: Point) -> int:
    for place, hop in enumerate(comparison.hops):
        if hop.forward.receiver is point:
            return place + 1
    return 0


def _by_clock_of_sender(clock: Clock, time_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    if not clock.pieces:
        return time_ns
    # The offset is a function of the sender's time, which is the unknown. Each iteration improves the result
    # by the factor of the drift: for an hour and 200 ppm, the fourth leaves less than a nanosecond.
    sender_ns = time_ns
    for _ in range(4):
        sender_ns = time_ns - clock.offset_at(sender_ns)
    return sender_ns


def nice_at_least(value: float) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50, ... that is at least `value`."""
    power = 1
    while True:
        for step in _NICE_STEPS:
            if step * power >= value:
                return step * power
        power *= 10
