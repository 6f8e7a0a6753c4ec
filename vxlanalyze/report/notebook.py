"""How captures, comparisons and findings are displayed in Jupyter.

Each view has its own scoped style, follows the notebook's light or dark theme, and needs no script: parts
fold as HTML `details`. Pictures are images, since viewers that do not trust a notebook (JupyterLab at first,
GitHub) strip SVG elements and leave their labels as text.
"""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from vxlanalyze.report import inside_hops
from vxlanalyze.report.both_directions import merged
from vxlanalyze.report.formats.as_html import points, worst
from vxlanalyze.report.model import FindingRecord, Report
from vxlanalyze.report.plots import path_svg, pictures
from vxlanalyze.report.templating import asset, environment
from vxlanalyze.report.unassessed import by_reason
from vxlanalyze.text.escaping import plain

_WIDEST, _CSS_PIXELS = 900, 4 / 3  # in CSS pixels; CSS pixels per point, matplotlib's unit
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"


def comparison_html(report: Report) -> str:
    """Show a comparison: verdict, path, findings, figures and pictures."""
    drawn = pictures.draw(report).pictures
    return _render(
        "notebook_comparison.html",
        report=report,
        findings=[shown.finding for shown in merged(report.findings)],
        points=points(report),
        worst=worst(report),
        lying=path_svg.lying(report),
        path_words=path_svg.alternative(report),
        losing_inside=inside_hops.losing(report),
        pictures=drawn,
        unfolded=_telling(drawn, report),
        image=_image,
        unassessed=by_reason(report.not_assessed),
    )


def capture_html(summary: Mapping[str, Any]) -> str:
    """Show `Capture.summary` of a capture."""
    return _render("notebook_capture.html", summary=summary)


def findings_html(findings: Sequence[FindingRecord]) -> str:
    """Show findings, the first one unfolded."""
    return _render("notebook_findings.html", findings=findings)


def finding_html(finding: FindingRecord) -> str:
    """Show one finding with its evidence and remedy."""
    return _render("notebook_finding.html", finding=finding)


def _telling(drawn: Sequence[pictures.DrawnPlot], report: Report) -> int:
    """Choose the picture to show at first: of the hop with the first finding, else of the first hop."""
    where = next((finding["direction"] for finding in report.findings if finding["direction"]), None)
    return next((number for number, one in enumerate(drawn) if where in one.directions), 0)


def _image(svg: str, words: str) -> Markup:
    """Put a picture into an `img` element at the width it was drawn, within limits."""
    opening = re.search(r'<svg[^>]*viewBox="[-0-9.]+ [-0-9.]+ ([0-9.]+) ([0-9.]+)"', svg)
    assert opening is not None
    width, height = float(opening[1]), float(opening[2])
    shown = min(_WIDEST, width * _CSS_PIXELS)
    head = f'<svg xmlns="{_SVG}" xmlns:xlink="{_XLINK}" width="{width}" height="{height}"'
    style = asset("notebook_picture.css")
    whole = re.sub(r"<svg([^>]*)>", lambda m: f"{head}{m[1]}><style>{style}</style>", svg.strip(), count=1)
    data = b64encode(whole.encode()).decode()
    return Markup('<img alt="{}" width="{}" src="data:image/svg+xml;base64,{}">').format(
        plain(words), round(shown), data
    )


def _render(template: str, **values: Any) -> str:
    return environment().get_template(template).render(css=asset("notebook.css"), **values).strip()
