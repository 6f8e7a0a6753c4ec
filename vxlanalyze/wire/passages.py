"""Data of a pass over a capture: rows of frames, tables of flows, buffers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.model import Frames, Interface


class Rows(NamedTuple):
    """Columns of `Index` that the kernel fills for the frames of one chunk."""

    flow: NDArray[np.int32]
    seq: NDArray[np.uint32]
    ack: NDArray[np.uint32]
    length: NDArray[np.uint32]
    payload_length: NDArray[np.uint32]
    outer_length: NDArray[np.uint32]
    digest: NDArray[np.uint32]
    digest_length: NDArray[np.uint32]
    anomalies: NDArray[np.uint32]
    window: NDArray[np.uint32]
    ip_id: NDArray[np.uint16]
    outer_ip_id: NDArray[np.uint16]
    tcp_flags: NDArray[np.uint16]
    checks: NDArray[np.uint16]


ROWS = "Rows(i4[] u4[] u4[] u4[] u4[] u4[] u4[] u4[] u4[] u4[] u2[] u2[] u2[] u2[])"

DTYPES = (np.int32, *(np.uint32,) * 9, *(np.uint16,) * 4)


COLUMN_DTYPES = (np.int64, np.int64, *DTYPES)
"""Of the columns of `Index`, in order."""


@dataclass(frozen=True, slots=True)
class Passage:
    """The result of one pass over some frames: pieces of columns, flows and fragments, numbered from 0.

    Parameters
    ----------
    columns : list of lists
        For each column of `Index`, its pieces chunk by chunk.
    keys, mss : ndarray
        Of the flows, in the order of their first packets, shapes ``(f, KEY_WORDS)`` and ``(f,)``.
    fragments : ndarray of int64, shape (k, fragments.COLUMNS)
        The result of a `Collector`.
    number : ndarray of int64 or None
        Number of each frame, from 1; None where none is left out.
    """

    columns: list[list[NDArray[Any]]]
    keys: NDArray[np.int64]
    mss: NDArray[np.uint16]
    fragments: NDArray[np.int64]
    number: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return sum(len(piece) for piece in self.columns[0])

    def __sizeof__(self) -> int:
        pieces = (piece.nbytes for column in self.columns for piece in column)
        return self.keys.nbytes + self.mss.nbytes + self.fragments.nbytes + sum(pieces)

    def apart(self) -> "Passage":
        """Give a copy that can be used up while this one stays unchanged."""
        columns = [list(pieces) for pieces in self.columns]
        return Passage(columns, self.keys.copy(), self.mss, self.fragments.copy(), self.number)


class Passable(Protocol):
    """Input of a pass: a source, or one stretch of it."""

    @property
    def interfaces(self) -> list[Interface]:
        """The interfaces seen so far."""
        ...

    def chunks(self) -> Iterator[Frames]:
        """Read the frames."""
        ...


class Columns:
    """Space for the columns of `Index` that grows in place where the C library finds room or moves pages.

    It doubles, and from 2^18 rows on it grows by as many.
    """

    def __init__(self) -> None:
        self._columns: list[NDArray[Any]] = [np.empty(0, dtype) for dtype in COLUMN_DTYPES]
        self._used = 0

    def room(self, rows: int) -> list[NDArray[Any]]:
        """Give the columns of the next rows for writing, until more room is asked for."""
        first, self._used = self._used, self._used + rows
        if self._used > len(self._columns[0]):
            self._resize(first + max(rows, min(first, _MOST_MORE_ROWS)))
        return [column[first : self._used] for column in self._columns]

    def written(self) -> list[list[NDArray[Any]]]:
        """Give each column as one piece, and begin anew."""
        self._resize(self._used)
        columns = self._columns
        self.__init__()  # type: ignore[misc]
        return [[column] for column in columns]

    def _resize(self, rows: int) -> None:
        for column in self._columns:
            column.resize(rows, refcheck=False)


_MOST_MORE_ROWS = 1 << 18
