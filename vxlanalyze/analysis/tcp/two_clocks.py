"""Packets of two captures in one time: the first point's clock, while both were capturing."""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.tcp.waiting_columns import Captured
from vxlanalyze.pairing.model import Comparison

BOTH = -1  # points that show a connection
_FAR_NS = 1 << 62


def near_time(comparison: Comparison, far_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Convert times of the last point's clock to the first point's, shape kept."""
    for hop in reversed(comparison.hops):
        if hop.clock.pieces:
            far_ns = far_ns - hop.clock.offset_at(far_ns - hop.clock.pieces[0].offset_ns)
    return far_ns


def overlapping(only: NDArray[np.int8], comparison: Comparison, events: list[Captured]) -> list[Captured]:
    """Leave out times covered by one capture only, for connections that both show."""
    window = _common_window(comparison)
    if window is None:
        return events
    kept = []
    for event in events:
        inside = (event.time_ns >= window[0]) & (event.time_ns <= window[1])
        if not inside.all():
            inside |= only[event.stream >> 1] != BOTH
            event = event._replace(
                row=event.row[inside], stream=event.stream[inside], time_ns=event.time_ns[inside]
            )
        kept.append(event)
    return kept


def _common_window(comparison: Comparison) -> tuple[int, int] | None:
    """Give the time that all captures cover, by the first point's clock, plus transit time."""
    forward, backward = comparison.hops[0].forward, comparison.hops[-1].backward
    if forward.window_ns is None or backward.window_ns is None:
        return None
    near = np.array([_bounded(time_ns) for time_ns in forward.window_ns], np.int64)
    far = near_time(comparison, np.array([_bounded(time_ns) for time_ns in backward.window_ns], np.int64))
    start_ns, end_ns = int(max(near[0], far[0])), int(min(near[1], far[1]))
    longest_ns = max(int(d.delay_ns.max(initial=0)) for d in (forward, backward))
    return start_ns - longest_ns, end_ns + longest_ns


def _bounded(time_ns: int) -> int:
    """Clamp a time from a possibly damaged file so that sums with it fit int64."""
    return min(max(time_ns, -_FAR_NS), _FAR_NS)
