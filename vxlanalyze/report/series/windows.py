"""Receiver feedback of one TCP flow: acknowledgements as sent, and the end of the advertised window.

Sources: RFC 9293 section 3.8.6; RFC 7323 section 2 (the scale applies if both SYNs have it, but not in SYNs).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import Direction, Point
from vxlanalyze.report.series.model import Cells
from vxlanalyze.report.series.timebase import Timebase
from vxlanalyze.wire.model import WINDOW_MASK, WINDOW_SCALE_SHIFT, Flows
from vxlanalyze.wire.numbers import ACK, RST, SYN

_MOST_SHIFT = 14


class Grid(NamedTuple):
    """Cells of time and of bytes, counted from the first sequence number of the flow."""

    base: Timebase
    first_seq: int
    cell_ns: int
    cell_units: int


def acknowledged(direction: Direction, flow_row: int, grid: Grid, *, far: bool = False) -> Cells:
    """Give the highest acknowledgement at each time cell that has one.

    Parameters
    ----------
    flow_row : int
        A row of the sender's flows.
    far : bool
        At the receiver's point, rather than on arrival at the sender's.
    """
    point = direction.receiver if far else direction.sender
    rows = _answers(point, direction.sender.flows, flow_row)
    return _highest(point, rows, point.index.ack[rows].astype(np.uint32), grid)


def allowed(direction: Direction, flow_row: int, grid: Grid) -> Cells:
    """Give the end of the window advertised to the sender at each time cell that has one.

    Empty if the handshake was not captured, since the scale is then unknown.
    """
    point, flows = direction.sender, direction.sender.flows
    index, rows = point.index, _answers(point, flows, flow_row)
    shift = _shift(point, flows, flow_row, rows)
    if shift is None:
        return {"time": [], "position": []}
    syn = index.tcp_flags[rows] & SYN != 0
    octets = (index.window[rows].astype(np.int64) & WINDOW_MASK) << np.where(syn, 0, shift)
    return _highest(point, rows, (index.ack[rows] + octets).astype(np.uint32), grid)


def _shift(point: Point, flows: Flows, flow_row: int, answers: NDArray[np.int64]) -> int | None:
    """Give the scale of the answering end; None if one of the SYNs is not in the capture."""
    index = point.index
    own = np.flatnonzero(np.isin(index.flow, _like(flows, flow_row, flows, reverse=False)))
    scales = []
    for rows in (answers, own):
        opening = rows[index.tcp_flags[rows] & SYN != 0]
        if len(opening) == 0:
            return None
        scales.append((int(index.window[opening[0]]) >> WINDOW_SCALE_SHIFT) - 1)
    return min(scales[0], _MOST_SHIFT) if min(scales) >= 0 else 0


def _answers(point: Point, flows: Flows, flow_row: int) -> NDArray[np.int64]:
    """Give the rows at a point that acknowledge a flow."""
    index = point.index
    rows = np.flatnonzero(np.isin(index.flow, _like(flows, flow_row, point.flows, reverse=True)))
    flags = index.tcp_flags[rows]
    return rows[(flags & ACK != 0) & (flags & RST == 0)]


def _highest(point: Point, rows: NDArray[np.int64], values: NDArray[np.uint32], grid: Grid) -> Cells:
    """Give the highest value so far at each time cell that has one."""
    if len(rows) == 0:
        return {"time": [], "position": []}
    column = grid.base.since_start_ns(point, point.index.time_ns[rows]) // grid.cell_ns
    ahead = (values - np.uint32(grid.first_seq)).astype(np.int32)[:1].astype(np.int64)
    steps = np.diff(values).astype(np.int32).astype(np.int64)
    position = np.cumsum(np.concatenate((ahead, steps)))
    columns, place = np.unique(column, return_inverse=True)
    highest = np.full(len(columns), position[0])
    np.maximum.at(highest, place.reshape(-1), position)
    return {
        "time": columns.tolist(),
        "position": (np.maximum.accumulate(highest) // grid.cell_units).tolist(),
    }


def _like(flows: Flows, row: int, within: Flows, *, reverse: bool) -> NDArray[np.int64]:
    """Give the rows of a capture's flows with the 5-tuple of another flow, or its opposite."""
    source, target = ("dst", "src") if reverse else ("src", "dst")
    sport, dport = ("dport", "sport") if reverse else ("sport", "dport")
    same = (within.protocol == flows.protocol[row]) & (within.family == flows.family[row])
    ports = (within.sport == getattr(flows, sport)[row]) & (within.dport == getattr(flows, dport)[row])
    ends = (within.src == getattr(flows, source)[row]).all(axis=1)
    ends &= (within.dst == getattr(flows, target)[row]).all(axis=1)
    return np.flatnonzero(same & ports & ends)
