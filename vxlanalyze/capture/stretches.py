"""Read a capture in parallel stretches, and combine what each has found.

A *stretch* is a byte range of one file. After the first, each begins where a record (a block) seems to begin,
as after damage. This is verified: the previous stretch must end exactly there, with the state that the next
one assumed. Where that fails, the two are read again as one, so the result is that of one pass over the
whole.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.descriptions import State
from vxlanalyze.capture.model import File, Frames, Interface
from vxlanalyze.capture.octets import NS_PER_S
from vxlanalyze.capture.opened import OpenedFile
from vxlanalyze.capture.pcap import ODD_RECORDS, SEARCH_BYTES, PcapReader
from vxlanalyze.capture.pcapng import PcapngReader
from vxlanalyze.capture.reading import MAX_DAMAGES, Reading, TooMuchDamageError
from vxlanalyze.capture.records import PLAUSIBLE_DISTANCE_S
from vxlanalyze.capture.rows import FrameRows
from vxlanalyze.capture.view import View
from vxlanalyze.capture.window import Window

FormatReader = PcapReader | PcapngReader

_SEEK_BYTES = 1 << 20  # how far to search for a border; the longest frames take a quarter of it
_TO_THE_END = sys.maxsize
_BLOCK_NOTES = 2  # damages that are recorded for a whole pcapng


@dataclass(frozen=True, slots=True)
class Stretch:
    """The records of file number `file` from the one at `begin_bytes` (0: its head) to before `end_bytes`."""

    file: int
    begin_bytes: int = 0
    end_bytes: int = _TO_THE_END


@dataclass(frozen=True, slots=True)
class Learned:
    """Metadata found by reading a stretch, in addition to its frames.

    Parameters
    ----------
    reached_bytes : int
        Position in the file where reading ended.
    first_ns, last_ns : int or None
        Times of its first and last frame; None where it has none.
    begun, state : State or None
        For a pcapng: what is known about its blocks at the beginning, and at the end.
    frames : int
        Number of its frames, whether or not they belong to the point.
    """

    stretch: Stretch
    reading: Reading
    reached_bytes: int
    first_ns: int | None
    last_ns: int | None
    begun: State | None
    state: State | None
    frames: int = 0


class StretchSource:
    """One stretch of a capture, read like a source; `learned` is set once `chunks` is exhausted.

    Interfaces have their own numbers, which `put_together` maps to those of the capture.
    """

    def __init__(
        self, opened: OpenedFile, reader: FormatReader, stretch: Stretch, view: View | None = None
    ) -> None:
        self._view = view
        self._opened, self._reader, self.stretch = opened, reader, stretch
        self._reading = Reading()
        self.file: File = opened.file
        self.learned: Learned | None = None

    @property
    def interfaces(self) -> list[Interface]:
        """The interfaces seen so far."""
        interfaces = self._reading.interfaces
        return interfaces if self._view is None else self._view.interfaces(interfaces)

    def chunks(self) -> Iterator[Frames]:
        """Read the frames; `first_frame` counts from the beginning of the stretch.

        Raises
        ------
        CaptureError
            The file is missing or unreadable, or has changed since it was opened.
        """
        reading = self._reading = Reading()
        reading.begin_file(self.file.path)
        begun = _begun(self._opened, self._reader, self.stretch, reading)
        first_ns = last_ns = None
        first_frame = 1
        with self._opened.stream() as stream:
            window = Window(stream, border_bytes=self.stretch.end_bytes)
            rows = FrameRows()
            state = None if begun is None else begun.copied()
            try:
                for count in self._counts(window, rows, reading, state):
                    frames = rows.frames(count, window, first_frame)
                    first_ns = int(frames.time_ns[0]) if first_ns is None else first_ns
                    last_ns = int(frames.time_ns[-1])
                    first_frame += count
                    seen = frames if self._view is None else self._view.frames(frames, reading.interfaces)
                    if len(seen):
                        yield seen
                if window.fault is not None:
                    reading.damage(window.base + window.end, window.fault)
            except TooMuchDamageError:
                pass  # the position reached shows it
            reached = window.offset_bytes
        seen_ = (first_ns, last_ns, begun, state, first_frame - 1)
        self.learned = Learned(self.stretch, reading, reached, *seen_)

    def _counts(
        self, window: Window, rows: FrameRows, reading: Reading, state: State | None
    ) -> Iterator[int]:
        if isinstance(self._reader, PcapReader):
            return self._reader.read(window, rows, reading, self.stretch.begin_bytes)
        assert state is not None
        window.jump(self.stretch.begin_bytes)
        return self._reader.read_blocks(window, rows, reading, state)


def _begun(opened: OpenedFile, reader: FormatReader, stretch: Stretch, reading: Reading) -> State | None:
    """The state of a pcapng before the stretch, assumed to be that before its first packet."""
    if isinstance(reader, PcapReader):
        return None
    if stretch.begin_bytes == 0:
        return State()
    with opened.stream() as stream:
        state = reader.head(Window(stream, _SEEK_BYTES), reading)
    reading.damages.clear()
    reading.damages_of_file = 0
    return state


def cut(opened: Sequence[OpenedFile], readers: Sequence[FormatReader], step_bytes: int) -> list[Stretch]:
    """Split a capture into stretches of about `step_bytes`; a compressed file is not split.

    Raises
    ------
    CaptureError
        A file is missing or unreadable.
    """
    found: list[Stretch] = []
    for number, (entry, reader) in enumerate(zip(opened, readers, strict=True)):
        borders = [0]
        for wanted in range(step_bytes, entry.file.bytes - step_bytes // 2, step_bytes):
            if entry.file.compression is None and wanted > borders[-1]:
                borders += _border(entry, reader, wanted)
        ends = [*borders[1:], _TO_THE_END]
        found += [Stretch(number, begin, end) for begin, end in zip(borders, ends, strict=True)]
    return found


def _border(opened: OpenedFile, reader: FormatReader, wanted: int) -> list[int]:
    """The first position after `wanted` where a record seems to begin; None where none does."""
    with opened.stream() as stream:
        window = Window(stream, _SEEK_BYTES)
        if window.jump(wanted) and reader.seek(window, wanted + _SEEK_BYTES):
            return [window.offset_bytes]
    return []


def repaired(learned: Sequence[Learned]) -> list[Stretch]:
    """The stretches as they must be read: those of `learned`, joined where a border is not valid."""
    trusted = {
        file for file, parts in groupby(learned, lambda part: part.stretch.file) if _countable([*parts])
    }
    stretches = [part.stretch for part in learned[:1]]
    for before, after in pairwise(learned):
        last = stretches[-1]
        if last.file != after.stretch.file or (last.file in trusted and _seamless(before, after)):
            stretches.append(after.stretch)
        else:
            stretches[-1] = replace(last, end_bytes=after.stretch.end_bytes)
    return stretches


def _countable(parts: Sequence[Learned]) -> bool:
    """Whether a file has too few anomalies to change the way it is read."""
    odd_records = sum(part.reading.odd_records for part in parts)
    damages = sum(part.reading.damages_of_file for part in parts)
    return odd_records < ODD_RECORDS and damages + _BLOCK_NOTES <= MAX_DAMAGES


def _seamless(before: Learned, after: Learned) -> bool:
    """Whether one pass would also have reached the border, and continued from there in the same way."""
    if before.reached_bytes != after.stretch.begin_bytes or not _same_blocks(before.state, after.begun):
        return False
    if before.last_ns is None or after.first_ns is None:
        return False
    distance_s = abs(after.first_ns // NS_PER_S - before.last_ns // NS_PER_S)
    if before.state is None and distance_s > PLAUSIBLE_DISTANCE_S:
        return False
    # How far a search after damage goes depends on the position of the window.
    return all(
        (damage.resumed_bytes or after.reached_bytes) - damage.offset_bytes < SEARCH_BYTES // 2
        for damage in after.reading.damages
    )


def _same_blocks(first: State | None, second: State | None) -> bool:
    if first is None or second is None:
        return first is second
    return (first.sections, first.described) == (second.sections, second.described)


def put_together(
    learned: Sequence[Learned], readers: Sequence[FormatReader]
) -> tuple[Reading, list[NDArray[np.uint16]]]:
    """Combine what all stretches of a capture have found to the result of one pass.

    Parameters
    ----------
    learned : sequence of Learned
        In order, and such that `repaired` changes nothing.
    readers : sequence
        One for each file; afterwards they can find frames again.

    Returns
    -------
    Reading
        Of the whole capture.
    list of NDArray[np.uint16]
        For each stretch, the capture's number of each of its interfaces, shape ``(k,)``.
    """
    reading = Reading()
    numbers: list[NDArray[np.uint16]] = []
    for file, group in groupby(learned, lambda part: part.stretch.file):
        parts = list(group)
        reading.begin_file(parts[0].reading.path)
        own = [reading.take_over(part.reading) for part in parts]
        numbers += own
        reader = readers[file]
        if isinstance(reader, PcapReader):
            reader.know(int(own[0][0]))
        else:
            states = [part.state for part in parts if part.state is not None]
            state = states[-1].joined(states[:-1]).renumbered(own[-1])
            reader.conclude(state, reading)
    return reading, numbers
