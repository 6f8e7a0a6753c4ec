"""The result of a comparison in the library."""

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from vxlanalyze.api.findings import Findings
from vxlanalyze.api.packet import Packet
from vxlanalyze.api.questions import PathLike
from vxlanalyze.api.records import Records
from vxlanalyze.errors import UsageError
from vxlanalyze.export.outputs import Outputs
from vxlanalyze.pipeline import run as pipeline
from vxlanalyze.report import by_suffix, judging
from vxlanalyze.report.formats import as_json, as_text
from vxlanalyze.report.model import (
    CaptureRecord,
    ClockRecord,
    HopRecord,
    NotAssessedRecord,
    Report,
    ServiceRecord,
)
from vxlanalyze.report.unassessed import checks
from vxlanalyze.text.escaping import plain

if TYPE_CHECKING:
    import pandas as pd

    from vxlanalyze.api.plotting import Plot
    from vxlanalyze.export.exports import Exports
    from vxlanalyze.export.redaction import Redactor


class Comparison:
    """The fate of each packet between captures, and its diagnosis; created by `compare` and `load`.

    Jupyter displays it; ``print`` gives the text report.
    """

    def __init__(self, report: Report, run: pipeline.Run | None, exports: "Exports | None" = None) -> None:
        self._short_report = report
        self._run = run
        self._exports = exports

    @cached_property
    def report(self) -> Report:
        """The whole report, as plain data, with the digests of the files and the series of all plots."""
        if self._run is None:
            return self._short_report
        return self._run.with_digests().report()

    @property
    def verdict(self) -> str:
        """What is wrong, in one sentence."""
        return self._short_report.verdict

    @cached_property
    def findings(self) -> Findings:
        """What is wrong or worth a note; root causes first."""
        return Findings(self._short_report.findings)

    @property
    def not_assessed(self) -> Records[NotAssessedRecord]:
        """Checks that could not be decided, and why; a list, with ``.to_frame()``."""
        return Records(self._short_report.not_assessed)

    @property
    def captures(self) -> Records[CaptureRecord]:
        """Description of each capture; a list, with ``.to_frame()``."""
        return Records(self.report.captures)

    @property
    def clock(self) -> Records[ClockRecord]:
        """Offset and drift of the clocks of neighbouring points; a list, with ``.to_frame()``."""
        return Records(self._short_report.clock)

    @property
    def hops(self) -> Records[HopRecord]:
        """Figures of each hop and direction, then of hops inside nodes; a list, with ``.to_frame()``."""
        return Records([*self._short_report.hops, *self._short_report.inside])

    @property
    def services(self) -> Records[ServiceRecord]:
        """Requests and responses of each client and server; a list, with ``.to_frame()``."""
        return Records(self._short_report.services)

    def summary(self) -> dict[str, Any]:
        """Summarise the result in plain values, for example for a dashboard or a log line."""
        return {
            "verdict": self.verdict,
            "findings": {finding.key: finding.severity for finding in self.findings},
            "directions": {
                hop["direction"]: {
                    name: hop[name] for name in ("sent", "delivered", "lost", "unknown", "loss_ratio")
                }
                for hop in self.hops
            },
            "requests": sum(service["requests"] for service in self.services),
            "unanswered": sum(service["unanswered"] for service in self.services),
            "not_assessed": checks(self.not_assessed),
        }

    @cached_property
    def packets(self) -> "pd.DataFrame":
        """A row for each wire packet and hop, with its fate."""
        return self._frame("packets")

    @cached_property
    def flows(self) -> "pd.DataFrame":
        """A row for each inner 5-tuple, VNI and direction."""
        return self._frame("flows")

    def _frame(self, table: str) -> "pd.DataFrame":
        from vxlanalyze.export.tables import TABLES, to_frame

        return to_frame(TABLES[table].SCHEMA, self._of_packets.batches(table))

    def to_arrow(self, table: Literal["packets", "flows"] = "packets") -> Any:
        """Give a table as a pyarrow.Table, which polars and DuckDB accept directly (Arrow's C stream).

        Raises
        ------
        UsageError
            There is no such table.
        """
        from vxlanalyze.export.tables import to_arrow

        return to_arrow(table, self._of_packets.batches)

    def slow(self) -> "pd.DataFrame":
        """The limit of each TCP connection, those with the most to gain first.

        `limit` names the cause it waited for longest, the columns ``waited_...`` give the time for each;
        `gain_ns` is the upper bound of the gain from removing the worst limit.
        """
        from vxlanalyze.api.slow import slow_frame

        return slow_frame(self._short_report.connections)

    @cached_property
    def requests(self) -> "pd.DataFrame":
        """A row for each request that both ends show, with its time: forward, server, return, transfer.

        DNS, echoes and handshakes are matched by number, TCP data by its framing (HTTP/1, HTTP/2 with gRPC,
        TLS) or by changes of direction; `message` describes it. Empty with one capture, which cannot divide
        the time. Of very many requests, those of some connections are read; calls that had not ended are
        left out.
        """
        return self._of_packets.requests()

    def packet(self, row: int) -> Packet:
        """Give the packet in a row of `packets`, for dissection.

        Raises
        ------
        IndexError
            There is no such row.
        CaptureError
            A capture is gone or has changed.
        """
        exports = self._of_packets
        return Packet.of(exports.packet(row), exports.ports)

    @property
    def of_captures(self) -> pipeline.Run:
        """The underlying run, stage by stage.

        Raises
        ------
        UsageError
            It was loaded from a report, or computed on a cluster: there are no packets here.
        """
        if self._run is None:
            raise UsageError("a report alone has no packets; compare the captures on this machine for them")
        return self._run

    @property
    def _of_packets(self) -> "Exports":
        """Source of the packets, here or on a cluster; raises UsageError like `of_captures`."""
        if self._exports is not None:
            return self._exports
        from vxlanalyze.export.exports import ExportsHere

        run = self.of_captures
        return ExportsHere(run.comparison, run.diagnosis.findings)

    def save(self, path: PathLike, *, redact: bool = False) -> None:
        """Write a report; the suffix selects the format: .html, .json, .txt, .md, .xml (JUnit).

        Parameters
        ----------
        redact : bool
            Whether pseudonyms replace addresses and names, for sharing.

        Raises
        ------
        UsageError
            No format has this suffix.
        OutputError
            The file cannot be written.
        """
        name = os.fspath(path)
        renderer = by_suffix(name)
        report = self.redactor().report(self.report) if redact else self.report
        with self._outputs() as outputs:
            outputs.write_text(name, renderer.render(report))

    def to_json(self, *, redact: bool = False) -> str:
        """Give the JSON report as text, with `redact` as in `save`."""
        return as_json.render(self.redactor().report(self.report) if redact else self.report)

    def write_tables(self, directory: PathLike, *, redact: bool = False) -> None:
        """Write `packets`, `flows` and the frames of each capture as Parquet files.

        Raises
        ------
        OutputError
            The directory cannot be written.
        """
        exports, redactor = self._of_packets, self.redactor() if redact else None
        with self._outputs() as outputs:
            exports.write_tables(outputs.directory(os.fspath(directory)), redactor)

    def annotate(self, directory: PathLike, *, redact: bool = False) -> None:
        """Write the frames of the findings as pcapng, each with its comment, for Wireshark.

        Raises
        ------
        OutputError
            The directory cannot be written.
        """
        exports, redactor = self._of_packets, self.redactor() if redact else None
        with self._outputs() as outputs:
            exports.annotate(outputs.directory(os.fspath(directory)), redactor)

    def decapsulate(self, directory: PathLike, *, redact: bool = False) -> None:
        """Write each capture with the tunnel removed, as pcapng.

        Raises
        ------
        OutputError
            The directory cannot be written.
        """
        exports, redactor = self._of_packets, self.redactor() if redact else None
        with self._outputs() as outputs:
            exports.decapsulate(outputs.directory(os.fspath(directory)), redactor)

    def _outputs(self) -> Outputs:
        outputs = Outputs()
        for capture in self._short_report.captures:
            outputs.protect(file["path"] for file in capture["files"])
        return outputs

    def redactor(self) -> "Redactor":
        """Give the redactor of addresses and names, the same for all outputs."""
        from vxlanalyze.export.redaction import Redactor

        known = self._run is not None or self._exports is not None
        return Redactor(self.report, self._of_packets.cluster if known else None)

    @cached_property
    def plot(self) -> "Plot":
        """Pictures: ``.timeline()``, ``.delay()``, ``.loss_by_size()``, ``.sequence()``, ``.ladder()``."""
        from vxlanalyze.api.plotting import Plot

        return Plot(self.report, None if self._run is None else self._run.comparison)

    def _repr_html_(self) -> str:
        """Verdict, path, findings, figures and pictures, for Jupyter."""
        from vxlanalyze.report import notebook

        return notebook.comparison_html(self.report)

    def __str__(self) -> str:
        return as_text.render(self._short_report)

    def __repr__(self) -> str:
        names = ", ".join(capture["name"] for capture in self._short_report.captures)
        return plain(f"<Comparison of {names}: {self.verdict}>")


def load(path: PathLike) -> Comparison:
    """Load a saved JSON report: everything except the packets.

    Raises
    ------
    UsageError
        It cannot be read, or is not a report.
    """
    name = os.fspath(path)
    return Comparison(as_json.from_json(judging.read_text(name), name), None)
