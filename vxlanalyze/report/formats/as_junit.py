"""The report as JUnit XML: one test case for each diagnostic, as CI servers show them.

A finding that counts fails its case; a mere note appears in its output. Not assessed is skipped, never
passed; a diagnostic that raised is an error. Without ``--fail-on``, ``--baseline`` or ``--expect``, every
finding of severity warning or higher counts.

Source: the schema of Jenkins' xUnit plugin (junit-10.xsd), which GitLab, GitHub actions and Azure read too.
"""

from collections.abc import Iterable, Sequence
from xml.etree import ElementTree

from vxlanalyze.report.model import FindingRecord, Report, key_of
from vxlanalyze.report.renderer import Judgement
from vxlanalyze.text.escaping import inert, plain

_SUITE = "vxlanalyze"


def render(report: Report, judgement: Judgement | None = None) -> str:
    """Write the report as JUnit XML."""
    failing = _failing(report, judgement)
    suite = ElementTree.Element("testsuite", name=_SUITE)
    codes = dict.fromkeys([*report.diagnostics, *(finding["code"] for finding in report.findings)])
    for code in codes:
        suite.append(_case(code, report, failing))
    if judgement is not None and judgement.differences:
        suite.append(_expectation(judgement.differences))
    for kind in ("failure", "error", "skipped"):
        count = len(suite.findall(f"testcase/{kind}"))
        suite.set({"failure": "failures", "error": "errors"}.get(kind, kind), str(count))
    suite.set("tests", str(len(suite)))
    ElementTree.SubElement(suite, "system-out").text = plain(report.verdict)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    written = ElementTree.tostring(root, encoding="unicode")
    return inert(f'<?xml version="1.0" encoding="UTF-8"?>\n{written}\n', "&#{};")


def _failing(report: Report, judgement: Judgement | None) -> frozenset[str]:
    if judgement is None or not judgement.gated:
        return frozenset(key_of(f) for f in report.findings if f["severity"] != "info")
    return judgement.failing


def _case(code: str, report: Report, failing: frozenset[str]) -> ElementTree.Element:
    """One diagnostic: its findings, else why it has none."""
    case = ElementTree.Element("testcase", classname=_SUITE, name=plain(code))
    findings = [finding for finding in report.findings if finding["code"] == code]
    broken = [entry for entry in report.broken if entry.get("code") == code]
    unsure = [entry for entry in report.not_assessed if entry["code"] == code]
    bad = [finding for finding in findings if key_of(finding) in failing]
    if bad:
        message = plain("; ".join(finding["summary"] for finding in bad))
        failure = ElementTree.SubElement(case, "failure", type=bad[0]["severity"], message=message)
        failure.text = _lines(line for finding in bad for line in _of_finding(finding))
    elif broken:
        message = plain(str(broken[0].get("error")))
        ElementTree.SubElement(case, "error", type="broken", message=message)
    elif unsure and not findings:
        reasons = (f"{entry['direction'] or 'all'}: {entry['reason']}" for entry in unsure)
        ElementTree.SubElement(case, "skipped", message=plain("; ".join(reasons)))
    rest = [finding for finding in findings if finding not in bad]
    if rest:
        text = _lines(f"{finding['severity']}: {finding['summary']}" for finding in rest)
        ElementTree.SubElement(case, "system-out").text = text
    return case


def _of_finding(finding: FindingRecord) -> Iterable[str]:
    yield f"{finding['severity']} {key_of(finding)}: {finding['summary']}"
    if finding["remedy"]:
        yield from f"Remedy: {finding['remedy']}".splitlines()
    if finding["explanation"]:
        yield f"Evidence: {finding['explanation']}"
    if finding["because"]:
        yield f"Consequence of: {finding['because']}"
    if finding["display_filter"]:
        yield f"Filter: {finding['display_filter']}"


def _expectation(differences: Sequence[str]) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=_SUITE, name="expectation")
    failure = ElementTree.SubElement(case, "failure", type="expectation", message=plain(differences[0]))
    failure.text = _lines(differences)
    return case


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(plain(line, longest_word=None) for line in lines)
