"""What the sequence picture shows of a flow's receiver: acknowledgements of both ends, and its window."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

import vxlanalyze as vx
from tests.diagnostics.performance.streams import handshake, rounds
from tests.simulate import Traffic, comparison
from vxlanalyze.report.plots.drawing import draw_sequence
from vxlanalyze.report.series import sequences
from vxlanalyze.report.series.timebase import timebase

CAPTURES = Path(__file__).parents[1] / "captures"
SCALE = 7


def drawn(window: int = 9_984 >> SCALE, *, opened: bool = True, scale: int | None = SCALE):
    there, back = handshake(scale=scale) if opened else ([], [])
    data, acks = rounds(40, 10, window)
    pair = comparison([*there, data], [*back, acks])
    return sequences.sequence(pair.directions[0], 0, timebase(pair, 100))


def bytes_at(cells, drawn) -> list[int]:
    return [position * drawn["cell_units"] for position in cells["position"]]


def test_the_window_ends_so_far_behind_what_is_acknowledged():
    made = drawn()
    ends, acknowledged = bytes_at(made["allowed"], made), bytes_at(made["acknowledged"], made)

    assert len(ends) == len(acknowledged)
    assert ends[-1] - acknowledged[-1] == pytest.approx(9_984, abs=2 * made["cell_units"])


def test_the_receiver_acknowledges_before_the_sender_hears_of_it():
    made = drawn()
    left, came = made["acknowledged_far"]["time"][-1], made["acknowledged"]["time"][-1]

    assert (came - left) * made["cell_ns"] == pytest.approx(50_000_000, abs=2 * made["cell_ns"])
    assert made["acknowledged_far"]["position"][-1] == made["acknowledged"]["position"][-1]


def test_a_window_without_scale_is_what_it_says():
    made = drawn(window=20_000, scale=None)
    ends, acknowledged = bytes_at(made["allowed"], made), bytes_at(made["acknowledged"], made)

    assert ends[-1] - acknowledged[-1] == pytest.approx(20_000, abs=2 * made["cell_units"])


def test_a_scale_that_was_not_seen_leaves_the_window_out():
    made = drawn(opened=False)

    assert made["allowed"] == {"time": [], "position": []}
    assert made["acknowledged"]["time"]


def test_the_picture_names_what_it_shows_and_an_old_report_still_draws():
    made = drawn()
    axes = Figure().add_subplot()
    draw_sequence(axes, made)
    names = axes.get_legend_handles_labels()[1]
    assert {"end of the window", "acknowledged at the receiver", "acknowledged at the sender"} <= set(names)

    del made["allowed"], made["acknowledged_far"]
    draw_sequence(Figure().add_subplot(), made)


def test_slow_connections_are_drawn_and_quick_ones_are_not():
    files = [CAPTURES / "window-upload" / f"node{n}.pcap.gz" for n in (1, 2)]
    (slow,) = sequences.slow_flows(vx.compare(*files).of_captures.comparison)
    assert slow[0].label == "node1>node2"

    quick = comparison([Traffic(packets=3)], [Traffic(packets=3)])
    assert sequences.slow_flows(quick) == []


def test_one_capture_has_no_picture_of_both_ends():
    pair = vx.compare(CAPTURES / "window-upload" / "node1.pcap.gz").of_captures.comparison
    assert sequences.slow_flows(pair) == []
