"""Pictures say what the series say, in few marks, whatever names they hold."""

import re
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from tests.report.broken_pair import broken, findings
from tests.simulate import Flow, Traffic, comparison
from vxlanalyze.report.plots import drawing as plots
from vxlanalyze.report.plots import plot_parts
from vxlanalyze.report.plots.ladder_plot import describe_packet, draw_ladder
from vxlanalyze.report.plots.svg import picture
from vxlanalyze.report.plots.timeline_plot import draw_timeline
from vxlanalyze.report.series import series
from vxlanalyze.report.series.model import Plots

BOTH = ("node1>node2", "node2>node1")


@pytest.fixture(scope="module")
def made() -> Plots:
    pair = broken()
    return series(pair, findings(pair))


@pytest.fixture
def axes() -> Axes:
    figure = Figure()
    FigureCanvasAgg(figure)
    return figure.subplots()


def texts(axes: Axes) -> list[str]:
    """All that is written in a picture."""
    axes.figure.canvas.draw()
    legend = axes.get_legend()
    inside = [axes.get_title(loc="left"), *(t.get_text() for t in axes.texts)]
    return [*filter(None, inside), *([t.get_text() for t in legend.get_texts()] if legend else [])]


def test_the_timeline_draws_one_direction_up_and_the_other_down(axes: Axes, made: Plots):
    drawn = draw_timeline(axes, made["timeline"], *BOTH)

    assert drawn is axes
    low, high = axes.get_ylim()
    assert low < 0 < high
    assert {"↑ node1>node2   ↓ node2>node1", "delivered", "lost"} <= set(texts(axes))
    assert axes.get_ylabel() == "packets per 50 ms"


def test_one_loss_in_a_million_is_marked_at_the_edge(axes: Axes):
    lost = np.arange(100_000) == 70_000
    pair = comparison(forward=[Traffic(Flow(), packets=100_000, every_s=1e-5, lost=lost)])

    draw_timeline(axes, series(pair)["timeline"], "node1>node2")

    (strip,) = strips(axes)
    assert strip.values.max() - strip.baseline > 0.02  # of the picture's height
    assert strip.edges[np.argmax(strip.values)] == pytest.approx(700, abs=6)  # ms


def test_a_loss_of_one_percent_is_seen_and_its_share_is_written(axes: Axes):
    lost = np.arange(20_000) % 100 == 7
    pair = comparison(forward=[Traffic(Flow(), packets=20_000, every_s=1e-4, lost=lost)])

    draw_timeline(axes, series(pair)["timeline"], *BOTH)

    (strip,) = strips(axes)
    shares = strip.values[strip.values > strip.baseline] - strip.baseline
    assert len(shares) > 100
    assert shares.min() > 0.08
    assert any(re.fullmatch(r"≤ 1(\.\d)? %\nlost", text) for text in texts(axes))


def test_bars_leave_the_strips_free(axes: Axes, made: Plots):
    draw_timeline(axes, made["timeline"], *BOTH)

    bars = [patch for patch in axes.patches if patch not in strips_of(axes)]
    (upper, *_) = [strip.baseline for strip in strips(axes) if strip.baseline > 0.5]
    low, high = axes.get_ylim()
    tallest = max(float(bar.get_data().values.max()) for bar in bars)
    assert (tallest - low) / (high - low) < upper


def strips_of(axes: Axes) -> list[StepPatch]:
    """The patches that are placed by the height of the axes, not by their data."""
    return [
        patch
        for patch in axes.patches
        if not patch.get_transform().contains_branch_seperately(axes.transData)[1]
    ]


def strips(axes: Axes) -> list[Any]:
    """The shares of losses along the edges."""
    return [strip.get_data() for strip in strips_of(axes)]


def test_the_size_limit_is_written_in_the_picture(axes: Axes, made: Plots):
    plots.draw_sizes(axes, made["sizes"][0])

    lost = made["sizes"][0]["lost_longer"]
    assert f"largest that arrived: 1,302 bytes\nlonger ones: {lost} sent, all lost" in texts(axes)


@pytest.mark.parametrize(
    ("value", "written"), [(0, "0"), (-1500, "1,500"), (999_999, "999,999"), (1e6, "1 M"), (-2.5e8, "250 M")]
)
def test_counts_on_an_axis_leave_room_for_its_name(value: float, written: str):
    assert plot_parts.COUNT(value) == written


def test_no_limit_is_written_where_the_longest_arrive(axes: Axes):
    lossy = comparison(forward=[Traffic(Flow(), lost=np.arange(100) % 7 == 0)])

    plots.draw_sizes(axes, series(lossy)["sizes"][0])

    assert not any("largest" in text for text in texts(axes))


def test_the_clocks_uncertainty_stands_in_the_delay_picture(axes: Axes, made: Plots):
    plots.draw_delay(axes, made["delay"], *BOTH)

    assert axes.get_xlabel().endswith("dotted: clock ± 50 µs")
    assert axes.get_ylabel() == "one-way delay (µs)"


