"""Decode frames to index rows and flows, chunk by chunk."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.model import Frames, Interface
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire.dispatch import bindings
from vxlanalyze.wire.fields import (
    ACK,
    ANOMALIES,
    CHECK_STATE,
    DEPTH,
    DIGEST,
    DIGEST_LENGTH,
    DONT_FRAGMENT,
    INNER_DF,
    IP_ID,
    IP_STATE,
    LATER_FRAGMENT,
    LENGTH,
    MSS,
    OUTER,
    OUTER_DF,
    PAYLOAD_AT,
    PAYLOAD_END,
    RECORD_FIELDS,
    SEQ,
    TCP_FLAGS,
    UNSUPPORTED_LINK,
    WINDOW,
    WINDOW_SCALE,
    Record,
)
from vxlanalyze.wire.flow_keys import KEY_WORDS, key_of
from vxlanalyze.wire.flow_table import (
    FLOW_ARRAYS,
    FlowArrays,
    FlowTable,
    difference,
    find_or_add,
    first_slot,
    of_same_ends,
)
from vxlanalyze.wire.fragments import Collector
from vxlanalyze.wire.model import (
    INNER_IP_SHIFT,
    INNER_L4_SHIFT,
    NO_FLOW,
    OUTER_IP_SHIFT,
    OUTER_L4_SHIFT,
    UNKNOWN_LENGTH,
    WINDOW_SCALE_SHIFT,
)
from vxlanalyze.wire.passages import DTYPES, ROWS, Columns, Passable, Passage, Rows
from vxlanalyze.wire.raw_frames import RAW_FRAMES, RawFrames, link_types_of
from vxlanalyze.wire.verify import WITHOUT_LIMIT, verify
from vxlanalyze.wire.walk import walk

_LOOKED_UP_AT_ONCE = 64
_NO_KEY = -1  # in place of a key's first word, which is never negative


class Settings(NamedTuple):
    """How a capture is decoded.

    Parameters
    ----------
    bound_to : NDArray[np.uint8]
        The tunnel of each port; see `bindings`.
    keep_bytes : int
        How many bytes of each innermost IP packet its digest may cover.
    """

    bound_to: NDArray[np.uint8]
    keep_bytes: int


class _Scratch(NamedTuple):
    """The record of one frame, and of some frames at a time: wanted keys, MSS options and first slots."""

    found: Record
    wanted: NDArray[np.int64]
    options: NDArray[np.int64]
    slot: NDArray[np.int64]


_SETTINGS, _SCRATCH = "Settings(u1[] i8)", "_Scratch(i8[] i8[,] i8[] i8[])"


def pass_over(passable: Passable, *, ports: Sequence[int] = (), keep_bytes: int = WITHOUT_LIMIT) -> Passage:
    """Decode all frames except those to be reassembled from fragments.

    Parameters
    ----------
    ports, keep_bytes
        As `decode`'s.

    Raises
    ------
    CaptureError
        A file cannot be read.
    """
    table = FlowTable.empty()
    settings = Settings(bindings(ports), keep_bytes)
    columns = Columns()
    collector = Collector()
    count = 0
    numbers: list[NDArray[np.int64]] = []
    for frames in passable.chunks():
        if frames.number is not None:
            numbers.append(frames.number)
        time_ns, place, *rest = columns.room(len(frames))
        time_ns[:], place[:] = frames.time_ns, frames.place
        rows = Rows(*rest)
        decode_into(rows, frames, passable.interfaces, settings, table)
        collector.add(frames, count, rows.anomalies, link_types_of(passable.interfaces), settings.bound_to)
        count += len(frames)
    number = np.concatenate(numbers) if numbers else None
    keys, mss = table.keys[: table.count], table.mss[: table.count]
    return Passage(columns.written(), keys, mss, collector.items(), number)


def decode_chunk(
    frames: Frames, interfaces: Sequence[Interface], settings: Settings, table: FlowTable
) -> Rows:
    """Decode the frames of one chunk; new flows are added to `table`."""
    empty: list[NDArray[Any]] = [np.empty(len(frames), dtype) for dtype in DTYPES]
    rows = Rows(*empty)
    decode_into(rows, frames, interfaces, settings, table)
    return rows


def decode_into(
    rows: Rows, frames: Frames, interfaces: Sequence[Interface], settings: Settings, table: FlowTable
) -> None:
    """Decode the frames of one chunk into rows of their number; see `decode_chunk`."""
    link_types = link_types_of(interfaces)
    wanted = np.empty((_LOOKED_UP_AT_ONCE, KEY_WORDS), np.int64)
    options, slot = np.empty(len(wanted), np.int64), np.empty(len(wanted), np.int64)
    scratch = _Scratch(np.empty(RECORD_FIELDS, np.int64), wanted, options, slot)
    done = 0
    while True:
        left = slice(done, None)
        raw = RawFrames.of(frames, link_types, left)
        # With NUMBA_DISABLE_JIT=1, numpy's scalars warn of the overflow that hashing relies on.
        with np.errstate(over="ignore"):
            more, table.count = _decode_rows(
                raw, settings, table.arrays, scratch, Rows._make(column[left] for column in rows)
            )
        done += more
        if done == len(frames):
            return
        table.grow()


@compiled(f"{RAW_FRAMES} {_SETTINGS} {FLOW_ARRAYS} {_SCRATCH} {ROWS}")
def _decode_rows(
    frames: RawFrames, settings: Settings, table: FlowArrays, scratch: _Scratch, rows: Rows
) -> tuple[int, int]:
    """Decode frames to the end or until the flow table is full; return how many, and the flows.

    Flows are looked up for several rows at once, so that their memory accesses overlap.
    """
    data, start, captured, interface = frames.data, frames.start, frames.captured_length, frames.interface
    found, wanted = scratch.found, scratch.wanted
    row, count = 0, table.flows
    while row < len(start):
        end = min(row + len(wanted), len(start))
        if count + end - row > len(table.keys):
            break
        for at in range(row, end):
            base = walk(frames, at, settings.bound_to, found)
            verify(data, found, base, start[at] + np.int64(captured[at]), settings.keep_bytes)
            _emit(found, base, at, rows)
            key = wanted[at - row : at - row + 1]
            if found[ANOMALIES] & (LATER_FRAGMENT | UNSUPPORTED_LINK):
                key[0, 0] = _NO_KEY
            else:
                key_of(found, base, np.int64(interface[at]), key)
            scratch.options[at - row] = found[base + MSS]
        count = _look_up(scratch, table, count, rows.flow[row:end])
        row = end
    return row, count


@compiled
def _look_up(scratch: _Scratch, table: FlowArrays, count: int, flow: NDArray[np.int32]) -> int:
    """Find or add the flows of some rows, for which there must be room; return the resulting number."""
    wanted, options, slot = scratch.wanted, scratch.options, scratch.slot
    secret, slots, keys, mss = table.secret, table.slots, table.keys, table.mss
    for i in range(len(flow)):
        slot[i] = first_slot(wanted, i, secret, slots)
    for i in range(len(flow)):
        flow[i] = slots[slot[i]]
    # Little is done for each, and nothing rests on another: that is how many waits for memory overlap.
    for i in range(len(flow)):
        flow[i] = of_same_ends(wanted, i, keys, flow[i])
    for i in range(len(flow)):
        if wanted[i, 0] == _NO_KEY:
            flow[i] = NO_FLOW
            continue
        if flow[i] < 0 or difference(wanted, i, keys, flow[i]) != 0:
            number = find_or_add(wanted[i : i + 1], slot[i], slots, keys, count)
            count = max(count, number + 1)
            flow[i] = number
        if options[i] > 0:
            mss[flow[i]] = options[i]
    return count


@compiled
def _emit(found: Record, base: int, row: int, rows: Rows) -> None:
    """Write the row of one decoded frame, except for its flow."""
    anomalies = found[ANOMALIES]
    if found[base + DONT_FRAGMENT] > 0:
        anomalies |= INNER_DF
    checks = found[base + IP_STATE] << INNER_IP_SHIFT | found[base + CHECK_STATE] << INNER_L4_SHIFT
    rows.outer_length[row] = 0
    rows.outer_ip_id[row] = 0
    if found[DEPTH] > 0:
        checks |= found[OUTER + IP_STATE] << OUTER_IP_SHIFT | found[OUTER + CHECK_STATE] << OUTER_L4_SHIFT
        rows.outer_length[row] = max(found[OUTER + LENGTH], 0)
        rows.outer_ip_id[row] = max(found[OUTER + IP_ID], 0) & 0xFFFF
    if found[OUTER + DONT_FRAGMENT] > 0:
        anomalies |= OUTER_DF
    rows.seq[row] = max(found[base + SEQ], 0)
    rows.ack[row] = max(found[base + ACK], 0)
    rows.length[row] = max(found[base + LENGTH], 0)
    payload = found[base + PAYLOAD_END] - found[base + PAYLOAD_AT]
    rows.payload_length[row] = payload if found[base + PAYLOAD_AT] >= 0 else UNKNOWN_LENGTH
    rows.digest[row] = found[DIGEST]
    rows.digest_length[row] = found[DIGEST_LENGTH]
    rows.anomalies[row] = anomalies
    rows.ip_id[row] = max(found[base + IP_ID], 0) & 0xFFFF
    rows.tcp_flags[row] = max(found[base + TCP_FLAGS], 0)
    # A scale that is absent is -1 and leaves the upper bits clear.
    scale = (found[base + WINDOW_SCALE] + 1) << WINDOW_SCALE_SHIFT
    rows.window[row] = max(found[base + WINDOW], 0) | scale
    rows.checks[row] = checks
