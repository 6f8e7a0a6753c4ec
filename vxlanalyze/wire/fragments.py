"""Outer IP fragments: found during the pass, grouped by datagram, put together from the bytes.

A fragment belongs to the oldest open datagram of its addresses, protocol and identification (RFC 791
section 3.2, RFC 8200 section 4.5) that lacks its bytes; so two copies of a datagram give two
datagrams, interleaved or not. Overlapping fragments make a datagram unusable (RFC 5722 section 4).

Bounds: a datagram stays open for `_OPEN_NS`, far longer than its pieces need on any path; RFC 791's 15 s
would join pieces of different datagrams once the 16-bit identification comes round. A datagram
of more than `_MOST_PIECES` pieces is left alone, and so is the ninth of those open at once with equal keys.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.model import Frames, Source
from vxlanalyze.compiled import compiled_lean, compiled_part
from vxlanalyze.wire import checksum, fields, ipv4, ipv6
from vxlanalyze.wire.fields import OUTER
from vxlanalyze.wire.model import Anomaly, Fragments
from vxlanalyze.wire.octets import be16
from vxlanalyze.wire.rows import octets_of, records

_ANY_FRAGMENT = np.uint32(Anomaly.FIRST_FRAGMENT | Anomaly.LATER_FRAGMENT)
_OPEN_NS = 5_000_000_000
_MOST_PIECES = 256
_MOST_OPEN = 8
_BATCH_FRAGMENTS = 8192
_LARGEST_END = 65535  # with the headers before it

_NONE = -1

# Columns of a collected fragment.
(
    _ROW,
    _TIME,
    _PLACE,
    _INTERFACE,
    _IF_INDEX,
    _PACKET_TYPE,
    _FAMILY,
    _SRC,
    _SRC_REST,
    _DST,
    _DST_REST,
    _PROTOCOL,
    _IP_ID,
    _OFFSET,
    _LENGTH,
    _MORE,
    _IP_AT,  # from the start of the frame
    _FRAGMENT_AT,  # IPv6 only
    _PIECE_AT,
) = range(19)
_COLUMNS = 19

# What makes two fragments pieces of one datagram; of IPv4, the protocol too.
_KEY = (_INTERFACE, _IF_INDEX, _PACKET_TYPE, _FAMILY, _SRC, _SRC_REST, _DST, _DST_REST, _IP_ID)

# What is known of a datagram while its fragments are met.
_SINCE, _HAVE, _TOTAL, _PIECES, _LAST_PIECE, _OLDER, _BROKEN, _COMPLETE = range(8)
_STATE_COLUMNS = 8


@dataclass(slots=True)
class Collector:
    """The fragments met so far; blocks of shape ``(k, _COLUMNS)``."""

    blocks: list[NDArray[np.int64]] = field(default_factory=list)

    def add(
        self,
        frames: Frames,
        first_row: int,
        anomalies: NDArray[np.uint32],
        link_types: NDArray[np.int64],
        bound_to: NDArray[np.uint8],
    ) -> None:
        """Look for fragments in a decoded chunk whose first frame has the row `first_row`."""
        here = np.flatnonzero(anomalies & _ANY_FRAGMENT)
        if len(here) == 0:
            return
        record, _, _ = records(frames, here, link_types, bound_to)
        block = np.empty((len(here), _COLUMNS), np.int64)
        block[:, _ROW] = here + first_row
        block[:, _TIME] = frames.time_ns[here]
        block[:, _PLACE] = frames.place[here]
        block[:, _INTERFACE] = frames.interface[here]
        block[:, _IF_INDEX] = record[:, fields.IF_INDEX]
        block[:, _PACKET_TYPE] = record[:, fields.PACKET_TYPE]
        for column, place in (
            (_FAMILY, fields.FAMILY),
            (_SRC, fields.SRC),
            (_SRC_REST, fields.SRC_REST),
            (_DST, fields.DST),
            (_DST_REST, fields.DST_REST),
            (_PROTOCOL, fields.PROTOCOL),
            (_IP_ID, fields.IP_ID),
            (_OFFSET, fields.FRAGMENT_OFFSET),
            (_MORE, fields.MORE_FRAGMENTS),
        ):
            block[:, column] = record[:, OUTER + place]
        start = frames.start[here]
        ip_at = record[:, OUTER + fields.IP_AT]
        is_ipv4 = block[:, _FAMILY] == ipv4.VERSION
        header_end = np.where(
            is_ipv4,
            record[:, OUTER + fields.L4_AT],
            record[:, fields.FRAGMENT_AT] + ipv6.FRAGMENT_HEADER_BYTES,
        )
        block[:, _IP_AT] = ip_at - start
        block[:, _FRAGMENT_AT] = record[:, fields.FRAGMENT_AT] - start
        block[:, _PIECE_AT] = header_end - start
        block[:, _LENGTH] = np.maximum(ip_at + record[:, OUTER + fields.LENGTH] - header_end, 0)
        self.blocks.append(block[header_end > start])

    def items(self) -> NDArray[np.int64]:
        """Give all fragments, in frame order; the collector is empty then."""
        whole = np.concatenate(self.blocks) if self.blocks else np.empty((0, _COLUMNS), np.int64)
        self.blocks.clear()
        return whole


def grouped(items: NDArray[np.int64]) -> Fragments:
    """Assign each fragment to its datagram.

    Parameters
    ----------
    items : ndarray of int64, shape (k, _COLUMNS)
        What a `Collector` gave.

    Returns
    -------
    Fragments
        `k` rows.
    """
    keys = items[:, (*_KEY, _PROTOCOL)]
    keys[keys[:, _KEY.index(_FAMILY)] != ipv4.VERSION, -1] = 0
    order = np.lexsort(keys.T)  # stable: fragments of equal keys stay in frame order
    begins = np.ones(len(items), np.bool_)
    begins[1:] = (keys[order[1:]] != keys[order[:-1]]).any(axis=1)
    group = np.empty(len(items), np.int64)
    state = np.empty((len(items), _STATE_COLUMNS), np.int64)
    _group(items, order, begins, group, np.empty(len(items), np.int64), state)
    return Fragments(
        row=items[:, _ROW].copy(),
        family=items[:, _FAMILY].astype(np.uint8),
        outer_src=octets_of(items[:, _SRC : _SRC + 2]),
        outer_dst=octets_of(items[:, _DST : _DST + 2]),
        protocol=items[:, _PROTOCOL].astype(np.uint8),
        ip_id=items[:, _IP_ID].astype(np.uint32),
        offset_bytes=items[:, _OFFSET].astype(np.uint32),
        length_bytes=items[:, _LENGTH].astype(np.uint32),
        more=items[:, _MORE] > 0,
        group=group.astype(np.int32),
        complete=state[group, _COMPLETE] > 0,
    )


@compiled_lean
def _group(items, order, begins, group, previous, state):  # type: ignore[no-untyped-def]
    """Walk the fragments key by key; `previous` links the pieces of a datagram backwards."""
    datagrams = 0
    newest = _NONE
    for place in range(len(order)):
        piece = order[place]
        if begins[place]:
            newest = _NONE
        chosen = _datagram_for(items, piece, newest, previous, state)
        if chosen == _NONE:
            chosen = datagrams
            datagrams += 1
            state[chosen, _SINCE] = items[piece, _TIME]
            state[chosen, _HAVE] = 0
            state[chosen, _TOTAL] = _NONE
            state[chosen, _PIECES] = 0
            state[chosen, _LAST_PIECE] = _NONE
            state[chosen, _OLDER] = newest
            state[chosen, _BROKEN] = 0
            state[chosen, _COMPLETE] = 0
            newest = chosen
        group[piece] = chosen
        previous[piece] = state[chosen, _LAST_PIECE]
        _take(items, piece, chosen, state)


@compiled_part
def _datagram_for(items, piece, newest, previous, state):  # type: ignore[no-untyped-def]
    """Find the oldest open datagram that lacks this piece."""
    chosen = _NONE
    datagram = newest
    for _ in range(_MOST_OPEN):
        if datagram == _NONE or items[piece, _TIME] - state[datagram, _SINCE] > _OPEN_NS:
            break
        if not state[datagram, _COMPLETE] and not _has(items, piece, datagram, previous, state):
            chosen = datagram
        datagram = state[datagram, _OLDER]
    return chosen


@compiled_part
def _has(items, piece, datagram, previous, state):  # type: ignore[no-untyped-def]
    """Tell whether a datagram has just this piece already; one that overlaps breaks it."""
    offset = items[piece, _OFFSET]
    end = offset + items[piece, _LENGTH]
    other = state[datagram, _LAST_PIECE]
    while other != _NONE:
        other_offset = items[other, _OFFSET]
        other_end = other_offset + items[other, _LENGTH]
        if offset == other_offset and end == other_end:
            return True
        if offset < other_end and other_offset < end:
            state[datagram, _BROKEN] = 1
        other = previous[other]
    return False


@compiled_part
def _take(items, piece, datagram, state):  # type: ignore[no-untyped-def]
    """Add a piece to a datagram; it is complete once its pieces, none overlapping, sum to its length."""
    end = items[piece, _OFFSET] + items[piece, _LENGTH]
    state[datagram, _HAVE] += items[piece, _LENGTH]
    state[datagram, _PIECES] += 1
    state[datagram, _LAST_PIECE] = piece
    if items[piece, _MORE] == 0:
        state[datagram, _TOTAL] = end
    total = state[datagram, _TOTAL]
    if state[datagram, _PIECES] > _MOST_PIECES or end + items[piece, _PIECE_AT] > _LARGEST_END:
        state[datagram, _BROKEN] = 1
    if state[datagram, _HAVE] == total and not state[datagram, _BROKEN]:
        state[datagram, _COMPLETE] = 1


def reassembled(
    source: Source, items: NDArray[np.int64], fragments: Fragments
) -> Iterator[tuple[NDArray[np.int64], Frames]]:
    """Put the complete datagrams together, batch by batch.

    Parameters
    ----------
    source : Source
        Where the bytes are.
    items : ndarray of int64, shape (k, _COLUMNS)
        The fragments.
    fragments : Fragments
        What `grouped` made of them.

    Yields
    ------
    rows : ndarray of int64, shape (d,)
        The index row of each datagram's first fragment.
    frames : Frames
        The datagrams as if they had never been fragmented, each behind its first fragment's link header.
    """
    pieces = np.flatnonzero(fragments.complete)
    pieces = pieces[np.lexsort((items[pieces, _OFFSET], fragments.group[pieces]))]
    first = np.flatnonzero(items[pieces, _OFFSET] == 0)  # complete: each datagram has exactly one
    edges = np.append(first, len(pieces))
    begin = 0
    while begin < len(first):
        end = max(int(np.searchsorted(edges, edges[begin] + _BATCH_FRAGMENTS)) - 1, begin + 1)
        batch = items[pieces[edges[begin] : edges[end]]]
        yield (
            batch[edges[begin:end] - edges[begin], _ROW],
            _joined(source, batch, edges[begin : end + 1] - edges[begin]),
        )
        begin = end


def _joined(source: Source, batch: NDArray[np.int64], edges: NDArray[np.int64]) -> Frames:
    """Join the pieces of datagram `d`, rows ``edges[d]`` to ``edges[d + 1]`` of `batch`."""
    raw = source.fetch(batch[:, _PLACE])
    heads = batch[edges[:-1], _PIECE_AT]
    totals = np.add.reduceat(batch[:, _LENGTH], edges[:-1])
    start = np.concatenate(([0], np.cumsum(heads + totals)))
    data = np.zeros(start[-1], np.uint8)
    captured = np.empty(len(heads), np.int64)
    _join(raw.data, raw.start, raw.captured_length.astype(np.int64), batch, edges, data, start, captured)
    head = batch[edges[:-1]]
    return Frames(
        data=data,
        start=start[:-1],
        captured_length=captured.astype(np.uint32),
        original_length=(heads + totals).astype(np.uint32),
        time_ns=head[:, _TIME].copy(),
        interface=head[:, _INTERFACE].astype(np.uint16),
        place=head[:, _PLACE].copy(),
        first_frame=1,
    )


@compiled_lean
def _join(raw, raw_start, raw_captured, batch, edges, data, start, captured):  # type: ignore[no-untyped-def]
    """Copy head and pieces, up to the first byte that the snap length cut."""
    for datagram in range(len(edges) - 1):
        at = start[datagram]
        piece = edges[datagram]
        head = min(batch[piece, _PIECE_AT], raw_captured[piece])
        for place in range(head):
            data[at + place] = raw[raw_start[piece] + place]
        at += head
        whole = head == batch[piece, _PIECE_AT]
        while whole and piece < edges[datagram + 1]:
            begin = batch[piece, _PIECE_AT]
            there = min(batch[piece, _LENGTH], max(raw_captured[piece] - begin, 0))
            for place in range(there):
                data[at + place] = raw[raw_start[piece] + begin + place]
            at += there
            whole = there == batch[piece, _LENGTH]
            piece += 1
        captured[datagram] = at - start[datagram]
        if captured[datagram] >= head:
            _unfragment(data, start[datagram], start[datagram + 1], batch, edges[datagram])


@compiled_part
def _unfragment(data, start, end, batch, piece):  # type: ignore[no-untyped-def]
    """Make the header say what it would say of the whole datagram."""
    at = start + batch[piece, _IP_AT]
    length = end - at
    if batch[piece, _FAMILY] == ipv4.VERSION:
        _replace(data, at + 2, length, at + ipv4.CHECKSUM_AT)
        word = be16(data, at + 6) & ipv4.DONT_FRAGMENT_FLAG
        _replace(data, at + 6, word, at + ipv4.CHECKSUM_AT)
        return
    _store(data, at + 4, length - ipv6.HEADER_BYTES)
    fragment_at = start + batch[piece, _FRAGMENT_AT]
    _store(data, fragment_at + 2, be16(data, fragment_at + 2) & ipv6.FRAGMENT_RESERVED)


@compiled_part
def _replace(data, at, value, check_at):  # type: ignore[no-untyped-def]
    """Store a word and update the checksum over it (RFC 1624 section 3): right stays right, wrong wrong."""
    change = checksum.join(0xFFFF - be16(data, at), value, 0)
    total = checksum.join(0xFFFF - be16(data, check_at), change, 0)
    _store(data, check_at, 0xFFFF - total)
    _store(data, at, value)


@compiled_part
def _store(data, at, value):  # type: ignore[no-untyped-def]
    data[at] = value >> 8
    data[at + 1] = value & 0xFF
