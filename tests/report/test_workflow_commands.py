"""No output can begin a command to the CI server that shows it, whatever names and verdicts hold."""

import json
import re
from dataclasses import replace

import pytest

from tests.report.fixed import REPORT
from vxlanalyze.report import RENDERERS
from vxlanalyze.report.formats import as_json
from vxlanalyze.text.escaping import inert

HOSTILE = ("::stop-commands::x", "##[group]x", "##vso[task.setvariable variable=a]b", "  ::error::x")
COMMAND = re.compile(r"^\s*::|##\w*\[", re.MULTILINE)
OURS = re.compile(r"^::(error|warning|notice) title=vxlanalyze")


@pytest.mark.parametrize("words", HOSTILE)
@pytest.mark.parametrize("renderer", RENDERERS, ids=lambda renderer: renderer.name)
def test_no_output_holds_a_command_of_others(renderer, words):
    finding = {**REPORT.findings[0], "summary": words, "explanation": words, "remedy": words}
    report = replace(REPORT, verdict=words, findings=[finding, *REPORT.findings[1:]])
    lines = renderer.render(report).splitlines()
    others = [line for line in lines if renderer.name != "github" or not OURS.match(line)]

    assert [line for line in others if COMMAND.search(line)] == []
    assert not any("##" in line and "[" in line and COMMAND.search(line[2:]) for line in lines)


@pytest.mark.parametrize("words", HOSTILE)
def test_json_still_says_what_it_said(words):
    written = as_json.render(replace(REPORT, verdict=words))

    assert json.loads(written)["verdict"] == words


def test_ordinary_text_stays_as_it_is():
    text = "fe80::1 to ::1\n## Heading\n#1 [x]\na ## b\n"

    assert inert(text) == text
