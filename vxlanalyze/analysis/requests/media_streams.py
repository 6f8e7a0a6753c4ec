"""Conversations of datagrams in which both ends send at a steady pace, whatever the other one does.

A call is the common one: each end sends a packet of voice every 10 to 60 ms (RFC 3551 section 4.2). Its
packets alternate with those of the other end as requests and responses do, yet none expects another. Where
the first packet of one end follows that of the other at once, at any observation point, they may be
responses. One end that goes on at such a pace for long without hearing anything does not wait for any.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests.request_events import RequestKind, kinds
from vxlanalyze.kernels.arrays import F64, I32, I64, Bools
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.pairing.numbered import NO_TUPLE, Tuples

_LEAST_GAPS, _LEAST_ALONE = 24, 99
_LONGEST_GAP_NS = 100_000_000
_STEADY = 0.35  # standard deviation of the gaps by their mean; 1 for packets at random times
_AT_ONCE = 0.1  # of a gap


class _Pace(NamedTuple):
    """Gaps between the packets of each tuple, shape ``(t,)``, with their sum and squares; first, last."""

    gaps: I64
    sum_ns: F64
    squares: F64
    first_ns: I64
    last_ns: I64

    @classmethod
    def of(cls, size: int) -> "_Pace":
        """Start with no packets."""
        gaps, first_ns, last_ns = np.zeros((3, size), np.int64)
        sum_ns, squares = np.zeros((2, size))
        return cls(gaps, sum_ns, squares, first_ns, last_ns)

    def mean_ns(self) -> NDArray[np.float64]:
        """Mean gap."""
        return self.sum_ns / np.maximum(self.gaps, 1)

    def steady(self) -> NDArray[np.bool_]:
        """Tuples with a steady pace."""
        mean = self.mean_ns()
        variance = self.squares / np.maximum(self.gaps, 1) - mean**2
        enough = (self.gaps >= _LEAST_GAPS) & (mean > 0) & (mean <= _LONGEST_GAP_NS)
        result: NDArray[np.bool_] = enough & (variance <= (_STEADY * mean) ** 2)
        return result


def steady_streams(
    comparison: Comparison, numbered: Tuples, tuples_of: dict[int, NDArray[np.int32]]
) -> Bools:
    """Tuples of such conversations, shape ``(t,)``."""
    size = len(numbered) + 1  # the last for NO_TUPLE
    back = np.append(numbered.answer, NO_TUPLE)
    mutual, responding, alone, answered = (np.zeros(size, np.bool_) for _ in range(4))
    for point in {p.capture: p for p in comparison.points}.values():
        udp = kinds(point) == RequestKind.UDP
        if not udp.any():
            continue
        pace = _Pace.of(size)
        _follow(point.index.flow, point.index.time_ns, udp, tuples_of[point.capture], pace)
        steady, heard = pace.steady(), (back != NO_TUPLE) & (pace.first_ns[back] != 0)
        both = heard & steady & steady[back]
        mutual |= both
        responding |= both & (np.abs(pace.first_ns - pace.first_ns[back]) < _AT_ONCE * pace.mean_ns())
        alone |= steady & (pace.gaps >= _LEAST_ALONE)
        answered |= heard
    result: Bools = (mutual & ~responding) | (alone & ~answered)
    return result[:-1]


@compiled("i4[] i8[] b1[] i4[] _Pace(i8[] f8[] f8[] i8[] i8[])")
def _follow(flow_of: I32, time_ns: I64, udp: Bools, tuple_of: I32, pace: _Pace) -> None:
    """Add up the gaps between packets of each tuple of UDP flows."""
    for row in range(len(flow_of)):
        flow = flow_of[row]
        if flow < 0 or not udp[flow]:
            continue
        this = tuple_of[flow]
        if pace.last_ns[this] == 0:
            pace.first_ns[this] = time_ns[row]
        else:
            gap_ns = np.float64(time_ns[row] - pace.last_ns[this])
            pace.gaps[this] += 1
            pace.sum_ns[this] += gap_ns
            pace.squares[this] += gap_ns * gap_ns
        pace.last_ns[this] = time_ns[row]
