"""The report as GitLab's code quality JSON: an issue for each finding, for the merge request's widget.

Source: GitLab Docs, "Code Quality", "Implement a custom tool": `description`, `check_name`, `fingerprint`,
`location.path`, `location.lines.begin` and `severity` (info, minor, major, critical, blocker) are required.
"""

import hashlib
import json

from vxlanalyze.report.model import FindingRecord, Report, key_of
from vxlanalyze.report.renderer import Judgement
from vxlanalyze.text.escaping import inert, plain
from vxlanalyze.text.places import node_name

_SEVERITIES = {"critical": "critical", "warning": "major", "info": "info"}


def render(report: Report, judgement: Judgement | None = None) -> str:
    """Write a list of issues: findings at the first frame that shows them, then failed expectations.

    If the report is judged, a finding that does not count has severity ``info``.
    """
    paths = {c["name"]: c["files"][0]["path"] for c in report.captures if c["files"]}
    first = next(iter(paths.values()), "capture")
    issues = [_issue(finding, judgement, paths, first) for finding in report.findings]
    if judgement is not None:
        issues += [
            _entry("not-as-expected", difference, "critical", first, 1)
            for difference in judgement.differences
        ]
    return inert(json.dumps(issues, indent=1) + "\n", "\\u{:04x}")


def _issue(
    finding: FindingRecord, judgement: Judgement | None, paths: dict[str, str], first: str
) -> dict[str, object]:
    counts = judgement is None or not judgement.gated or key_of(finding) in judgement.failing
    severity = _SEVERITIES[finding["severity"]] if counts else "info"
    point, frames = next(((name, f) for name, f in finding["frames"].items() if f), ("", [1]))
    path = paths.get(node_name(point), first)
    return _entry(key_of(finding), finding["summary"], severity, path, frames[0])


def _entry(check: str, description: str, severity: str, path: str, line: int) -> dict[str, object]:
    """Create one issue; the fingerprint is the same from run to run as long as the finding is."""
    name = check if check != "not-as-expected" else f"{check}: {description}"
    return {
        "description": plain(description, longest_word=None),
        "check_name": plain(check),
        "fingerprint": hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest(),
        "severity": severity,
        "location": {"path": plain(path, longest_word=None), "lines": {"begin": line}},
    }
