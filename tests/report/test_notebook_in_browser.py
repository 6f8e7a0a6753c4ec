"""Views in a browser, between the style sheets of JupyterLab and of classic pages, which nbconvert writes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vxlanalyze as vx
from tests.report.browser import Browser, browser
from tests.report.recorded import paths

nbconvert = pytest.importorskip("nbconvert")
nbformat = pytest.importorskip("nbformat")

KINDS = [("classic", "light"), ("lab", "light"), ("lab", "dark")]
LABELS = "[...document.querySelectorAll('.vxlanalyze dt')].filter(e => e.offsetHeight)"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as session:
        yield session


@pytest.fixture(scope="module")
def notebook() -> Any:
    """A notebook whose only cell shows a comparison, as it is stored after it ran."""
    result = vx.compare(*paths("blackhole-jumbo"))
    data = {"text/html": result._repr_html_(), "text/plain": repr(result)}
    shown = nbformat.v4.new_output("execute_result", data, execution_count=1)
    cell = nbformat.v4.new_code_cell("result", execution_count=1, outputs=[shown])
    return nbformat.v4.new_notebook(cells=[cell])


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def page(request: Any, notebook: Any, chromium: Browser, tmp_path_factory: Any) -> Browser:
    template, theme = request.param
    exporter = nbconvert.HTMLExporter(template_name=template, theme=theme, embed_images=True)
    written: Path = tmp_path_factory.mktemp("views") / f"{template}-{theme}.html"
    written.write_text(exporter.from_notebook_node(notebook)[0])
    chromium.size(1200, 900)
    chromium.open(written)
    return chromium


def test_labels_stand_on_one_line_before_their_values(page: Browser):
    heights = page.run(f"return {LABELS}.map(e => e.offsetHeight)")
    gaps = page.run(
        f"return {LABELS}.map(e => e.nextElementSibling.getBoundingClientRect().left"
        " - e.getBoundingClientRect().right)"
    )

    assert len(heights) > 5
    assert max(heights) < 30
    assert min(gaps) >= 0


def test_severities_are_coloured_words_without_a_box(page: Browser):
    style = "getComputedStyle(document.querySelector('.vxlanalyze .severity'))"

    assert page.run(f"return {style}.backgroundColor") == "rgba(0, 0, 0, 0)"
    assert page.run(f"return {style}.padding") == "0px"


def test_what_folds_shows_that_it_folds(page: Browser):
    assert (
        page.run("return getComputedStyle(document.querySelector('.vxlanalyze summary')).display")
        == "list-item"
    )


def test_pictures_are_drawn_within_the_page(page: Browser):
    pictures = "[...document.querySelectorAll('.vxlanalyze img')]"

    assert page.run(f"return {pictures}.filter(e => !e.complete || !e.naturalWidth).length") == 0
    assert page.run(f"return Math.max(...{pictures}.map(e => e.getBoundingClientRect().right))") <= 1200


def test_pictures_follow_the_theme(page: Browser):
    dark = page.run("return document.body.dataset.jpThemeLight === 'false'")

    scheme = page.run("return getComputedStyle(document.querySelector('.vxlanalyze img')).colorScheme")
    assert scheme == ("dark" if dark else "light")


@pytest.mark.parametrize(
    ("theme", "scheme"),
    [("vscode-light", "light"), ("vscode-dark", "dark"), ("vscode-high-contrast", "dark")],
)
def test_vs_code_shows_the_view_in_its_own_theme(
    theme: str, scheme: str, notebook: Any, chromium: Browser, tmp_path: Path
):
    """Its notebooks render HTML into a page whose body has the theme as class, without scripts."""
    view = notebook.cells[0].outputs[0]["data"]["text/html"]
    written = tmp_path / "vscode.html"
    written.write_text(f'<!doctype html><meta charset=utf-8><body class="{theme}">{view}')
    chromium.size(1200, 900)
    chromium.open(written)
    colour = chromium.run("return getComputedStyle(document.querySelector('.vxlanalyze')).color")
    brightness = sum(int(part) for part in re.findall(r"\d+", colour)[:3]) / 3

    assert (
        chromium.run("return getComputedStyle(document.querySelector('.vxlanalyze img')).colorScheme")
        == scheme
    )
    assert (brightness > 150) == (scheme == "dark")
