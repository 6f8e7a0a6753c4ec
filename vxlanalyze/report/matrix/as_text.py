"""The matrix as text: the verdict, the nodes in trouble, and the remedies."""

from vxlanalyze.report.matrix.legend import ITSELF, LEGEND, LegendEntry, grid, legend, short
from vxlanalyze.report.matrix.model import Matrix
from vxlanalyze.report.matrix.verdict import where
from vxlanalyze.report.page import Page
from vxlanalyze.text import words
from vxlanalyze.text.escaping import plain

_STYLES = {
    "critical": "bold red",
    "warning": "bold yellow",
    "good": "green",
    "undecided": "bold",
    "idle": "dim",
}
_SHOWN = 12  # directions listed for one finding
_LONGEST_NAME = 24


def render(matrix: Matrix, *, width: int = 80, colour: bool = False, ascii_only: bool = False) -> str:
    """Write a matrix as text.

    Parameters
    ----------
    width : int
        Columns; at least 60 are used. A wider matrix is left out.
    colour, ascii_only : bool
        Whether to colour, and whether to draw with ASCII only.
    """
    page = Page(max(width, 60), ascii_only=ascii_only)
    page.paragraph((matrix.verdict, "bold"))
    entries = legend(matrix)
    page.heading("Matrix")
    _draw(page, matrix, entries)
    if entries:
        page.heading("Findings")
    for number, entry in enumerate(entries):
        if number:
            page.blank()
        _entry(page, entry)
    _undecided(page, matrix)
    _nodes(page, matrix)
    return page.render(colour=colour)


def _draw(page: Page, matrix: Matrix, entries: list[LegendEntry]) -> None:
    names = [plain(node["name"])[:_LONGEST_NAME] for node in matrix.nodes]
    heads = [str(number) for number in range(1, len(names) + 1)]
    rows = [[ITSELF if cell is None else short(cell, entries) for cell in cells] for _, cells in grid(matrix)]
    margin = len(heads[-1]) + 1 + max(map(len, names))
    left = (page.width - 2 - margin) // len(names)
    rows = rows if _widest(rows, heads) < left else [[text.split()[0] for text in row] for row in rows]
    letters = min(_widest(rows, heads) + 2, left)
    if _widest(rows, heads) >= left:
        page.paragraph(
            (f"It is too wide for {page.width} columns: -o matrix.html or -o matrix.md shows it.", ""),
            indent=2,
        )
        return
    page.drawn((" " * (2 + margin) + "".join(head.rjust(letters) for head in heads), "dim"))
    for (_, cells), head, name, row in zip(grid(matrix), heads, names, rows, strict=True):
        styles = ["dim" if cell is None else _STYLES[cell["state"]] for cell in cells]
        spans = [(text.rjust(letters), style) for text, style in zip(row, styles, strict=True)]
        page.drawn((f"  {head.rjust(len(heads[-1]))} {name}".ljust(2 + margin), ""), *spans)
    page.paragraph((LEGEND, "dim"), indent=2)


def _widest(rows: list[list[str]], heads: list[str]) -> int:
    return max(len(text) for text in [*heads, *(text for row in rows for text in row)])


def _entry(page: Page, entry: LegendEntry) -> None:
    page.paragraph(
        (f"{entry.letter} ", "bold"),
        (entry.severity.upper(), _STYLES[entry.severity]),
        (f" {entry.code}", "bold"),
        (f" {where(entry.cells)}", ""),
    )
    for cell in entry.cells[:_SHOWN]:
        page.paragraph(("- ", ""), (cell["summary"] or cell["direction"], ""), indent=2, hanging=2)
    if len(entry.cells) > _SHOWN:
        page.paragraph((f"and {len(entry.cells) - _SHOWN} more, in the JSON", "dim"), indent=2)
    if entry.remedy:
        page.remedy(entry.remedy, indent=2)


def _undecided(page: Page, matrix: Matrix) -> None:
    undecided = [cell for cell in matrix.cells if cell["state"] == "undecided"]
    if undecided:
        page.heading("Could not be judged (which does not mean healthy)")
    for cell in undecided[:_SHOWN]:
        page.paragraph(("- ", ""), (f"{cell['direction']}: {cell['summary']}", ""), indent=2, hanging=2)
    if len(undecided) > _SHOWN:
        page.paragraph((f"and {len(undecided) - _SHOWN} more, in the JSON", "dim"), indent=2)


def _nodes(page: Page, matrix: Matrix) -> None:
    page.heading("Nodes")
    for node in matrix.nodes:
        addresses = ", ".join(node["node_addresses"]) or "address not known"
        tunnel = f"{words.count(node['packets'], 'packet')} ({node['tunnel_packets']:,} in the tunnel)"
        text = f"{addresses}, {tunnel}, {node['files'][0]['path']}"
        page.paragraph((f"{node['name']}: ", "bold"), (text, ""), indent=2, hanging=2)
    page.paragraph(("A pair in full: vxlanalyze CAPTURE CAPTURE", "dim"), indent=2)
