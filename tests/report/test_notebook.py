"""What Jupyter shows: self-contained, harmless, and without reach outside of itself."""

import re
from base64 import b64decode
from pathlib import Path
from xml.etree import ElementTree

import pytest

import vxlanalyze as vx
from tests.report.broken_pair import report
from tests.report.recorded import paths
from tests.report.test_html import HOSTILE, outline, poisoned
from vxlanalyze.report import notebook, templating
from vxlanalyze.report.model import Report
from vxlanalyze.report.plots import pictures

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"


@pytest.fixture(scope="module")
def sound() -> Report:
    return report()


def words(html: str) -> str:
    return " ".join(" ".join(outline(html).text).split())


def test_a_comparison_shows_verdict_findings_figures_and_pictures(sound: Report):
    html = notebook.comparison_html(sound)

    said = words(html)
    assert sound.verdict in said
    assert sound.findings[0]["summary"] in said
    assert "node1 → node2" in said
    assert "Delivered and lost over time" in said
    assert html.count("<img") == 1 + len(pictures.draw(sound).pictures)


def test_a_finding_shows_its_proof_and_remedy(sound: Report):
    said = words(notebook.finding_html(sound.findings[0]))

    for wanted in ("mtu-blackhole", "--set MTU=1252", "1,302 bytes", "udp.dstport == 8472 && ip.len > 1302"):
        assert wanted in said


def test_findings_unfold_one_by_one(sound: Report):
    html = notebook.findings_html(sound.findings)

    assert html.count("<details") == len(sound.findings)
    assert html.count("<details open") == 1


def test_a_capture_shows_what_it_holds():
    said = words(notebook.capture_html(vx.read(paths("random-loss")[0]).summary()))

    assert re.search(r"Capture node1 : [\d,]+ frames, [\d,]+ in a tunnel", said)
    assert "vxlan: " in said


def test_figures_without_a_value_are_left_out_and_lists_are_separated(sound: Report):
    first = sound.findings[0]
    none = {"value": None, "unit": "packets"}
    why = [{"code": "packet-loss", "why": "one"}, {"code": "path-blocked", "why": "two"}]
    html = notebook.finding_html(
        {**first, "evidence": {**first["evidence"], "heavier": none}, "ruled_out": why}
    )

    assert "heavier" not in html
    assert "(one); <code>path-blocked" in html


def test_the_picture_of_the_hop_with_the_first_finding_is_unfolded():
    result = vx.compare(*sorted(SAMPLES.glob("four-points/*.pcap.gz")))

    opened = re.findall(r"<details open><summary>(Delivered and lost over time[^<]*)", result._repr_html_())
    assert result.findings[0].direction == "3-node2>4-pod"
    assert opened == ["Delivered and lost over time, between 3-node2 and 4-pod"]


def test_nothing_to_show_is_said():
    assert "No diagnostic found anything" in notebook.findings_html([])


def test_the_style_reaches_nothing_outside_of_the_view():
    css = re.sub(r"/\*.*?\*/", "", re.sub(r"\{[^}]*\}", "{}", templating.asset("notebook.css")))

    selectors = [part.strip() for rule in css.split("{}") for part in rule.split(",") if part.strip()]
    assert len(selectors) > 30
    assert all(".vxlanalyze" in selector for selector in selectors)


def test_views_need_no_script_and_load_nothing(sound: Report):
    html = notebook.comparison_html(sound)

    assert "<script" not in html
    assert not re.search(r"(src|href)=", re.sub(r'src="data:image/svg\+xml;base64,', "", html))
    for drawn in drawings(html):
        assert not re.search(r"(src|href|url)[=(]", re.sub(r'xlink:href="#|url\(#', "", drawn))


def test_pictures_are_whole_documents(sound: Report):
    """An image is parsed as XML, which forgives nothing."""
    drawn = [ElementTree.fromstring(svg) for svg in drawings(notebook.comparison_html(sound))]

    assert len(drawn) == 1 + len(pictures.draw(sound).pictures) > 4
    assert all(svg.tag == "{http://www.w3.org/2000/svg}svg" for svg in drawn)


def test_where_elements_are_taken_out_no_labels_are_left(sound: Report):
    """As JupyterLab does with notebooks that are not trusted, and GitHub."""
    assert "<svg" not in notebook.comparison_html(sound)
    assert "packets per" not in words(notebook.comparison_html(sound))


def drawings(html: str) -> list[str]:
    return [b64decode(data).decode() for data in re.findall(r"svg\+xml;base64,([^\"]+)", html)]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_shown_harmlessly(name: str, sound: Report):
    poisonous = poisoned(sound, name)
    views = [
        notebook.comparison_html(poisonous),
        notebook.findings_html(poisonous.findings),
        notebook.capture_html(
            {**vx.read(paths("random-loss")[0]).summary(), "name": name, "files": [name], "damages": [name]}
        ),
    ]
    for html in views:
        html.encode("utf-8")
        parsed = outline(html)
        assert parsed.open == []
        assert "<script" not in html
        assert not [a for a in parsed.attributes if a[1].startswith("on") or a[0] == "iframe"]
        for svg in drawings(html):
            elements = list(ElementTree.fromstring(svg).iter())
            assert not [e for e in elements if e.tag.endswith("script")]
            assert not [name for e in elements for name in e.attrib if name.startswith("on")]
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", html)