def test_relative_delays_are_called_so(axes: Axes):
    pair = comparison(forward=[Traffic(Flow())], relative_clock=True)

    plots.draw_delay(axes, series(pair)["delay"], *BOTH)

    assert "over the smallest" in axes.get_ylabel()


def test_delays_that_were_not_measured_are_said_to_be_missing(axes: Axes):
    pair = comparison(forward=[Traffic(Flow(), lost=True)])

    plots.draw_delay(axes, series(pair)["delay"], *BOTH)

    assert "no packet was seen at both points" in texts(axes)


def test_a_spike_of_delay_does_not_hide_the_middle(axes: Axes):
    spiky = np.where(np.arange(1000) % 100 < 3, 0.2, 0.0003)
    pair = comparison(forward=[Traffic(Flow(), packets=1000, delay_s=spiky)])

    plots.draw_delay(axes, series(pair)["delay"], *BOTH)

    assert axes.get_yscale() == "log"


def test_the_sequence_picture_counts_what_was_lost(axes: Axes, made: Plots):
    plots.draw_sequence(axes, made["sequence"])

    sequence = made["sequence"]
    assert f"lost ({sequence['lost']} of {sequence['packets']})" in texts(axes)
    assert "kB" in axes.get_ylabel()


def test_a_ladder_names_points_frames_and_packets(axes: Axes, made: Plots):
    ladder = made["ladders"][0]

    draw_ladder(axes, ladder)

    written = texts(axes)
    first = ladder["packets"][0]
    assert written[:2] == ["node1", "node2"]
    assert f"#{first['seen'][0]['frame']}" in written
    assert describe_packet(first) in written


def test_a_ladder_marks_where_a_way_ends(axes: Axes, made: Plots):
    """Lost, or nobody knows."""
    lost = next(packet for packet in made["ladders"][0]["packets"] if packet["fate"] == "lost")
    unknown = {**lost, "fate": "unknown"}

    draw_ladder(axes, {**made["ladders"][0], "packets": [lost, unknown]})

    axes.figure.canvas.draw()
    assert {"x", "$?$"} <= {line.get_marker() for line in axes.lines}


def test_a_picture_holds_few_marks_whatever_was_sent(axes: Axes):
    random = np.random.default_rng(5)
    stream = Traffic(
        Flow(protocol=6),
        packets=50_000,
        every_s=1e-4,
        payload=random.integers(0, 1400, 50_000),
        lost=random.random(50_000) < 0.1,
    )
    made = series(comparison(forward=[stream]))

    plots.draw_sequence(axes, made["sequence"])
    draw_timeline(axes, made["timeline"], *BOTH)
    plots.draw_sizes(axes, made["sizes"][0])

    assert sum(len(line.get_xdata()) for line in axes.lines) < 5_000
    marks: list[Collection] = list(axes.collections)
    assert len(axes.patches) + sum(len(c.get_paths()) for c in marks) < 1_000


@pytest.mark.parametrize(
    "name", ["$x^$", "_hidden", "\x1b[31m", "a" * 65536, "<script>", "주피터", "\u202egnp.exe"]
)
def test_any_name_is_drawn_as_it_is(axes: Axes, name: str, made: Plots):
    renamed = {**made["timeline"], "directions": [{**made["timeline"]["directions"][0], "direction": name}]}

    svg = picture(lambda drawn: draw_timeline(drawn, renamed, name), "names")

    assert "<script>" not in svg
    assert len(svg) < 200_000
    if name in ("$x^$", "_hidden", "주피터"):
        assert name in svg


def test_svg_is_the_same_every_time_and_takes_its_colours_from_the_page(made: Plots):
    def draw(axes: Axes) -> None:
        draw_ladder(axes, made["ladders"][0])

    first = picture(draw, "ladder")

    assert first == picture(draw, "ladder")
    assert "var(--lost)" in first
    assert "#d55e00" not in first


def test_addresses_in_svg_are_whole(made: Plots):
    """Numbers are rounded in attributes, never in text."""
    svg = picture(lambda axes: draw_ladder(axes, made["ladders"][0]), "ladder")

    assert "TCP 10.233.64.10:40000 → 10.233.65.20:8080" in svg


def test_drawing_leaves_the_readers_style_alone(made: Plots):
    before = dict(mpl.rcParams)

    picture(lambda axes: plots.draw_sizes(axes, made["sizes"][0]), "sizes")

    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(
    "colour", [plot_parts.DELIVERED, plot_parts.LOST, plot_parts.UNKNOWN, plot_parts.HOME]
)
@pytest.mark.parametrize("paper", ["#ffffff", "#14171c"])
def test_marks_stand_out_on_white_and_on_black(colour: str, paper: str):
    """WCAG 2.2 section 1.4.11 asks for 3 to 1."""
    bright, dark = sorted((luminance(colour), luminance(paper)), reverse=True)

    assert (bright + 0.05) / (dark + 0.05) >= 3


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
