"""Merged tunnel datagrams: one UDP header, and further tunnel headers after the first inner frame.

    | IP | UDP | tunnel | frame | tunnel | frame | ...

A receiver's offload (UDP GRO) merges datagrams of one flow for receivers that split them again; tunnel
devices do not. The further packets did arrive: each gets an index row, as if its datagram had never been
merged.

Sources: RFC 1624 section 3 (the header checksum is updated); Linux
Documentation/networking/segmentation-offloads.
"""

from collections.abc import Callable
from dataclasses import fields as dataclass_fields
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.model import Frames, Source
from vxlanalyze.wire import fields, ipv4, udp
from vxlanalyze.wire.fields import FURTHER_PACKET, INNER, MERGED_DATAGRAM, OUTER
from vxlanalyze.wire.model import INNER_IP_SHIFT, Index
from vxlanalyze.wire.passages import Rows
from vxlanalyze.wire.raw_frames import link_types_of
from vxlanalyze.wire.rows import records

_MOST = 256  # packets in one datagram of at most 65,535 octets
_OUTER_CHECKS = np.uint16((1 << INNER_IP_SHIFT) - 1)

Decode = Callable[[Frames], Rows]


def taken_apart(
    source: Source, index: Index, bound_to: NDArray[np.uint8], decode: Decode
) -> tuple[Index, NDArray[np.int64] | None]:
    """Give each packet of merged datagrams a row.

    Parameters
    ----------
    decode : callable
        Decodes frames to rows.

    Returns
    -------
    index : Index
        With the rows of further packets after that of the first.
    frame : ndarray of int64 or None
        The row here that each row belongs to, shape ``(n,)``; None where nothing was merged.
    """
    rows = np.flatnonzero(index.anomalies & np.uint32(MERGED_DATAGRAM))
    if not len(rows):
        return index, None
    frames = source.fetch(index.place[rows])
    frames = replace(frames, data=frames.data.copy(), first_frame=1)
    parents = rows
    added: list[tuple[NDArray[np.int64], Rows]] = []
    for _ in range(_MOST):
        record, _, _ = records(frames, slice(None), link_types_of(source.interfaces), bound_to)
        more = (record[:, fields.ANOMALIES] & MERGED_DATAGRAM) > 0
        first, further = _split(frames, record, more)
        decoded = decode(first)
        decoded.checks[:] = decoded.checks & ~_OUTER_CHECKS | index.checks[parents] & _OUTER_CHECKS
        if not added:
            decoded.anomalies[:] |= MERGED_DATAGRAM
        else:
            decoded.anomalies[:] |= FURTHER_PACKET
        added.append((parents, decoded))
        if not more.any():
            break
        frames, parents = further, parents[more]
    return _with_rows(index, added)


def _with_rows(index: Index, added: list[tuple[NDArray[np.int64], Rows]]) -> tuple[Index, NDArray[np.int64]]:
    parent = np.concatenate([np.arange(len(index)), *(parents for parents, _ in added[1:])])
    order = np.argsort(parent, kind="stable")
    columns = {}
    for column in dataclass_fields(index):
        values = getattr(index, column.name)
        if column.name in Rows._fields:
            values = values.copy()
            values[added[0][0]] = getattr(added[0][1], column.name)
            values = np.concatenate([values, *(getattr(rows, column.name) for _, rows in added[1:])])
        else:
            values = values[parent]
        columns[column.name] = values[order]
    return Index(**columns), parent[order]


def _split(frames: Frames, record: NDArray[np.int64], more: NDArray[np.bool_]) -> tuple[Frames, Frames]:
    """Split frames after their first inner packet; give these, and the remainder under the same headers."""
    inside = record[:, INNER + fields.IP_AT] + record[:, INNER + fields.LENGTH]
    payload = record[:, OUTER + fields.PAYLOAD_AT]
    end = frames.start + frames.captured_length
    further = _without(frames, payload, inside, more)
    _shorten(further.data, record[more], further.start - frames.start[more], (inside - payload)[more])
    kept = np.where(more, inside, end) - frames.start
    _shorten(frames.data, record[more], np.zeros(int(more.sum()), np.int64), (end - inside)[more])
    lengths = kept.astype(np.uint32)
    wire = np.where(more, lengths, frames.original_length).astype(np.uint32)
    return replace(frames, captured_length=lengths, original_length=wire), further


def _without(
    frames: Frames, begin: NDArray[np.int64], stop: NDArray[np.int64], chosen: NDArray[np.bool_]
) -> Frames:
    """Copy the chosen frames without the octets between two positions."""
    start, end = frames.start[chosen], (frames.start + frames.captured_length)[chosen]
    head, tail = begin[chosen] - start, end - stop[chosen]
    sizes = head + tail
    starts = np.concatenate(([0], np.cumsum(sizes)))[:-1] if len(sizes) else np.empty(0, np.int64)
    at = np.arange(sizes.sum()) - np.repeat(starts, sizes)
    skipped = np.where(at < np.repeat(head, sizes), 0, np.repeat(stop[chosen] - begin[chosen], sizes))
    return replace(
        frames,
        data=frames.data[np.repeat(start, sizes) + at + skipped],
        start=starts,
        captured_length=sizes.astype(np.uint32),
        original_length=sizes.astype(np.uint32),
        time_ns=frames.time_ns[chosen],
        interface=frames.interface[chosen],
        place=frames.place[chosen],
        number=None,
    )


def _shorten(
    data: NDArray[np.uint8],
    record: NDArray[np.int64],
    moved: NDArray[np.int64],
    by: NDArray[np.int64],
) -> None:
    """Shorten the lengths in the outer headers by some octets, and clear the UDP checksum."""
    at = record[:, OUTER + fields.IP_AT] + moved
    is_4 = record[:, OUTER + fields.FAMILY] == ipv4.VERSION
    _less(data, at + np.where(is_4, 2, 4), by)
    header = at[is_4] + ipv4.CHECKSUM_AT
    data[header], data[header + 1] = _updated(data, at[is_4], by[is_4])
    datagram = record[:, OUTER + fields.L4_AT] + moved
    _less(data, datagram + 4, by)
    data[datagram + udp.CHECKSUM_AT] = data[datagram + udp.CHECKSUM_AT + 1] = 0


def _less(data: NDArray[np.uint8], at: NDArray[np.int64], by: NDArray[np.int64]) -> None:
    value = (data[at].astype(np.int64) << 8 | data[at + 1]) - by
    data[at], data[at + 1] = value >> 8 & 0xFF, value & 0xFF


def _updated(
    data: NDArray[np.uint8], at: NDArray[np.int64], by: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Checksums of IPv4 headers whose total length was reduced."""
    place = at + ipv4.CHECKSUM_AT
    now = data[at + 2].astype(np.int64) << 8 | data[at + 3]
    total = (~(data[place].astype(np.int64) << 8 | data[place + 1]) & 0xFFFF) + (~(now + by) & 0xFFFF) + now
    total = (total & 0xFFFF) + (total >> 16)
    total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return total >> 8, total & 0xFF
