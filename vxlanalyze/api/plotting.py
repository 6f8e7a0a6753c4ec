"""The plots of a result: ``result.plot.timeline()`` and others, each drawn onto matplotlib Axes."""

from collections.abc import Mapping
from functools import cached_property
from ipaddress import ip_address
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from vxlanalyze.errors import UsageError
from vxlanalyze.export.tables import flows_frame
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.report.model import HopRecord, Report
from vxlanalyze.report.plots import drawing as plots
from vxlanalyze.report.plots.ladder_plot import ROW_INCHES, WIDTH_INCHES, draw_ladder
from vxlanalyze.report.plots.pictures import series_of
from vxlanalyze.report.plots.timeline_plot import draw_timeline
from vxlanalyze.report.series import ladders, sequences
from vxlanalyze.report.series.model import Ladder, Plots, Sequence
from vxlanalyze.report.series.timebase import Timebase, timebase
from vxlanalyze.report.series.timeline import MOST_BINS
from vxlanalyze.wire.model import NO_VNI

_WIDTH_INCHES = 9.0


class Plot:
    """Draws the plots of a comparison; each method returns the Axes, and accepts Axes to draw onto as `ax`.

    Parameters
    ----------
    report : Report
        Data of plots that need no packets.
    comparison : Comparison, optional
        The packets; without them (a loaded report), only the report's own data can be drawn.
    """

    def __init__(self, report: Report, comparison: Comparison | None) -> None:
        self._report, self._comparison = report, comparison

    def timeline(self, direction: str | None = None, *, ax: Axes | None = None) -> Axes:
        """Draw delivered and lost packets over time, one direction of a hop upwards, the other downwards.

        Parameters
        ----------
        direction : str, optional
            ``X>Y``, whose hop is drawn; by default the one with the most losses.
        """
        onward, home = self._hop(direction)
        return draw_timeline(_axes(ax, 3.0), self._series["timeline"], onward, home)

    def delay(self, direction: str | None = None, *, ax: Axes | None = None) -> Axes:
        """Draw the one-way delay over time, both directions of a hop, with the clock's uncertainty.

        Parameters
        ----------
        direction : str, optional
            ``X>Y``, whose hop is drawn; by default the one with the most losses.
        """
        onward, home = self._hop(direction)
        return plots.draw_delay(_axes(ax, 3.0), self._series["delay"], onward, home)

    def loss_by_size(self, direction: str | None = None, *, ax: Axes | None = None) -> Axes:
        """Draw delivered and lost packets by length, and the length above which nothing arrives.

        Parameters
        ----------
        direction : str, optional
            ``X>Y``; by default the direction with the most losses.
        """
        chosen = self._record(direction)["direction"]
        counts = next(s for s in self._series["sizes"] if s["direction"] == chosen)
        return plots.draw_sizes(_axes(ax, 3.0), counts)

    def sequence(self, flow: Any = None, *, ax: Axes | None = None) -> Axes:
        """Draw one flow: its progress over time, what was lost and what was acknowledged.

        Parameters
        ----------
        flow : row of `flows` or its number, optional
            Also a table of one row, as from ``flows.query(...)``; by default the flow with the most losses.
        """
        return plots.draw_sequence(_axes(ax, 3.6), self._sequence(flow))

    def waiting(self, *, ax: Axes | None = None) -> Axes:
        """Draw how the connections with the most to gain spend their time, one bar for each.

        Raises
        ------
        UsageError
            There is no TCP connection.
        """
        from vxlanalyze.report.plots.waiting_plot import BAR_INCHES, MOST_BARS, draw_waiting

        slowest = self._report.connections[:MOST_BARS]
        if not slowest:
            raise UsageError("there is no TCP connection to draw")
        return draw_waiting(_axes(ax, BAR_INCHES * len(slowest) + 1.2), slowest)

    def ladder(self, flow: Any = None, *, ax: Axes | None = None) -> Axes:
        """Draw packets on their path from point to point, with their frame numbers.

        Parameters
        ----------
        flow : row of `flows` or its number, or a finding or its key, optional
            Its first packets are drawn; by default those of the first finding that has any.
        """
        drawn = self._ladder(flow)
        height = ROW_INCHES * (len(drawn["packets"]) + 1.3)
        return draw_ladder(_axes(ax, height, WIDTH_INCHES), drawn)

    @cached_property
    def _series(self) -> Plots:
        series = series_of(self._report)
        if series is None or not self._report.hops:
            raise UsageError(
                "there is nothing to draw: it takes two captures, or a report of them with series"
            )
        return series

    @cached_property
    def _base(self) -> Timebase:
        return timebase(self._packets, MOST_BINS)

    @property
    def _packets(self) -> Comparison:
        if self._comparison is None:
            raise UsageError("a loaded report has no packets; compare the captures to draw any flow")
        return self._comparison

    def _record(self, direction: str | None) -> HopRecord:
        hops = self._report.hops
        if not hops:
            raise UsageError("there is nothing to draw: it takes two captures")
        if direction is None:
            return max(hops, key=lambda hop: (hop["lost"], hop["sent"]))
        known = {hop["direction"]: hop for hop in hops}
        if direction not in known:
            raise UsageError(f"there is no direction {direction}; these are: {', '.join(known)}")
        return known[direction]

    def _hop(self, direction: str | None) -> tuple[str, str]:
        """Labels of both directions of a hop, the forward one first."""
        chosen = self._record(direction)["direction"]
        for onward, home in zip(self._report.hops[::2], self._report.hops[1::2], strict=True):
            if chosen in (onward["direction"], home["direction"]):
                return onward["direction"], home["direction"]
        raise UsageError(f"{chosen} has no way back in this report")

    def _sequence(self, flow: Any) -> Sequence:
        if flow is not None:
            return sequences.sequence(*self._found(flow), self._base)
        worst = self._series["sequence"]
        if worst is None:
            raise UsageError("there is nothing to draw: no packet was sent")
        return worst

    def _ladder(self, flow: Any) -> Ladder:
        key = getattr(flow, "key", flow)
        if flow is None or isinstance(key, str):
            return self._ladder_of_finding(key)
        return ladders.flow_ladder(self._packets, *self._found(flow), self._base)

    def _ladder_of_finding(self, key: str | None) -> Ladder:
        by_key = {ladder["finding"]: ladder for ladder in self._series["ladders"] if ladder["finding"]}
        if not by_key:
            raise UsageError("no finding has packets of a direction to draw; give a row of flows")
        if key is None:
            return next(iter(by_key.values()))
        for known, ladder in by_key.items():
            if known is not None and key in (known, known.partition("@")[0]):
                return ladder
        raise UsageError(f"no packets are kept of {key}; there are some of: {', '.join(map(str, by_key))}")

    def _found(self, flow: Any) -> tuple[Direction, int]:
        """The direction and the sender's flow of a row of `flows`."""
        packets = self._packets
        row = _row(flow, packets)
        wanted = {name: row[name] for name in ("src", "dst", "protocol", "sport", "dport", "vni")}
        for direction in packets.directions:
            if direction.label == row["direction"]:
                rows = _rows_of(direction, wanted)
                if len(rows):
                    return direction, int(rows[0])
        of = ", ".join(f"{name} {value}" for name, value in wanted.items() if not pd.isna(value))
        raise UsageError(f"no packet was sent {row['direction']} of a flow with {of}")


