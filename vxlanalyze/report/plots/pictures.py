"""Choose the plots of a report, and draw them as SVG from its series."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from markupsafe import Markup
from matplotlib.axes import Axes

from vxlanalyze.report.model import ConnectionRecord, HopRecord, Report
from vxlanalyze.report.plots.drawing import draw_delay, draw_sequence, draw_sizes
from vxlanalyze.report.plots.ladder_plot import ROW_INCHES, WIDTH_INCHES, draw_ladder
from vxlanalyze.report.plots.svg import picture
from vxlanalyze.report.plots.timeline_plot import draw_timeline
from vxlanalyze.report.plots.waiting_plot import BAR_INCHES, LEGEND_INCHES, MOST_BARS, draw_waiting
from vxlanalyze.report.series.model import FlowList, Ladder, LostList, Plots, Sequence
from vxlanalyze.report.series.packed import is_sound
from vxlanalyze.report.shape import ShapeError, demand
from vxlanalyze.text import words
from vxlanalyze.text.escaping import plain

_MOST_HOPS = 6
_LEAST_GAIN_NS = 300_000_000  # a connection that is not noticeably slow needs no plot
_FEWEST_IN_SEQUENCE = 3  # packets of a flow; fewer do not make a plot


@dataclass(frozen=True, slots=True)
class DrawnPlot:
    """A drawn plot with the text above and below it, and the directions that it shows."""

    title: str
    svg: Markup
    note: str
    directions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drawn:
    """All plots and lists of a report; the ladders by finding."""

    pictures: list[DrawnPlot]
    ladders: dict[str, DrawnPlot]
    flows: FlowList | None
    lost: LostList | None


def series_of(report: Report) -> Plots | None:
    """The series of a report; None if it was saved without them, or by another program."""
    try:
        demand(report.plots, Plots, "plots")
    except ShapeError:
        return None
    series = cast("Plots", report.plots)
    return series if _fits(series, {hop["direction"] for hop in report.hops}) else None


def _fits(series: Plots, directions: set[str]) -> bool:
    """Whether there is a series for each direction, and related lists have equal length."""
    groups: list[tuple[list[Any], ...]] = [
        *((c["delivered"], c["lost"], c["unknown"]) for c in series["timeline"]["directions"]),
        *((c["from_bytes"], c["delivered"], c["lost"]) for c in series["sizes"]),
        *((b["bin"], b["p10"], b["p50"], b["p90"], b["p99"]) for b in series["delay"]["directions"]),
        *((ladder["points"], p["seen"]) for ladder in series["ladders"] for p in ladder["packets"]),
    ]
    if series["sequence"] is not None:
        flow = series["sequence"]
        cells = (flow["delivered"], flow["lost_cells"], flow["acknowledged"])
        groups += [(held["time"], held["position"]) for held in cells]
    of_plots = (
        {c["direction"] for c in part["directions"]} for part in (series["timeline"], series["delay"])
    )
    equal = all(len({len(values) for values in group}) == 1 for group in groups)
    equal &= all(is_sound(series[name]["table"]) for name in ("flows", "lost_packets"))
    return equal and all(directions <= known for known in of_plots) and series["timeline"]["bin_ns"] > 0


def draw(report: Report) -> Drawn:
    """Draw a report's plots: for the hops that lose most if there are many, and one ladder per finding."""
    series = series_of(report)
    if series is None or not report.hops:
        return Drawn([], {}, None, None)
    drawn = []
    for onward, home in _worst_hops(report):
        shown = (onward["direction"], home["direction"])
        drawn += [replace(one, directions=shown) for one in _of_hop(series, onward, home)]
    if series["sequence"] is not None and series["sequence"]["packets"] >= _FEWEST_IN_SEQUENCE:
        drawn.append(_sequence(series["sequence"]))
    for drawn_slow in series.get("slow", []):
        if drawn_slow["packets"] >= _FEWEST_IN_SEQUENCE and not _same(drawn_slow, series["sequence"]):
            drawn.append(_sequence(drawn_slow, "A slow connection"))
    slow = [record for record in report.connections if record["gain_ns"] >= _LEAST_GAIN_NS][:MOST_BARS]
    if slow:
        drawn.append(_waiting(slow, report.connections_total))
    ladders = {ladder["finding"] or "": _ladder(ladder) for ladder in series["ladders"]}
    return Drawn(drawn, ladders, series["flows"], series["lost_packets"])


