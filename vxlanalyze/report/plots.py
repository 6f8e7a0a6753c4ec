"""Draws the series of a report onto matplotlib Axes.

Each function draws one picture from plain numbers, so it works on a saved report as well. Text and lines
take the reader's matplotlib style; only marks have colours of their own, which keep a contrast of 3 to 1 on
white and on black and can be told apart by the colour-blind.

Sources: Okabe and Ito, "Color Universal Design" (2008); WCAG 2.2 section 1.4.11 (contrast of graphics).
"""

import math
from collections.abc import Sequence as Many
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from vxlanalyze.report.formatting import moment
from vxlanalyze.report.plain import plain
from vxlanalyze.report.series.model import (
    Cells,
    CountsBySize,
    CountsOverTime,
    DelayBands,
    Delays,
    Sequence,
    Timeline,
)

DELIVERED = "#0e7ac4"
LOST = "#d55e00"
UNKNOWN = "#808080"
ONWARD = "#0e7ac4"  # the way of the command line
HOME = "#b0609a"  # the way back
_LONGEST_NAME = 28
_WIDE_RANGE = 30  # from this ratio of the largest to the middle delay on, a linear axis hides the middle


class _Unit(NamedTuple):
    name: str
    size_ns: int


_TIME_UNITS = (
    _Unit("min", 60_000_000_000),
    _Unit("s", 1_000_000_000),
    _Unit("ms", 1_000_000),
    _Unit("µs", 1_000),
    _Unit("ns", 1),
)


def label(text: str, longest: int = _LONGEST_NAME) -> str:
    """Write a name from a capture so that matplotlib shows it as it is, not as a formula."""
    name = plain(text, longest_word=longest)
    if len(name) > longest:
        name = f"{name[: longest * 2 // 3]}…{name[-longest // 4 :]}"
    return name.replace("$", r"\$")


def draw_timeline(axes: Axes, series: Timeline, onward: str, home: str | None = None) -> Axes:
    """Draw what was sent over time: one direction upwards, the other downwards.

    Bins in which a packet was lost are marked at the edge as well, so that one in a million shows.

    Parameters
    ----------
    onward, home : str
        Labels of the directions that point up and down.
    """
    by_label = {counts["direction"]: counts for counts in series["directions"]}
    unit = _time_unit(series["bin_ns"] * len(by_label[onward]["delivered"]))
    bin_width = series["bin_ns"] / unit.size_ns
    _half_timeline(axes, by_label[onward], bin_width, 1)
    if home is not None:
        _half_timeline(axes, by_label[home], bin_width, -1)
    axes.axhline(0, color=rcParams["axes.edgecolor"], linewidth=0.8)
    axes.margins(x=0, y=0.22)
    _symmetric_counts(axes)
    axes.set_ylabel(f"packets per {_span(series['bin_ns'])}")
    _time_axis(axes, series["start"], unit)
    ways = [("↑", onward)] + ([("↓", home)] if home is not None else [])
    key = "   ".join(f"{arrow} {label(name)}" for arrow, name in ways)
    _name(axes, key)
    _finish(axes)
    return axes


def _half_timeline(axes: Axes, counts: CountsOverTime, bin_width: float, sign: int) -> None:
    delivered, lost, unknown = (np.array(counts[k]) for k in ("delivered", "lost", "unknown"))
    edges = np.arange(len(delivered) + 1) * bin_width
    floor = np.zeros(len(delivered))
    names = ("delivered", "lost", "unknown") if sign > 0 else (None, None, None)
    layers = zip((delivered, lost, unknown), names, (DELIVERED, LOST, UNKNOWN), strict=True)
    for values, name, colour in layers:
        if values.any() or name in ("delivered", "lost"):
            top = floor + values
            axes.stairs(sign * top, edges, baseline=sign * floor, fill=True, color=colour, label=name)
            floor = top
    strip = (0.965, 0.035) if sign > 0 else (0.0, 0.035)
    runs = [(first * bin_width, length * bin_width) for first, length in _runs(lost > 0)]
    axes.broken_barh(runs, strip, transform=axes.get_xaxis_transform(), color=LOST, linewidth=0.8)


def _runs(marked: Any) -> list[tuple[int, int]]:
    """First place and length of each run of true values."""
    steps = np.flatnonzero(np.diff(np.concatenate(([False], marked, [False]))))
    return [(int(first), int(end - first)) for first, end in zip(steps[::2], steps[1::2], strict=True)]


def draw_sizes(axes: Axes, series: CountsBySize) -> Axes:
    """Draw delivered packets upwards and lost ones downwards by their length, and where the way closes."""
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
    _symmetric_counts(axes)
    _threshold(axes, series)
    axes.set_xlabel("length on the wire (bytes of IP)")
    axes.set_ylabel("packets (log)")
    _name(axes, label(series["direction"]))
    _finish(axes)
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
    beside = largest > (left + right) / 2
    axes.annotate(
        f"largest that arrived: {largest:,} bytes\nlonger ones: {series['lost_longer']:,} sent, all lost",
        (largest, 0.04),
        (-6 if beside else 6, 0),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="right" if beside else "left",
    )


