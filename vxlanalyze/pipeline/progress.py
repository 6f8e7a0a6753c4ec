"""Progress of reading captures, and how to stop it."""

from collections.abc import Callable, Iterator
from threading import Event, Lock

from vxlanalyze.capture.model import PLACE_OFFSET_MASK, File, Frames, Interface
from vxlanalyze.capture.stretches import StretchSource

Progress = Callable[[str, int, int | None], None]
"""Called with a capture's name, the bytes read so far, and all its bytes (None where they are packed)."""


def silent(name: str, done_bytes: int, total_bytes: int | None) -> None:
    """Ignore progress."""


class CancelledError(Exception):
    """Another thread requested the end."""


class Meter:
    """How much of one capture has been read, over all readers of its stretches.

    Parameters
    ----------
    name : str
        The capture's.
    files : sequence of File
        Its files.
    progress : Progress
        Called after each chunk, from the thread that reads.
    """

    def __init__(self, name: str, files: tuple[File, ...], progress: Progress) -> None:
        self._name, self._progress = name, progress
        packed = any(file.compression for file in files)
        self._total_bytes = None if packed else sum(file.bytes for file in files)
        self._done_bytes = 0
        self._lock = Lock()

    def add(self, count: int) -> None:
        """Count bytes that were read."""
        with self._lock:
            self._done_bytes += count
            self._progress(self._name, self._done_bytes, self._total_bytes)


class Watched:
    """A stretch that reports its progress, and ends early on request.

    Parameters
    ----------
    part : StretchSource
        The stretch to read.
    meter : Meter
        Updated after each chunk.
    stop : Event
        Once set, the next chunk raises CancelledError.
    """

    def __init__(self, part: StretchSource, meter: Meter, stop: Event) -> None:
        self._part, self._meter, self._stop = part, meter, stop

    @property
    def interfaces(self) -> list[Interface]:
        """Interfaces of the stretch."""
        return self._part.interfaces

    def chunks(self) -> Iterator[Frames]:
        """Read the frames and report progress.

        Raises
        ------
        CancelledError
            The end was requested.
        """
        before = self._part.stretch.begin_bytes
        for frames in self._part.chunks():
            if self._stop.is_set():
                raise CancelledError
            yield frames
            reached = int(frames.place[-1] & PLACE_OFFSET_MASK) + int(frames.captured_length[-1])
            self._meter.add(reached - before)
            before = reached
