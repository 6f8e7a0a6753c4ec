"""The matrix of a cluster: plain data for all of its outputs.

`Matrix` holds only str, int, float, bool, None, and lists and dicts of these; its records have the same form
as in the report of one pair.
"""

from dataclasses import dataclass
from typing import NotRequired, TypedDict

from vxlanalyze.report.model import (
    CaptureRecord,
    ClockRecord,
    DelayRecord,
    FindingRecord,
    NotAssessedRecord,
    ServiceRecord,
    ToolRecord,
)

SCHEMA = "vxlanalyze.matrix/1"

CellRecord = TypedDict(
    "CellRecord",
    {
        "from": str,
        "to": str,
        "direction": str,
        "state": str,  # critical, warning, good, undecided (undecided), idle (nothing was sent)
        "finding": str | None,  # the code that determines the state
        "summary": str | None,  # ... in one sentence; if undecided, the reason
        "sent": int,
        "delivered": int,
        "lost": int,
        "unknown": int,
        "loss_ratio": float | None,
        "low": float | None,
        "high": float | None,
        "delay_ns": DelayRecord | None,
    },
)


class PairRecord(TypedDict):
    """The comparison of two nodes: the report of `vxlanalyze A B` without captures and hops."""

    nodes: list[str]
    verdict: str
    impact: NotRequired[list[str]]
    clock: list[ClockRecord]
    findings: list[FindingRecord]
    not_assessed: list[NotAssessedRecord]
    services: list[ServiceRecord]
    broken: list[dict[str, str]]


@dataclass(frozen=True)
class Matrix:
    """Which nodes have trouble with each other.

    `cells` are all directions between two nodes, row by row (the sender's); `pairs` are the underlying
    comparisons of nodes with traffic between them; `verdict` is one sentence.
    """

    tool: ToolRecord
    verdict: str
    nodes: list[CaptureRecord]
    cells: list[CellRecord]
    pairs: list[PairRecord]
    schema: str = SCHEMA

    @property
    def findings(self) -> list[FindingRecord]:
        """Findings of all pairs."""
        return [finding for pair in self.pairs for finding in pair["findings"]]

    @property
    def broken(self) -> list[dict[str, str]]:
        """Diagnostics that raised, over all pairs."""
        return [entry for pair in self.pairs for entry in pair["broken"]]

    @property
    def bad(self) -> list[CellRecord]:
        """The directions with a finding."""
        return [cell for cell in self.cells if cell["state"] in BAD]


BAD = ("critical", "warning")
