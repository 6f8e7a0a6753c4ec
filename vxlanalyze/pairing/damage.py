"""Damage to packets captured in a super-packet, and damage to a file that does not concern the packets.

A digest covers one frame. Where the sender's capture shows a super-packet and the packet received has an
invalid checksum, both frames are read again and the packet's share of the payload is compared. Damage to a
file shows as an impossible next record, but may begin in the frame before it: the bytes of that frame prove
nothing.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze import wire
from vxlanalyze.capture.model import PLACE_FILE_SHIFT, Source
from vxlanalyze.pairing.model import NO_ROW, Direction, Point, wire_payload
from vxlanalyze.wire.model import (
    CHECK_MASK,
    INNER_IP_SHIFT,
    INNER_L4_SHIFT,
    OUTER_IP_SHIFT,
    OUTER_L4_SHIFT,
    Checksum,
    Decoded,
)

_AT_ONCE = 1024  # frames of up to 64 KB held at a time


def distrusted(decoded: Decoded, source: Source) -> Decoded:
    """Treat frames before damaged places of the files as unverifiable: neither digest nor checksums count."""
    rows = _before_damages(decoded, source)
    rows = rows[rows >= 0]
    if not len(rows):
        return decoded
    checks, digest_length = decoded.index.checks.copy(), decoded.index.digest_length.copy()
    for shift in (OUTER_IP_SHIFT, OUTER_L4_SHIFT, INNER_IP_SHIFT, INNER_L4_SHIFT):
        present = rows[checks[rows] >> shift & CHECK_MASK != Checksum.NONE]
        checks[present] &= ~np.uint16(CHECK_MASK << shift)
        checks[present] |= np.uint16(Checksum.UNVERIFIABLE << shift)
    digest_length[rows] = 0
    return replace(decoded, index=replace(decoded.index, checks=checks, digest_length=digest_length))


def _before_damages(decoded: Decoded, source: Source) -> NDArray[np.int64]:
    """Rows of the last frame before each unreadable place after which reading continued.

    A file that merely ends within a record is intact before it. -1 where no frame precedes.
    """
    numbers = {file.path: i for i, file in enumerate(source.files)}
    places = [
        numbers[d.path] << PLACE_FILE_SHIFT | d.offset_bytes
        for d in source.damages
        if d.resumed_bytes is not None and d.path in numbers
    ]
    rows = np.searchsorted(decoded.index.place, np.array(places, np.int64)).astype(np.int64) - 1
    found: NDArray[np.int64] = np.unique(rows)
    return found


def gaps(point: Point, source: Source) -> list[tuple[int, int]]:
    """Times missing from a damaged file: from the frame before the damage to the one after it."""
    times = point.index.time_ns
    before = _before_damages(point.decoded, source)
    ends = [(max(row, 0), min(row + 1, len(times) - 1)) for row in before.tolist() if len(times)]
    return [(min(int(times[a]), int(times[b])), max(int(times[a]), int(times[b]))) for a, b in ends]


def in_super_packets(
    direction: Direction, sent: Source, received: Source, ports: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Packets of super-packets whose payload differs on arrival, shape ``(m,)``.

    Raises
    ------
    CaptureError
        A file has changed since it was read.
    """
    result = np.zeros(len(direction), dtype=np.bool_)
    sender, receiver = direction.sender, direction.receiver
    if not (sender.segment_bytes.any() or receiver.segment_bytes.any()):
        return result
    arrived = np.flatnonzero(direction.received_row != NO_ROW)
    here, there = direction.sent_row[arrived], direction.received_row[arrived]
    state = receiver.index.checks[there] >> INNER_L4_SHIFT & CHECK_MASK
    merged = (sender.segment_bytes[here] != 0) | (receiver.segment_bytes[there] != 0)
    suspect = arrived[merged & np.isin(state, (Checksum.BAD, Checksum.ALL_ONES))]
    for some in np.array_split(suspect, max(1, -(-len(suspect) // _AT_ONCE))):
        if len(some):
            result[some] = _differs(direction, some, sent, received, ports)
    return result


def _differs(
    direction: Direction, chosen: NDArray[np.int64], sent: Source, received: Source, ports: tuple[int, ...]
) -> NDArray[np.bool_]:
    length = wire_payload(direction.sender, direction.sent_row[chosen], direction.segment[chosen])
    ours = _Payloads(sent, direction.sender.index.place[direction.sent_row[chosen]], ports)
    theirs = _Payloads(received, direction.receiver.index.place[direction.received_row[chosen]], ports)
    skip_ours = (
        direction.sender.segment_bytes[direction.sent_row[chosen]].astype(np.int64)
        * direction.segment[chosen]
    )
    skip_theirs = (
        direction.receiver.segment_bytes[direction.received_row[chosen]].astype(np.int64)
        * direction.received_segment[chosen]
    )
    return np.array(
        [
            ours.differs(i, int(a), theirs, int(b), int(n))
            for i, (a, b, n) in enumerate(zip(skip_ours, skip_theirs, length, strict=True))
        ]
    )


class _Payloads:
    """The L4 payloads of frames read again."""

    def __init__(self, source: Source, places: NDArray[np.int64], ports: tuple[int, ...]) -> None:
        frames = source.fetch(places)
        fields = wire.columns(frames, source.interfaces, ports=ports)
        self._data = frames.data
        self._start = fields["payload_start"]
        self._captured = frames.start + frames.captured_length - self._start

    def _part(self, i: int, skip: int, length: int) -> NDArray[np.uint8]:
        end = min(skip + length, int(self._captured[i]))
        return self._data[int(self._start[i]) + skip : int(self._start[i]) + max(end, skip)]

    def differs(self, i: int, skip: int, other: "_Payloads", other_skip: int, length: int) -> bool:
        """Whether the bytes that both captures kept of one packet differ."""
        mine, theirs = self._part(i, skip, length), other._part(i, other_skip, length)
        both = min(len(mine), len(theirs))
        return bool((mine[:both] != theirs[:both]).any())
