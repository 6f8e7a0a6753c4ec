"""The rows that a compiled walk fills, reused for each chunk."""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.blocks import Packets
from vxlanalyze.capture.model import Frames
from vxlanalyze.capture.octets import Target
from vxlanalyze.capture.records import RecordRows
from vxlanalyze.capture.window import Window

ROWS = 1 << 16
_COPY_BYTES = 1 << 20


class FrameRows:
    """Space for the frames of one chunk; each array has shape ``(ROWS,)``."""

    def __init__(self, capacity: int | None = None) -> None:
        capacity = ROWS if capacity is None else capacity
        self.start = np.zeros(capacity, np.int64)
        self.captured_length = np.zeros(capacity, np.uint32)
        self.original_length = np.zeros(capacity, np.uint32)
        self.time_ns = np.zeros(capacity, np.int64)
        self.interface = np.zeros(capacity, np.uint16)
        self.place = np.zeros(capacity, np.int64)

    @property
    def records(self) -> RecordRows:
        """The arrays, for a walk over the records of a pcap."""
        return RecordRows(self.start, self.captured_length, self.original_length, self.time_ns, self.place)

    @property
    def packets(self) -> Packets:
        """The arrays, for a walk over the blocks of a pcapng."""
        return Packets(
            self.start, self.captured_length, self.original_length, self.time_ns, self.interface, self.place
        )

    def frames(self, count: int, window: Window, first_frame: int) -> Frames:
        """Give the first `count` rows as copies; the bytes stay in the window."""
        return Frames(
            data=window.data,
            start=self.start[:count].copy(),
            captured_length=self.captured_length[:count].copy(),
            original_length=self.original_length[:count].copy(),
            time_ns=self.time_ns[:count].copy(),
            interface=self.interface[:count].copy(),
            place=self.place[:count].copy(),
            first_frame=first_frame,
        )


class Copies:
    """Frames that are copied out of a file: rows, and a buffer that grows.

    Parameters
    ----------
    count : int
        Number of frames.
    """

    def __init__(self, count: int) -> None:
        self.rows = FrameRows(count)
        self.data: NDArray[np.uint8] = np.empty(_COPY_BYTES, np.uint8)
        self.used = 0

    @property
    def target(self) -> Target:
        """The arrays, for the compiled functions that copy."""
        rows = self.rows
        return Target(
            rows.start, rows.captured_length, rows.original_length, rows.time_ns, rows.interface, self.data
        )

    def grow(self) -> None:
        """Double the capacity."""
        larger = np.empty(2 * len(self.data), np.uint8)
        larger[: self.used] = self.data[: self.used]
        self.data = larger
