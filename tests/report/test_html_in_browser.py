"""The HTML report in a real browser: it loads nothing, complains of nothing, sorts and filters."""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.report.broken_pair import report
from tests.report.browser import Browser, browser
from tests.simulate import UDP, Flow, Traffic, comparison
from vxlanalyze.diagnostics import Diagnosis
from vxlanalyze.report.build import build
from vxlanalyze.report.formats import as_html
from vxlanalyze.report.matrix import as_html as matrix_html
from vxlanalyze.report.matrix.build import build as matrix


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as session:
        yield session


def axe() -> str:
    """The rules of axe-core, as a script; skips the test where they are not installed."""
    found = find_spec("axe_core_python")
    if found is None or found.origin is None:
        if os.environ.get("VXLANALYZE_REQUIRE_TOOLS") == "1":
            pytest.fail("axe-core-python is not installed")
        pytest.skip("axe-core-python is not installed")
    return Path(found.origin).with_name("axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The matrix of the same two nodes."""
    path = tmp_path_factory.mktemp("matrix") / "matrix.html"
    path.write_text(matrix_html.render(matrix(["node1", "node2"], [report()])), encoding="utf-8")
    return path


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


def cells(column: int) -> str:
    """What a column of the table of flows says, as a script; the first is what opens the detail."""
    rows = "[...document.querySelectorAll('#flows-table tbody tr')]"
    return f"{rows}.map(r => r.cells[{column}].firstChild.textContent)"


def test_a_click_sorts_a_table_and_a_second_click_turns_it_round(chromium: Browser, page: Path):
    chromium.open(page)
    column = f"{cells(5)}.map(text => Number(text.replaceAll(',', '')))"
    click = "document.querySelectorAll('#flows-table th button')[4].click();"

    down = chromium.run(f"{click} return {column}")
    order = chromium.run("return document.querySelectorAll('#flows-table th')[5].ariaSort")
    up = chromium.run(f"{click} return {column}")

    assert down == sorted(down, reverse=True)
    assert order == "descending"
    assert up == sorted(down)


def test_the_script_draws_rows_as_the_page_holds_them(chromium: Browser, page: Path):
    """Readers without scripts see the same."""
    held = re.findall(r"<tr[^>]*>(.*?)</tr>", page.read_text(encoding="utf-8").replace("\n", " "))
    chromium.open(page)

    for table in ("services", "flows", "lost"):
        drawn = chromium.run(
            f"return [...document.querySelectorAll('#{table}-table tbody tr')].map(r => [...r.cells]"
            ".filter(c => !c.classList.contains('more')).map(c => c.outerHTML).join(''))"
        )
        assert drawn
        assert set(drawn) <= {row.replace("&gt;", ">") for row in held}


def test_the_detail_of_a_row_opens_and_closes(chromium: Browser, page: Path):
    chromium.open(page)
    click = "document.querySelector('#flows-table td.more button').click();"
    detail = "return document.querySelector('#flows-table tr.detail')?.textContent ?? null"

    opened = chromium.run(click + detail)
    closed = chromium.run(click + detail)

    assert "Largest delivered" in opened
    assert (
        "ip.addr == 10.233.64.10 && ip.addr == 10.233.65.20 && tcp.port == 40000 && tcp.port == 8080"
        in opened
    )
    assert closed is None


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of more flows than it draws at first."""
    flows = [Traffic(Flow(protocol=UDP, sport=1024 + i), packets=2, lost=i % 2) for i in range(1000)]
    path = tmp_path_factory.mktemp("many") / "many.html"
    built = build(comparison(forward=flows), Diagnosis((), (), (), ()))
    path.write_text(as_html.render(built), encoding="utf-8")
    return path


def test_filter_and_sort_reach_rows_that_are_not_drawn(chromium: Browser, many: Path):
    chromium.size(1440, 900)
    chromium.open(many)
    typed = (
        "document.getElementById('flows-filter'); input.value = '{}';input.dispatchEvent(new Event('input'));"
    )

    drawn = chromium.run(f"return {cells(3)}")
    found = chromium.run(f"const input = {typed.format(':2022')} return {cells(3)}")
    chromium.run(f"const input = {typed.format('')}")
    chromium.run("for (const _ of [1, 2]) document.querySelectorAll('#flows-table th button')[2].click()")
    last = chromium.run(f"return {cells(3)}[0]")

    assert len(drawn) == 100
    assert found == ["10.233.64.10:2022"]
    assert last == "10.233.64.10:2023"


def test_scrolling_draws_further_rows(chromium: Browser, many: Path):
    chromium.size(1440, 900)
    chromium.open(many)

    chromium.run(
        "const box = document.querySelector('#flows .scroll'); box.scrollIntoView(); box.scrollTop = 1e6;"
        "box.dispatchEvent(new Event('scroll'))"
    )

    assert chromium.run("return document.querySelectorAll('#flows-table tbody tr').length") >= 200


def test_empty_cells_stay_last_either_way(chromium: Browser, tmp_path: Path):
    one = report().services[0]
    services = [{**one, "latency_ns": {"p50": p50, "p99": p50}} for p50 in (None, 5, 1_500_000, None)]
    path = tmp_path / "report.html"
    path.write_text(as_html.render(replace(report(), services=services)), encoding="utf-8")
    chromium.open(path)
    click = "[...document.querySelectorAll('#services-table th button')].at(-2).click();"
    rows = "[...document.querySelectorAll('#services-table tbody tr')]"
    column = f"{rows}.map(r => [...r.cells].at(-2).textContent)"

    once, twice = (chromium.run(f"{click} return {column}") for _ in range(2))

    assert once == ["1.5 ms", "5 ns", "–", "–"]
    assert twice == ["5 ns", "1.5 ms", "–", "–"]


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
        const input = document.getElementById("flows-filter");
        input.value = "udp 10.233.65.250:53";
        input.dispatchEvent(new Event("input"));
        return [...document.querySelectorAll("#flows-table tbody tr")].map(r => r.textContent);
        """
    )
    told = chromium.run("return document.getElementById('flows-filter-count').textContent")

    assert len(shown) == 2
    assert told == "2 of 4 rows found"


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


