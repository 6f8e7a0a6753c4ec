"""The cells of a matrix in few letters: one for each finding, with a legend."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from vxlanalyze.report.matrix.model import CellRecord, Matrix
from vxlanalyze.report.matrix.verdict import by_finding
from vxlanalyze.report.model import FindingRecord
from vxlanalyze.text import formatting

WORDS = {"good": "ok", "undecided": "?", "idle": "–"}
ITSELF = "·"
LEGEND = "ok: nothing is wrong; ?: could not be judged; –: no traffic. Rows send, columns receive."


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """One finding of the legend: letter, code, severity, directions, and remedy."""

    letter: str
    code: str
    severity: str
    cells: Sequence[CellRecord]
    remedy: str


def legend(matrix: Matrix) -> list[LegendEntry]:
    """Give the findings, the worst and most frequent first."""
    return [
        LegendEntry(_letters(number), code, severity, cells, _remedy(matrix.findings, code, cells))
        for number, ((severity, code), cells) in enumerate(by_finding(matrix.bad))
    ]


def _letters(number: int) -> str:
    """A to Z, then AA, AB and so on."""
    more, last = divmod(number, len(ascii_uppercase))
    return (_letters(more - 1) if more else "") + ascii_uppercase[last]


def _remedy(findings: Sequence[FindingRecord], code: str, cells: Sequence[CellRecord]) -> str:
    """The remedy for the first of some cells."""
    wanted = (code, cells[0]["direction"]), (code, None)
    found = [f["remedy"] for key in wanted for f in findings if (f["code"], f["direction"]) == key]
    return found[0] if found else ""


def short(cell: CellRecord, entries: Sequence[LegendEntry]) -> str:
    """Give the letters of a cell, with its loss if any."""
    for entry in entries:
        if (entry.code, entry.severity) == (cell["finding"], cell["state"]):
            lost = f" {formatting.percent(cell['loss_ratio'])}" if cell["loss_ratio"] else ""
            return entry.letter + lost
    return WORDS[cell["state"]]


def grid(matrix: Matrix) -> list[tuple[str, list[CellRecord | None]]]:
    """Give each sender's name and its cells, one for each receiver; None where it is the sender itself."""
    names = [node["name"] for node in matrix.nodes]
    at = {cell["direction"]: cell for cell in matrix.cells}
    return [(a, [at.get(f"{a}>{b}") for b in names]) for a in names]
