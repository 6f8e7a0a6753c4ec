"""Decode a whole capture to its index and flows, in one pass or in several that are joined.

Joined passages give the same result as one pass, bit by bit: flows are numbered in the order of their first
packets, fragments are reassembled across the borders.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.logical import LogicalCapture
from vxlanalyze.capture.model import Source
from vxlanalyze.capture.stretches import Learned, Stretch, StretchSource, repaired
from vxlanalyze.memory.threads import threads
from vxlanalyze.wire import merged
from vxlanalyze.wire.dispatch import bindings
from vxlanalyze.wire.fields import REASSEMBLED
from vxlanalyze.wire.flow_table import FlowTable
from vxlanalyze.wire.fragments import INTERFACE, ROW, grouped
from vxlanalyze.wire.index import Settings, decode_chunk, pass_over
from vxlanalyze.wire.model import NO_FLOW, Decoded, Index
from vxlanalyze.wire.passages import COLUMN_DTYPES, Passable, Passage
from vxlanalyze.wire.reassembly import reassembled
from vxlanalyze.wire.rows import check_link_types
from vxlanalyze.wire.verify import WITHOUT_LIMIT

_INTERFACE_BITS = 0xFFFF  # of a flow's first word
_FLOW_COLUMN = 2  # of Index


class DecodedStretch(NamedTuple):
    """One stretch of a capture, decoded."""

    learned: Learned
    passage: Passage


def decode(source: Source, *, ports: Sequence[int] = (), keep_inner_bytes: int | None = None) -> Decoded:
    """Decode a whole capture to one index row per frame and the flows they belong to.

    Parameters
    ----------
    source : Source
        The capture.
    ports : sequence of int
        UDP ports that carry tunnels, in addition to the known ones.
    keep_inner_bytes : int, optional
        How many bytes of each innermost IP packet the payload digest may cover. Two captures with different
        snap lengths digest the same bytes if both use the smaller value.

    Returns
    -------
    Decoded
        `n` rows and `f` flows.

    Raises
    ------
    CaptureError
        A file cannot be read, or no interface has a supported link type.
    """
    keep = WITHOUT_LIMIT if keep_inner_bytes is None else keep_inner_bytes
    return _joined(source, [pass_over(source, ports=ports, keep_bytes=keep)], ports, keep)


def decode_stretch(
    source: LogicalCapture,
    stretch: Stretch,
    *,
    ports: Sequence[int] = (),
    keep_inner_bytes: int | None = None,
    watched: Callable[[StretchSource], Passable] = lambda passable: passable,
) -> DecodedStretch:
    """Decode one stretch of a capture, for `join_stretches`.

    Parameters
    ----------
    watched : callable
        Wraps the frames before decoding, for example in a progress meter.

    Raises
    ------
    CaptureError
        The file cannot be read.
    """
    part = source.stretch(stretch)
    keep = WITHOUT_LIMIT if keep_inner_bytes is None else keep_inner_bytes
    passage = pass_over(watched(part), ports=ports, keep_bytes=keep)
    assert part.learned is not None
    return DecodedStretch(part.learned, passage)


def join_stretches(
    source: LogicalCapture,
    parts: Sequence[DecodedStretch],
    decode_again: Callable[[Stretch], DecodedStretch],
    *,
    ports: Sequence[int] = (),
    keep_inner_bytes: int | None = None,
) -> Decoded:
    """Combine all stretches of a capture, in order, to the result of `decode`; they are used up.

    Parameters
    ----------
    decode_again : callable
        Decodes a stretch where two must be read as one.

    Raises
    ------
    CaptureError
        No interface has a supported link type, or a file cannot be read again.
    """
    while True:
        wanted = repaired([part.learned for part in parts])
        done = {part.learned.stretch: part for part in parts}
        if len(wanted) == len(done):
            break
        parts = [done[stretch] if stretch in done else decode_again(stretch) for stretch in wanted]
    numbers = source.take_over([part.learned for part in parts])
    for part, of_interface in zip(parts, numbers, strict=True):
        _renumber_interfaces(part.passage, of_interface)
    keep = WITHOUT_LIMIT if keep_inner_bytes is None else keep_inner_bytes
    passages, before = [], 0
    for part in parts:
        number = part.passage.number
        passages.append(replace(part.passage, number=None if number is None else number + before))
        before += part.learned.frames
    return _joined(source, passages, ports, keep)


def _joined(source: Source, passages: Sequence[Passage], ports: Sequence[int], keep_bytes: int) -> Decoded:
    check_link_types(source)
    table = FlowTable.empty(sum(len(passage.keys) for passage in passages))
    items = _renumber(passages, table)
    index = _index(passages)
    fragments = grouped(items)
    settings = Settings(bindings(ports), keep_bytes)
    for where, frames in reassembled(source, items, fragments):
        rows = decode_chunk(frames, source.interfaces, settings, table)
        rows.anomalies[:] |= REASSEMBLED
        for name, column in rows._asdict().items():
            getattr(index, name)[where] = column
    number = _frame_numbers(passages, len(index))
    index, row = merged.taken_apart(
        source,
        index,
        settings.bound_to,
        lambda frames: decode_chunk(frames, source.interfaces, settings, table),
    )
    if row is not None:
        fragments = replace(fragments, row=np.searchsorted(row, fragments.row))
        number = (row + 1).astype(np.int32) if number is None else number[row]
    return Decoded(index, table.flows(), fragments, number)


def _frame_numbers(passages: Sequence[Passage], rows: int) -> NDArray[np.int32] | None:
    """Number of each row's frame; None where no frame is left out."""
    pieces = [passage.number for passage in passages if passage.number is not None]
    if not pieces:
        return None
    number = np.concatenate(pieces).astype(np.int32)
    return None if np.array_equal(number, np.arange(1, rows + 1)) else number


def _renumber_interfaces(passage: Passage, numbers: NDArray[np.uint16]) -> None:
    first = passage.keys[:, 0]
    passage.keys[:, 0] = first & ~_INTERFACE_BITS | numbers[first & _INTERFACE_BITS]
    passage.fragments[:, INTERFACE] = numbers[passage.fragments[:, INTERFACE]]


def _renumber(passages: Sequence[Passage], table: FlowTable) -> NDArray[np.int64]:
    """Give flows and fragments their numbers in the whole capture; the flows are then in `table`."""
    before = 0
    for passage in passages:
        flows = np.append(table.take_over(passage.keys, passage.mss), np.int32(NO_FLOW))  # NO_FLOW indexes it
        if not np.array_equal(flows[:-1], np.arange(len(flows) - 1)):
            pieces = passage.columns[_FLOW_COLUMN]
            for number, piece in enumerate(pieces):
                pieces[number] = flows[piece]  # NO_FLOW is -1 and so maps to itself
        passage.fragments[:, ROW] += before
        before += len(passage)
    return np.concatenate([passage.fragments for passage in passages])


def _index(passages: Sequence[Passage]) -> Index:
    """Concatenate the pieces of each column, two columns at a time, so that few are in memory twice."""

    def whole(number: int) -> NDArray[Any]:
        pieces = [piece for passage in passages for piece in passage.columns[number]]
        column = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        for passage in passages:
            passage.columns[number].clear()
        return column

    with threads(2) as pool:  # copying releases the lock
        return Index(*pool.map(whole, range(len(COLUMN_DTYPES))))
