"""The report's pictures as matplotlib axes, for notebooks and papers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vxlanalyze.errors import UsageError
from vxlanalyze.report.model import HopRecord, Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vxlanalyze.report.series.model import Plots


class Plot:
    """Pictures of one comparison; each method draws one and returns its axes.

    A direction is ``X>Y`` as the report names it; by default the hop that lost most is drawn.
    """

    def __init__(self, report: Report) -> None:
        self._report = report

    def timeline(self, direction: str | None = None, ax: "Axes | None" = None) -> "Axes":
        """Delivered and lost packets of a hop over time, its way back below."""
        from vxlanalyze.report.plots import draw_timeline

        onward, home = self._hop(direction)
        return draw_timeline(_axes(ax), self._series["timeline"], onward, home)

    def delay(self, direction: str | None = None, ax: "Axes | None" = None) -> "Axes":
        """One-way delay of a hop over time, corrected by the clocks, with its uncertainty."""
        from vxlanalyze.report.plots import draw_delay

        onward, home = self._hop(direction)
        return draw_delay(_axes(ax), self._series["delay"], onward, home)

    def loss_by_size(self, direction: str | None = None, ax: "Axes | None" = None) -> "Axes":
        """Delivered and lost packets of a direction by their size."""
        from vxlanalyze.report.plots import draw_sizes

        sizes = {counts["direction"]: counts for counts in self._series["sizes"]}
        wanted = direction or self._worst(list(sizes))
        if wanted not in sizes:
            raise UsageError(f"there is no direction {wanted}; these are: {', '.join(sizes) or 'none'}")
        return draw_sizes(_axes(ax), sizes[wanted])

    def sequence(self, ax: "Axes | None" = None) -> "Axes":
        """Sequence numbers over time of the flow that lost most."""
        from vxlanalyze.report.plots import draw_sequence

        series = self._series["sequence"]
        if series is None:
            raise UsageError("no flow to draw: no packet was sent")
        return draw_sequence(_axes(ax), series)

    def ladder(self, finding: str | None = None, ax: "Axes | None" = None) -> "Axes":
        """The packets of a finding (``code@direction``, or its code) from point to point."""
        from vxlanalyze.report.ladder_plot import draw_ladder

        ladders = self._series["ladders"]
        for ladder in ladders:
            name = ladder["finding"] or ""
            if finding in (None, name, name.partition("@")[0]):
                return draw_ladder(_axes(ax), ladder)
        known = ", ".join(ladder["finding"] or "" for ladder in ladders) or "none"
        raise UsageError(f"no packets to draw for {finding or 'any finding'}; there are: {known}")

    @property
    def _series(self) -> "Plots":
        from vxlanalyze.report.pictures import series_of

        series = series_of(self._report)
        if series is None:
            raise UsageError("this report was saved without the series that plots are drawn from")
        return series

    def _hop(self, direction: str | None) -> tuple[str, str | None]:
        names = [hop["direction"] for hop in self._report.hops]
        onward = direction or self._worst(names)
        if onward not in names:
            raise UsageError(f"there is no direction {onward}; these are: {', '.join(names) or 'none'}")
        home = ">".join(reversed(onward.split(">")))
        return onward, home if home in names else None

    def _worst(self, names: Sequence[str]) -> str:
        hops: list[HopRecord] = [hop for hop in self._report.hops if hop["direction"] in names]
        return max(hops, key=lambda hop: hop["lost"])["direction"] if hops else ""


def _axes(given: "Axes | None") -> "Axes":
    """Draw where the caller says, else into a figure of its own."""
    if given is not None:
        return given
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(8.0, 3.6), layout="constrained")[1]