def _worst_hops(report: Report) -> list[tuple[HopRecord, HopRecord]]:
    hops = list(enumerate(zip(report.hops[::2], report.hops[1::2], strict=False)))
    worst = sorted(hops, key=lambda hop: -(hop[1][0]["lost"] + hop[1][1]["lost"]))[:_MOST_HOPS]
    return [pair for _, pair in sorted(worst, key=lambda hop: hop[0])]


def _of_hop(series: Plots, onward: HopRecord, home: HopRecord) -> list[DrawnPlot]:
    names = (onward["direction"], home["direction"])
    between = f"{onward['from']} and {onward['to']}"
    drawn = [
        _picture(
            partial(draw_timeline, series=series["timeline"], onward=names[0], home=names[1]),
            f"Delivered and lost over time, between {between}",
            "; ".join(
                f"{hop['direction']}: {hop['sent']:,} sent, {hop['lost']:,} lost" for hop in (onward, home)
            )
            + (". The strips show the share that was lost." if onward["lost"] + home["lost"] else "."),
        ),
    ]
    if any(bands["bin"] for bands in series["delay"]["directions"] if bands["direction"] in names):
        drawn.append(
            _picture(
                partial(draw_delay, series=series["delay"], onward=names[0], home=names[1]),
                f"One-way delay, between {between}",
                "Corrected by the clocks' offset and drift, as the packets show them.",
            )
        )
    losing = [
        counts
        for counts in series["sizes"]
        if counts["direction"] in names and any(counts["lost"]) and len(counts["from_bytes"]) > 1
    ]
    drawn += [
        _picture(
            partial(draw_sizes, series=counts),
            f"Delivered and lost by size, {counts['direction']}",
            f"Bins of {counts['bin_bytes']:,} bytes; the logarithmic scale starts at one packet.",
        )
        for counts in losing
    ]
    return drawn


def _same(sequence: Sequence, other: Sequence | None) -> bool:
    return other is not None and sequence["flow"] == other["flow"]


def _sequence(sequence: Sequence, what: str = "") -> DrawnPlot:
    flow = sequence["flow"]
    which = what or f"The flow that {'lost most' if sequence['lost'] else 'sent most'}"
    note = f"{flow['protocol']} {flow['src']} → {flow['dst']}, {words.count(sequence['packets'], 'packet')}."
    title = f"{which}, {flow['direction']}"
    return _picture(partial(draw_sequence, series=sequence), title, note, height=3.4, above=LEGEND_INCHES)


def _waiting(slow: list[ConnectionRecord], total: int) -> DrawnPlot:
    number = f"{len(slow):,}" if len(slow) > 1 else "one"
    which = f"The {number} with most to gain, of {words.count(total, 'TCP connection')}"
    note = f"{which}; idle time is left out."
    return _picture(
        partial(draw_waiting, connections=slow),
        "Where the time of connections goes",
        note,
        height=BAR_INCHES * len(slow) + 1.2,
        above=LEGEND_INCHES,
    )


def _ladder(ladder: Ladder) -> DrawnPlot:
    shown = len(ladder["packets"])
    note = (
        f"{shown:,} of {ladder['total']:,} packets"
        if shown < ladder["total"]
        else words.count(shown, "packet")
    )
    return _picture(
        partial(draw_ladder, series=ladder),
        f"From point to point: packets of {(ladder['finding'] or '').replace('@', ', ')}",
        note + ", in the order they were sent; the numbers are frames as Wireshark counts them.",
        width=WIDTH_INCHES,
        height=ROW_INCHES * (shown + 1.3),
        unframed=True,
    )


def _picture(
    draw: Callable[[Axes], Any],
    title: str,
    note: str,
    *,
    width: float = 7.2,
    height: float = 2.8,
    **layout: Any,
) -> DrawnPlot:
    drawn = picture(draw, f"{title}. {note}", inches=(width, height), **layout)
    return DrawnPlot(plain(title), Markup(drawn), note)
