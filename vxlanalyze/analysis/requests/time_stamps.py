"""TCP time stamps of SYNs, and whether a server ignores those older than one it accepted.

A receiver that keeps one time stamp for each peer address (PAWS with TIME_WAIT recycling) discards SYNs whose
time stamp is below it. Clients that share one address through masquerading each have their own clock, so
those with lower values are ignored while another is active.

Sources: RFC 7323 sections 3.2 and 5; Linux ip-sysctl, tcp_tw_recycle (removed in 4.12).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.statistics import fisher
from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.wire.rows import columns

NO_STAMP = -1
_TIME_STAMPS, _NOTHING, _END = 8, 1, 0
_TICKS_PER_S = 1000  # the fastest clock of RFC 7323 section 5.4
_CIRCLE = 1 << 32
_MOST_CLOCKS, _LEAST_OF_CLOCK = 8, 3
_LEAST_HEADER_BYTES, _MOST_HEADER_BYTES = 20, 60


class Older(NamedTuple):
    """Numbers of (un)answered SYNs with a time stamp below an accepted one, and of the others."""

    older_unanswered: int
    older_answered: int
    newer_unanswered: int
    newer_answered: int
    chance: float  # probability of such a split by chance alone


class Clocks(NamedTuple):
    """SYNs from several clocks: numbers of (un)answered ones from ignored clocks, and from the others."""

    ignored_unanswered: int
    ignored_answered: int
    other_unanswered: int
    other_answered: int
    chance: float  # probability of such a split by chance alone
    clocks: int
    ignored: int


def stamps(pair: Comparison, point: Point, rows: NDArray[np.int32]) -> NDArray[np.int64]:
    """Read the time stamp value of some TCP packets, shape of `rows`; NO_STAMP where there is none."""
    source = pair.captures[point.capture].source
    frames = source.fetch(point.index.place[rows])
    found = columns(frames, source.interfaces, ports=pair.ports)
    ends = zip(found["payload_start"].tolist(), frames.start.tolist(), strict=True)
    values = [
        _stamp(frames.data[max(first, end - _MOST_HEADER_BYTES) : end].tobytes()) for end, first in ends
    ]
    return np.array(values, np.int64)


def _stamp(tail: bytes) -> int:
    """Read the option from the bytes that end with a TCP header."""
    for size in range(_LEAST_HEADER_BYTES, min(len(tail), _MOST_HEADER_BYTES) + 1, 4):
        header = tail[-size:]
        if header[12] >> 4 == size // 4:
            value = _option(header[_LEAST_HEADER_BYTES:])
            if value != NO_STAMP:
                return value
    return NO_STAMP


def _option(options: bytes) -> int:
    at = 0
    while at + 1 < len(options) and options[at] != _END:
        if options[at] == _NOTHING:
            at += 1
            continue
        if options[at] == _TIME_STAMPS and options[at + 1] == 10 and at + 10 <= len(options):
            return int.from_bytes(options[at + 2 : at + 6])
        if options[at + 1] < 2:
            break
        at += options[at + 1]
    return NO_STAMP


def _later(one: int, other: int) -> int:
    """How much later one time stamp is than the other, modulo 2**32 (RFC 7323 section 5.2)."""
    return ((one - other + 0x80000000) & 0xFFFFFFFF) - 0x80000000


def older(value: NDArray[np.int64], answered: NDArray[np.bool_]) -> Older:
    """Divide SYNs, in time order, by whether an earlier accepted one had a higher time stamp."""
    counts = np.zeros((2, 2), np.int64)
    highest = NO_STAMP
    for stamp, ok in zip(value.tolist(), answered.tolist(), strict=True):
        if stamp == NO_STAMP:
            continue
        below = highest != NO_STAMP and _later(stamp, highest) < 0
        counts[int(below), int(ok)] += 1
        if ok and (highest == NO_STAMP or _later(stamp, highest) > 0):
            highest = stamp
    (newer_un, newer_ok), (older_un, older_ok) = counts.tolist()
    return Older(
        older_un, older_ok, newer_un, newer_ok, fisher.chance(older_un, older_ok, newer_un, newer_ok)
    )


def clocks(
    time_ns: NDArray[np.int64], value: NDArray[np.int64], answered: NDArray[np.bool_]
) -> Clocks | None:
    """Divide SYNs by the clocks of their time stamps; None where these are not just a few.

    Clocks are further apart on the circle of 2**32 than any can have ticked meanwhile. Those with mostly
    unanswered SYNs are the ignored ones.
    """
    stamped = value != NO_STAMP
    value, answered = value[stamped], answered[stamped]
    if len(value) < 2:
        return None
    span = int(np.ptp(time_ns[stamped])) * _TICKS_PER_S // 1_000_000_000 + 2 * _TICKS_PER_S
    ordered = np.sort(value)
    ends = ordered[np.diff(np.append(ordered, ordered[0] + _CIRCLE)) > 2 * span]
    count = len(ends)
    if not 2 <= count <= min(_MOST_CLOCKS, len(value) // _LEAST_OF_CLOCK):
        return None
    clock = np.searchsorted(ends, value) % count
    dead, alive = (np.bincount(clock, mask, count) for mask in (~answered, answered))
    quiet = dead > alive
    (silent, odd), (left, fine) = ((int(dead[g].sum()), int(alive[g].sum())) for g in (quiet, ~quiet))
    chance = min(1.0, 2 ** (count - 1) * fisher.chance(silent, odd, left, fine))
    return Clocks(silent, odd, left, fine, chance, count, int(quiet.sum()))
