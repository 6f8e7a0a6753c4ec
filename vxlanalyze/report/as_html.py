"""The report as one HTML file: it loads nothing, and reads on a wide screen, a phone and paper.

Every string goes through `plain` and is escaped; the page's content security policy allows the one script
that it holds, by its digest, and no request at all.

Sources: Content Security Policy Level 3; WCAG 2.2; WAI-ARIA Authoring Practices ("Sortable Table").
"""

import base64
import hashlib
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vxlanalyze.report import formatting, path_svg, pictures
from vxlanalyze.report.model import Report
from vxlanalyze.report.plain import plain
from vxlanalyze.report.renderer import Judgement

_MOST_SERVICES = 200
_LONGEST_TEXT = 4000  # letters; an explanation has some hundred, a hostile name 65,535
_SEVERITIES = ("critical", "warning", "info")


def render(report: Report, judgement: Judgement | None = None) -> str:
    """Write a report as an HTML page; never fails on its content, and is the same for the same report."""
    page = _environment().get_template("report.html")
    script = Markup(_asset("report.js"))
    drawn = pictures.draw(report)
    anchors = [f"finding-{number}" for number in range(1, len(report.findings) + 1)]
    keys = [_key(finding) for finding in report.findings]
    return page.render(
        report=report,
        judgement=_judged(judgement),
        css=Markup(_asset("report.css")),
        script=script,
        script_hash=Markup(_digest(script)),
        points=_points(report),
        worst=_worst(report),
        parts=_parts(report, drawn),
        lying=path_svg.lying(report),
        upright=path_svg.upright(report),
        path_words=path_svg.alternative(report.hops),
        anchors=anchors,
        anchor_of=dict(zip(keys, anchors, strict=True)),
        finding_ladders=[drawn.ladders.get(key) for key in keys],
        pictures=drawn.pictures,
        flows=drawn.flows,
        lost=drawn.lost,
        services=sorted(report.services, key=lambda s: -s["unanswered"])[:_MOST_SERVICES],
        clear=_clear(report),
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("vxlanalyze.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    environment.filters.update(formatting.FILTERS)
    return environment


def _harmless(value: Any) -> Any:
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    line = plain(value)
    return line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}…"


def _asset(name: str) -> str:
    loader = _environment().loader
    assert loader is not None
    return loader.get_source(_environment(), name)[0].strip()


def _digest(script: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _key(finding: Any) -> str:
    direction = finding["direction"]
    return finding["code"] if direction is None else f"{finding['code']}@{direction}"


def _points(report: Report) -> list[str]:
    return [capture["name"] for capture in report.captures]


def _worst(report: Report) -> str:
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
    told = [("Not as expected", judgement.differences)] if judgement.differences else []
    if judgement.changes is not None:
        told.append(("Since the baseline", judgement.changes or ("nothing changed",)))
    return told


def _clear(report: Report) -> list[str]:
    told = {f["code"] for f in report.findings} | {n["code"] for n in report.not_assessed}
    told |= {b["code"] for b in report.broken}
    return [code for code in report.asked if code not in told]
