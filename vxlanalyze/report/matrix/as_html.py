"""The matrix as one HTML file, which loads nothing and needs no script, and for Jupyter.

Every string goes through `plain` and is escaped.
"""

from vxlanalyze.report.matrix.legend import ITSELF, LEGEND, grid, legend, short
from vxlanalyze.report.matrix.model import BAD, Matrix, PairRecord
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
    return next((state for state in (*BAD, "undecided", "good") if state in states), "undecided")


def title(matrix: Matrix) -> str:
    """A short title for a tab, a bookmark or a printed page."""
    judged = sum(cell["state"] in (*BAD, "good") for cell in matrix.cells)
    if matrix.bad:
        return f"{len(matrix.bad):,} of {words.count(judged, 'direction')} in trouble – vxlanalyze"
    said = "No fault" if worst(matrix) == "good" else "Not determined"
    return f"{said}: {words.count(len(matrix.nodes), 'node')} – vxlanalyze"


def impact(matrix: Matrix) -> list[str]:
    """The impact on each pair, one sentence each."""
    lines = [
        f"{' and '.join(pair['nodes'])}: {line}" for pair in matrix.pairs for line in pair.get("impact", [])
    ]
    more = len(lines) - _MOST_LINES
    return [*lines[:_MOST_LINES], f"{more:,} more, listed with the pairs"] if more > 0 else lines


def _is_fine(pair: PairRecord, matrix: Matrix) -> bool:
    """Whether packets between two nodes arrive, and nothing is wrong in either direction."""
    states = {cell["state"] for cell in matrix.cells if {cell["from"], cell["to"]} == set(pair["nodes"])}
    return states <= {"good", "idle"} and "good" in states


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
        troubled=[pair for pair in matrix.pairs if not _is_fine(pair, matrix)],
        fine=[pair for pair in matrix.pairs if _is_fine(pair, matrix)],
    )
    return inert(written, "&#{};")
