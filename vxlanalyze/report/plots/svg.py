"""Plots for HTML: matplotlib's SVG, made compact, reproducible, and coloured by the page.

Colours become CSS variables, so one plot serves light and dark themes; text stays text, in the page's font.
"""

import io
import re
import warnings
from collections.abc import Callable
from html import escape
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from vxlanalyze.report.plots import plot_parts
from vxlanalyze.text.escaping import plain

_INK, _FAINT = "#010203", "#040506"  # placeholders for the page's text and line colours
_VARIABLES = {
    _INK: "--ink",
    _FAINT: "--faint",
    plot_parts.DELIVERED: "--delivered",
    plot_parts.LOST: "--lost",
    plot_parts.HOME: "--home",
    plot_parts.UNKNOWN: "--unknown",
}
# Margins in inches. matplotlib could measure what it needs, but would draw everything twice.
_LEFT, _RIGHT, _BELOW, _ABOVE = 0.94, 0.52, 0.66, 0.3
_PIXELS = 72  # per inch of matplotlib's SVG
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "axes.edgecolor": _FAINT,
    "xtick.color": _FAINT,
    "ytick.color": _FAINT,
    "grid.color": _FAINT,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.unicode_minus": False,
}


def picture(
    draw: Callable[[Axes], object],
    title: str,
    *,
    inches: tuple[float, float] = (9.0, 3.0),
    unframed: bool = False,
    above: float = _ABOVE,
) -> str:
    """Draw one plot as an SVG element.

    Parameters
    ----------
    draw : callable
        Draws onto the Axes it is given.
    title : str
        Text alternative for the plot; also makes its element names unique.
    inches : tuple of float
        Width and height, of 72 CSS pixels each; the page scales it.
    unframed : bool
        Whether it has no axes to leave room for, so that it fills the whole image.
    above : float
        Inches above the axes, for the legend.
    """
    title = plain(title)
    with rc_context({**_STYLE, "svg.hashsalt": title}), warnings.catch_warnings():
        # A name in characters that the font lacks is measured with a box; the page's font draws it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure = Figure(figsize=inches)
        FigureCanvasSVG(figure)
        axes = figure.add_axes((0.005, 0, 0.99, 1) if unframed else _inside(inches, above))
        draw(axes)
        attributes = _zoomable(axes, inches)
        for axis, name in ((axes.xaxis, "x-axis"), (axes.yaxis, "y-axis")):
            axis.set_gid(name)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return _for_page(written.getvalue(), title, attributes)


def _zoomable(axes: Axes, inches: tuple[float, float]) -> str:
    """Attributes for zooming by the page's script: position of the axes, and their time range, if any."""
    time = plot_parts.time_of(axes)
    if time is None:
        return ""
    width, height = inches[0] * _PIXELS, inches[1] * _PIXELS
    (left, low), (right, high) = axes.get_position().get_points() * (width, height)
    box = f"{left:.2f} {height - high:.2f} {right:.2f} {height - low:.2f}"
    first, last = (round(limit * time.unit_ns) for limit in axes.get_xlim())
    start = escape(plain(time.start))
    return f' data-box="{box}" data-span="{first} {last}" data-unit="{time.unit_ns}" data-start="{start}"'


def _inside(inches: tuple[float, float], above: float) -> tuple[float, float, float, float]:
    """Position of the axes, in fractions of the figure."""
    width, height = inches
    across, up = 1 - (_LEFT + _RIGHT) / width, 1 - (_BELOW + above) / height
    return _LEFT / width, _BELOW / height, across, up


def _for_page(svg: str, title: str, attributes: str = "") -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<[^>]+>", _tag, svg)  # text between tags is left unchanged
    svg = re.sub(r"\s*\n\s*", "\n", svg).strip()
    box = re.search(r'viewBox="([-0-9. ]*)"', svg)
    opening = f'<svg viewBox="{box[1] if box else ""}" role="img"{attributes}><title>{escape(title)}</title>'
    return opening + svg[svg.index(">") + 1 :]


def _tag(match: re.Match[str]) -> str:
    """One tag: two decimals, no unreferenced names, the page's colours and font."""
    tag = re.sub(r"(\d\.\d\d)\d+", r"\1", match[0])
    tag = re.sub(r'^<g id="([xy]-axis)"', r'<g class="\1"', tag)
    tag = re.sub(r'^(<(?:g|text)) id="[^"]*"', r"\1", tag)
    tag = re.sub(r" transform=\"rotate\(-?0 [^\"]*\"|font-family: 'DejaVu Sans';? ?", "", tag)
    tag = re.sub(r"font: ((?:bold |700 )?)([0-9.]+px) 'DejaVu Sans'", r"font: \1\2 var(--face)", tag)
    for colour, variable in _VARIABLES.items():
        tag = tag.replace(colour, f"var({variable})")
    return tag
