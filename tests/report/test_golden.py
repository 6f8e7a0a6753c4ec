"""Every format over one fixed report: what it writes is what somebody read and found good."""

from pathlib import Path

import pytest

from tests.report.fixed import HEALTHY, REPORT
from vxlanalyze.report import RENDERERS
from vxlanalyze.report.formats import as_text
from vxlanalyze.report.renderer import Judgement

FOLDER = Path(__file__).parent / "golden"
SUFFIXES = {renderer.name: (*renderer.suffixes, f".{renderer.name}")[0] for renderer in RENDERERS}
JUDGEMENT = Judgement(
    failing=frozenset({"mtu-blackhole@node1>node2"}),
    differences=("packet-loss must be found, and is not (not assessed: nothing was sent)",),
    changes=("new: critical mtu-blackhole@node1>node2: all 65 packets are lost",),
    gated=True,
)

formats = pytest.mark.parametrize("renderer", RENDERERS, ids=lambda renderer: renderer.name)


@formats
def test_a_report_with_findings(renderer, golden):
    golden(FOLDER / f"faulty{SUFFIXES[renderer.name]}", renderer.render(REPORT))


@formats
def test_a_report_without_findings(renderer, golden):
    golden(FOLDER / f"healthy{SUFFIXES[renderer.name]}", renderer.render(HEALTHY))


@formats
def test_a_report_that_was_judged(renderer, golden):
    golden(FOLDER / f"judged{SUFFIXES[renderer.name]}", renderer.render(REPORT, JUDGEMENT))


def test_text_in_colour(golden):
    golden(FOLDER / "colour.txt", as_text.render(REPORT, colour=True))


def test_text_without_the_characters_of_other_sets(golden):
    golden(FOLDER / "ascii.txt", as_text.render(REPORT, ascii_only=True))


@formats
def test_a_format_writes_the_same_for_the_same_report(renderer):
    assert renderer.render(REPORT) == renderer.render(REPORT)
