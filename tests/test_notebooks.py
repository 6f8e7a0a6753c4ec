"""The notebooks run from top to bottom, and are stored with what they print and draw today.

After a change: ``python -m pytest tests/test_notebooks.py --update-golden``, and look at the difference.
"""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
@pytest.mark.filterwarnings("ignore")  # what Jupyter's own machinery warns of is not ours
def test_a_notebook_is_stored_as_it_runs(path, request, monkeypatch):
    monkeypatch.delenv("MPLBACKEND", raising=False)  # with one, Jupyter would not show the plots
    stored = nbformat.read(path, as_version=4)
    run = nbformat.read(path, as_version=4)
    client = NotebookClient(run, timeout=600, record_timing=False, coalesce_streams=True)
    client.resources = {"metadata": {"path": str(path.parent)}}
    client.execute()

    if request.config.getoption("--update-golden"):
        run.metadata = stored.metadata  # no version of this machine's Python
        nbformat.write(run, path)
    else:
        assert list(said(stored)) == list(said(run))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_needs_nothing_but_the_package_and_the_samples(path):
    code = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code")

    assert set(re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE)) <= {
        "vxlanalyze",
        "pandas",
        "pathlib",
        "tempfile",
    }
    assert path.stat().st_size < 1_000_000


def said(notebook: Any) -> Iterator[tuple[int, str]]:
    """The words of each output; pictures differ with the version of matplotlib, and are only counted."""
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            data = output.get("data", {"text/plain": output.get("text", "")})
            yield number, words(data.get("text/html", "")) or data["text/plain"]
            yield number, ", ".join(sorted(data))


def words(html: str) -> str:
    """What is to be read in HTML, without its tags, styles and pictures."""
    return " ".join(unescape(re.sub(r"<style.*?</style>|<[^>]*>", " ", html, flags=re.DOTALL)).split())
