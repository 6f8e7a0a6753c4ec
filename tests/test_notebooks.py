"""The notebooks run from top to bottom, are stored without outputs, and say truly what their cells print."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
QUOTE = "```text\n{}\n```"  # what the cell above prints, for those who read it where nothing runs
PICTURE = re.compile(r"!\[[^\]]+\]\((pictures/[\w-]+\.png)\)")


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
@pytest.mark.filterwarnings("ignore")  # what Jupyter's own machinery warns of is not ours
def test_notebook_runs_and_prints_what_it_quotes(path, request):
    stored = nbformat.read(path, as_version=4)
    assert all(not cell.get("outputs") for cell in stored.cells), "stored without outputs"
    run = nbformat.read(path, as_version=4)
    NotebookClient(run, timeout=600, resources={"metadata": {"path": str(path.parent)}}).execute()

    if request.config.getoption("--update-golden"):
        update(stored, run)
        nbformat.write(stored, path)
    for cell, printed in quoted(stored, run):
        assert cell.source == QUOTE.format(printed)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_pictures_are_there_and_have_words(path):
    shown = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.source.startswith("![")]

    assert shown
    for source in shown:
        assert (FOLDER / PICTURE.fullmatch(source)[1]).stat().st_size < 200_000


def quoted(stored: Any, run: Any) -> Iterator[tuple[Any, str]]:
    """Each cell that quotes, and what the cell above it printed."""
    for above, cell in zip(run.cells, stored.cells[1:], strict=False):
        if above.cell_type == "code" and cell.cell_type == "markdown" and cell.source.startswith("```text"):
            yield cell, "".join(output.get("text", "") for output in above.outputs).rstrip()


def update(stored: Any, run: Any) -> None:
    """Quote what was printed, and write what was drawn."""
    for cell, printed in quoted(stored, run):
        cell.source = QUOTE.format(printed)
    for above, cell in zip(run.cells, stored.cells[1:], strict=False):
        if picture := PICTURE.fullmatch(cell.source):
            (drawn,) = (o.data["image/png"] for o in above.outputs if "image/png" in o.get("data", {}))
            (FOLDER / picture[1]).write_bytes(base64.b64decode(drawn))
