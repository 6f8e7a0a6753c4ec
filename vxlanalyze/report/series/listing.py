"""Readable tables, bounded in length: the most affected flows and the first lost packets."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import Comparison, Direction, Outcome
from vxlanalyze.report.series.conversations import describe_columns, group_flows, nullable
from vxlanalyze.report.series.model import FlowList, LostList
from vxlanalyze.report.series.packed import pack
from vxlanalyze.report.series.timebase import Timebase
from vxlanalyze.wire.protocols import TCP

MOST_FLOWS = 100_000
MOST_LOST = 50_000
_TCP_FLAGS = "FSRPAUEC"
_FLOW_COLUMNS = (
    *("sent", "delivered", "lost", "unknown", "bytes"),
    *("largest_delivered", "smallest_lost", "first_frame", "first_lost_frame"),
)
_NONE = -1  # represents null


def flow_list(comparison: Comparison) -> FlowList:
    """List the flows of all directions, those with the most losses first.

    At most `MOST_FLOWS`.
    """
    parts = [(d, _flow_figures(d)) for d in comparison.directions if len(d)]
    if not parts:
        return {"total": 0, "table": pack({})}
    figures = {name: np.concatenate([part[name] for _, part in parts]) for name in _FLOW_COLUMNS}
    total = len(figures["sent"])
    worst = np.lexsort((np.arange(total), -figures["sent"], -figures["lost"]))[:MOST_FLOWS]
    who = _joined([describe_columns(direction, part["flow_row"]) for direction, part in parts])
    columns: dict[str, list[Any]] = {
        name: [values[i] for i in worst.tolist()] for name, values in who.items()
    }
    for name, values in figures.items():
        columns[name] = nullable(values[worst], values[worst] != _NONE)
    return {"total": total, "table": pack(columns)}


def _joined(parts: Sequence[Mapping[str, Sequence[Any]]]) -> dict[str, list[Any]]:
    """Concatenate tables with the same columns."""
    return {name: [value for part in parts for value in part[name]] for name in parts[0]} if parts else {}


def _flow_figures(direction: Direction) -> dict[str, NDArray[np.int64]]:
    group_of_row, first = group_flows(direction.sender.flows)
    group = group_of_row[direction.flow]
    seen, group = np.unique(group, return_inverse=True)
    k = len(seen)
    counts = np.bincount(group * len(Outcome) + direction.outcome, minlength=k * len(Outcome))
    counts = counts.reshape(k, len(Outcome))
    lengths = direction.wire_length.astype(np.int64)
    largest = np.full(k, _NONE)
    np.maximum.at(largest, group[direction.delivered], lengths[direction.delivered])
    smallest = np.full(k, np.iinfo(np.int64).max)
    np.minimum.at(smallest, group[direction.lost], lengths[direction.lost])
    return {
        "flow_row": first[seen],
        "sent": counts.sum(axis=1),
        "delivered": counts[:, Outcome.DELIVERED],
        "lost": counts[:, Outcome.LOST],
        "unknown": counts[:, Outcome.UNKNOWN],
        "bytes": np.bincount(group, weights=direction.length, minlength=k).astype(np.int64),
        "largest_delivered": largest,
        "smallest_lost": np.where(counts[:, Outcome.LOST] > 0, smallest, _NONE),
        "first_frame": _first_frame(direction, group, k, np.ones(len(direction), bool)),
        "first_lost_frame": _first_frame(direction, group, k, direction.lost),
    }


def _first_frame(
    direction: Direction, group: NDArray[np.int64], k: int, chosen: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Number of the first chosen frame of each group, shape ``(k,)``; -1 where there is none."""
    result = np.full(k, _NONE)
    rows = np.flatnonzero(chosen)[::-1]  # backwards, so that the first one is written last
    result[group[rows]] = direction.sender.frame(direction.sent_row[rows])
    return result


def lost_list(comparison: Comparison, base: Timebase) -> LostList:
    """List the first lost packets of each direction.

    At most `MOST_LOST`, divided among the directions.
    """
    losing = [d for d in comparison.directions if d.lost.any()]
    parts: list[dict[str, list[Any]]] = []
    left = MOST_LOST
    for place, direction in enumerate(losing):
        chosen = np.flatnonzero(direction.lost)[: left // (len(losing) - place)]
        left -= len(chosen)
        parts.append(_lost_columns(direction, base, chosen))
    total = sum(int(np.count_nonzero(d.lost)) for d in losing)
    return {"start": base.start, "total": total, "table": pack(_joined(parts))}


def _lost_columns(direction: Direction, base: Timebase, chosen: NDArray[np.int64]) -> dict[str, list[Any]]:
    flow = direction.flow[chosen].astype(np.int64)
    rows = direction.sent_row[chosen]
    is_tcp = direction.sender.flows.protocol[flow] == TCP
    flags = nullable(direction.sender.index.tcp_flags[rows], is_tcp)
    return {
        **describe_columns(direction, flow),
        "time_ns": base.since_start_ns(direction.sender, direction.time_ns[chosen]).tolist(),
        "frame": direction.sender.frame(rows).tolist(),
        "segment": direction.segment[chosen].tolist(),
        "length": direction.length[chosen].tolist(),
        "wire_length": direction.wire_length[chosen].tolist(),
        "seq": nullable(direction.seq[chosen], is_tcp),
        "flags": [None if bits is None else tcp_flags(bits) for bits in flags],
    }


def tcp_flags(bits: int) -> str:
    """TCP flags as letters, as in Wireshark: ``SA`` for SYN and ACK."""
    return "".join(letter for i, letter in enumerate(_TCP_FLAGS) if bits >> i & 1) or "-"
