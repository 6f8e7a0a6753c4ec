"""The report as one HTML file: it loads nothing, and reads on a wide screen, a phone and paper.

Every string goes through `plain` and is escaped; the page's content security policy allows the one script
that it holds, by its digest, and no request at all.

Sources: Content Security Policy Level 3; WCAG 2.2; WAI-ARIA Authoring Practices ("Sortable Table").
"""

import base64
import hashlib
from collections.abc import Sequence

from markupsafe import Markup

from vxlanalyze.report.both_directions import merged
from vxlanalyze.report.model import FindingRecord, Report, key_of
from vxlanalyze.report.plots import path_svg, pictures
from vxlanalyze.report.renderer import Judgement
from vxlanalyze.report.templating import asset, environment
from vxlanalyze.report.unassessed import by_reason
from vxlanalyze.text.escaping import inert

_MOST_SERVICES = 200
_SEVERITIES = ("critical", "warning", "info")


def render(report: Report, judgement: Judgement | None = None) -> str:
    """Write a report as an HTML page; never fails on its content, and is the same for the same report."""
    page = environment().get_template("report.html")
    script = asset("report.js")
    drawn = pictures.draw(report)
    findings = merged(report.findings)
    anchors = [f"finding-{number}" for number in range(1, len(findings) + 1)]
    ladders = [next(filter(None, map(drawn.ladders.get, one.keys)), None) for one in findings]
    records = [one.finding for one in findings]
    shown = list(zip(records, anchors, ladders, strict=True))
    written = page.render(
        report=report,
        judgement=_judged(judgement),
        css=asset("report.css"),
        script=script,
        script_hash=Markup(_digest(script)),
        points=points(report),
        worst=worst(report),
        parts=_parts(report, drawn),
        lying=path_svg.lying(report),
        upright=path_svg.upright(report),
        path_words=path_svg.alternative(report.hops),
        anchor_of=dict(zip(map(key_of, records), anchors, strict=True)),
        pictures=drawn.pictures,
        flows=drawn.flows,
        lost=drawn.lost,
        services=sorted(report.services, key=lambda s: -s["unanswered"])[:_MOST_SERVICES],
        clear=_clear(report),
        faults=[entry for entry in shown if not _is_note(entry[0], records)],
        notes=[entry for entry in shown if _is_note(entry[0], records)],
        unassessed=by_reason(report.not_assessed),
    )
    return inert(written, "&#{};")


def _digest(script: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def points(report: Report) -> list[str]:
    """Names of the captures, in path order."""
    return [capture["name"] for capture in report.captures]


def worst(report: Report) -> str:
    """The colour of the verdict: what could not be judged is never shown as good."""
    found = {finding["severity"] for finding in report.findings}
    for severity in _SEVERITIES[:2]:
        if severity in found:
            return severity
    states = {path_svg.state(hop) for hop in report.hops}
    return "good" if states == {"whole"} else "untold"


def _parts(report: Report, drawn: pictures.Drawn) -> list[tuple[str, str]]:
    parts = [("path", "Path"), ("findings", "Findings")]
    parts += [("pictures", "Pictures")] if drawn.pictures else []
    parts += [("services", "Services")] if report.services else []
    parts += [("flows", "Flows"), ("lost", "Lost packets")] if drawn.flows else []
    return [*parts, ("captures", "Captures")]


def _judged(judgement: Judgement | None) -> list[tuple[str, tuple[str, ...]]]:
    if judgement is None:
        return []
    blocks = [("Not as expected", judgement.differences)] if judgement.differences else []
    if judgement.changes is not None:
        blocks.append(("Since the baseline", judgement.changes or ("nothing changed",)))
    return blocks


def _is_note(finding: FindingRecord, findings: Sequence[FindingRecord]) -> bool:
    """Whether a finding is no more than a note: it explains nothing that is worse."""
    causes = {f["because"] for f in findings if f["severity"] != "info"}
    return finding["severity"] == "info" and key_of(finding) not in causes


def _clear(report: Report) -> list[str]:
    named = {f["code"] for f in report.findings} | {n["code"] for n in report.not_assessed}
    named |= {b["code"] for b in report.broken}
    return [code for code in report.asked if code not in named]
