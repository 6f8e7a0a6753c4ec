"""The capture layer's result: frames in chunks, and the files' own metadata.

All times are int64 nanoseconds since 1970-01-01 UTC, by the clock of the machine that captured.
A *place* is the position of a frame's bytes: ``file_index << PLACE_FILE_SHIFT | offset_bytes``, the
offset counted in the decompressed file and pointing at the first byte of the frame's data.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

PLACE_FILE_SHIFT = 48
PLACE_OFFSET_MASK = (1 << PLACE_FILE_SHIFT) - 1


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface of a capture, as its file describes it.

    A classic pcap has one; a pcapng has one for each interface description block, numbered through all
    sections and files of the capture. A rotated set numbers equal ones once. One without a name goes by its
    description.
    """

    index: int
    link_type: int
    snaplen_bytes: int
    name: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class InterfaceStatistics:
    """The content of a pcapng interface statistics block; None where absent.

    `dropped` counts drops by the kernel or the interface (isb_ifdrop and isb_osdrop together).
    """

    interface: int
    start_ns: int | None = None
    end_ns: int | None = None
    received: int | None = None
    dropped: int | None = None


@dataclass(frozen=True, slots=True)
class Damage:
    """A place where a capture could not be read; reading continued at `resumed_bytes`, or ended."""

    path: str
    offset_bytes: int
    what: str
    resumed_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class File:
    """One file of a capture. `format` is "pcap" or "pcapng"; `compression` None, "gzip", ..."""

    path: str
    bytes: int
    format: str
    compression: str | None


@dataclass(frozen=True, slots=True)
class Frames:
    """A chunk of `n` frames of one file, in file order; all arrays have shape ``(n,)``.

    `data` is the buffer that holds them, shape ``(k,)`` uint8: frame `i` is ``data[start[i] : start[i] +
    captured_length[i]]``. The buffer is only valid until the next chunk is requested: data to keep must be
    copied.
    """

    data: NDArray[np.uint8]
    start: NDArray[np.int64]
    captured_length: NDArray[np.uint32]
    original_length: NDArray[np.uint32]
    time_ns: NDArray[np.int64]
    interface: NDArray[np.uint16]  # index into Source.interfaces
    place: NDArray[np.int64]
    first_frame: int  # 1-based number of the first frame of this chunk in the whole capture
    number: NDArray[np.int64] | None = None  # 1-based numbers, where frames in between are left out

    def __len__(self) -> int:
        return len(self.start)

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Number of each frame in the whole capture, from 1, shape ``(n,)``."""
        if self.number is not None:
            return self.number
        return np.arange(self.first_frame, self.first_frame + len(self), dtype=np.int64)

    @property
    def cut_at_bytes(self) -> int | None:
        """Largest captured length of a truncated frame; None where none was truncated.

        A file's header may allow more, if it was truncated afterwards (`editcap -s`).
        """
        cut = self.captured_length[self.captured_length < self.original_length]
        return int(cut.max()) if len(cut) else None


class Readable(Protocol):
    """Frames that can be read from the start: a whole capture, or a part of one."""

    files: tuple[File, ...]

    @property
    def interfaces(self) -> list[Interface]:
        """The interfaces seen so far."""
        ...

    def chunks(self) -> Iterator[Frames]:
        """Read the frames from the start; may be called again."""
        ...


class Source(Readable, Protocol):
    """One logical capture: a file, a rotated set, a stream. Opened by `capture.open_source`.

    `interfaces`, `statistics`, `damages` are complete once `chunks` has been read to its end.
    """

    name: str

    @property
    def statistics(self) -> list[InterfaceStatistics]:
        """Contents of interface statistics blocks seen so far."""
        ...

    @property
    def damages(self) -> list[Damage]:
        """The unreadable places seen so far."""
        ...

    def fetch(self, places: NDArray[np.int64]) -> Frames:
        """Read again the frames at the given places, in the order given, into a buffer of its own.

        Raises
        ------
        CaptureError
            The file has changed since it was read.
        """
        ...

    def close(self) -> None:
        """Release files and temporary space."""
        ...
