"""The report as workflow commands of GitHub Actions: an annotation for each finding.

Source: GitHub Docs, "Workflow commands for GitHub Actions": setting an error, warning or notice message;
`@actions/core`, ``command.ts``, for what is escaped. GitHub shows ten annotations of each level per step.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from vxlanalyze.report.model import FindingRecord, Report, key_of
from vxlanalyze.report.renderer import Judgement
from vxlanalyze.text import words
from vxlanalyze.text.escaping import inert, plain

_LEVELS = {"critical": "error", "warning": "warning", "info": "notice"}
_MOST_OF_A_LEVEL = 10


class _Annotation(NamedTuple):
    level: str
    title: str
    message: str


def render(report: Report, judgement: Judgement | None = None) -> str:
    """Write one workflow command per line: findings, failed expectations, then diagnostics that raised.

    If the report is judged, a finding that does not count is a notice, however severe.
    """
    commands = map(_command, _bounded(list(_annotations(report, judgement))))
    return "\n".join([*commands, inert(plain(report.verdict))]) + "\n"


def _annotations(report: Report, judgement: Judgement | None) -> Iterator[_Annotation]:
    for finding in report.findings:
        yield _Annotation(_level(finding, judgement), key_of(finding), _message(finding))
    for difference in () if judgement is None else judgement.differences:
        yield _Annotation("error", "not as expected", difference)
    for entry in report.broken:
        yield _Annotation("error", "broken diagnostic", f"{entry.get('code')}: {entry.get('error')}")
    if report.not_assessed:
        codes = list(dict.fromkeys(entry["code"] for entry in report.not_assessed))
        checks = words.count(len(report.not_assessed), "check")
        yield _Annotation(
            "notice", "not assessed", f"{checks}, which may hide a fault: {words.listed(codes, 20)}"
        )


def _bounded(annotations: Sequence[_Annotation]) -> Iterable[_Annotation]:
    """Limit the annotations of each level, the last one giving the number of others."""
    in_all, given = Counter(a.level for a in annotations), Counter[str]()
    for annotation in annotations:
        level = annotation.level
        given[level] += 1
        more = in_all[level] - _MOST_OF_A_LEVEL + 1
        if given[level] < _MOST_OF_A_LEVEL or more == 1:
            yield annotation
        elif given[level] == _MOST_OF_A_LEVEL:
            yield _Annotation(level, f"{more} more", "the report has them")


def _level(finding: FindingRecord, judgement: Judgement | None) -> str:
    level = _LEVELS[finding["severity"]]
    if judgement is None or not judgement.gated:
        return level
    if key_of(finding) in judgement.failing:
        return "error"
    return "notice"


def _message(finding: FindingRecord) -> str:
    remedy = f"\nRemedy: {finding['remedy']}" if finding["remedy"] else ""
    because = f" (because of {finding['because']})" if finding["because"] else ""
    return f"{finding['summary']}{because}{remedy}"


def _command(annotation: _Annotation) -> str:
    title = _property(f"vxlanalyze: {annotation.title}")
    return f"::{annotation.level} title={title}::{_data(annotation.message)}"


def _data(text: str) -> str:
    lines = "\n".join(plain(line, longest_word=None) for line in text.splitlines())
    return lines.replace("##", "# #").replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
