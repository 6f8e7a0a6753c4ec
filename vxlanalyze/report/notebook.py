"""What captures, comparisons and findings show of themselves in Jupyter.

Each view brings its own style, which reaches nothing outside of it, follows the notebook's light or dark
theme, and needs no script: parts fold as HTML's own `details`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from vxlanalyze.report.formats.as_html import points, worst
from vxlanalyze.report.model import FindingRecord, Report
from vxlanalyze.report.plots import path_svg, pictures
from vxlanalyze.report.templating import asset, environment
from vxlanalyze.report.unassessed import by_reason


def comparison_html(report: Report) -> str:
    """Show a comparison: verdict, path, findings, figures and pictures."""
    return _render(
        "notebook_comparison.html",
        report=report,
        points=points(report),
        worst=worst(report),
        lying=path_svg.lying(report),
        path_words=path_svg.alternative(report.hops),
        pictures=pictures.draw(report).pictures,
        unassessed=by_reason(report.not_assessed),
    )


def capture_html(summary: Mapping[str, Any]) -> str:
    """Show what `Capture.summary` says of a capture."""
    return _render("notebook_capture.html", summary=summary)


def findings_html(findings: Sequence[FindingRecord]) -> str:
    """Show findings, the first one unfolded."""
    return _render("notebook_findings.html", findings=findings)


def finding_html(finding: FindingRecord) -> str:
    """Show one finding with its proof and remedy."""
    return _render("notebook_finding.html", finding=finding)


def _render(template: str, **values: Any) -> str:
    return environment().get_template(template).render(css=asset("notebook.css"), **values).strip()
