"""A run whose packets stay on a worker: its outputs come from there part by part.

Outputs that only need the captures (tables of frames, captures without the tunnel) are made from their
stretches, each on a free worker. This process holds a few parts at a time, and writes them in order.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from vxlanalyze.capture.logical import LogicalCapture
from vxlanalyze.capture.pcapng_writer import PcapngWriter
from vxlanalyze.dask import tasks
from vxlanalyze.dask.on_dask import Handle, OnDask
from vxlanalyze.errors import writing
from vxlanalyze.export import annotate, tables
from vxlanalyze.export.decapsulate import three_of_each
from vxlanalyze.export.packet import SeenPacket
from vxlanalyze.export.redaction import Redactor
from vxlanalyze.pipeline.run import Questions
from vxlanalyze.report.model import Report

if TYPE_CHECKING:
    import pandas as pd

_Answer = TypeVar("_Answer")


class RunThere:
    """Created by `compare.run_there`; implements `export.exports.Exports`.

    Its outputs equal those of a run on this machine.
    """

    def __init__(self, workers: OnDask, run: Handle, read: Sequence[Handle], questions: Questions) -> None:
        self._workers, self._run, self._read, self.ports = workers, run, read, tuple(questions.ports)
        self.cluster = questions.cluster

    def report(self, *, plots: bool) -> Report:
        """Build the report; raises what the run raised."""
        return self._one(tasks.report_of, plots)

    def packet(self, row: int) -> SeenPacket:
        """Give the packet in a row of `packets`."""
        return self._one(tasks.packet_in, row)

    def requests(self) -> "pd.DataFrame":
        """Give the table of requests."""
        return self._one(tasks.requests)

    def _one(self, task: Callable[..., _Answer], *arguments: Any) -> _Answer:
        answer: _Answer
        (answer,) = self._workers.in_turn([(task, self._run, *arguments)])
        return answer

    @cached_property
    def _sources(self) -> list[LogicalCapture]:
        return self._workers.results(self._read)

    def batches(self, table: str) -> Iterator[Any]:
        """Give the table `packets` or `flows` in Arrow record batches."""
        parts = self._one(tasks.parts_of_table, table)
        return self._workers.in_turn((tasks.batch_of_table, self._run, table, part) for part in parts)

    def write_tables(self, directory: Path, redactor: Redactor | None) -> None:
        """Write all tables as Parquet files."""
        frames = ((source.name, self._frames(source)) for source in self._sources)
        rewrite = None if redactor is None else redactor.text
        tables.write_all({name: self.batches(name) for name in tables.TABLES}, frames, directory, rewrite)

    def _frames(self, source: LogicalCapture) -> Iterator[Any]:
        calls = ((tasks.frame_batches, source, part, self.ports) for part in range(len(source.parts())))
        return (batch for batches in self._workers.in_turn(calls) for batch in batches)

    def annotate(self, directory: Path, redactor: Redactor | None) -> None:
        """Write the frames of the findings."""
        captures = self._one(tasks.annotated)
        annotate.write(captures, self.ports, directory, redactor)

    def decapsulate(self, directory: Path, redactor: Redactor | None) -> None:
        """Write the captures with the tunnel removed."""
        cipher = None if redactor is None else redactor.cipher
        for source in self._sources:
            name, interfaces = source.name, source.interfaces
            if redactor is not None:
                name, interfaces = redactor.name(name), list(redactor.interfaces(interfaces))
            path = directory / f"{name}.pcapng"
            with writing(path), path.open("xb") as handle:
                PcapngWriter(handle, three_of_each(interfaces))
                for blocks in self._workers.in_turn(
                    (tasks.decapsulated, source, part, self.ports, cipher)
                    for part in range(len(source.parts()))
                ):
                    handle.write(blocks)
