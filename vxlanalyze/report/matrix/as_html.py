"""The matrix as one HTML file, which loads nothing and needs no script, and for Jupyter.

Every string goes through `plain` and is escaped.
"""

from vxlanalyze.report.matrix.legend import ITSELF, LEGEND, grid, legend, short
from vxlanalyze.report.matrix.model import BAD, Matrix
from vxlanalyze.report.templating import asset, environment
from vxlanalyze.text import words
from vxlanalyze.text.escaping import inert

_MOST_LINES = 5


def render(matrix: Matrix) -> str:
    """Write a matrix as an HTML page."""
    return _rendered("matrix.html", matrix, asset("report.css"))


def notebook(matrix: Matrix) -> str:
    """Write a matrix for Jupyter."""
    return _rendered("notebook_matrix.html", matrix, asset("notebook.css"))


def worst(matrix: Matrix) -> str:
    """The colour of the verdict: an undecided result is never shown as good."""
    states = {cell["state"] for cell in matrix.cells}
    return next((state for state in (*BAD, "untold", "good") if state in states), "untold")


def title(matrix: Matrix) -> str:
    """A short title for a tab, a bookmark or a printed page."""
    judged = sum(cell["state"] in (*BAD, "good") for cell in matrix.cells)
    if matrix.bad:
        return f"{len(matrix.bad):,} of {words.count(judged, 'direction')} in trouble – vxlanalyze"
    said = "No fault" if worst(matrix) == "good" else "Not determined"
    return f"{said}: {words.count(len(matrix.nodes), 'node')} – vxlanalyze"


def impact(matrix: Matrix) -> list[str]:
    """The impact, one sentence each; common sentences of several pairs appear once."""
    lines = dict.fromkeys(line for pair in matrix.pairs for line in pair.get("impact", []))
    return list(lines)[:_MOST_LINES]


def _rendered(template: str, matrix: Matrix, css: str) -> str:
    entries = legend(matrix)
    rows = [
        (sender, [(cell, ITSELF if cell is None else short(cell, entries)) for cell in cells])
        for sender, cells in grid(matrix)
    ]
    page = environment().get_template(template)
    written = page.render(
        matrix=matrix,
        css=css,
        rows=rows,
        entries=entries,
        worst=worst(matrix),
        legend=LEGEND,
        title=title(matrix),
        impact=impact(matrix),
    )
    return inert(written, "&#{};")
