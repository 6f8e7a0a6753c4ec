"""Draw how connections spend their time: one bar per connection, one segment per cause."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from vxlanalyze.report.model import ConnectionRecord
from vxlanalyze.report.plots.plot_parts import finish, label, time_unit

MOST_BARS = 8
BAR_INCHES = 0.48
LEGEND_INCHES = 0.55  # above the bars: two rows
# In drawing order; adjacent segments differ in lightness, for the colour-blind.
_PIECES = (
    ("client", "client", "#bdbdbd"),
    ("server", "server", "#b0609a"),
    ("path", "path", "#0e7ac4"),
    ("queue", "queue", "#7cc4ea"),
    ("congestion", "congestion window", "#2f8f5b"),
    ("window", "receive window", "#e0a100"),
    ("zero_window", "zero window", "#8a4b00"),
    ("recovery", "recovery of loss", "#d55e00"),
)


def draw_waiting(axes: Axes, connections: Sequence[ConnectionRecord]) -> Axes:
    """Draw the connections in the order given, the first at the top; idle time is left out."""
    rows = np.arange(len(connections))
    unit = time_unit(max((record["active_ns"] for record in connections), default=0))
    left = np.zeros(len(connections))
    for key, name, colour in _PIECES:
        width = np.array([record["waited_ns"].get(key, 0) for record in connections]) / unit.size_ns
        if width.any():
            axes.barh(rows, width, left=left, height=0.45, color=colour, label=name)
        left += width
    for row, record in enumerate(connections):  # above its bar, since names of pods do not fit next to it
        axes.text(0, row - 0.28, _named(record), ha="left", va="bottom", fontsize="small")
    axes.set_yticks([])
    axes.set_ylim(len(connections) - 0.6, -0.85)
    axes.set_xlabel(f"time in which either end waited ({unit.name})")
    finish(axes)
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x", alpha=0.25, linewidth=0.6)
    return axes


def _named(record: ConnectionRecord) -> str:
    return f"{label(record['client'])} → {label(record['service'] or record['server'])}"
