"""Find packets that arrive after a later packet of their flow, by how much time, and after how many.

Order is taken from the captures, so their own disorder limits what can be determined. A capture of several
queues stamps its packets out of order, which its file shows: times step back. A packet counts as late only if
its lateness exceeds the disorder of the captures' stamps.

Source: RFC 4737 sections 3.3 (reordered), 4.2 (reordering extent), 4.3 (late time offset).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.model import NO_ROW, Direction, Point, Reason
from vxlanalyze.pairing.sorting import stable_order

# Stamps of a network card's queues are microseconds apart; a larger step back means that the clock was set.
_MOST_DISORDER_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class LatePackets:
    """The `l` late packets of a direction of `m`; arrays have shape ``(l,)`` except for `judged`.

    Parameters
    ----------
    packets : NDArray[np.int64]
        Their positions in the direction's arrays.
    by_ns : NDArray[np.int64]
        Time after the first packet of the flow that was sent later and arrived earlier.
    extent : NDArray[np.int64]
        Packets of the flow that arrived from that one up to this one.
    judged : int
        Packets whose order could be judged: those that arrived and are not ambiguous.
    """

    packets: NDArray[np.int64]
    by_ns: NDArray[np.int64]
    extent: NDArray[np.int64]
    judged: int


@once
def late(direction: Direction) -> LatePackets:
    """Find packets that arrive after a later one of their flow; done once per direction."""
    chosen = np.flatnonzero((direction.received_row != NO_ROW) & (direction.reason != Reason.AMBIGUOUS))
    arrival = direction.received_row[chosen].astype(np.int64) << 16 | direction.received_segment[chosen]
    none = np.empty(0, np.int64)
    if len(chosen) < 2 or (np.diff(arrival) > 0).all():
        return LatePackets(none, none, none, len(chosen))
    judged = len(chosen)
    flow = direction.flow[chosen]
    overtaken = np.zeros(len(direction.sender.flows), np.bool_)
    _mark_overtaken(flow, arrival, np.zeros(len(overtaken), np.int64), overtaken)
    overtaken_ = np.flatnonzero(overtaken[flow])
    overtaken_ = overtaken_[
        stable_order(flow[overtaken_])
    ]  # by flow, then as sent: the arrays are in sent order
    chosen, arrival, flow = chosen[overtaken_], arrival[overtaken_], flow[overtaken_]
    arrived = np.lexsort((arrival, flow))
    # `arrived` lists positions in sent order, flow by flow, so its running maximum never mixes two flows.
    furthest = np.maximum.accumulate(arrived)
    late_ = np.flatnonzero(arrived < furthest)
    overtaker = np.searchsorted(furthest, arrived[late_], side="right")
    time_ns = direction.receiver.index.time_ns[direction.received_row[chosen]]
    by_ns = time_ns[arrived[late_]] - time_ns[arrived[overtaker]]
    sent_ns = direction.sent_ns(chosen)
    gap_ns = sent_ns[arrived[overtaker]] - sent_ns[arrived[late_]]
    real = (by_ns > disorder_ns(direction.receiver)) & (gap_ns >= disorder_ns(direction.sender))
    packets = chosen[arrived[late_[real]]]
    order = np.argsort(packets)
    return LatePackets(packets[order], by_ns[real][order], (late_ - overtaker)[real][order], judged)


@compiled("i4[] i8[] i8[] b1[]")
def _mark_overtaken(
    flow: NDArray[np.int32],
    arrival: NDArray[np.int64],
    furthest: NDArray[np.int64],
    overtaken: NDArray[np.bool_],
) -> None:
    """Mark flows with a packet that arrived before one sent earlier; all are in sent order.

    `furthest`, zeros at first, becomes the latest arrival of each flow.
    """
    for i in range(len(flow)):
        f = flow[i]
        if arrival[i] < furthest[f]:
            overtaken[f] = True
        else:
            furthest[f] = arrival[i]


def disorder_ns(point: Point) -> int:
    """Largest backward step of a capture's time stamps; 0 where there is none."""
    steps = np.diff(point.index.time_ns)
    back = -steps[(steps < 0) & (steps >= -_MOST_DISORDER_NS)]
    return int(back.max()) if len(back) else 0
