"""Outputs of a run in addition to its report: tables, annotated captures, captures without the tunnel."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vxlanalyze.analysis.finding import Finding
from vxlanalyze.export import tables
from vxlanalyze.export.annotate import annotate
from vxlanalyze.export.decapsulate import decapsulate
from vxlanalyze.export.packet import SeenPacket, packet_in
from vxlanalyze.export.redaction import Redactor
from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.pairing.model import Comparison

if TYPE_CHECKING:
    import pandas as pd


class Exports(Protocol):
    """Outputs that need the packets, wherever these are.

    `cluster` has the names for `--redact` to hide; `ports` are further tunnel ports.
    """

    cluster: Cluster
    ports: tuple[int, ...]

    def packet(self, row: int) -> SeenPacket:
        """Give the packet in a row of the table `packets`; see `packet.packet_in`."""
        ...

    def requests(self) -> "pd.DataFrame":
        """Give the table of requests; see `exchange_table.exchange_frame`."""
        ...

    def batches(self, table: str) -> Iterator[Any]:
        """Give the table `packets` or `flows` in Arrow record batches."""
        ...

    def write_tables(self, directory: Path, redactor: Redactor | None) -> None:
        """Write all tables as Parquet files; see `tables.write`."""
        ...

    def annotate(self, directory: Path, redactor: Redactor | None) -> None:
        """Write the frames of the findings; see `annotate.annotate`."""
        ...

    def decapsulate(self, directory: Path, redactor: Redactor | None) -> None:
        """Write the captures with the tunnel removed; see `decapsulate.decapsulate`."""
        ...


class ExportsHere:
    """Exports of a comparison in this process."""

    def __init__(self, comparison: Comparison, findings: Sequence[Finding]) -> None:
        self._comparison, self._findings = comparison, findings
        self.cluster, self.ports = comparison.cluster, comparison.ports

    def packet(self, row: int) -> SeenPacket:
        """Give the packet in a row of `packets`."""
        return packet_in(self._comparison, row)

    def requests(self) -> "pd.DataFrame":
        """Give the table of requests."""
        from vxlanalyze.export.exchange_table import exchange_frame  # pandas

        return exchange_frame(self._comparison)

    def batches(self, table: str) -> Iterator[Any]:
        """Give a table in record batches."""
        return tables.TABLES[table].batches(self._comparison)

    def write_tables(self, directory: Path, redactor: Redactor | None) -> None:
        """Write all tables."""
        tables.write(self._comparison, directory, None if redactor is None else redactor.text)

    def annotate(self, directory: Path, redactor: Redactor | None) -> None:
        """Write the frames of the findings."""
        annotate(self._comparison, self._findings, directory, redactor)

    def decapsulate(self, directory: Path, redactor: Redactor | None) -> None:
        """Write the captures with the tunnel removed."""
        decapsulate(self._comparison, directory, redactor)
