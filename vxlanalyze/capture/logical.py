"""One logical capture: the frames of one file, of a stream, or of a rotated set, numbered consecutively."""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace
from itertools import accumulate
from threading import Event

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.fetching import fetch_from_files
from vxlanalyze.capture.model import Damage, File, Frames, Interface, InterfaceStatistics
from vxlanalyze.capture.opened import OpenedFile
from vxlanalyze.capture.parts import CapturePart, StretchPlace
from vxlanalyze.capture.pcap import PcapReader, parse_header
from vxlanalyze.capture.pcapng import PcapngReader
from vxlanalyze.capture.reading import Reading, TooMuchDamageError
from vxlanalyze.capture.rows import FrameRows
from vxlanalyze.capture.stretches import FormatReader, Learned, Stretch, StretchSource, cut, put_together
from vxlanalyze.capture.view import View
from vxlanalyze.capture.window import Window


class LogicalCapture:
    """An opened capture; implements `model.Source`.

    Parameters
    ----------
    name : str
        Name of the point.
    opened : sequence of OpenedFile
        Its files in the order of their first frames.
    view : View, optional
        The part of them that belongs to the point; by default everything.
    """

    def __init__(self, name: str, opened: Sequence[OpenedFile], view: View | None = None) -> None:
        self.name = name
        self.view = view
        self._opened = tuple(replace(entry, head=b"") for entry in opened)  # the readers have read them
        self.files: tuple[File, ...] = tuple(entry.file for entry in opened)
        self._readers = tuple(_reader(index, entry) for index, entry in enumerate(opened))
        self._reading = Reading()
        self._is_read = False
        self._places: tuple[StretchPlace, ...] = ()

    @property
    def interfaces(self) -> list[Interface]:
        """The interfaces, as far as the capture has been read."""
        interfaces = self._reading.interfaces
        return interfaces if self.view is None else self.view.interfaces(interfaces)

    @property
    def statistics(self) -> list[InterfaceStatistics]:
        """Contents of interface statistics blocks, as far as the capture has been read."""
        statistics = self._reading.statistics
        return statistics if self.view is None else self.view.statistics(statistics)

    @property
    def names(self) -> dict[str, str]:
        """Names of addresses from the file's name resolution blocks, as far as it has been read."""
        return self._reading.names

    @property
    def damages(self) -> list[Damage]:
        """The places that could not be read, as far as the capture has been read."""
        return self._reading.damages

    def chunks(self) -> Iterator[Frames]:
        """Read the frames from the start; may be called again.

        Yields
        ------
        Frames
            At least one frame, of one file.

        Raises
        ------
        CaptureError
            A file is missing or unreadable, or has changed since it was opened.
        """
        reading = Reading()
        if not self._is_read:
            self._reading = reading
        first_frame = 1
        rows = FrameRows()
        for opened, reader in zip(self._opened, self._readers, strict=True):
            reading.begin_file(opened.file.path)
            with opened.stream() as stream:
                for frames in _frames_of(Window(stream), reader, rows, reading, first_frame):
                    first_frame += len(frames)
                    seen = frames if self.view is None else self.view.frames(frames, reading.interfaces)
                    if len(seen):
                        yield seen
        self._is_read = True
        self._reading = reading

    def stretches(self, step_bytes: int) -> list[Stretch]:
        """Split it into stretches of about this many bytes that can be read in parallel.

        Raises
        ------
        CaptureError
            A file is missing or unreadable.
        """
        return cut(self._opened, self._readers, step_bytes)

    def stretch(self, stretch: Stretch) -> StretchSource:
        """Give one stretch for reading."""
        return StretchSource(self._opened[stretch.file], self._readers[stretch.file], stretch, self.view)

    def take_over(self, learned: Sequence[Learned]) -> list[NDArray[np.uint16]]:
        """Take over what reading all stretches has shown, as if `chunks` had been read to its end.

        Parameters
        ----------
        learned : sequence of Learned
            In order; `stretches.repaired` has nothing to change.

        Returns
        -------
        list of NDArray[np.uint16]
            For each stretch, the number here of each of its interfaces, shape ``(k,)``.
        """
        self._reading, numbers = put_together(learned, self._readers)
        self._is_read = True
        before = accumulate((each.frames for each in learned), initial=0)
        stretches = (each.stretch for each in learned)
        self._places = tuple(map(StretchPlace, stretches, before, numbers))
        return numbers

    def parts(self) -> list[CapturePart]:
        """Give the stretches that `take_over` has joined, each to be read on its own."""
        return [
            CapturePart(
                (self._opened[place.stretch.file], self._readers[place.stretch.file], self.view),
                place,
                self.files,
                self.interfaces,
            )
            for place in self._places
        ]

    def seen_through(self, view: View, name: str | None = None) -> "LogicalCapture":
        """Give one observation point of the capture; both read the same files and are closed together."""
        point = self.renamed(name or self.name)
        point.view = view
        return point

    def renamed(self, name: str) -> "LogicalCapture":
        """Give the same observation point under another name."""
        point = copy(self)
        point.name = name
        return point

    @property
    def is_stream(self) -> bool:
        """Whether it was piped into this process, so that no other can read it."""
        return any(entry.spool is not None for entry in self._opened)

    def seen_here(self) -> "LogicalCapture":
        """Give the same capture, with what is known about it, through this machine's file system.

        Raises
        ------
        CaptureError
            A file is missing, or not the same.
        """
        here = copy(self)
        here._opened = tuple(entry.seen_here() for entry in self._opened)
        return here

    def fetch(self, places: NDArray[np.int64]) -> Frames:
        """Read again the frames at the given places, in the order given, into a buffer of its own.

        `first_frame` of the result is 0: the frames need not be consecutive.

        Parameters
        ----------
        places : NDArray[np.int64]
            Places given by `chunks`, shape ``(k,)``, in any order, possibly repeated.

        Raises
        ------
        CaptureError
            A file is missing or unreadable, or has changed since it was opened.
        """
        frames = fetch_from_files(self._opened, self._readers, np.asarray(places, np.int64))
        return frames if self.view is None else self.view.frames(frames, self._reading.interfaces)

    def sha256(self, stop: Event | None = None) -> tuple[str, ...]:
        """Give the digest of each file on disk, in hexadecimal; ends early once `stop` is set."""
        return tuple(entry.sha256(stop) for entry in self._opened)

    def close(self) -> None:
        """Release files and temporary space."""
        for entry in self._opened:
            entry.close()


def first_time_ns(opened: OpenedFile) -> int | None:
    """Give the time of a file's first frame; None where it has no frame."""
    reading = Reading()
    reading.begin_file(opened.file.path)
    with opened.stream() as stream:
        for frames in _frames_of(Window(stream, 1 << 16), _reader(0, opened), FrameRows(1), reading, 1):
            return int(frames.time_ns[0])
    return None


def _reader(index: int, opened: OpenedFile) -> FormatReader:
    if opened.file.format == "pcap":
        return PcapReader(index, parse_header(opened.file.path, opened.head, opened.whole))
    return PcapngReader(index, opened.file.path, opened.head)


def _frames_of(
    window: Window, reader: FormatReader, rows: FrameRows, reading: Reading, first_frame: int
) -> Iterator[Frames]:
    try:
        for count in reader.read(window, rows, reading):
            yield rows.frames(count, window, first_frame)
            first_frame += count
        if window.fault is not None:
            reading.damage(window.base + window.end, window.fault)
    except TooMuchDamageError:
        return
