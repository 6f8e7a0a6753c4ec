"""The HTML report in a real browser: it loads nothing, complains of nothing, sorts and filters."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.report.broken_pair import report
from tests.report.browser import Browser, browser
from vxlanalyze.report.formats import as_html


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as session:
        yield session


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("html") / "report.html"
    path.write_text(as_html.render(report()), encoding="utf-8")
    return path


def test_nothing_is_loaded_and_nothing_is_complained_of(chromium: Browser, page: Path):
    chromium.requests()

    chromium.open(page)

    asked = [url for url in chromium.requests() if not url.startswith(("data:", "about:"))]
    assert asked == [page.resolve().as_uri()]
    assert chromium.console() == []


def test_a_click_sorts_a_table_and_a_second_click_turns_it_round(chromium: Browser, page: Path):
    chromium.open(page)
    rows = "[...document.querySelectorAll('#flows-table tbody tr')]"
    column = f"{rows}.map(r => Number(r.cells[4].dataset.v))"
    click = "document.querySelectorAll('#flows-table th button')[4].click();"

    down = chromium.run(f"{click} return {column}")
    told = chromium.run("return document.querySelectorAll('#flows-table th')[4].ariaSort")
    up = chromium.run(f"{click} return {column}")

    assert down == sorted(down, reverse=True)
    assert told == "descending"
    assert up == down[::-1]


def test_empty_cells_stay_last_either_way(chromium: Browser, page: Path):
    chromium.open(page)
    column = "[...document.querySelectorAll('#flows-table tbody tr')].map(r => r.cells[8].textContent)"
    click = "document.querySelectorAll('#flows-table th button')[8].click();"

    for _ in range(2):
        shown = chromium.run(f"{click} return {column}")
        assert shown[-3:] == ["–"] * 3


@pytest.mark.parametrize("table", ["path", "services", "flows", "lost", "captures"])
def test_the_tables_fit_a_wide_window(chromium: Browser, page: Path, table: str):
    chromium.size(1440, 900)
    chromium.open(page)

    box = f"document.querySelector('#{table} .scroll')"
    assert chromium.run(f"return {box}.scrollWidth - {box}.clientWidth") <= 0


def test_typing_filters_rows_by_every_word(chromium: Browser, page: Path):
    chromium.open(page)

    shown = chromium.run(
        """
        const input = document.getElementById("flows-table-filter");
        input.value = "udp 10.233.65.250:53";
        input.dispatchEvent(new Event("input"));
        return [...document.querySelectorAll("#flows-table tbody tr:not([hidden])")].map(r => r.textContent);
        """
    )
    told = chromium.run("return document.getElementById('flows-table-filter-count').textContent")

    assert len(shown) == 2
    assert told == "2 of 4 rows shown"


@pytest.mark.parametrize(("width", "kind"), [(390, "upright"), (1400, "lying")])
def test_the_page_fits_its_window_with_the_path_drawn_for_it(
    chromium: Browser, page: Path, width: int, kind: str
):
    chromium.size(width, 900)
    chromium.open(page)

    wide = chromium.run("return document.documentElement.scrollWidth")
    drawn = chromium.run(
        "return [...document.querySelectorAll('.path > svg')].filter(s => s.getBoundingClientRect().width)"
        ".map(s => s.getAttribute('class'))"
    )

    assert wide <= width
    assert drawn == [kind]


def test_paper_shows_what_is_folded_with_its_heading(chromium: Browser, page: Path):
    chromium.open(page)
    chromium.media("print")
    chromium.run("dispatchEvent(new Event('beforeprint'))")

    hidden = chromium.run(
        "return [...document.querySelectorAll('summary, details p, h2, h3')]"
        ".filter(part => !part.getBoundingClientRect().height).map(part => part.textContent)"
    )
    shown = chromium.run("return document.querySelectorAll('details[open] > summary').length")
    chromium.media("screen")

    assert hidden == []
    assert shown > 2


def test_a_link_to_a_cause_leads_to_it(chromium: Browser, page: Path):
    chromium.open(page)

    led = chromium.run(
        "const link = document.querySelector('.consequence .tags a'); link.click();"
        "return document.querySelector(':target').querySelector('code').textContent"
    )

    assert led == "mtu-blackhole"


def test_scripts_in_names_do_not_run(chromium: Browser, tmp_path: Path):
    evil = "<script>window.broken = 1</script><img src=x onerror='window.broken = 1'>"
    sound = report()
    findings = [{**f, "summary": evil, "remedy": f"`{evil}`", "display_filter": evil} for f in sound.findings]
    captures = [{**c, "name": evil} for c in sound.captures]
    path = tmp_path / "evil.html"
    path.write_text(
        as_html.render(replace(sound, verdict=evil, findings=findings, captures=captures)), encoding="utf-8"
    )

    chromium.open(path)

    assert chromium.run("return window.broken") is None
    assert chromium.run("return document.querySelectorAll('script, img').length") == 1
    assert evil in chromium.run("return document.querySelector('.verdict').textContent")
    assert chromium.console() == []
