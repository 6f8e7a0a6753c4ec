"""Frames far apart in a file: the bytes around many are packed into one buffer, and copied out at once.

A call of a compiled function for each of them takes longer than reading it.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.octets import FULL, MORE, Span
from vxlanalyze.capture.rows import Copies
from vxlanalyze.capture.streams import ByteStream

_PACKED_BYTES = 4 << 20


class FrameRun(NamedTuple):
    """Frames near each other: rows `first` to before `behind`, and the bytes around them in the file."""

    first: int
    behind: int
    begin_bytes: int
    end_bytes: int


class Copying(Protocol):
    """A reader that can copy out the frames at known places."""

    def copy_frames(self, span: Span, offsets: NDArray[np.int64], row: int, out: Copies) -> tuple[int, int]:
        """See `fetching.Locating`."""
        ...


def copy_packed(
    stream: ByteStream,
    runs: Iterable[FrameRun],
    offsets: NDArray[np.int64],
    reader: Copying,
    out: Copies,
) -> list[int]:
    """Copy the frames of runs, in the order of the file; give the rows of those that are longer than thought.

    Parameters
    ----------
    stream : ByteStream
        Nothing of it was read.
    offsets : NDArray[np.int64]
        Place of each row's data in the file, ascending.
    """
    left: list[int] = []
    reached = 0
    for batch in _batches(runs):
        data = np.empty(sum(run.end_bytes - run.begin_bytes for run in batch), np.uint8)
        ends: list[int] = []
        for run in batch:
            stream.skip(run.begin_bytes - reached)
            used = ends[-1] if ends else 0
            count = stream.readinto(data.data[used : used + run.end_bytes - run.begin_bytes])
            ends.append(used + count)
            reached = run.begin_bytes + count
        left += _copied(data, ends, batch, offsets, (reader, out))
    return left


def _batches(runs: Iterable[FrameRun]) -> Iterator[list[FrameRun]]:
    """Put runs together that fit into one buffer; none reaches into the next."""
    batch: list[FrameRun] = []
    held = 0
    for run, following in pairwise(chain(runs, [None])):
        assert run is not None
        end = run.end_bytes if following is None else min(run.end_bytes, following.begin_bytes)
        batch.append(run._replace(end_bytes=end))
        held += end - run.begin_bytes
        if held >= _PACKED_BYTES or following is None:
            yield batch
            batch, held = [], 0


def _copied(
    data: NDArray[np.uint8],
    ends: list[int],
    batch: list[FrameRun],
    offsets: NDArray[np.int64],
    into: tuple[Copying, Copies],
) -> list[int]:
    """Copy the frames of a batch, of which each run ends in `data` at one of `ends`; give the rows left."""
    reader, out = into
    first, behind = batch[0].first, batch[-1].behind
    sizes = [run.behind - run.first for run in batch]
    moved = offsets[:behind].copy()
    begins = np.array([0, *ends[:-1]]) - [run.begin_bytes for run in batch]
    moved[first:] += np.repeat(begins, sizes)
    left: list[int] = []
    span = Span(data, 0, ends[-1], 0, False)  # as if a file were made of the runs
    row = first
    while row < behind:
        row, why = reader.copy_frames(span, moved, row, out)
        if why == FULL and row < behind:
            out.grow()
        elif why == MORE:
            left.append(row)
            row += 1
    # What is longer than its run was copied with bytes of the next.
    too_long = moved[first:] + out.rows.captured_length[first:behind] > np.repeat(ends, sizes)
    return sorted({*left, *(np.flatnonzero(too_long) + first).tolist()})