def draw_delay(axes: Axes, series: Delays, onward: str, home: str | None = None) -> Axes:
    """Draw the one-way delay over time: the middle, most packets, nearly all; and the clock's uncertainty."""
    by_label = {bands["direction"]: bands for bands in series["directions"]}
    chosen = [(by_label[name], colour) for name, colour in ((onward, ONWARD), (home, HOME)) if name]
    drawn = [(bands, colour) for bands, colour in chosen if bands["bin"]]
    span_ns = series["bin_ns"] * (1 + max((bands["bin"][-1] for bands, _ in drawn), default=0))
    unit = _time_unit(span_ns)
    delay_unit = _time_unit(max((max(bands["p99"]) for bands, _ in drawn), default=0), least=1)
    for bands, colour in drawn:
        _delay_bands(axes, bands, series["bin_ns"] / unit.size_ns, delay_unit, colour)
    if _wide(drawn):
        axes.set_yscale("log")
    axes.set_xlim(0, span_ns / unit.size_ns)
    relative = any(bands["relative"] for bands, _ in drawn)
    axes.set_ylabel(f"one-way delay{' over the smallest' if relative else ''} ({delay_unit.name})")
    _time_axis(axes, series["start"], unit)
    if drawn:
        _say(axes, _delay_key([bands for bands, _ in drawn]), 0.95)
        axes.margins(y=0.12)
    else:
        _say(axes, "no packet was seen at both points", 0.5)
    _finish(axes)
    return axes


def _delay_key(drawn: Many[DelayBands]) -> str:
    key = "line: median · band: 10–90 % · thin: 99 %"
    uncertainty_ns = max((b["uncertainty_ns"] or 0 for b in drawn), default=0)
    return key + (f" · dotted: clock ± {_span(uncertainty_ns)}" if uncertainty_ns else "")


def _delay_bands(axes: Axes, bands: DelayBands, bin_width: float, unit: _Unit, colour: str) -> None:
    time, columns = _with_gaps(bands)
    time = (time + 0.5) * bin_width
    p10, p50, p90, p99 = (columns[name] / unit.size_ns for name in ("p10", "p50", "p90", "p99"))
    few: dict[str, Any] = {"marker": "o", "markersize": 2.5} if len(bands["bin"]) < 80 else {}
    axes.fill_between(time, p10, p90, color=colour, alpha=0.3, linewidth=0)
    axes.plot(time, p99, color=colour, linewidth=0.7, alpha=0.8, **few)
    axes.plot(time, p50, color=colour, linewidth=1.6, label=label(bands["direction"]), **few)
    if bands["uncertainty_ns"]:
        around = bands["uncertainty_ns"] / unit.size_ns
        axes.plot(time, p50 + around, color=colour, linewidth=0.8, linestyle=":")
        axes.plot(time, p50 - around, color=colour, linewidth=0.8, linestyle=":")


def _with_gaps(bands: DelayBands) -> tuple[Any, dict[str, Any]]:
    """Columns with a hole wherever bins without a packet lie between, so that no line bridges them."""
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
    """Draw one flow: how far it came by when, what was lost, and what was acknowledged."""
    cells = (series["delivered"], series["lost_cells"], series["acknowledged"])
    last = max((max(c["time"]) for c in cells if c["time"]), default=0)
    unit = _time_unit(series["cell_ns"] * (last + 1))
    position, name = _position_unit(series, cells)

    def points(held: Cells) -> tuple[Any, Any]:
        time = (np.array(held["time"]) + 0.5) * series["cell_ns"] / unit.size_ns
        return time, np.array(held["position"]) * position

    axes.plot(*points(series["delivered"]), ".", color=DELIVERED, markersize=3.5, label="delivered")
    if series["acknowledged"]["time"]:
        axes.plot(
            *points(series["acknowledged"]),
            color=HOME,
            linewidth=1.2,
            drawstyle="steps-post",
            label="acknowledged to the sender",
        )
    lost = f"lost ({series['lost']:,} of {series['packets']:,})"
    axes.plot(*points(series["lost_cells"]), "x", color=LOST, markersize=4, markeredgewidth=0.8, label=lost)
    axes.set_ylabel(name)
    _time_axis(axes, series["start"], unit)
    axes.margins(y=0.08)
    _finish(axes)
    return axes


def _position_unit(series: Sequence, cells: Many[Cells]) -> tuple[float, str]:
    """What a cell counts on the axis, and what the axis is called."""
    if series["unit"] != "bytes":
        return series["cell_units"], "packet of the flow"
    most = max((max(c["position"]) for c in cells if c["position"]), default=0) * series["cell_units"]
    for size, name in ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")):
        if most >= 5 * size:
            return series["cell_units"] / size, f"place in the TCP stream ({name})"
    return series["cell_units"], "place in the TCP stream (bytes)"


def _time_unit(span_ns: int, least: int = 3) -> _Unit:
    """The unit in which a span is at least `least`."""
    return next((unit for unit in _TIME_UNITS if span_ns >= least * unit.size_ns), _TIME_UNITS[-1])


def _span(duration_ns: int) -> str:
    unit = _time_unit(duration_ns, least=1)
    return f"{duration_ns / unit.size_ns:,.3g} {unit.name}"


def _time_axis(axes: Axes, start: str, unit: _Unit) -> None:
    axes.set_xlabel(f"{unit.name} since {label(moment(start), 40)}, by the first capture's clock")


def _symmetric_counts(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):,.0f}"))
    if axes.get_yscale() == "linear":
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))


def _name(axes: Axes, text: str) -> None:
    """Say above the plot what it is about, where it covers nothing."""
    axes.set_title(text, loc="left", fontsize=rcParams["font.size"])


def _say(axes: Axes, text: str, height: float) -> None:
    axes.annotate(text, (0.012, height), xycoords="axes fraction", va="center", ha="left")


def _finish(axes: Axes) -> None:
    """Take away what carries nothing, and put the legend above the plot, where it covers nothing."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    if not axes.get_legend_handles_labels()[0]:
        return
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=4,
        frameon=False,
        borderaxespad=0.1,
        handlelength=1.2,
        columnspacing=1.2,
    )
