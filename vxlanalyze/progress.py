"""How far the reading of captures has come, and how to stop it."""

from collections.abc import Callable, Iterator
from threading import Event

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.model import (
    PLACE_FILE_SHIFT,
    PLACE_OFFSET_MASK,
    Damage,
    File,
    Frames,
    Interface,
    InterfaceStatistics,
    Source,
)

Progress = Callable[[str, int, int | None], None]
"""Called with a capture's name, the bytes read so far, and all its bytes (None where they are packed)."""


class CancelledError(Exception):
    """Another thread asked for the end."""


class Watched:
    """A source that tells how far it was read, and ends early where that is asked for.

    Parameters
    ----------
    source : Source
        What is read.
    progress : Progress
        Called after each chunk, from the thread that reads.
    stop : Event
        Once set, the next chunk raises CancelledError.
    """

    def __init__(self, source: Source, progress: Progress, stop: Event) -> None:
        self._source, self._progress, self._stop = source, progress, stop
        self.name = source.name
        self.files: tuple[File, ...] = source.files
        packed = any(file.compression for file in source.files)
        self._total_bytes = None if packed else sum(file.bytes for file in source.files)

    @property
    def interfaces(self) -> list[Interface]:
        """Interfaces of the source."""
        return self._source.interfaces

    @property
    def statistics(self) -> list[InterfaceStatistics]:
        """Statistics of the source."""
        return self._source.statistics

    @property
    def damages(self) -> list[Damage]:
        """Damages of the source."""
        return self._source.damages

    def chunks(self) -> Iterator[Frames]:
        """Read the frames and tell how far it came.

        Raises
        ------
        CancelledError
            The end was asked for.
        """
        before = 0  # bytes of the files that are done
        number = 0
        for frames in self._source.chunks():
            if self._stop.is_set():
                raise CancelledError
            yield frames
            last = int(frames.place[-1])
            while number < last >> PLACE_FILE_SHIFT:
                before += self.files[number].bytes
                number += 1
            read = before + (last & PLACE_OFFSET_MASK) + int(frames.captured_length[-1])
            self._progress(self.name, read, self._total_bytes)

    def fetch(self, places: NDArray[np.int64]) -> Frames:
        """Read frames again."""
        return self._source.fetch(places)

    def close(self) -> None:
        """Close the source."""
        self._source.close()
