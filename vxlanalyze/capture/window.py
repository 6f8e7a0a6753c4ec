"""A window that moves over a stream of bytes and holds whole records."""

import sys

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.streams import ByteStream

MAX_RECORD_BYTES = 16 << 20  # Wireshark, wiretap/pcapng.c: MAX_BLOCK_SIZE
WINDOW_BYTES = 4 << 20  # half and twice as much take a tenth longer: hand-overs between threads, caches


class Window:
    """The part of a stream that is in memory: ``data[at:end]`` is not used up yet.

    Memory does not follow what a file claims: the buffer holds one step and the longest record
    that is believed, and only the pages that bytes were read into become real.

    Attributes
    ----------
    data : NDArray[np.uint8]
        The buffer, shape ``(k,)``; the same array as long as the window lives.
    at, end : int
        Bounds of the bytes in `data` that are not used up.
    base : int
        Offset in the stream of ``data[0]``.
    at_end : bool
        The stream has no bytes after `end`.

    Parameters
    ----------
    step_bytes : int, optional
        How much is read at once.
    border_bytes : int
        Place in the stream where reading is to end: a record that begins after it is another's. What
        stands there may be looked at.
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
        """The place in the stream of the next byte."""
        return self.base + self.at

    @property
    def left_bytes(self) -> int:
        """How many bytes are in memory and not used up."""
        return self.end - self.at

    @property
    def limit(self) -> int:
        """Index in `data` of the end of what may be taken: `end`, or the border before it."""
        return min(self.end, self._border_bytes - self.base)

    @property
    def border_reached(self) -> bool:
        """Whether the border lies in the window or before it: no record is taken from after it."""
        return self._border_bytes - self.base <= self.end

    @property
    def fault(self) -> str | None:
        """What ended the stream early."""
        return self._stream.fault

    def advance(self, wanted_bytes: int | None = None) -> bool:
        """Drop what is used up and read on; false where nothing came.

        Parameters
        ----------
        wanted_bytes : int, optional
            How much to read; by default one step.
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
        """Read on, or learn that the stream ends here; false where that was known.

        What looks like the beginning of something longer is judged otherwise once nothing more can come.
        """
        was_at_end = self.at_end
        return self.advance() or self.at_end != was_at_end

    def jump(self, offset_bytes: int) -> bool:
        """Go forward to a place of the stream; false where the stream ends before it."""
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
        """Have at least `count` bytes in memory; false where the stream ends before."""
        while self.left_bytes < count:
            if not self.advance(wanted_bytes):
                return False
        return True
