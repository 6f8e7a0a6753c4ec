"""The TCP streams of a comparison: their progress where they were sent, and data missing at each point."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.requests.requests import measure
from vxlanalyze.analysis.tcp.tcp_holes import Missing, missing
from vxlanalyze.analysis.tcp.tcp_packets import TcpPackets, tcp_packets
from vxlanalyze.analysis.tcp.tcp_stalls import Progress, progress
from vxlanalyze.pairing.model import Comparison, Direction, Point


class Seen(NamedTuple):
    """What one point saw of all streams.

    `there` are those with readable packets, `partial` those with some unreadable ones; shape ``(t,)``.
    """

    point: Point
    there: NDArray[np.bool_]
    partial: NDArray[np.bool_]
    progress: Progress
    missing: Missing

    @classmethod
    def of(cls, packets: TcpPackets) -> "Seen":
        """Follow the streams of a point; the packets themselves are not kept."""
        there = np.zeros(len(packets.opposite), np.bool_)
        there[packets.stream] = True
        return cls(packets.point, there, packets.partial, progress(packets), missing(packets))


@dataclass(frozen=True, slots=True)
class TcpFigures:
    """Outcomes of the TCP streams that send in one direction, at the point where they are sent.

    `opened` counts connections of this side's clients that were accepted, `reset` streams whose open
    connection was reset, `segments` packets with data as captured, `resent` those sent again.
    """

    streams: int
    opened: int
    reset: int
    stalled: int
    segments: int
    resent: int


@once
def seen(comparison: Comparison) -> tuple[Seen, ...]:
    """Follow the streams at every point; done once, and kept as long as the comparison."""
    packets = tcp_packets(comparison)
    return tuple(Seen.of(packets[point.name]) for point in comparison.points)


@dataclass(frozen=True, eq=False)
class Sent:
    """Streams of one direction at the point where they are sent; `chosen` has shape ``(t,)``.

    `unread` means that there are others whose headers the snap length cuts.
    """

    label: str | None
    point: Point
    chosen: NDArray[np.bool_]
    seen: Seen
    unread: bool

    @property
    def figures(self) -> TcpFigures:
        """Count them."""
        went, chosen = self.seen.progress, self.chosen
        return TcpFigures(
            streams=int(np.count_nonzero(chosen)),
            opened=int(np.count_nonzero(went.opened[chosen])),
            reset=int(np.count_nonzero(went.reset[chosen])),
            stalled=int(np.count_nonzero(went.stalled[chosen])),
            segments=int(went.segments[chosen].sum()),
            resent=int(went.resent[chosen].sum()),
        )


def sent(comparison: Comparison) -> list[Sent]:
    """Give each direction's streams, at the first point that they pass; with one capture, all at its NIC."""
    found = seen(comparison)
    if not comparison.hops:
        return [
            Sent(None, point, each.there, each, bool(each.partial.any()))
            for point, each in zip(comparison.points, found, strict=True)
            if point.name == comparison.captures[point.capture].name
        ]
    directions = (comparison.hops[0].forward, comparison.hops[-1].backward)
    return [_sent(comparison, direction) for direction in directions]


def _sent(comparison: Comparison, direction: Direction) -> Sent:
    place = [p.name for p in comparison.points].index(direction.sender.name)
    each = seen(comparison)[place]
    captures = sorted({p.capture for p in comparison.points})
    tuple_of = measure(comparison).tuples.of_flow[captures.index(direction.sender.capture)]
    used = np.zeros(len(each.there), np.bool_)
    used[tuple_of[direction.flow]] = True
    unread = bool((used & each.partial & ~each.there).any())
    return Sent(direction.label, direction.sender, used & each.there, each, unread)
