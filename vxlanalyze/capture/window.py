"""A sliding window over a byte stream that holds complete records."""

import sys

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.model import PLACE_FILE_SHIFT
from vxlanalyze.capture.octets import Span
from vxlanalyze.capture.streams import ByteStream

MAX_RECORD_BYTES = 16 << 20  # Wireshark, wiretap/pcapng.c: MAX_BLOCK_SIZE
WINDOW_BYTES = 4 << 20  # half and twice as much take a tenth longer: thread synchronisation, caches


class Window:
    """The part of a stream in memory: ``data[at:end]`` is not yet consumed.

    Memory does not depend on what a file claims: the buffer holds one step and the longest accepted record,
    and only pages that bytes were read into are allocated.

    Attributes
    ----------
    data : NDArray[np.uint8]
        The buffer, shape ``(k,)``; the same array as long as the window lives.
    at, end : int
        Bounds of the bytes in `data` that are not yet consumed.
    base : int
        Offset in the stream of ``data[0]``.
    at_end : bool
        The stream has no bytes after `end`.

    Parameters
    ----------
    step_bytes : int, optional
        Number of bytes read at once.
    border_bytes : int
        Position in the stream where reading ends: a record that begins after it belongs to another window.
        Its bytes may be examined.
    """

    def __init__(
        self, stream: ByteStream, step_bytes: int | None = None, border_bytes: int = sys.maxsize
    ) -> None:
        self._step_bytes = WINDOW_BYTES if step_bytes is None else step_bytes
        self._stream = stream
        self._border_bytes = border_bytes
        self.data: NDArray[np.uint8] = np.empty(self._step_bytes + MAX_RECORD_BYTES, np.uint8)
        self._view = self.data.data
        self.at = 0
        self.end = 0
        self.base = 0
        self.at_end = False

    @property
    def offset_bytes(self) -> int:
        """Position in the stream of the next byte."""
        return self.base + self.at

    @property
    def left_bytes(self) -> int:
        """Number of bytes in memory that are not yet consumed."""
        return self.end - self.at

    @property
    def limit(self) -> int:
        """Index in `data` up to which records may be taken: `end`, or the border before it."""
        return min(self.end, self._border_bytes - self.base)

    @property
    def span(self) -> Span:
        """The bytes in memory that are not yet consumed."""
        return Span(self.data, self.at, self.end, self.base, self.at_end)

    def records_of(self, file_index: int) -> Span:
        """Those of them from which records may be taken, positioned by place: see `model`."""
        return self.span._replace(end=self.limit, base=(file_index << PLACE_FILE_SHIFT) + self.base)

    @property
    def border_reached(self) -> bool:
        """Whether the border is in the window or before it: no record is taken from after it."""
        return self._border_bytes - self.base <= self.end

    @property
    def fault(self) -> str | None:
        """The reason why the stream ended early."""
        return self._stream.fault

    def advance(self, wanted_bytes: int | None = None) -> bool:
        """Drop consumed bytes and read on; false where nothing was read.

        Parameters
        ----------
        wanted_bytes : int, optional
            Number of bytes to read; by default one step.
        """
        kept = self.end - self.at
        if self.at:
            self.data[:kept] = self.data[self.at : self.end]
            self.base += self.at
            self.at, self.end = 0, kept
        room = min(len(self.data) - kept, wanted_bytes or self._step_bytes)
        count = 0 if self.at_end or not room else self._stream.readinto(self._view[kept : kept + room])
        self.end += count
        self.at_end = self.at_end or (count == 0 and room > 0)
        return count > 0

    def learn(self) -> bool:
        """Read on, or find that the stream ends here; false where that was known.

        The beginning of a longer record is judged differently once nothing more can follow.
        """
        was_at_end = self.at_end
        return self.advance() or self.at_end != was_at_end

    def jump(self, offset_bytes: int) -> bool:
        """Go forward to a position in the stream; false where the stream ends before it."""
        ahead = offset_bytes - self.offset_bytes
        inside = min(ahead, self.left_bytes)
        self.at += inside
        if ahead == inside:
            return True
        skipped = self._stream.skip(ahead - inside)
        self.base += self.at + skipped
        self.at = self.end = 0
        return skipped == ahead - inside

    def hold(self, count: int, wanted_bytes: int | None = None) -> bool:
        """Ensure that at least `count` bytes are in memory; false where the stream ends before."""
        while self.left_bytes < count:
            if not self.advance(wanted_bytes):
                return False
        return True
