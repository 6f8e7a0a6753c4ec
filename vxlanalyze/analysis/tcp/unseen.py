"""What captures do not show of TCP connections, which leaves their limits undecided."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.finding import NotAssessed
from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.requests.requests import measure
from vxlanalyze.analysis.tcp.connections import Connections, connections
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.pairing.sorting import present
from vxlanalyze.text.words import count
from vxlanalyze.wire import protocols
from vxlanalyze.wire.model import Anomaly

_MS = 1_000_000
_STAMPS_LOOKED_AT = 1_000


def not_followed(pair: Comparison, code: str) -> Iterator[NotAssessed]:
    """Name the directions with connections whose TCP headers the snap length cuts."""
    for direction, number in _cut(pair):
        which = count(number, "connection")
        why = f"the snap length cuts the TCP headers of {which}: windows and turns are not known"
        yield NotAssessed(code, why, direction)


@once
def _cut(pair: Comparison) -> tuple[tuple[str | None, int], ...]:
    """Count, for each direction, the streams with cut headers that are not followed."""
    found = connections(pair)
    followed = np.empty(0, np.int32) if found is None else found.stream[found.stream >= 0]
    hidden: list[tuple[str | None, int]] = []
    for label, point, own in _sides(pair):
        cut = np.setdiff1d(_with_cut_headers(pair)[point.name], followed)
        number = len(cut if own is None else np.intersect1d(cut, own))
        if number:
            hidden.append((label, number))
    return tuple(hidden)


def handshake_is_cut(pair: Comparison, found: Connections, stream: int) -> bool:
    """Whether the snap length cuts headers of a followed connection: those with the most options."""
    mine = found.stream[[stream & ~1, stream | 1]]
    return any(np.isin(mine, _with_cut_headers(pair)[point.name]).any() for point in found.points)


def coarse_clock(pair: Comparison, found: Connections) -> str | None:
    """Name a point whose time stamps are whole milliseconds; None where there is none."""
    for point in found.points:
        stamps = point.index.time_ns[:_STAMPS_LOOKED_AT]
        if len(stamps) and not (stamps % _MS).any():
            return point.name
    return None


def _sides(pair: Comparison) -> Iterator[tuple[str | None, Point, NDArray[np.int32] | None]]:
    """Give label, point nearest the sender, and 5-tuples of both directions; with one capture, its own."""
    if not pair.hops:
        for point in pair.points[:1]:
            yield None, point, None
        return
    for direction in (pair.hops[0].forward, pair.hops[-1].backward):
        yield direction.label, direction.sender, _tuples(pair, direction)


def _tuples(pair: Comparison, direction: Direction) -> NDArray[np.int32]:
    used = present(direction.flow)
    return _tuple_of(pair, direction.sender)[used[used >= 0]]


def _tuple_of(pair: Comparison, point: Point) -> NDArray[np.int32]:
    captures = sorted({p.capture for p in pair.points})
    return measure(pair).tuples.of_flow[captures.index(point.capture)]


@once
def _with_cut_headers(pair: Comparison) -> dict[str, NDArray[np.int32]]:
    """Give the 5-tuples of the TCP packets at each point whose headers are cut, each once."""
    return {point.name: _cut_at(pair, point) for point in pair.points}


def _cut_at(pair: Comparison, point: Point) -> NDArray[np.int32]:
    index, flows = point.index, point.flows
    rows = np.flatnonzero(index.anomalies & Anomaly.HEADER_CUT.value)
    flow = index.flow[rows]
    flow = flow[flow >= 0]
    return np.unique(_tuple_of(pair, point)[flow[flows.protocol[flow] == protocols.TCP]])
