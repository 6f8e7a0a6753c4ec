"""Common parts of all plots: colours, units of time, and the text along and above the axes.

Text and lines follow the user's matplotlib style; only marks have fixed colours, with a contrast of 3 to 1 on
white and on black, distinguishable by the colour-blind.

Sources: Okabe and Ito, "Color Universal Design" (2008); WCAG 2.2 section 1.4.11 (contrast of graphics).
"""

from typing import NamedTuple

from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from vxlanalyze.text.escaping import plain
from vxlanalyze.text.formatting import moment

DELIVERED = "#0e7ac4"
LOST = "#d55e00"
UNKNOWN = "#808080"
WINDOW = "#b07d00"
ONWARD = "#0e7ac4"  # the forward direction
HOME = "#b0609a"  # the reverse direction
_LONGEST_NAME = 28
_TIME_AXIS = "time-axis"


class Unit(NamedTuple):
    """A unit of time on an axis."""

    name: str
    size_ns: int


_TIME_UNITS = (
    Unit("min", 60_000_000_000),
    Unit("s", 1_000_000_000),
    Unit("ms", 1_000_000),
    Unit("µs", 1_000),
    Unit("ns", 1),
)


def label(text: str, longest: int = _LONGEST_NAME) -> str:
    """Escape a name from a capture so that matplotlib shows it literally, not as a formula."""
    name = plain(text, longest_word=longest)
    if len(name) > longest:
        name = f"{name[: longest * 2 // 3]}…{name[-longest // 4 :]}"
    return name.replace("$", r"\$")


def _count(value: float, _: int | None) -> str:
    """Format a count on an axis, the same upwards and downwards, in at most seven characters."""
    size = abs(value)
    return f"{size / 1e6:,g} M" if size >= 1e6 else f"{size:,.0f}"


COUNT = FuncFormatter(_count)


def time_unit(span_ns: int, least: int = 3) -> Unit:
    """The unit in which a span is at least `least`."""
    return next((unit for unit in _TIME_UNITS if span_ns >= least * unit.size_ns), _TIME_UNITS[-1])


def span(duration_ns: int) -> str:
    """Format a duration for an axis: ``50 ms``."""
    unit = time_unit(duration_ns, least=1)
    return f"{duration_ns / unit.size_ns:,.3g} {unit.name}"


def time_axis(axes: Axes, start: str, unit: Unit, key: str = "") -> None:
    """Write the start time below the time axis, and below that how to read the plot."""
    words = f"{unit.name} since {label(moment(start), 40)}, by the first capture's clock"
    axes.set_xlabel(f"{words}\n{key}" if key else words)
    axes.xaxis.set_gid(f"{_TIME_AXIS} {unit.size_ns} {start}")


class TimeAxis(NamedTuple):
    """The scale of a time axis: nanoseconds of its unit, and its origin (RFC 3339)."""

    unit_ns: int
    start: str


def time_of(axes: Axes) -> TimeAxis | None:
    """The scale of the x axis set by `time_axis`; None if it was not called."""
    kind, _, said = (axes.xaxis.get_gid() or "").partition(" ")
    unit_ns, _, start = said.partition(" ")
    return TimeAxis(int(unit_ns), start) if kind == _TIME_AXIS else None


def title(axes: Axes, text: str) -> None:
    """Write the title above the plot, where it covers nothing."""
    axes.set_title(text, loc="left", fontsize=rcParams["font.size"])


def say(axes: Axes, text: str, height: float) -> None:
    """Write into the plot, at a fraction of its height."""
    axes.annotate(text, (0.012, height), xycoords="axes fraction", va="center", ha="left")


def finish(axes: Axes, columns: int = 4) -> None:
    """Remove unneeded frame lines, and put the legend above the plot, where it covers nothing."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    if not axes.get_legend_handles_labels()[0]:
        return
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=columns,
        frameon=False,
        borderaxespad=0.1,
        handlelength=1.2,
        columnspacing=1.2,
    )
