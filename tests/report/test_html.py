"""The HTML report says all that the report says, harmlessly, and stays small."""

import json
import re
from dataclasses import replace
from html import escape
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.report.broken_pair import WEB, findings, report
from tests.report.test_plots import luminance
from tests.simulate import Flow, Traffic, comparison
from vxlanalyze.diagnostics import Diagnosis
from vxlanalyze.report import templating
from vxlanalyze.report.build import build
from vxlanalyze.report.formats import as_html, as_json
from vxlanalyze.report.model import Report
from vxlanalyze.report.renderer import Judgement
from vxlanalyze.report.series.packed import unpack

VOID = {"meta", "br", "input", "link", "img", "hr"}


class Outline(HTMLParser):
    """Open elements, ids and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def outline(page: str) -> Outline:
    parsed = Outline()
    parsed.feed(page)
    return parsed


@pytest.fixture(scope="module")
def sound() -> Report:
    return report()


@pytest.fixture(scope="module")
def page(sound: Report) -> str:
    return as_html.render(sound)


def test_the_page_is_well_formed_and_names_everything_once(page: str):
    parsed = outline(page)

    assert parsed.open == []
    assert len(parsed.ids) == len(set(parsed.ids))


def test_every_inner_link_has_its_target(page: str):
    parsed = outline(page)

    links = {value[1:] for tag, name, value in parsed.attributes if tag == "a" and name == "href" and value}
    assert links <= set(parsed.ids)


def test_nothing_outside_is_referred_to(page: str):
    without_namespaces = re.sub(r'xmlns(:xlink)?="[^"]*"', "", page)

    assert "http://" not in without_namespaces
    assert "https://" not in without_namespaces
    assert "@import" not in page


def test_the_answer_its_proof_and_remedy_stand_in_the_page(page: str, sound: Report):
    words = " ".join(" ".join(outline(page).text).split())

    first = sound.findings[0]
    assert sound.verdict in words
    for said in (first["summary"], first["explanation"], "--set MTU=1252", first["display_filter"]):
        assert said in words
    assert "chance does not stop at one size" in words
    assert "1,302 bytes" in words
    assert "1.5 ms" in words
    assert "one VNI only" in words


def test_flows_and_lost_packets_are_listed_with_their_frames(page: str, sound: Report):
    row = unpack(sound.plots["lost_packets"]["table"])[0]

    assert f'<td class="n">{row["frame"]}</td>' in page
    assert "10.233.64.10:40000" in page


def test_the_same_report_gives_the_same_page(sound: Report, page: str):
    assert as_html.render(as_json.from_json(as_json.render(sound))) == page


def test_a_report_without_series_is_still_rendered(sound: Report):
    page = as_html.render(replace(sound, plots={}))

    assert escape(sound.verdict) in page
    assert 'id="pictures"' not in page


def test_series_of_another_shape_are_passed_over(sound: Report):
    page = as_html.render(replace(sound, plots={"timeline": [1, 2, 3]}))

    assert 'id="flows"' not in page


def test_series_that_do_not_fit_together_are_passed_over(sound: Report):
    torn = json.loads(json.dumps(sound.plots))
    torn["timeline"]["directions"][0]["lost"].pop()

    page = as_html.render(replace(sound, plots=torn))

    assert 'id="flows"' not in page


def test_a_single_capture_is_rendered():
    alone = build(comparison(points=("node1",)), Diagnosis((), (), (), ()))

    assert "No diagnostic found a fault" in as_html.render(alone)


def test_an_empty_capture_is_rendered():
    blocked = comparison(forward=[Traffic(WEB, lost=True)])

    page = as_html.render(build(blocked, Diagnosis((), (), (), ())))

    assert "0 of 100 arrived" in page


def test_what_could_not_be_judged_is_not_shown_as_good(sound: Report):
    undecided = [{**hop, "not_assessed": "windows do not meet"} for hop in sound.hops]

    page = as_html.render(replace(sound, findings=[], hops=undecided))

    assert 'class="verdict undecided"' in page


def test_a_judgement_is_told(sound: Report):
    page = as_html.render(sound, Judgement(differences=("must show path-blocked",), changes=()))

    assert "must show path-blocked" in page
    assert "nothing changed" in page


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'); alert(1); ('",
    "{{ 7 * 7 }}{% raw %}",
    "\x1b]0;title\x07\x1b[2J",
    "\u202e\u2066gnp.exe",
    "line\r\nbreak\x00\x85",
    '=HYPERLINK("http://x")',
    "</style></title></script>",
    "]]>-->",
    "a" * 65536,
    "$\\frac{1}{0}$",
    "\ud800",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_shown_harmlessly(name: str, sound: Report):
    page = as_html.render(poisoned(sound, name))

    page.encode("utf-8")
    parsed = outline(page)
    assert parsed.open == []
    handlers = [a for a in parsed.attributes if a[1].startswith("on") or a[0] in ("img", "iframe", "object")]
    assert handlers == []
    assert page.count("<script>") == 1
    assert page.count("<script") == 1 + page.count('<script type="application/json"')
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)
    assert len(page) < 1_500_000


def poisoned(sound: Report, name: str) -> Report:
    """The report with every name in it replaced."""
    kept = {"severity", "code", "protocol", "fate", "way", "unit", "start", "first", "last"}

    def poison(value: object, key: str = "") -> object:
        if key == "columns":
            return value
        if isinstance(value, dict):
            return {k: poison(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [poison(v, key) for v in value]
        if isinstance(value, str) and key not in kept:
            return value if value in ("node1>node2", "node2>node1") else name
        return value

    fields = ("captures", "findings", "not_assessed", "services", "names", "clock", "plots", "facts")
    return replace(sound, verdict=name, **{f: poison(getattr(sound, f)) for f in fields})


def test_the_script_of_the_page_is_the_one_its_policy_allows(page: str):
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)

    assert script is not None
    assert policy is not None
    assert as_html._digest(script[1]) in policy[1]
    assert "default-src 'none'" in policy[1]


def test_a_large_pair_gives_a_small_page():
    random = np.random.default_rng(7)
    many = [
        Traffic(
            Flow(sport=1024 + i),
            packets=40,
            lost=random.random(40) < 0.5,
            payload=random.integers(0, 1400, 40),
        )
        for i in range(1500)
    ]
    stream = Traffic(WEB, packets=100_000, every_s=1e-4, lost=random.random(100_000) < 0.3, payload=1000)
    pair = comparison(
        forward=[*many, stream], backward=[Traffic(WEB.reverse(), packets=50_000, every_s=2e-4)]
    )

    page = as_html.render(build(pair, Diagnosis(findings(pair), (), (), ())))

    assert len(page.encode()) < 4_000_000  # of 40,000 lost packets, a line each
    assert "1,502 flows" in page
    assert page.count("<tr") < 300


def test_pictures_have_words_for_those_who_cannot_see_them(page: str):
    drawn = re.findall(r"<svg [^>]*>(?:<title>([^<]+)</title>)?", page)
    named = re.findall(r"<svg [^>]*aria-label", page)

    assert len([title for title in drawn if title]) + len(named) == len(drawn)


@pytest.mark.parametrize("scheme", [0, 1])
def test_text_stands_out_in_light_and_dark(scheme: int):
    """WCAG 2.2 section 1.4.3 asks for 4.5 to 1."""
    css = templating.asset("report.css")
    colours = [
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    ][scheme]

    for ink, paper in (
        ("ink", "paper"),
        ("dim", "paper"),
        ("dim", "panel"),
        ("link", "paper"),
        ("critical", "critical-paper"),
        ("warning", "warning-paper"),
        ("info", "info-paper"),
    ):
        bright, dark = sorted((luminance(colours[ink]), luminance(colours[paper])), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, ink


def test_names_of_the_cluster_stand_beside_addresses(sound: Report):
    named = replace(sound, names={"10.233.65.20": "default/web-0"})

    assert "<small>default/web-0</small>" in as_html.render(named)


def test_what_is_merely_worth_knowing_is_folded(sound: Report):
    note = {**sound.findings[0], "code": "checksum-offload", "severity": "info", "because": None}
    page = as_html.render(replace(sound, findings=[*sound.findings, note]))

    assert page.count("<article") == len(sound.findings)
    assert page.count('<details class="finding info"') == 1


def test_questions_that_one_reason_leaves_open_are_told_together(sound: Report):
    entries = [
        {"code": code, "direction": direction, "reason": "nothing was sent"}
        for code in ("packet-loss", "reordering")
        for direction in ("a>b", "b>a")
    ]
    said = " ".join(outline(as_html.render(replace(sound, not_assessed=entries))).text)

    assert said.count("nothing was sent") == 1
    assert "packet-loss, reordering a → b and b → a" in said


def test_pictures_that_would_show_nothing_are_left_out(sound: Report):
    few = json.loads(json.dumps(sound.plots))
    for bands in few["delay"]["directions"]:
        for name in ("bin", "min", "p10", "p50", "p90", "p99", "max"):
            bands[name] = []
    few["sequence"]["packets"] = 1
    page = as_html.render(replace(sound, plots=few))

    assert "One-way delay, between" not in page
    assert "The flow that lost most" not in page
