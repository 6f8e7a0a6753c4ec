"""Draw packets sent over time: one direction of a hop upwards, the other downwards.

Losses have a separate strip along the edge with its own scale, so one lost packet is visible among a hundred
that arrive.
"""

from typing import Any

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.patches import StepPatch
from matplotlib.ticker import MaxNLocator

from vxlanalyze.report.plots.plot_parts import (
    COUNT,
    DELIVERED,
    LOST,
    UNKNOWN,
    finish,
    label,
    span,
    time_axis,
    time_unit,
    title,
)
from vxlanalyze.report.series.model import CountsOverTime, Timeline

_STRIP = 0.17  # of the height
_ABOVE_STRIP = 0.02
_LEAST_MARK = 0.15  # of the strip's height, so that one packet in a million is visible


def draw_timeline(axes: Axes, series: Timeline, onward: str, home: str | None = None) -> Axes:
    """Draw delivered and lost packets over time, and the loss ratio in strips along the edges.

    Parameters
    ----------
    onward, home : str
        Labels of the directions that point up and down.
    """
    by_label = {counts["direction"]: counts for counts in series["directions"]}
    sides = [(by_label[onward], 1)] + ([(by_label[home], -1)] if home is not None else [])
    unit = time_unit(series["bin_ns"] * len(by_label[onward]["delivered"]))
    bin_width = series["bin_ns"] / unit.size_ns
    for counts, sign in sides:
        _stack(axes, counts, bin_width, sign)
    axes.axhline(0, color=rcParams["axes.edgecolor"], linewidth=0.8)
    _make_room(axes, sides)
    _loss_strips(axes, sides, bin_width)
    axes.yaxis.set_major_formatter(COUNT)
    axes.set_ylabel(f"packets per {span(series['bin_ns'])}")
    time_axis(axes, series["start"], unit)
    directions = [("↑", onward)] + ([("↓", home)] if home is not None else [])
    title(axes, "   ".join(f"{arrow} {label(each)}" for arrow, each in directions))
    finish(axes)
    return axes


def _stack(axes: Axes, counts: CountsOverTime, bin_width: float, sign: int) -> None:
    delivered, lost, unknown = (np.array(counts[k]) for k in ("delivered", "lost", "unknown"))
    edges = np.arange(len(delivered) + 1) * bin_width
    floor = np.zeros(len(delivered))
    names = ("delivered", "lost", "unknown") if sign > 0 else (None, None, None)
    layers = zip((delivered, lost, unknown), names, (DELIVERED, LOST, UNKNOWN), strict=True)
    for values, what, colour in layers:
        if values.any() or what in ("delivered", "lost"):
            top = floor + values
            axes.stairs(sign * top, edges, baseline=sign * floor, fill=True, color=colour, label=what)
            floor = top


def _make_room(axes: Axes, sides: list[tuple[CountsOverTime, int]]) -> None:
    """Keep the strip of each direction with losses free of bars."""
    most, room = {1: 1, -1: 0}, {1: 0.04, -1: 0.04}
    for counts, sign in sides:
        totals = np.sum([counts["delivered"], counts["lost"], counts["unknown"]], axis=0)
        most[sign] = max(int(totals.max(initial=0)), most[sign])
        if any(counts["lost"]):
            room[sign] += _STRIP + _ABOVE_STRIP
    height = (most[1] + most[-1]) / (1 - sum(room.values()))
    axes.margins(x=0)
    axes.set_ylim(-most[-1] - room[-1] * height, most[1] + room[1] * height)
    ticks = MaxNLocator(5, integer=True).tick_values(-most[-1], most[1])
    axes.set_yticks([tick for tick in ticks if -most[-1] <= tick <= most[1]])


def _loss_strips(axes: Axes, sides: list[tuple[CountsOverTime, int]], bin_width: float) -> None:
    """Draw the loss ratio of each bin; both directions on one scale."""
    shares = [_lost_share(counts) for counts, _ in sides]
    highest = max(float(share.max(initial=0)) for share in shares)
    for (_, sign), share in zip(sides, shares, strict=True):
        if not share.any():
            continue
        base = 1 - _STRIP if sign > 0 else _STRIP
        height = _STRIP * np.where(share > 0, np.maximum(share / highest, _LEAST_MARK), 0)
        edges = np.arange(len(share) + 1) * bin_width
        place = axes.get_xaxis_transform()
        axes.add_patch(
            StepPatch(base + sign * height, edges, baseline=base, transform=place, color=LOST, fill=True)
        )
        axes.plot([0, edges[-1]], [base, base], transform=place, color=LOST, linewidth=0.6)
        axes.annotate(
            f"≤ {_rounded(100 * highest)} %\nlost",
            (1.005, base + sign * _STRIP / 2),
            xycoords="axes fraction",
            va="center",
            fontsize="small",
            color=LOST,
        )


def _lost_share(counts: CountsOverTime) -> Any:
    lost, delivered = np.array(counts["lost"]), np.array(counts["delivered"])
    return lost / np.maximum(lost + delivered, 1)


def _rounded(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
