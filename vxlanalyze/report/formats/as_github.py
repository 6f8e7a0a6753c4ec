"""The report as workflow commands of GitHub Actions: an annotation for each finding.

Source: GitHub Docs, "Workflow commands for GitHub Actions": setting an error, warning or notice message;
`@actions/core`, ``command.ts``, for what is escaped.
"""

from vxlanalyze.report.model import FindingRecord, Report, key_of
from vxlanalyze.report.renderer import Judgement
from vxlanalyze.text.escaping import inert, plain

_LEVELS = {"critical": "error", "warning": "warning", "info": "notice"}


def render(report: Report, judgement: Judgement | None = None) -> str:
    """Write one workflow command a line: findings, then what is not as expected, then what broke.

    Where something judges the report, a finding that does not count is a notice, however bad.
    """
    lines = [
        _command(_level(finding, judgement), f"vxlanalyze: {key_of(finding)}", _told(finding))
        for finding in report.findings
    ]
    if judgement is not None:
        lines += [_command("error", "vxlanalyze: not as expected", told) for told in judgement.differences]
    lines += [
        _command("error", "vxlanalyze: broken diagnostic", f"{entry.get('code')}: {entry.get('error')}")
        for entry in report.broken
    ]
    lines += [
        _command(
            "notice",
            "vxlanalyze: not assessed",
            f"{entry['code']} {entry['direction'] or ''}: {entry['reason']}",
        )
        for entry in report.not_assessed
    ]
    return "\n".join([*lines, inert(plain(report.verdict))]) + "\n"


def _level(finding: FindingRecord, judgement: Judgement | None) -> str:
    level = _LEVELS[finding["severity"]]
    if judgement is None or not judgement.gated:
        return level
    if key_of(finding) in judgement.failing:
        return "error"
    return "notice"


def _told(finding: FindingRecord) -> str:
    remedy = f" Remedy: {finding['remedy']}" if finding["remedy"] else ""
    because = f" (because of {finding['because']})" if finding["because"] else ""
    return f"{finding['summary']}{because}{remedy}"


def _command(level: str, title: str, message: str) -> str:
    return f"::{level} title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    lines = "\n".join(plain(line, longest_word=None) for line in text.splitlines())
    return lines.replace("##", "# #").replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
