"""One capture in the library."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vxlanalyze.capture.logical import LogicalCapture
from vxlanalyze.capture.sources import open_source
from vxlanalyze.errors import UsageError
from vxlanalyze.export.tables import to_frame, write_parquet
from vxlanalyze.pipeline.decoding import decode_all
from vxlanalyze.pipeline.opening import apart
from vxlanalyze.text import words
from vxlanalyze.text.escaping import plain
from vxlanalyze.text.times import rfc3339
from vxlanalyze.wire import frame_columns, table
from vxlanalyze.wire.dissect import dissect
from vxlanalyze.wire.model import NO_FLOW, Decoded, Tunnel
from vxlanalyze.wire.tunnels import NAMES

if TYPE_CHECKING:
    import pandas as pd


class Capture:
    """A capture that was read and decoded; created by `read`.

    Parameters
    ----------
    source : LogicalCapture
        Source for reading its frames again.
    decoded : Decoded
        Its `n` rows and the flows they belong to.
    ports : tuple of int
        Tunnel ports that it was decoded with, in addition to the known ones.
    """

    def __init__(self, source: LogicalCapture, decoded: Decoded, ports: tuple[int, ...]) -> None:
        self.source, self.decoded, self.ports = source, decoded, ports

    @property
    def name(self) -> str:
        """Name of the point."""
        return self.source.name

    def __len__(self) -> int:
        return int(np.count_nonzero(self.decoded.index.is_frame))

    def frames(self) -> "pd.DataFrame":
        """Give a row for each frame with the fields of every layer; missing ones are null."""
        return to_frame(frame_columns.SCHEMA, table.frame_batches(self.source, ports=self.ports))

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write the same table to a Parquet file, with memory for one chunk of frames."""
        write_parquet(Path(path), frame_columns.SCHEMA, table.frame_batches(self.source, ports=self.ports))

    def summary(self) -> dict[str, Any]:
        """Summarise the capture in plain values."""
        index, flows = self.decoded.index, self.decoded.flows
        known = index.flow[index.is_frame & (index.flow != NO_FLOW)]
        tunnel = flows.tunnel[known]
        kinds = {name: int(np.count_nonzero(tunnel == number)) for number, name in NAMES.items()}
        return {
            "name": self.name,
            "files": [file.path for file in self.source.files],
            "packets": len(self),
            "tunnel_packets": int(np.count_nonzero(tunnel != Tunnel.NONE)),
            "tunnels": {name: n for name, n in kinds.items() if n},
            "flows": len(flows),
            "first": rfc3339(int(index.time_ns.min())) if len(self) else None,
            "last": rfc3339(int(index.time_ns.max())) if len(self) else None,
            "damages": [damage.what for damage in self.source.damages],
        }

    def dissect(self, frame: int) -> list[Any]:
        """Dissect one frame with dpkt, from the link inwards.

        Parameters
        ----------
        frame : int
            Its number as Wireshark counts, from 1.

        Raises
        ------
        IndexError
            The capture has no such frame.
        """
        row = int(self.decoded.row(np.array([frame]))[0])
        number = self.decoded.frame
        if not 0 <= row < len(self) or (number is not None and number[row] != frame):
            raise IndexError(f"frame {frame}: {self.name} has {words.count(len(self), 'frame')}, from 1 on")
        return dissect_row(self.source, self.decoded, row, self.ports)

    def _repr_html_(self) -> str:
        """A summary for Jupyter."""
        from vxlanalyze.report import notebook

        return notebook.capture_html(self.summary())

    def __repr__(self) -> str:
        return f"<Capture {plain(self.name)}: {words.count(len(self), 'packet')}>"


def read(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    ports: Sequence[int] = (),
    point: str | None = None,
) -> Capture:
    """Read and decode one capture.

    Parameters
    ----------
    path : str or path-like
        A file, ``-`` for standard input, a directory, a glob, or a comma-separated list of one rotated
        set; ``NAME=`` may precede it if `name` is None.
    name : str, optional
        Name of the point; by default the file's name up to its first dot.
    ports : sequence of int
        UDP ports that carry tunnels, in addition to the known ones.
    point : str, optional
        Observation point in a file with several (mirror sessions, interfaces of several nodes), by its name
        in `compare`; by default the whole file as it is.

    Raises
    ------
    CaptureError
        It is not a readable capture.
    UsageError
        The name cannot be used, or the file has no such point.
    """
    source = open_source(path, name=name)
    points = apart([source])
    if point is not None:
        source = _chosen(points, point)
    elif len(points) == 1:
        (source,) = points
    (decoded,) = decode_all([source], tuple(ports))
    return Capture(source, decoded, tuple(ports))


def _chosen(points: Sequence[LogicalCapture], point: str) -> LogicalCapture:
    for source in points:
        if source.name == point:
            return source
    there = words.listed([plain(source.name) for source in points])
    points[0].close()
    raise UsageError(f"{point}: not an observation point of this file, which has {there}")


def dissect_row(source: Any, decoded: Decoded, row: int, ports: Sequence[int]) -> list[Any]:
    """Dissect the frame of one index row."""
    frames = source.fetch(decoded.index.place[row : row + 1])
    start, length = int(frames.start[0]), int(frames.captured_length[0])
    link_type = source.interfaces[int(frames.interface[0])].link_type
    return dissect(frames.data[start : start + length].tobytes(), link_type, ports=ports)
