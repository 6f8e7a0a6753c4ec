"""Draw the series of a report onto matplotlib Axes.

Each function draws one picture from plain numbers, so it works on a saved report as well. The timeline and
the ladder have their own modules.
"""

import math
from collections.abc import Sequence as Many
from typing import Any

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from vxlanalyze.report.plots.plot_parts import (
    COUNT,
    DELIVERED,
    HOME,
    LOST,
    ONWARD,
    UNKNOWN,
    WINDOW,
    Unit,
    finish,
    label,
    say,
    span,
    time_axis,
    time_unit,
    title,
)
from vxlanalyze.report.series.model import Cells, CountsBySize, DelayBands, Delays, Sequence

_FEW_MARKS = 100  # up to this many can be drawn large
_WIDE_RANGE = 30  # above this ratio of the largest to the median delay, a linear axis hides the median


def draw_sizes(axes: Axes, series: CountsBySize) -> Axes:
    """Draw delivered packets upwards and lost ones downwards by length, with the size limit of the path."""
    start, width = np.array(series["from_bytes"]), series["bin_bytes"]
    delivered, lost = np.array(series["delivered"]), np.array(series["lost"])
    gap = 0.0 if width == 1 else 0.1
    place = start + width * gap / 2
    for values, sign, name, colour in (
        (delivered, 1, "delivered", DELIVERED),
        (lost, -1, "lost", LOST),
    ):
        held = values > 0
        axes.bar(
            place[held],
            sign * values[held],
            width * (1 - gap),
            align="edge",
            color=colour,
            edgecolor=colour,
            linewidth=0.8,
            label=name,
        )
    axes.axhline(0, color=rcParams["axes.edgecolor"], linewidth=0.8)
    most = max(int(max(delivered, default=0)), int(max(lost, default=0)), 1)
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(-_headroom(int(max(lost, default=0)) or 1), _headroom(most))
    axes.yaxis.set_major_formatter(COUNT)
    axes.xaxis.set_major_formatter(COUNT)
    _threshold(axes, series)
    axes.set_xlabel("length on the wire (bytes of IP)")
    axes.set_ylabel("packets (log)")
    title(axes, label(series["direction"]))
    finish(axes)
    return axes


def _headroom(most: int) -> float:
    return float(10 ** (math.log10(most) + 1))


def _threshold(axes: Axes, series: CountsBySize) -> None:
    """Mark the largest length that arrived, where longer packets were sent."""
    largest = series["largest_delivered"]
    if largest is None or not series["lost_longer"]:
        return
    axes.axvline(largest, color=LOST, linewidth=1.2, linestyle="--")
    left, right = axes.get_xlim()
    at_side = largest > (left + right) / 2
    axes.annotate(
        f"largest that arrived: {largest:,} bytes\nlonger ones: {series['lost_longer']:,} sent, all lost",
        (largest, 0.04),
        (-6 if at_side else 6, 0),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="right" if at_side else "left",
    )


def draw_delay(axes: Axes, series: Delays, onward: str, home: str | None = None) -> Axes:
    """Draw the one-way delay over time: median, most packets, nearly all, and the clock's uncertainty."""
    by_label = {bands["direction"]: bands for bands in series["directions"]}
    chosen = [(by_label[name], colour) for name, colour in ((onward, ONWARD), (home, HOME)) if name]
    drawn = [(bands, colour) for bands, colour in chosen if bands["bin"]]
    span_ns = series["bin_ns"] * (1 + max((bands["bin"][-1] for bands, _ in drawn), default=0))
    unit = time_unit(span_ns)
    delay_unit = time_unit(max((max(bands["p99"]) for bands, _ in drawn), default=0), least=1)
    for bands, colour in drawn:
        _delay_bands(axes, bands, series["bin_ns"] / unit.size_ns, delay_unit, colour)
    if _wide(drawn):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(0, span_ns / unit.size_ns)
    relative = any(bands["relative"] for bands, _ in drawn)
    axes.set_ylabel(f"one-way delay{' over the smallest' if relative else ''} ({delay_unit.name})")
    time_axis(axes, series["start"], unit, _delay_key([bands for bands, _ in drawn]))
    if not drawn:
        say(axes, "no packet was seen at both points", 0.5)
    finish(axes)
    return axes


def _delay_key(drawn: Many[DelayBands]) -> str:
    if not drawn:
        return ""
    key = "median · band: 10–90 % · thin: 99 % · dashed: smallest"
    uncertainty_ns = max((b["uncertainty_ns"] or 0 for b in drawn), default=0)
    return key + (f" · dotted: clock ± {span(uncertainty_ns)}" if uncertainty_ns else "")


