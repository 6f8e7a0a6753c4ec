"""Outer IP fragments: found during the pass, and grouped by datagram.

A fragment belongs to the oldest open datagram of its addresses, protocol and identification (RFC 791 section
3.2, RFC 8200 section 4.5) that lacks its bytes, so two copies of a datagram give two datagrams, interleaved
or not. Overlapping fragments make a datagram unusable (RFC 5722 section 4).

Bounds: a datagram stays open for `_OPEN_NS`, far longer than its fragments need on any path; RFC 791's 15 s
would join fragments of different datagrams once the 16-bit identification wraps. A datagram of more than
`_MOST_PIECES` fragments is ignored, and so is the ninth of those open at once with equal keys.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.model import Frames
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire import fields, ipv4, ipv6
from vxlanalyze.wire.fields import OUTER
from vxlanalyze.wire.model import Anomaly, Fragments
from vxlanalyze.wire.rows import octets_of, records

_ANY_FRAGMENT = np.uint32(Anomaly.FIRST_FRAGMENT | Anomaly.LATER_FRAGMENT)
_OPEN_NS = 5_000_000_000
_MOST_PIECES = 256
_MOST_OPEN = 8
_LARGEST_END = 65535  # with the headers before it

_NONE = -1

# Columns of a collected fragment.
(
    ROW,
    TIME,
    PLACE,
    INTERFACE,
    IF_INDEX,
    PACKET_TYPE,
    FAMILY,
    SRC,
    SRC_REST,
    DST,
    DST_REST,
    PROTOCOL,
    IP_ID,
    OFFSET,
    LENGTH,
    MORE,
    IP_AT,  # from the start of the frame
    FRAGMENT_AT,  # IPv6 only
    PIECE_AT,
) = range(19)
COLUMNS = 19

# What identifies fragments of one datagram; for IPv4, also the protocol.
_KEY = (INTERFACE, IF_INDEX, PACKET_TYPE, FAMILY, SRC, SRC_REST, DST, DST_REST, IP_ID)

# State of a datagram while its fragments are read.
_SINCE, _HAVE, _TOTAL, _PIECES, _LAST_PIECE, _OLDER, _BROKEN, _COMPLETE = range(8)
_STATE_COLUMNS = 8


@dataclass(slots=True)
class Collector:
    """The fragments seen so far; blocks of shape ``(k, COLUMNS)``."""

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
        block = np.empty((len(here), COLUMNS), np.int64)
        block[:, ROW] = here + first_row
        block[:, TIME] = frames.time_ns[here]
        block[:, PLACE] = frames.place[here]
        block[:, INTERFACE] = frames.interface[here]
        block[:, IF_INDEX] = record[:, fields.IF_INDEX]
        block[:, PACKET_TYPE] = record[:, fields.PACKET_TYPE]
        for column, place in (
            (FAMILY, fields.FAMILY),
            (SRC, fields.SRC),
            (SRC_REST, fields.SRC_REST),
            (DST, fields.DST),
            (DST_REST, fields.DST_REST),
            (PROTOCOL, fields.PROTOCOL),
            (IP_ID, fields.IP_ID),
            (OFFSET, fields.FRAGMENT_OFFSET),
            (MORE, fields.MORE_FRAGMENTS),
        ):
            block[:, column] = record[:, OUTER + place]
        start = frames.start[here]
        ip_at = record[:, OUTER + fields.IP_AT]
        is_ipv4 = block[:, FAMILY] == ipv4.VERSION
        header_end = np.where(
            is_ipv4,
            record[:, OUTER + fields.L4_AT],
            record[:, fields.FRAGMENT_AT] + ipv6.FRAGMENT_HEADER_BYTES,
        )
        block[:, IP_AT] = ip_at - start
        block[:, FRAGMENT_AT] = record[:, fields.FRAGMENT_AT] - start
        block[:, PIECE_AT] = header_end - start
        block[:, LENGTH] = np.maximum(ip_at + record[:, OUTER + fields.LENGTH] - header_end, 0)
        self.blocks.append(block[header_end > start])

    def items(self) -> NDArray[np.int64]:
        """Give all fragments, in frame order, and empty the collector."""
        whole = np.concatenate(self.blocks) if self.blocks else np.empty((0, COLUMNS), np.int64)
        self.blocks.clear()
        return whole


def grouped(items: NDArray[np.int64]) -> Fragments:
    """Assign each fragment to its datagram.

    Parameters
    ----------
    items : ndarray of int64, shape (k, COLUMNS)
        The result of a `Collector`.

    Returns
    -------
    Fragments
        `k` rows.
    """
    keys = items[:, (*_KEY, PROTOCOL)]
    keys[keys[:, _KEY.index(FAMILY)] != ipv4.VERSION, -1] = 0
    order = np.lexsort(keys.T)  # stable: fragments of equal keys stay in frame order
    begins = np.ones(len(items), np.bool_)
    begins[1:] = (keys[order[1:]] != keys[order[:-1]]).any(axis=1)
    group, previous = np.empty(len(items), np.int64), np.empty(len(items), np.int64)
    state = np.empty((len(items), _STATE_COLUMNS), np.int64)
    _group(items, order, begins, _Datagrams(group, previous, state))
    return Fragments(
        row=items[:, ROW].copy(),
        family=items[:, FAMILY].astype(np.uint8),
        outer_src=octets_of(items[:, SRC : SRC + 2]),
        outer_dst=octets_of(items[:, DST : DST + 2]),
        protocol=items[:, PROTOCOL].astype(np.uint8),
        ip_id=items[:, IP_ID].astype(np.uint32),
        offset_bytes=items[:, OFFSET].astype(np.uint32),
        length_bytes=items[:, LENGTH].astype(np.uint32),
        more=items[:, MORE] > 0,
        group=group.astype(np.int32),
        complete=state[group, _COMPLETE] > 0,
    )


class _Datagrams(NamedTuple):
    """The datagrams found so far.

    Parameters
    ----------
    group, previous : NDArray
        The datagram of each fragment, and the fragment of it before this one, shape ``(k,)``.
    state : NDArray
        Of each datagram, shape ``(k, _STATE_COLUMNS)``.
    """

    group: NDArray[Any]
    previous: NDArray[Any]
    state: NDArray[Any]


@compiled("i8[,] i8[] b1[] _Datagrams(i8[] i8[] i8[,])")
def _group(items: NDArray[Any], order: NDArray[Any], begins: NDArray[np.bool_], found: _Datagrams) -> None:
    """Walk the fragments key by key."""
    group, previous, state = found
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
            state[chosen, _SINCE] = items[piece, TIME]
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


@compiled
def _datagram_for(
    items: NDArray[Any], piece: int, newest: int, previous: NDArray[Any], state: NDArray[Any]
) -> int:
    """Find the oldest open datagram that lacks this fragment."""
    chosen = _NONE
    datagram = newest
    for _ in range(_MOST_OPEN):
        if datagram == _NONE or items[piece, TIME] - state[datagram, _SINCE] > _OPEN_NS:
            break
        if not state[datagram, _COMPLETE] and not _has(items, piece, datagram, previous, state):
            chosen = datagram
        datagram = state[datagram, _OLDER]
    return chosen


@compiled
def _has(items: NDArray[Any], piece: int, datagram: int, previous: NDArray[Any], state: NDArray[Any]) -> bool:
    """Whether a datagram already has exactly this fragment; an overlapping one invalidates it.

    One with too many fragments is invalid already: it takes whatever comes, and these are not compared.
    """
    if state[datagram, _PIECES] > _MOST_PIECES:
        return False
    offset = items[piece, OFFSET]
    end = offset + items[piece, LENGTH]
    other = state[datagram, _LAST_PIECE]
    while other != _NONE:
        other_offset = items[other, OFFSET]
        other_end = other_offset + items[other, LENGTH]
        if offset == other_offset and end == other_end:
            return True
        if offset < other_end and other_offset < end:
            state[datagram, _BROKEN] = 1
        other = previous[other]
    return False


@compiled
def _take(items: NDArray[Any], piece: int, datagram: int, state: NDArray[Any]) -> None:
    """Add a fragment to a datagram; it is complete once its fragments, without overlap, cover its length."""
    end = items[piece, OFFSET] + items[piece, LENGTH]
    state[datagram, _HAVE] += items[piece, LENGTH]
    state[datagram, _PIECES] += 1
    state[datagram, _LAST_PIECE] = piece
    if items[piece, MORE] == 0:
        state[datagram, _TOTAL] = end
    total = state[datagram, _TOTAL]
    if state[datagram, _PIECES] > _MOST_PIECES or end + items[piece, PIECE_AT] > _LARGEST_END:
        state[datagram, _BROKEN] = 1
    if state[datagram, _HAVE] == total and not state[datagram, _BROKEN]:
        state[datagram, _COMPLETE] = 1
