"""The report as one HTML file that loads nothing and is readable on a wide screen, a phone and paper.

Every string goes through `plain` and is escaped; the page's content security policy allows only its own
script, by digest, and no requests.

Sources: Content Security Policy Level 3; WCAG 2.2; WAI-ARIA Authoring Practices ("Sortable Table").
"""

import base64
import hashlib
from collections.abc import Sequence

from markupsafe import Markup

from vxlanalyze.report import inside_hops
from vxlanalyze.report.both_directions import merged
from vxlanalyze.report.model import FindingRecord, HopRecord, Report, key_of
from vxlanalyze.report.page_tables import flow_table, lost_table, service_table
from vxlanalyze.report.plots import path_svg, pictures
from vxlanalyze.report.renderer import Judgement
from vxlanalyze.report.templating import asset, environment
from vxlanalyze.report.unassessed import by_reason
from vxlanalyze.text.escaping import inert

_MEASURED = ("reordered", "duplicated", "corrupted", "largest_delivered", "smallest_lost")
_SCRIPTS = ("report_tables.js", "report_zoom.js", "report.js")
_SEVERITIES = ("critical", "warning", "info")


def render(report: Report, judgement: Judgement | None = None) -> str:
    """Write a report as an HTML page; never fails on its content, and is deterministic."""
    page = environment().get_template("report.html")
    script = Markup("\n").join(map(asset, _SCRIPTS))
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
        path_words=path_svg.alternative(report),
        losing_inside=inside_hops.losing(report),
        anchor_of=dict(zip(map(key_of, records), anchors, strict=True)),
        pictures=drawn.pictures,
        flows=drawn.flows and flow_table(drawn.flows, report.names),
        lost=drawn.lost and lost_table(drawn.lost, report.names),
        lost_start=drawn.lost and drawn.lost["start"],
        services=service_table(report.services, report.names) if report.services else None,
        known=_known(report.hops),
        title=title(report),
        clear=_clear(report),
        faults=[entry for entry in shown if not _is_note(entry[0], records)],
        notes=[entry for entry in shown if _is_note(entry[0], records)],
        unassessed=by_reason(report.not_assessed),
    )
    return inert(written, "&#{};")


def title(report: Report) -> str:
    """A short title for a tab, a bookmark or a printed page."""
    where = " → ".join(points(report))
    faults = [f for f in report.findings if f["severity"] != "info"]
    if faults:
        direction = faults[0]["direction"]
        return f"{faults[0]['code']} {direction.replace('>', ' → ') if direction else where} – vxlanalyze"
    return f"{'No fault' if worst(report) == 'good' else 'Not determined'}: {where} – vxlanalyze"


def _known(hops: Sequence[HopRecord]) -> set[str]:
    """Figures of the path's table that have a value in any direction."""
    said = {name for hop in hops for name in _MEASURED if dict(hop)[name] is not None}
    return said | ({"delay"} if any(hop["delay_ns"]["p50"] is not None for hop in hops) else set())


def _digest(script: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def points(report: Report) -> list[str]:
    """Names of the captures, in path order."""
    return [capture["name"] for capture in report.captures]


def worst(report: Report) -> str:
    """The colour of the verdict: an undecided result is never shown as good."""
    found = {finding["severity"] for finding in report.findings}
    for severity in _SEVERITIES[:2]:
        if severity in found:
            return severity
    states = {path_svg.state(hop) for hop in report.hops}
    return "good" if states == {"whole"} else "undecided"


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
    """Whether a finding is only a note: it explains nothing more severe."""
    causes = {f["because"] for f in findings if f["severity"] != "info"}
    return finding["severity"] == "info" and key_of(finding) not in causes


def _clear(report: Report) -> list[str]:
    named = {f["code"] for f in report.findings} | {n["code"] for n in report.not_assessed}
    named |= {b["code"] for b in report.broken}
    return [code for code in report.diagnostics if code not in named]
