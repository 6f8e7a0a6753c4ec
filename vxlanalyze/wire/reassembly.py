"""Reassemble outer datagrams from their fragments, as if they had never been fragmented.

Sources: RFC 791 section 3.2; RFC 8200 section 4.5; RFC 1624 section 3 (the header checksum is updated).
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.model import Frames, Source
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire import checksum, ipv4, ipv6
from vxlanalyze.wire.fragments import (
    FAMILY,
    FRAGMENT_AT,
    INTERFACE,
    IP_AT,
    LENGTH,
    OFFSET,
    PIECE_AT,
    PLACE,
    ROW,
    TIME,
)
from vxlanalyze.wire.model import Fragments
from vxlanalyze.wire.octets import Octets, be16

_BATCH_FRAGMENTS = 8192


def reassembled(
    source: Source, items: NDArray[np.int64], fragments: Fragments
) -> Iterator[tuple[NDArray[np.int64], Frames]]:
    """Reassemble the complete datagrams, batch by batch.

    Parameters
    ----------
    source : Source
        Source of the bytes.
    items : ndarray of int64, shape (k, COLUMNS)
        The fragments.
    fragments : Fragments
        The result of `grouped` for them.

    Yields
    ------
    rows : ndarray of int64, shape (d,)
        The index row of each datagram's first fragment.
    frames : Frames
        The datagrams as if they had never been fragmented, each after its first fragment's link header.
    """
    pieces = np.flatnonzero(fragments.complete)
    pieces = pieces[np.lexsort((items[pieces, OFFSET], fragments.group[pieces]))]
    first = np.flatnonzero(items[pieces, OFFSET] == 0)  # complete: each datagram has exactly one
    edges = np.append(first, len(pieces))
    begin = 0
    while begin < len(first):
        end = max(int(np.searchsorted(edges, edges[begin] + _BATCH_FRAGMENTS)) - 1, begin + 1)
        batch = items[pieces[edges[begin] : edges[end]]]
        yield (
            batch[edges[begin:end] - edges[begin], ROW],
            _joined(source, batch, edges[begin : end + 1] - edges[begin]),
        )
        begin = end


def _joined(source: Source, batch: NDArray[np.int64], edges: NDArray[np.int64]) -> Frames:
    """Join the fragments of datagram `d`, rows ``edges[d]`` to ``edges[d + 1]`` of `batch`."""
    raw = source.fetch(batch[:, PLACE])
    heads = batch[edges[:-1], PIECE_AT]
    totals = np.add.reduceat(batch[:, LENGTH], edges[:-1])
    start = np.concatenate(([0], np.cumsum(heads + totals)))
    data = np.zeros(start[-1], np.uint8)
    captured = np.empty(len(heads), np.int64)
    pieces = _Stored(raw.data, raw.start, raw.captured_length.astype(np.int64))
    _join(pieces, batch, edges, _Stored(data, start, captured))
    head = batch[edges[:-1]]
    return Frames(
        data=data,
        start=start[:-1],
        captured_length=captured.astype(np.uint32),
        original_length=(heads + totals).astype(np.uint32),
        time_ns=head[:, TIME].copy(),
        interface=head[:, INTERFACE].astype(np.uint16),
        place=head[:, PLACE].copy(),
        first_frame=1,
    )


class _Stored(NamedTuple):
    """Frames in a buffer: where each begins, and how many of its octets were captured."""

    data: Octets
    start: NDArray[Any]
    captured: NDArray[Any]


_STORED = "_Stored(u1[] i8[] i8[])"


@compiled(f"{_STORED} i8[,] i8[] {_STORED}")
def _join(pieces: _Stored, batch: NDArray[Any], edges: NDArray[Any], whole_frames: _Stored) -> None:
    """Copy head and fragments, up to the first byte cut by the snap length."""
    raw, raw_start, raw_captured = pieces
    data, start, captured = whole_frames
    for datagram in range(len(edges) - 1):
        at = start[datagram]
        piece = edges[datagram]
        head = min(batch[piece, PIECE_AT], raw_captured[piece])
        for place in range(head):
            data[at + place] = raw[raw_start[piece] + place]
        at += head
        whole = head == batch[piece, PIECE_AT]
        while whole and piece < edges[datagram + 1]:
            begin = batch[piece, PIECE_AT]
            there = min(batch[piece, LENGTH], max(raw_captured[piece] - begin, 0))
            for place in range(there):
                data[at + place] = raw[raw_start[piece] + begin + place]
            at += there
            whole = there == batch[piece, LENGTH]
            piece += 1
        captured[datagram] = at - start[datagram]
        if captured[datagram] >= head:
            _unfragment(data, start[datagram], start[datagram + 1], batch, edges[datagram])


@compiled
def _unfragment(data: Octets, start: int, end: int, batch: NDArray[Any], piece: int) -> None:
    """Set the header fields to those of the whole datagram."""
    at = start + batch[piece, IP_AT]
    length = end - at
    if batch[piece, FAMILY] == ipv4.VERSION:
        _replace(data, at + 2, length, at + ipv4.CHECKSUM_AT)
        word = be16(data, at + 6) & ipv4.DONT_FRAGMENT_FLAG
        _replace(data, at + 6, word, at + ipv4.CHECKSUM_AT)
        return
    _store(data, at + 4, length - ipv6.HEADER_BYTES)
    fragment_at = start + batch[piece, FRAGMENT_AT]
    _store(data, fragment_at + 2, be16(data, fragment_at + 2) & ipv6.FRAGMENT_RESERVED)


@compiled
def _replace(data: Octets, at: int, value: int, check_at: int) -> None:
    """Store a word and update the checksum over it (RFC 1624 section 3), preserving its validity."""
    change = checksum.join(0xFFFF - be16(data, at), value, 0)
    total = checksum.join(0xFFFF - be16(data, check_at), change, 0)
    _store(data, check_at, 0xFFFF - total)
    _store(data, at, value)


@compiled
def _store(data: Octets, at: int, value: int) -> None:
    data[at] = value >> 8
    data[at + 1] = value & 0xFF