def test_loss_stands_first_on_a_narrow_screen(chromium: Browser, page: Path):
    chromium.size(390, 900)
    chromium.open(page)

    right = chromium.run(
        "return [...document.querySelectorAll('#path td:nth-child(2)')]"
        ".map(c => c.getBoundingClientRect().right)"
    )

    assert max(right) <= 390


def test_paper_begins_with_a_page_that_stands_alone(chromium: Browser, page: Path):
    """A4 at 96 pixels an inch, less margins: verdict, impact, path, and the remedy of the first finding."""
    chromium.size(718, 1047)
    chromium.open(page)
    chromium.media("print")

    bottom = chromium.run("return document.querySelector('.remedy').getBoundingClientRect().bottom")
    shown = chromium.run("return document.querySelector('.captured').getBoundingClientRect().height")
    sizes = chromium.run(
        "return [...document.querySelectorAll('#path td, #path td small')]"
        ".map(part => parseFloat(getComputedStyle(part).fontSize))"
    )
    chromium.media("screen")

    assert 0 < bottom < 1047
    assert shown > 0
    assert max(sizes) < 11  # 8 points; an interval is no larger than its figure


def test_pictures_over_time_are_zoomed_together_and_the_lost_packets_with_them(chromium: Browser, page: Path):
    chromium.size(1440, 900)
    chromium.open(page)
    spans = "[...document.querySelectorAll('.zoom [role=status]')].map(s => s.textContent)"
    listed = "document.getElementById('lost-filter-count').textContent"

    before = chromium.run(f"return [{spans}, {listed}]")
    zoomed = chromium.run(f"document.querySelector('.zoom button').click(); return [{spans}, {listed}]")
    moved = chromium.run("return document.querySelectorAll('.stretched[transform]').length")
    whole = chromium.run(
        f"[...document.querySelectorAll('.zoom button')].at(-1).click(); return [{spans}, {listed}]"
    )

    assert set(before[0]) == {""}
    assert len(set(zoomed[0])) == 1
    assert " to " in zoomed[0][0]
    assert "rows found, sent from" in zoomed[1]
    assert moved > 2
    assert whole == before
    assert chromium.console() == []


def test_dragging_over_a_picture_zooms_into_that_span(chromium: Browser, page: Path):
    chromium.size(1440, 900)
    chromium.open(page)

    said = chromium.run(
        """
        const svg = document.querySelector("svg[data-span]");
        svg.scrollIntoView();
        const box = svg.getBoundingClientRect();
        svg.setPointerCapture = () => {};
        const at = (kind, share) => svg.dispatchEvent(new PointerEvent(kind, {
          clientX: box.left + share * box.width, clientY: box.top + box.height / 2, pointerId: 1,
        }));
        at("pointerdown", 0.4); at("pointermove", 0.5); at("pointerup", 0.6);
        const ticks = [...svg.querySelectorAll(".x-axis text")].map((text) => Number(text.textContent));
        const said = document.querySelector(".zoom [role=status]").textContent;
        return [said, ticks.filter((tick) => !isNaN(tick))];
        """
    )

    assert re.fullmatch(r"[\d.]+ m?s to [\d.]+ m?s", said[0])
    assert said[1] == sorted(said[1])
    assert len(said[1]) >= 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_no_violation(chromium: Browser, page: Path, cluster: Path, width: int, scheme: str):
    rules = axe()
    for shown in (page, cluster):
        chromium.size(width, 900)
        chromium.media("screen", scheme)
        chromium.open(shown)
        chromium.run("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        chromium.run("document.querySelector('td.more button')?.click()")
        chromium.run(rules)

        found = chromium.run_async(
            "const done = arguments[0]; axe.run(document, { resultTypes: ['violations'] }).then((r) =>"
            "done(r.violations.map((v) => [v.id, v.nodes.map((n) => n.html.slice(0, 100))])))"
        )
        chromium.media("screen")
        assert found == []


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
    assert chromium.run("return document.querySelectorAll('script:not([type]), img').length") == 1
    assert evil in chromium.run("return document.querySelector('.verdict').textContent")
    assert chromium.console() == []
