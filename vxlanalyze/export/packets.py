"""The table `packets`: a row for each wire packet and hop, with its fate.

Rows are in the order of the hops, forward before reverse, each direction in the order sent, followed by the
packets that only its receiver saw.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vxlanalyze.export.columns import NAME, PACKETS, TIME, schema_of
from vxlanalyze.export.flow_columns import FlowColumns
from vxlanalyze.pairing.model import (
    NO_DELAY,
    NO_ROW,
    PER_PACKET,
    Comparison,
    Direction,
    Hop,
    Outcome,
    Point,
    Reason,
    wire_payload,
)
from vxlanalyze.report.series.timebase import to_first_clock
from vxlanalyze.wire import protocols
from vxlanalyze.wire.model import (
    CHECK_MASK,
    INNER_IP_SHIFT,
    INNER_L4_SHIFT,
    OUTER_IP_SHIFT,
    OUTER_L4_SHIFT,
    Checksum,
)

BATCH_ROWS = 1 << 17
SCHEMA = schema_of(PACKETS)
_REASONS = pa.array([reason.name.lower().replace("_", "-") for reason in Reason])
_OUTCOMES = pa.array([outcome.name.lower() for outcome in Outcome])
# Ranks the states of two checksums: a bad one counts most, a good one least.
_STATES = pa.array(["ok", "absent", "offload", "unverifiable", "bad"])
_OK, _ABSENT, _OFFLOAD, _UNVERIFIABLE, _BAD = range(5)
_NO_STATE = -1
_RANK = np.full(len(Checksum), _NO_STATE, np.int8)
_RANK[Checksum.OK] = _OK
_RANK[Checksum.ABSENT] = _ABSENT
_RANK[[Checksum.PARTIAL, Checksum.LCO]] = _OFFLOAD
_RANK[Checksum.UNVERIFIABLE] = _UNVERIFIABLE
_RANK[[Checksum.BAD, Checksum.ALL_ONES]] = _BAD

Columns = dict[str, Any]


class TablePart(NamedTuple):
    """Some rows of the table: of a direction (`hop` includes those inside nodes), from `start`.

    `unsent` are those that only the receiver saw.
    """

    hop: int
    side: int
    unsent: bool
    start: int


def batches(comparison: Comparison) -> Iterator[Any]:
    """Give the table in Arrow record batches of `SCHEMA`, so that memory holds one at a time."""
    for _, of_end in groupby(parts(comparison), lambda part: part[:3]):
        same = list(of_end)
        flows = _flow_columns(comparison, same[0])
        for part in same:
            yield _batch_of(comparison, part, flows)


def parts(comparison: Comparison) -> list[TablePart]:
    """List the batches of the table, in order."""
    return [
        TablePart(hop, side, unsent, start)
        for hop, each in enumerate(_hops(comparison))
        for side, direction in enumerate(each.directions)
        for unsent, size in ((False, len(direction)), (True, len(direction.unsent_row)))
        for start in range(0, size, BATCH_ROWS)
    ]


def batch(comparison: Comparison, part: TablePart) -> Any:
    """Give one batch of the table."""
    return _batch_of(comparison, part, _flow_columns(comparison, part))


def _hops(comparison: Comparison) -> tuple[Hop, ...]:
    return (*comparison.hops, *comparison.inside)


def _flow_columns(comparison: Comparison, part: TablePart) -> FlowColumns:
    direction = _hops(comparison)[part.hop].directions[part.side]
    point = direction.receiver if part.unsent else direction.sender
    return FlowColumns(point.flows, comparison.cluster)


def _batch_of(comparison: Comparison, part: TablePart, flows: FlowColumns) -> Any:
    direction = _hops(comparison)[part.hop].directions[part.side]
    if part.unsent:
        rows = slice(part.start, part.start + BATCH_ROWS)
        time = _common_time(comparison, direction.receiver, direction.unsent_row[rows])
        return _batch({"time": time, **_unsent_columns(direction, rows, flows)})
    own = _slice(direction, part.start)
    time = _common_time(comparison, own.sender, own.sent_row)
    return _batch({"time": time, **_sent_columns(own, flows)})


def _common_time(comparison: Comparison, point: Point, rows: NDArray[np.int32]) -> Any:
    """Times at which a point saw packets, by the first capture's clock."""
    return pa.array(to_first_clock(comparison, point, point.index.time_ns[rows])).cast(TIME)


def _batch(columns: Columns) -> Any:
    return pa.RecordBatch.from_arrays([columns[column.name] for column in PACKETS], schema=SCHEMA)


def _slice(direction: Direction, start: int) -> Direction:
    rows = slice(start, start + BATCH_ROWS)
    return replace(direction, **{name: getattr(direction, name)[rows] for name in PER_PACKET})


