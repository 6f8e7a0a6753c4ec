"""The sequence picture of one flow: how far it came, when, and what was lost on the way."""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.report.series.conversations import TCP, describe, group_flows
from vxlanalyze.report.series.model import Cells, Sequence
from vxlanalyze.report.series.timebase import Timebase, nice_at_least
from vxlanalyze.wire.model import Flows

MOST_CELLS = 1500
_COLUMNS, _ROWS = 400, 300
_ACKNOWLEDGING = 0x10


def worst_flow(comparison: Comparison) -> tuple[Direction, int] | None:
    """The direction and flow row (of its sender) that lost most; the busiest where nothing was lost."""
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
        A row of the sender's flows; all rows of the same 5-tuple and VNI are taken together.

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
    acknowledged: Cells = {"time": [], "position": []}
    if tcp:
        first_seq = int(direction.seq[chosen][int(np.argmin(position))])
        acknowledged = _acknowledged(direction, flow_row, first_seq, base, cell_ns, cell_units)
    return {
        "flow": describe(direction, np.array([flow_row]))[0],
        "start": base.start,
        "unit": "bytes" if tcp else "packets",
        "packets": len(chosen),
        "lost": int(np.count_nonzero(lost)),
        "cell_ns": cell_ns,
        "cell_units": cell_units,
        "delivered": delivered_cells,
        "lost_cells": lost_cells,
        "acknowledged": acknowledged,
    }


def _unwrapped(seq: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Sequence numbers on a line that does not wrap at 2**32 (RFC 9293 section 3.4)."""
    steps = np.diff(seq).astype(np.int32).astype(np.int64)
    return np.concatenate(([0], np.cumsum(steps)))


def _cells(column: NDArray[np.int64], row: NDArray[np.int64], chosen: NDArray[np.bool_], first: int) -> Cells:
    """Cells that hold something; columns are counted from `first`, the flow's own beginning."""
    # Both fit into half of 64 bits: there are some hundred columns and rows.
    distinct = np.unique(column[chosen] << 32 | row[chosen])
    return {"time": ((distinct >> 32) + first).tolist(), "position": (distinct & 0xFFFFFFFF).tolist()}


def _acknowledged(
    direction: Direction, flow_row: int, first_seq: int, base: Timebase, cell_ns: int, cell_units: int
) -> Cells:
    """The highest acknowledgement that the sender had seen at each cell of time that brought one."""
    index = direction.sender.index
    answering = _reverse_rows(direction.sender.flows, flow_row)
    rows = np.flatnonzero(np.isin(index.flow, answering) & (index.tcp_flags & _ACKNOWLEDGING != 0))
    if len(rows) == 0:
        return {"time": [], "position": []}
    column = base.since_start_ns(direction.sender, index.time_ns[rows]) // cell_ns
    first_ahead = int((index.ack[rows[:1]] - np.uint32(first_seq)).astype(np.int32)[0])
    ahead = _unwrapped(index.ack[rows]) + first_ahead
    columns, place = np.unique(column, return_inverse=True)
    highest = np.zeros(len(columns), dtype=np.int64)
    np.maximum.at(highest, place, ahead)
    return {"time": columns.tolist(), "position": (np.maximum.accumulate(highest) // cell_units).tolist()}


def _reverse_rows(flows: Flows, row: int) -> NDArray[np.int64]:
    same = (flows.protocol == flows.protocol[row]) & (flows.family == flows.family[row])
    ports = (flows.sport == flows.dport[row]) & (flows.dport == flows.sport[row])
    ends = (flows.src == flows.dst[row]).all(axis=1) & (flows.dst == flows.src[row]).all(axis=1)
    return np.flatnonzero(same & ports & ends)
