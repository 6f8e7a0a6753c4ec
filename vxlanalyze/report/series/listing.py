"""Tables for reading: the flows that suffer most and the first lost packets, bounded in length."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import Comparison, Direction, Outcome
from vxlanalyze.report.series.conversations import TCP, describe, group_flows
from vxlanalyze.report.series.model import FlowList, FlowRow, LostList, LostRow
from vxlanalyze.report.series.timebase import Timebase

MOST_FLOWS = 500
MOST_LOST = 500
_TCP_FLAGS = "FSRPAUEC"


def flow_list(comparison: Comparison) -> FlowList:
    """List the flows of all directions, those that lost most first.

    At most `MOST_FLOWS`.
    """
    figures = [_flow_figures(d) for d in comparison.directions if len(d)]
    if not figures:
        return {"total": 0, "rows": []}
    lost = np.concatenate([f["lost"] for f in figures])
    sent = np.concatenate([f["sent"] for f in figures])
    owner = np.repeat(np.arange(len(figures)), [len(f["sent"]) for f in figures])
    start = np.cumsum([0] + [len(f["sent"]) for f in figures])
    worst = np.lexsort((np.arange(len(sent)), -sent, -lost))[:MOST_FLOWS]
    rows = [_flow_row(figures[owner[i]], int(i - start[owner[i]])) for i in worst]
    return {"total": len(sent), "rows": rows}


def _flow_figures(direction: Direction) -> dict[str, Any]:
    group_of_row, first = group_flows(direction.sender.flows)
    group = group_of_row[direction.flow]
    seen, group = np.unique(group, return_inverse=True)
    k = len(seen)
    counts = np.bincount(group * len(Outcome) + direction.outcome, minlength=k * len(Outcome))
    counts = counts.reshape(k, len(Outcome))
    lengths = direction.wire_length.astype(np.int64)
    largest = np.full(k, -1)
    np.maximum.at(largest, group[direction.delivered], lengths[direction.delivered])
    smallest = np.full(k, np.iinfo(np.int64).max)
    np.minimum.at(smallest, group[direction.lost], lengths[direction.lost])
    return {
        "direction": direction,
        "flow_row": first[seen],
        "sent": counts.sum(axis=1),
        "lost": counts[:, Outcome.LOST],
        "delivered": counts[:, Outcome.DELIVERED],
        "unknown": counts[:, Outcome.UNKNOWN],
        "bytes": np.bincount(group, weights=direction.length, minlength=k).astype(np.int64),
        "largest_delivered": largest,
        "smallest_lost": smallest,
        "first_frame": _first_frame(direction, group, k, np.ones(len(direction), bool)),
        "first_lost_frame": _first_frame(direction, group, k, direction.lost),
    }


def _first_frame(
    direction: Direction, group: NDArray[np.int64], k: int, chosen: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Number of the first chosen frame of each group, shape ``(k,)``; 0 where there is none."""
    result = np.zeros(k, dtype=np.int64)
    rows = np.flatnonzero(chosen)[::-1]  # backwards, so that the first one is written last
    result[group[rows]] = direction.sender.frame(direction.sent_row[rows])
    return result


def _flow_row(figures: dict[str, Any], at: int) -> FlowRow:
    who = describe(figures["direction"], figures["flow_row"][at : at + 1])[0]
    delivered, lost = int(figures["delivered"][at]), int(figures["lost"][at])
    return {
        **who,
        "sent": int(figures["sent"][at]),
        "delivered": delivered,
        "lost": lost,
        "unknown": int(figures["unknown"][at]),
        "bytes": int(figures["bytes"][at]),
        "largest_delivered": int(figures["largest_delivered"][at]) if delivered else None,
        "smallest_lost": int(figures["smallest_lost"][at]) if lost else None,
        "first_frame": int(figures["first_frame"][at]),
        "first_lost_frame": int(figures["first_lost_frame"][at]) or None,
    }


def lost_list(comparison: Comparison, base: Timebase) -> LostList:
    """List the first lost packets of each direction.

    At most `MOST_LOST`, shared out among the directions.
    """
    losing = [d for d in comparison.directions if d.lost.any()]
    rows: list[LostRow] = []
    for place, direction in enumerate(losing):
        share = (MOST_LOST - len(rows)) // (len(losing) - place)
        rows += _lost_rows(direction, base, np.flatnonzero(direction.lost)[:share])
    total = sum(int(np.count_nonzero(d.lost)) for d in losing)
    return {"start": base.start, "total": total, "rows": rows}


def _lost_rows(direction: Direction, base: Timebase, chosen: NDArray[np.int64]) -> list[LostRow]:
    who = describe(direction, direction.flow[chosen].astype(np.int64))
    rows = direction.sent_row[chosen]
    tcp = direction.sender.flows.protocol[direction.flow[chosen]] == TCP
    elapsed_ns = base.since_start_ns(direction.sender, direction.time_ns[chosen])
    frames, segments = direction.sender.frame(rows), direction.segment[chosen]
    lengths, wire_lengths = direction.length[chosen], direction.wire_length[chosen]
    seq, flags = direction.seq[chosen], direction.sender.index.tcp_flags[rows]
    return [
        {
            **who[i],
            "time_ns": int(elapsed_ns[i]),
            "frame": int(frames[i]),
            "segment": int(segments[i]),
            "length": int(lengths[i]),
            "wire_length": int(wire_lengths[i]),
            "seq": int(seq[i]) if tcp[i] else None,
            "flags": tcp_flags(int(flags[i])) if tcp[i] else None,
        }
        for i in range(len(chosen))
    ]


def tcp_flags(bits: int) -> str:
    """TCP flags by their letters, as Wireshark writes them: ``SA`` for SYN and ACK."""
    return "".join(letter for i, letter in enumerate(_TCP_FLAGS) if bits >> i & 1) or "-"