def _row(flow: Any, packets: Comparison) -> Mapping[Any, Any]:
    """The content of a row of `flows`, given by number, directly, or as a table of one row."""
    if isinstance(flow, int | np.integer):
        flows = flows_frame(packets)
        if not 0 <= flow < len(flows):
            raise UsageError(f"there is no flow {flow}; flows has {len(flows)} rows, from 0 on")
        return flows.iloc[int(flow)].to_dict()
    if isinstance(flow, pd.DataFrame):
        if len(flow) != 1:
            raise UsageError(f"one flow is drawn, and {len(flow)} are given; take one: flows.iloc[0]")
        return flow.iloc[0].to_dict()
    return flow._asdict() if hasattr(flow, "_asdict") else flow


def _rows_of(direction: Direction, wanted: Mapping[str, Any]) -> NDArray[np.int64]:
    """Rows of the sender's flows with the given addresses, protocol, ports and VNI."""
    flows, rows = direction.sender.flows, np.unique(direction.flow).astype(np.int64)
    wanted = {name: None if pd.isna(value) else value for name, value in wanted.items()}
    vni = NO_VNI if wanted["vni"] is None else int(wanted["vni"])
    same = (flows.protocol[rows] == int(wanted["protocol"])) & (flows.vni[rows] == vni)
    for name in ("sport", "dport"):
        if wanted[name] is not None:
            same &= getattr(flows, name)[rows] == int(wanted[name])
    for name in ("src", "dst"):
        address = np.frombuffer(ip_address(wanted[name]).packed.ljust(16, b"\0"), np.uint8)
        same &= (getattr(flows, name)[rows] == address).all(axis=1)
    return rows[same]


def _axes(ax: Axes | None, height: float, width: float = _WIDTH_INCHES) -> Axes:
    """The Axes to draw onto: the given ones, or those of a new figure."""
    if ax is not None:
        return ax
    from matplotlib import pyplot

    _, made = pyplot.subplots(figsize=(width, height), layout="constrained")
    return made
