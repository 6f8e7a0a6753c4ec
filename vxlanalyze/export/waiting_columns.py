"""Columns of `flows` with the division of a TCP connection's time; null where unknown."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vxlanalyze.analysis.requests.requests import measure
from vxlanalyze.analysis.tcp import waiting_columns as at
from vxlanalyze.analysis.tcp.division import WAITED_FOR, Division, division
from vxlanalyze.export.columns import WAITING
from vxlanalyze.pairing.model import Comparison, Direction

_Longs = NDArray[np.int64]


def waiting_columns(comparison: Comparison, direction: Direction, flow: NDArray[np.int32]) -> dict[str, Any]:
    """Give the columns for flows of a direction's sender, shape ``(k,)``, -1 where it did not see them."""
    found = division(comparison)
    if found is None:
        return {column.name: pa.nulls(len(flow), column.type) for column in WAITING}
    stream = _streams(comparison, found, direction, flow)
    values = _values(found)
    columns = {}
    for column in WAITING:
        of_stream = values[column.name]
        taken = of_stream[np.maximum(stream, 0)]
        missing = (stream < 0) | (taken < 0)
        columns[column.name] = pa.array(taken, type=column.type, mask=missing)
    return columns


def _streams(
    comparison: Comparison, found: Division, direction: Direction, flow: NDArray[np.int32]
) -> _Longs:
    captures = sorted({point.capture for point in comparison.points})
    tuple_of = measure(comparison).tuples.of_flow[captures.index(direction.sender.capture)]
    stream = found.connections.stream
    size = max(int(stream.max(initial=-1)), int(tuple_of.max(initial=-1))) + 1
    slot = np.full(size + 1, -1, np.int64)
    slot[stream[stream >= 0]] = np.flatnonzero(stream >= 0)
    return np.where(flow >= 0, slot[np.where(flow >= 0, tuple_of[np.maximum(flow, 0)], size)], -1)


def _values(found: Division) -> dict[str, NDArray[Any]]:
    """Give every column for every stream; unknown values are negative."""
    followed = found.connections
    figures, size = followed.figures, len(followed.stream)
    active = np.repeat(found.active_ns, 2)
    safe = np.maximum(active, 1)
    sent = figures[:, at.SEGMENTS] + figures[:, at.RESENT]
    samples, turns = followed.samples, followed.turns[followed.turns[:, 5] != at.SYN_TURN]
    windows = samples[samples[:, 4] >= 0]
    think = turns[:, 2] - turns[:, 1]
    values: dict[str, NDArray[Any]] = {"active_ns": active}
    for place, name in enumerate(WAITED_FOR):
        values[f"share_{name}"] = np.where(active > 0, np.repeat(found.waited_ns[:, place], 2) / safe, -1.0)
    in_flight = np.minimum(figures[:, at.IN_FLIGHT_NS] / safe, 1.0)
    values["share_in_flight"] = np.where(active > 0, in_flight, -1.0)
    values["bits_per_s"] = np.where(active > 0, 8e9 * figures[:, at.BYTES] / safe, -1.0)
    values["rtt_min_ns"] = figures[:, at.RTT_MIN_NS]
    values["rtt_p50_ns"] = _quantile(samples[:, 0], samples[:, 2], 0.5, size)
    values["rtt_p99_ns"] = _quantile(samples[:, 0], samples[:, 2], 0.99, size)
    values["window_p50_bytes"] = _quantile(windows[:, 0], windows[:, 4], 0.5, size)
    values["window_max_bytes"] = np.where(figures[:, at.SCALED] > 0, figures[:, at.WINDOW_MAX], -1)
    values["think_p50_ns"] = _quantile(turns[:, 0], think, 0.5, size)
    values["think_p99_ns"] = _quantile(turns[:, 0], think, 0.99, size)
    values["resent_ratio"] = np.where(sent > 0, figures[:, at.RESENT] / np.maximum(sent, 1), -1.0)
    return values


def _quantile(owner: _Longs, values: _Longs, share: float, size: int) -> _Longs:
    """For each owner, the smallest value not exceeded by at least `share` of its values; -1 without any."""
    order = np.lexsort((values, owner))
    counts = np.bincount(owner, minlength=size)
    ends = np.cumsum(counts)
    at_ = ends - counts + np.maximum(np.ceil(share * counts).astype(np.int64) - 1, 0)
    ordered = np.append(values[order], -1)
    return np.where(counts > 0, ordered[np.minimum(at_, len(values))], -1)
