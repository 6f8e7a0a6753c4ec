"""Fetch frames by place: one forward pass over each file that holds some of them."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.model import PLACE_FILE_SHIFT, PLACE_OFFSET_MASK, Frames
from vxlanalyze.capture.octets import FULL, MORE, Span
from vxlanalyze.capture.opened import OpenedFile
from vxlanalyze.capture.packing import Copying, FrameRun, copy_packed
from vxlanalyze.capture.rows import Copies
from vxlanalyze.capture.window import Window

LONGEST_HEADER_BYTES = 28  # header bytes before a frame's data that are needed to read it
RUN_GAP_BYTES = 1 << 15  # places nearer than this are read in one go
RUN_BYTES = 4 << 20
TYPICAL_FRAME_BYTES = 2048
LONG_FRAME_BYTES = 1 << 16
_FEWEST_PACKED = 16  # for fewer runs, packing them gains nothing


class Locating(Copying, Protocol):
    """A reader that can copy the frames at known places."""

    @property
    def relocatable(self) -> bool:
        """Whether it can do so where the bytes around each frame lie somewhere else than in the file."""
        ...

    def copy_frames(self, span: Span, offsets: NDArray[np.int64], row: int, out: Copies) -> tuple[int, int]:
        """Copy the frames at ``offsets[row:]`` as far as they lie in a span.

        Returns
        -------
        tuple of int
            The first row not done, and why: ``FULL`` (no room in `out`, or done) or ``MORE`` (the span
            ends inside the frame).

        Raises
        ------
        ValueError
            No frame begins at a place.
        """
        ...


def fetch_from_files(
    opened: Sequence[OpenedFile], readers: Sequence[Any], places: NDArray[np.int64]
) -> Frames:
    """Read the frames at `places`, shape ``(k,)``; rows of the result are in their order.

    Raises
    ------
    CaptureError
        A file is missing or has changed.
    ValueError
        A place does not belong to the capture.
    """
    sorted_places, order = np.unique(places, return_inverse=True)
    out = Copies(len(sorted_places))
    files = sorted_places >> PLACE_FILE_SHIFT
    if len(files) and not 0 <= files[0] <= files[-1] < len(opened):
        raise ValueError("a place of another capture")
    for index in np.unique(files):
        first, last = np.searchsorted(files, [index, index + 1])
        offsets = sorted_places[:last] & PLACE_OFFSET_MASK
        _fetch_from_file(opened[index], readers[index], offsets, int(first), out)
    rows = out.rows
    return Frames(
        data=out.data[: out.used],
        start=rows.start[order],
        captured_length=rows.captured_length[order],
        original_length=rows.original_length[order],
        time_ns=rows.time_ns[order],
        interface=rows.interface[order],
        place=places.copy(),
        first_frame=0,
    )


def _fetch_from_file(
    opened: OpenedFile, reader: Locating, offsets: NDArray[np.int64], first: int, out: Copies
) -> None:
    """Copy the frames at ``offsets[first:]`` to the rows from `first` on."""
    runs = list(_runs(offsets, first))
    # A compressed file would be unpacked once more for a frame that is longer than thought.
    if len(runs) >= _FEWEST_PACKED and reader.relocatable and opened.file.compression is None:
        with opened.stream() as stream:
            left = copy_packed(stream, runs, offsets, reader, out)
        runs = [_run(offsets, row, row + 1) for row in left]
    with opened.stream() as stream:
        window = Window(stream)
        for begin, end, start, stop in runs:
            window.jump(max(window.offset_bytes, start))
            window.hold(stop - start, stop - start)
            row = begin
            while row < end:
                row, why = reader.copy_frames(window.span, offsets[:end], row, out)
                if why == MORE and not window.advance(LONG_FRAME_BYTES):
                    raise ValueError(f"no frame at byte {offsets[row]}")
                if why == FULL and row < end:
                    out.grow()


def _runs(offsets: NDArray[np.int64], first: int) -> Iterator[FrameRun]:
    """Give the places from row `first` on that are close together."""
    gaps = np.flatnonzero(np.diff(offsets[first:]) > RUN_GAP_BYTES) + first + 1
    for begin, end in zip([first, *gaps.tolist()], [*gaps.tolist(), len(offsets)], strict=True):
        while begin < end:
            start = int(offsets[begin]) - LONGEST_HEADER_BYTES
            stop = min(end, max(begin + 1, int(np.searchsorted(offsets, start + RUN_BYTES))))
            yield _run(offsets, begin, stop)
            begin = stop


def _run(offsets: NDArray[np.int64], begin: int, end: int) -> FrameRun:
    start = max(int(offsets[begin]) - LONGEST_HEADER_BYTES, 0)
    return FrameRun(begin, end, start, int(offsets[end - 1]) + TYPICAL_FRAME_BYTES)
