"""Damage to packets that were captured in a super-packet: their bytes are compared.

A digest covers one frame. Where the sender's capture shows a super-packet and what arrived has a wrong
checksum, both frames are read again and the packet's share of the payload is compared.
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze import wire
from vxlanalyze.capture.model import Source
from vxlanalyze.pairing.model import NO_ROW, Direction, wire_payload
from vxlanalyze.wire.model import CHECK_MASK, INNER_L4_SHIFT, Checksum

_AT_ONCE = 1024  # frames of up to 64 KB held at a time


def in_super_packets(
    direction: Direction, sent: Source, received: Source, ports: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Packets of super-packets whose payload arrived otherwise, shape ``(m,)``.

    Raises
    ------
    CaptureError
        A file changed since it was read.
    """
    result = np.zeros(len(direction), dtype=np.bool_)
    sender, receiver = direction.sender, direction.receiver
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
