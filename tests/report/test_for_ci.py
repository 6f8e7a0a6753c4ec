"""The formats that CI servers read: JUnit, workflow annotations, Markdown."""

import json
import re
from xml.etree import ElementTree

import pytest

from tests.report.fixed import HEALTHY, REPORT
from vxlanalyze.report.formats import as_github, as_gitlab, as_junit, as_markdown
from vxlanalyze.report.renderer import Judgement

NOTHING_COUNTS = Judgement(gated=True)
BLACK_HOLE_COUNTS = Judgement(frozenset({"mtu-blackhole@node1>node2"}), gated=True)
DIFFERENT = Judgement(differences=("packet-loss must be found, and is not", "and this"), gated=True)


def cases(report, judgement=None):
    suite = ElementTree.fromstring(as_junit.render(report, judgement)).find("testsuite")
    outcomes = {}
    for case in suite.findall("testcase"):
        kinds = [child.tag for child in case if child.tag != "system-out"]
        outcomes[case.get("name")] = kinds[0] if kinds else "passed"
    return suite, outcomes


def test_junit_has_one_case_a_diagnostic_and_tells_its_fate():
    _, outcomes = cases(REPORT)

    assert outcomes == {
        "path-blocked": "skipped",
        "mtu-blackhole": "failure",
        "packet-loss": "skipped",
        "reordering": "error",
        "vni-mismatch": "skipped",
        "tcp-stalled": "failure",
        "dns-unanswered": "failure",
        "checksum-offload": "passed",
    }


def test_junit_counts_what_it_tells():
    suite, outcomes = cases(REPORT)
    told = list(outcomes.values())

    assert int(suite.get("tests")) == len(told)
    assert int(suite.get("failures")) == told.count("failure")
    assert int(suite.get("errors")) == told.count("error")
    assert int(suite.get("skipped")) == told.count("skipped")


def test_junit_fails_what_counts_and_nothing_else():
    assert "failure" not in cases(REPORT, NOTHING_COUNTS)[1].values()
    failed = [name for name, outcome in cases(REPORT, BLACK_HOLE_COUNTS)[1].items() if outcome == "failure"]

    assert failed == ["mtu-blackhole"]


def test_junit_has_a_case_for_an_expectation_that_does_not_hold():
    suite, outcomes = cases(HEALTHY, DIFFERENT)

    assert outcomes["expectation"] == "failure"
    assert suite.find("testcase[@name='expectation']/failure").text == "\n".join(DIFFERENT.differences)


def test_every_annotation_is_one_line_that_begins_with_its_command():
    *commands, verdict = as_github.render(REPORT, DIFFERENT).splitlines()

    assert verdict == REPORT.verdict
    assert all(re.match(r"::(error|warning|notice) title=[^:,]+::\S", line) for line in commands)


def test_a_name_cannot_begin_a_command_of_its_own():
    assert "\r\n::error::x" in REPORT.findings[1]["summary"]
    assert not [line for line in as_github.render(REPORT).splitlines() if line.startswith("::error::")]


def test_percent_signs_and_commas_are_escaped_in_annotations():
    """`@actions/core` unescapes them."""
    report = type(HEALTHY)(**{**vars(HEALTHY), "broken": [{"code": "a,b:c", "error": "50 %0A of it"}]})

    assert "::a,b:c: 50 %250A of it" in as_github.render(report)


@pytest.mark.parametrize(
    ("judgement", "levels"),
    [
        (None, ["error", "warning", "notice", "warning"]),
        (NOTHING_COUNTS, ["notice"] * 4),
        (BLACK_HOLE_COUNTS, ["error", "notice", "notice", "notice"]),
    ],
)
def test_annotations_are_as_bad_as_what_counts(judgement, levels):
    lines = as_github.render(REPORT, judgement).splitlines()[: len(REPORT.findings)]

    assert [line.split(" ")[0].strip(":") for line in lines] == levels


def test_no_more_annotations_than_github_shows():
    """Ten of each level a step; what is more is counted, so that nothing seems complete that is not."""
    entry = HEALTHY.broken[0] if HEALTHY.broken else {"code": "a", "error": "b"}
    findings = [{**REPORT.findings[0], "direction": f"a>{n}", "severity": "warning"} for n in range(25)]
    skipped = [{"code": f"code-{n}", "direction": None, "reason": "why"} for n in range(40)]
    report = type(REPORT)(
        **{**vars(REPORT), "findings": findings, "not_assessed": skipped, "broken": [entry] * 10}
    )

    levels = [line.split(" ")[0] for line in as_github.render(report).splitlines()[:-1]]

    assert {level: levels.count(level) for level in levels} == {"::warning": 10, "::error": 10, "::notice": 1}
    assert "::warning title=vxlanalyze%3A 16 more::" in as_github.render(report)


def test_gitlab_gets_what_its_widget_requires():
    """The fields of GitLab's documentation, "Implement a custom tool"."""
    issues = json.loads(as_gitlab.render(REPORT, DIFFERENT))

    assert len(issues) == len(REPORT.findings) + len(DIFFERENT.differences)
    assert len({issue["fingerprint"] for issue in issues}) == len(issues)
    for issue in issues:
        assert set(issue) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert issue["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert issue["location"]["path"] in {f["path"] for c in REPORT.captures for f in c["files"]}
        assert issue["location"]["lines"]["begin"] >= 1


def test_gitlab_keeps_a_fingerprint_while_figures_change():
    changed = [{**finding, "summary": "other figures"} for finding in REPORT.findings]
    again = type(REPORT)(**{**vars(REPORT), "findings": changed})

    one, other = (json.loads(as_gitlab.render(report)) for report in (REPORT, again))

    assert [i["fingerprint"] for i in one] == [i["fingerprint"] for i in other]


def test_gitlab_calls_what_does_not_count_information():
    assert {i["severity"] for i in json.loads(as_gitlab.render(REPORT, NOTHING_COUNTS))} == {"info"}


def test_markdown_escapes_what_names_could_mean():
    """Outside of code, no bracket, angle, bar or backtick of a name is left as it was."""
    text = as_markdown.render(REPORT)
    prose = "\n".join(line for line in re.sub(r"(`+)[^`].*?\1", "", text).splitlines() if "|" not in line[:1])

    assert not re.search(r"(?<!\\)[\[\]|]", prose)
    assert not re.search(r"(?<!\\)<(?!!-- -->)", prose)
    assert not re.search(r"@\w|://\w", prose)


def test_markdown_tells_baseline_and_expectation():
    text = as_markdown.render(REPORT, Judgement(changes=("gone: a",), differences=("b is missing",)))

    assert "## Since the baseline\n\n- gone: a" in text
    assert "## Not as expected\n\n- b is missing" in text
