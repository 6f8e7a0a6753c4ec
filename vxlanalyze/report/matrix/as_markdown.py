"""The matrix as GitHub Flavored Markdown, for issues and job summaries."""

from vxlanalyze.report.formats.as_markdown import code, escaped, remedy
from vxlanalyze.report.matrix.legend import ITSELF, LEGEND, LegendEntry, grid, legend, short
from vxlanalyze.report.matrix.model import Matrix
from vxlanalyze.text.escaping import inert


def render(matrix: Matrix) -> str:
    """Write a matrix as Markdown."""
    entries = legend(matrix)
    parts = [f"**{escaped(matrix.verdict)}**", _table(matrix, entries), escaped(LEGEND)]
    parts += ["## Findings"] if entries else []
    parts += [part for entry in entries for part in _entry(entry)]
    undecided = [f"{c['direction']}: {c['summary']}" for c in matrix.cells if c["state"] == "undecided"]
    if undecided:
        parts.append("## Could not be judged (which does not mean healthy)")
        parts.append("\n".join(f"- {escaped(line)}" for line in undecided))
    return inert("\n\n".join(parts) + "\n")


def _table(matrix: Matrix, entries: list[LegendEntry]) -> str:
    names = [escaped(node["name"]) for node in matrix.nodes]
    rows = [["", *names], ["---"] * (len(names) + 1)]
    rows += [
        [escaped(sender), *(ITSELF if cell is None else short(cell, entries) for cell in cells)]
        for sender, cells in grid(matrix)
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _entry(entry: LegendEntry) -> list[str]:
    lines = "\n".join(f"- {escaped(cell['summary'] or cell['direction'])}" for cell in entry.cells)
    todo = [f"**Remedy:** {remedy(entry.remedy)}"] if entry.remedy else []
    return [f"### {entry.letter}: {entry.severity} {code(entry.code)}", lines, *todo]
