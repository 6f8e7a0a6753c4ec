"""The stored notebooks where nobody trusts them: GitHub's view, without styles, scripts and pictures."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from tests.report.browser import Browser, browser
from tests.report.sanitised import sanitised

nbformat = pytest.importorskip("nbformat")

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
BLOCKS = re.compile(r"</?(?:div|p|li|dl|dt|dd|tr|summary|th|td|details|ol|table)\b[^>]*>")


def views() -> list[tuple[str, str]]:
    """The program's own views in the stored notebooks: HTML and plain text."""
    cells = (cell for path in NOTEBOOKS for cell in nbformat.read(path, as_version=4).cells)
    data = (output["data"] for cell in cells for output in cell.get("outputs", []) if "data" in output)
    return [(d["text/html"], d["text/plain"]) for d in data if "vxlanalyze" in d.get("text/html", "")]


VIEWS = views()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    written = tmp_path_factory.mktemp("github") / "views.html"
    written.write_text("<!doctype html><meta charset=utf-8>" + "<hr>".join(sanitised(h) for h, _ in VIEWS))
    with browser() as chromium:
        chromium.size(900, 900)
        chromium.open(written)
        yield chromium


def lines(html: str) -> list[str]:
    """Text by its blocks, as a page without any style breaks it."""
    blocks = (" ".join(unescape(re.sub(r"<[^>]*>", "", block)).split()) for block in BLOCKS.split(html))
    return [block for block in blocks if block]


def test_there_are_views():
    assert len(VIEWS) >= 4


@pytest.mark.parametrize(("html", "plain"), VIEWS)
def test_the_verdict_stands_alone_and_no_style_is_left_as_text(html: str, plain: str):
    shown = lines(sanitised(html))

    verdict = re.sub(r"^<[^:]*: |>$", "", plain)
    assert any(line == verdict or line.endswith(f": {verdict}") for line in shown)
    assert not re.search(r"--ink|font-|[{;]\s*color:|<svg", " ".join(shown))


@pytest.mark.parametrize(("html", "plain"), VIEWS)
def test_commands_stand_on_lines_of_their_own(html: str, plain: str):
    commands = [line for line in lines(sanitised(html)) if re.match(r"on [\w-]+ ", line)]

    assert commands
    assert all(line.count(" on node") == 0 for line in commands)


@pytest.mark.parametrize(("html", "plain"), VIEWS)
def test_a_picture_gives_way_to_words(html: str, plain: str):
    pictures = re.findall(r"<img [^>]*>", sanitised(html))

    assert len(pictures) == html.count("<img")
    assert all(re.search(r'alt="[^"]{20,}"', picture) for picture in pictures)


def test_words_do_not_run_together():
    assert not [
        line for html, _ in VIEWS for line in lines(sanitised(html)) if re.search(r"\w[;,]\w[a-z-]{4}", line)
    ]


def test_without_styles_nothing_is_wider_than_the_page(page: Browser):
    assert page.run("return document.documentElement.scrollWidth") <= 900


def test_severity_and_verdict_are_emphasised_without_our_styles(page: Browser):
    weights = page.run(
        "return [...document.querySelectorAll('.severity, .verdict b')]"
        ".map(e => getComputedStyle(e).fontWeight)"
    )

    assert len(weights) > 5
    assert set(weights) == {"700"}