def _delay_bands(axes: Axes, bands: DelayBands, bin_width: float, unit: Unit, colour: str) -> None:
    time, columns = _with_gaps(bands)
    time = (time + 0.5) * bin_width
    p10, p50, p90, p99 = (columns[name] / unit.size_ns for name in ("p10", "p50", "p90", "p99"))
    few: dict[str, Any] = {"marker": "o", "markersize": 2.5} if len(bands["bin"]) < 80 else {}
    axes.fill_between(time, p10, p90, color=colour, alpha=0.3, linewidth=0)
    axes.plot(time, p99, color=colour, linewidth=0.7, alpha=0.8, **few)
    axes.plot(time, p50, color=colour, linewidth=1.6, label=label(bands["direction"]), **few)
    axes.axhline(min(bands["min"]) / unit.size_ns, color=colour, linewidth=0.9, linestyle="--", alpha=0.7)
    if bands["uncertainty_ns"]:
        around = bands["uncertainty_ns"] / unit.size_ns
        axes.plot(time, p50 + around, color=colour, linewidth=0.8, linestyle=":")
        axes.plot(time, p50 - around, color=colour, linewidth=0.8, linestyle=":")


def _with_gaps(bands: DelayBands) -> tuple[Any, dict[str, Any]]:
    """Columns with gaps for bins without a packet, so that no line bridges them."""
    bins = np.array(bands["bin"], dtype=float)
    holes = np.flatnonzero(np.diff(bins) > 1) + 1
    names = ("p10", "p50", "p90", "p99")
    columns = {name: np.array(bands[name], dtype=np.float64) for name in names}  # type: ignore[literal-required]
    hole: Any = np.nan
    return np.insert(bins, holes, hole), {name: np.insert(c, holes, hole) for name, c in columns.items()}


def _wide(drawn: Many[tuple[DelayBands, str]]) -> bool:
    if not drawn:
        return False
    lowest = min(min(b["p10"]) - (b["uncertainty_ns"] or 0) for b, _ in drawn)
    highest = max(max(b["p99"]) for b, _ in drawn)
    middle = float(np.median([p for b, _ in drawn for p in b["p50"]]))
    return lowest > 0 and highest > _WIDE_RANGE * middle


def draw_sequence(axes: Axes, series: Sequence) -> Axes:
    """Draw one flow: its progress over time, what was lost, acknowledged, and allowed by its window."""
    cells = (series["delivered"], series["lost_cells"], series["acknowledged"])
    last = max((max(c["time"]) for c in cells if c["time"]), default=0)
    unit = time_unit(series["cell_ns"] * (last + 1))
    position, name = _position_unit(series, cells)

    def points(held: Cells) -> tuple[Any, Any]:
        time = (np.array(held["time"]) + 0.5) * series["cell_ns"] / unit.size_ns
        return time, np.array(held["position"]) * position

    few = len(series["delivered"]["time"]) + len(series["lost_cells"]["time"]) < _FEW_MARKS
    size = 7.0 if few else 3.5
    axes.plot(*points(series["delivered"]), ".", color=DELIVERED, markersize=size, label="delivered")
    if series["acknowledged"]["time"]:
        axes.plot(
            *points(series["acknowledged"]),
            color=HOME,
            linewidth=1.2,
            drawstyle="steps-post",
            label="acknowledged at the sender",
        )
    none: Cells = {"time": [], "position": []}
    for held, what, colour, style in (
        (series.get("acknowledged_far", none), "acknowledged at the receiver", UNKNOWN, ":"),
        (series.get("allowed", none), "end of the window", WINDOW, "-"),
    ):
        if held["time"]:
            steps: dict[str, Any] = {"drawstyle": "steps-post", "linewidth": 1.0, "linestyle": style}
            axes.plot(*points(held), color=colour, label=what, **steps)
    lost = f"lost ({series['lost']:,} of {series['packets']:,})"
    axes.plot(
        *points(series["lost_cells"]),
        "x",
        color=LOST,
        markersize=6,
        markeredgewidth=1.2,
        zorder=3,
        label=lost,
    )
    axes.set_ylabel(name)
    time_axis(axes, series["start"], unit)
    axes.margins(y=0.08)
    finish(axes, columns=3)
    return axes


def _position_unit(series: Sequence, cells: Many[Cells]) -> tuple[float, str]:
    """The unit of a cell on the axis, and the label of the axis."""
    if series["unit"] != "bytes":
        return series["cell_units"], "packet of the flow"
    most = max((max(c["position"]) for c in cells if c["position"]), default=0) * series["cell_units"]
    for size, name in ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")):
        if most >= 5 * size:
            return series["cell_units"] / size, f"place in the TCP stream ({name})"
    return series["cell_units"], "place in the TCP stream (bytes)"