def _sent_columns(direction: Direction, flows: FlowColumns) -> Columns:
    """Columns of packets that the sender saw."""
    arrived = direction.received_row != NO_ROW
    measured = direction.delay_ns != NO_DELAY
    tcp = direction.sender.flows.protocol[direction.flow] == protocols.TCP
    return {
        **_common(direction, direction.outcome, direction.reason),
        **flows.columns(direction.flow),
        **_times(direction.sender, direction.sent_row, "sent"),
        **_times(direction.receiver, direction.received_row, "received"),
        "delay_ns": pa.array(direction.delay_ns, mask=~measured),
        "segment": pa.array(direction.segment),
        "copies": pa.array(direction.copies),
        "outer_length": _positive(direction.outer_length),
        "ip_id": flows.only_ipv4(direction.flow, direction.ip_id),
        "length": pa.array(direction.length),
        "tcp_seq": pa.array(direction.seq, mask=~tcp),
        "tcp_ack": pa.array(direction.sender.index.ack[direction.sent_row], mask=~tcp),
        "tcp_flags": pa.array(direction.sender.index.tcp_flags[direction.sent_row], mask=~tcp),
        "corrupted": pa.array(direction.corrupted, mask=~arrived),
    }


def _unsent_columns(direction: Direction, rows: slice, flows: FlowColumns) -> Columns:
    """Columns of packets that only the receiver saw: the sender's values are null."""
    point, row, segment = direction.receiver, direction.unsent_row[rows], direction.unsent_segment[rows]
    size = len(row)
    flow = point.index.flow[row]
    tcp = point.flows.protocol[flow] == protocols.TCP
    others = point.index.payload_length[row] - wire_payload(point, row, segment)
    split = point.segment_bytes[row] != 0
    seq = point.index.seq[row] + point.segment_bytes[row].astype(np.uint32) * segment
    lengths = [
        np.where(split & (whole != 0), whole - others, whole)
        for whole in (point.index.outer_length[row], point.index.length[row])
    ]
    nobody = np.full(size, NO_ROW, np.int32)
    return {
        **_common(direction, np.full(size, Outcome.UNSENT, np.uint8), direction.unsent_reason[rows]),
        **flows.columns(flow),
        **_times(direction.sender, nobody, "sent"),
        **_times(point, row, "received"),
        "delay_ns": pa.nulls(size, pa.int64()),
        "segment": pa.nulls(size, pa.uint16()),
        "copies": pa.array(np.ones(size, np.uint8)),
        "outer_length": _positive(lengths[0]),
        "ip_id": flows.only_ipv4(flow, point.index.ip_id[row] + segment),
        "length": pa.array(lengths[1]),
        "tcp_seq": pa.array(seq, mask=~tcp),
        "tcp_ack": pa.array(point.index.ack[row], mask=~tcp),
        "tcp_flags": pa.array(point.index.tcp_flags[row], mask=~tcp),
        "corrupted": pa.nulls(size, pa.bool_()),
    }


def _common(direction: Direction, outcome: NDArray[np.uint8], reason: NDArray[np.uint8]) -> Columns:
    where = np.zeros(len(outcome), np.int32)
    return {
        "direction": pa.DictionaryArray.from_arrays(pa.array(where), pa.array([direction.label])),
        "outcome": named(outcome, _OUTCOMES),
        "reason": named(reason, _REASONS, reason == Reason.NONE),
    }


def _times(point: Point, rows: NDArray[np.int32], prefix: str) -> Columns:
    """Time, frame and checksums of packets at a point; null at NO_ROW."""
    missing = rows == NO_ROW
    if len(point.index) == 0:
        checks = np.zeros(len(rows), np.uint16)
        times = np.zeros(len(rows), np.int64)
    else:
        checks, times = point.index.checks[rows], point.stated_ns(rows)
    return {
        f"{prefix}_time": pa.array(times, mask=missing).cast(TIME),
        f"{prefix}_frame": pa.array(point.frame(rows), mask=missing),
        f"{prefix}_outer_checksum": _state(checks, (OUTER_IP_SHIFT, OUTER_L4_SHIFT), missing),
        f"{prefix}_inner_checksum": _state(checks, (INNER_IP_SHIFT, INNER_L4_SHIFT), missing),
    }


def _state(checks: NDArray[np.uint16], shifts: tuple[int, int], missing: NDArray[np.bool_]) -> Any:
    """The more severe of two checksum states."""
    network, transport = (_RANK[(checks >> shift) & CHECK_MASK] for shift in shifts)
    worst = np.maximum(network, transport)
    return named(np.maximum(worst, 0), _STATES, missing | (worst == _NO_STATE))


def named(codes: NDArray[Any], names: Any, missing: NDArray[np.bool_] | None = None) -> Any:
    """Dictionary-encode codes that are indices into a list of names."""
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=missing), names).cast(NAME)


def _positive(lengths: NDArray[np.uint32]) -> Any:
    return pa.array(lengths, mask=lengths == 0)
