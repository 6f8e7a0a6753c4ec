"""A sample of packets that arrive damaged, read again at both points."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.model import Frames
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.wire.rows import Columns, columns

_PACKETS = 200  # of up to 64 KB each


class SampleFrames(NamedTuple):
    """The frames that hold the packets at one point, with all their fields; `k` of both."""

    point: Point
    rows: NDArray[np.int32]
    segment: NDArray[np.uint16]
    frames: Frames
    fields: Columns


@dataclass(frozen=True, slots=True)
class Sample:
    """Packets as they were sent and as they arrived.

    `length_bytes` is that of their L4 payloads, shape ``(k,)``.
    """

    sent: SampleFrames
    received: SampleFrames
    length_bytes: NDArray[np.int64]


def of(pair: Comparison, direction: Direction, damaged: NDArray[np.bool_]) -> Sample:
    """Read up to 200 of the damaged packets, evenly spread; `damaged` has shape ``(m,)``."""
    chosen = np.flatnonzero(damaged)
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), _PACKETS)).astype(np.intp)]
    sender, receiver = direction.sender, direction.receiver
    return Sample(
        _read(pair, sender, direction.sent_row[chosen], direction.segment[chosen]),
        _read(pair, receiver, direction.received_row[chosen], direction.received_segment[chosen]),
        direction.payload_length[chosen].astype(np.int64),
    )


def _read(
    pair: Comparison, point: Point, rows: NDArray[np.int32], segment: NDArray[np.uint16]
) -> SampleFrames:
    source = pair.captures[point.capture].source
    frames = source.fetch(point.index.place[rows])
    return SampleFrames(point, rows, segment, frames, columns(frames, source.interfaces, ports=pair.ports))
