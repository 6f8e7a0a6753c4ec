"""Where the payloads of frames are, without any other field."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.model import Frames, Interface
from vxlanalyze.kernels.arrays import I64, U8
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire import fields
from vxlanalyze.wire.dispatch import bindings
from vxlanalyze.wire.fields import RECORD_FIELDS
from vxlanalyze.wire.raw_frames import RAW_FRAMES, RawFrames, link_types_of
from vxlanalyze.wire.walk import walk


def payload_places(
    frames: Frames, interfaces: Sequence[Interface], *, ports: Sequence[int] = ()
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give position in ``frames.data`` and captured octets of each innermost payload, shape ``(n,)``.

    The position is -1 where there is none.
    """
    size = len(frames)
    start, captured = np.full(size, -1, np.int64), np.zeros(size, np.int64)
    if size:
        raw = RawFrames.of(frames, link_types_of(interfaces))
        _find(raw, bindings(ports), np.empty(RECORD_FIELDS, np.int64), (start, captured))
    return start, captured


@compiled(f"{RAW_FRAMES} u1[] i8[] (i8[] i8[])")
def _find(frames: RawFrames, bound_to: U8, found: I64, out: tuple[I64, I64]) -> None:
    start, captured = out
    for row in range(len(start)):
        base = walk(frames, row, bound_to, found)
        at, stop = found[base + fields.PAYLOAD_AT], found[base + fields.PAYLOAD_END]
        if at >= 0:
            start[row], captured[row] = at, max(min(stop, found[fields.END]) - at, 0)
