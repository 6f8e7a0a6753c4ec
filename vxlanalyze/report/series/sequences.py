"""The sequence plot of one flow: its progress over time, and what was lost on the path."""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.tcp import waiting_columns as at
from vxlanalyze.analysis.tcp.connections import NEAR
from vxlanalyze.analysis.tcp.division import division
from vxlanalyze.analysis.tcp.two_clocks import BOTH
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.pairing.sorting import present
from vxlanalyze.report.series import windows
from vxlanalyze.report.series.conversations import describe, group_flows
from vxlanalyze.report.series.model import Cells, Sequence
from vxlanalyze.report.series.timebase import Timebase, nice_at_least
from vxlanalyze.report.series.windows import Grid
from vxlanalyze.wire.protocols import TCP

MOST_CELLS = 1500
MOST_SLOW = 2
LEAST_GAIN_NS = 300_000_000  # a connection that is not noticeably slow needs no plot
_COLUMNS, _ROWS = 400, 300


def worst_flow(comparison: Comparison) -> tuple[Direction, int] | None:
    """The direction and flow row (of its sender) with the most losses; without losses, the busiest."""
    best: tuple[tuple[int, int], Direction, int] | None = None
    for direction in comparison.directions:
        if len(direction) == 0:
            continue
        group, first = group_flows(direction.sender.flows)
        of_packet = group[direction.flow]
        sent = np.bincount(of_packet, minlength=len(first))
        lost = np.bincount(of_packet[direction.lost], minlength=len(first))
        worst = int(np.lexsort((sent, lost))[-1])
        rank = (int(lost[worst]), int(sent[worst]))
        if best is None or rank > best[0]:
            best = rank, direction, int(first[worst])
    return None if best is None else best[1:]


def sequence(direction: Direction, flow_row: int, base: Timebase) -> Sequence:
    """Draw one flow as cells of time and position.

    Parameters
    ----------
    flow_row : int
        A row of the sender's flows; all rows with the same 5-tuple and VNI are combined.

    """
    flows = direction.sender.flows
    group, _ = group_flows(flows)
    chosen = np.flatnonzero((group == group[flow_row])[direction.flow])
    time_ns = base.since_start_ns(direction.sender, direction.time_ns[chosen])
    tcp = bool(flows.protocol[flow_row] == TCP)
    position = _unwrapped(direction.seq[chosen]) if tcp else np.arange(len(chosen), dtype=np.int64)
    low = int(position.min())
    lost = direction.lost[chosen]
    begin_ns = int(time_ns.min())
    cell_ns = nice_at_least((int(time_ns.max()) + 1 - begin_ns) / _COLUMNS)
    cell_units = nice_at_least((int(position.max()) + 1 - low) / _ROWS)
    while True:
        first, row = begin_ns // cell_ns, (position - low) // cell_units
        column = time_ns // cell_ns - first
        delivered_cells, lost_cells = _cells(column, row, ~lost, first), _cells(column, row, lost, first)
        if max(len(delivered_cells["time"]), len(lost_cells["time"])) <= MOST_CELLS:
            break
        cell_ns, cell_units = nice_at_least(cell_ns + 1), nice_at_least(cell_units + 1)
    drawn: Sequence = {
        "flow": describe(direction, np.array([flow_row]))[0],
        "start": base.start,
        "unit": "bytes" if tcp else "packets",
        "packets": len(chosen),
        "lost": int(np.count_nonzero(lost)),
        "cell_ns": cell_ns,
        "cell_units": cell_units,
        "delivered": delivered_cells,
        "lost_cells": lost_cells,
        "acknowledged": {"time": [], "position": []},
    }
    if tcp:
        grid = Grid(base, int(direction.seq[chosen][int(np.argmin(position))]), cell_ns, cell_units)
        drawn["acknowledged"] = windows.acknowledged(direction, flow_row, grid)
        drawn["acknowledged_far"] = windows.acknowledged(direction, flow_row, grid, far=True)
        drawn["allowed"] = windows.allowed(direction, flow_row, grid)
    return drawn


def _unwrapped(seq: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Sequence numbers on a line that does not wrap at 2**32 (RFC 9293 section 3.4)."""
    steps = np.diff(seq).astype(np.int32).astype(np.int64)
    return np.concatenate(([0], np.cumsum(steps)))


def _cells(column: NDArray[np.int64], row: NDArray[np.int64], chosen: NDArray[np.bool_], first: int) -> Cells:
    """Non-empty cells; columns are counted from `first`, the flow's own beginning."""
    # Both fit into 32 bits: there are a few hundred columns and rows.
    distinct = np.unique(column[chosen] << 32 | row[chosen])
    return {"time": ((distinct >> 32) + first).tolist(), "position": (distinct & 0xFFFFFFFF).tolist()}


def slow_flows(comparison: Comparison) -> list[tuple[Direction, int]]:
    """Give the main data flows of the connections with the most to gain, the worst first."""
    found = division(comparison)
    if found is None or not comparison.hops:
        return []
    followed, chosen = found.connections, []
    for connection in found.worst(MOST_SLOW):
        if found.gain_ns[connection] < LEAST_GAIN_NS or followed.only[connection] != BOTH:
            continue
        stream = 2 * connection + int(
            np.argmax(followed.figures[2 * connection : 2 * connection + 2, at.BYTES])
        )
        near = followed.home[stream] == NEAR
        direction = comparison.hops[0].forward if near else comparison.hops[-1].backward
        tuple_of = followed.tuple_of_flow[followed.home[stream]]
        rows = present(direction.flow)
        rows = rows[tuple_of[rows] == followed.stream[stream]]
        chosen += [(direction, int(row)) for row in rows[:1]]
    return chosen
