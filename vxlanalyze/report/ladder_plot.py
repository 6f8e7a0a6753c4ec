"""Draws the ladder of some packets: a post for each point, an arrow for each packet from post to post."""

from itertools import pairwise

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes

from vxlanalyze.report.plots import DELIVERED, LOST, UNKNOWN, label
from vxlanalyze.report.series.model import Followed, Ladder

ROW_INCHES = 0.36
_SLANT = 0.5  # of a row's height, from post to post
_FIRST_POST, _LAST_POST, _WORDS = 0.17, 0.54, 0.61  # of the width; text to the left and right of the posts
_COLOURS = {"delivered": DELIVERED, "lost": LOST}


def draw_ladder(axes: Axes, series: Ladder) -> Axes:
    """Draw packets one below the other, in the order they were sent; rows are not to scale in time.

    Beside each post stands the number of the frame in that capture; on the left the time, on the right
    what the packet is.
    """
    points, packets = series["points"], series["packets"]
    posts = np.linspace(_FIRST_POST, _LAST_POST, len(points)).tolist()
    axes.set_xlim(0, 1)
    axes.set_ylim(max(len(packets), 1) - 0.1, -1)
    for post, name in zip(posts, points, strict=True):
        axes.plot(
            [post, post], [-0.55, max(len(packets), 1) - 0.1], color=rcParams["axes.edgecolor"], linewidth=1.2
        )
        axes.text(post, -0.65, label(name, 18), ha="center", va="bottom", fontweight="bold")
    for row, packet in enumerate(packets):
        _draw_packet(axes, packet, row, posts)
    axes.set_axis_off()
    return axes


def _draw_packet(axes: Axes, packet: Followed, row: int, posts: list[float]) -> None:
    onward = packet["way"] == "forward"
    path = list(enumerate(packet["seen"]))
    path = path if onward else path[::-1]
    seen = [(posts[place], sight) for place, sight in path if sight is not None]
    if not seen:
        return
    colour = _COLOURS.get(packet["fate"], UNKNOWN)
    last = seen[-1][0]
    slope = _SLANT / (posts[-1] - posts[0])

    def height(post: float) -> float:
        return row + slope * abs(post - posts[0 if onward else -1])

    for (start, _), (end, _) in pairwise(seen):
        _arrow(axes, (start, height(start)), (end, height(end)), colour)
    if last != posts[path[-1][0]]:
        step = (posts[1] - posts[0]) * (0.5 if onward else -0.5)
        _stop(axes, (last, height(last)), (last + step, height(last + step)), packet["fate"], colour)
    for post, sight in seen:
        side = (post == posts[-1]) - (post == posts[0])
        _frame_number(axes, sight["frame"], post, height(post), side)
    axes.text(0, row, f"{seen[0][1]['time_ns'] / 1e6:,.3f} ms", va="center")
    axes.text(_WORDS, row, describe_packet(packet), va="center")


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    style = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops=style)


def _stop(axes: Axes, start: tuple[float, float], end: tuple[float, float], fate: str, colour: str) -> None:
    """A way that ends between two points: lost, or nobody knows."""
    axes.plot([start[0], end[0]], [start[1], end[1]], color=colour, linewidth=1.4, linestyle="--")
    if fate == "lost":
        axes.plot(*end, "x", color=colour, markersize=7, markeredgewidth=1.8)
    else:
        axes.text(*end, "?", color=colour, va="center", ha="center", fontweight="bold")


def _frame_number(axes: Axes, frame: int, post: float, height: float, side: int) -> None:
    """Write a frame's number outside of the first and last post, and above the arrow at those between."""
    axes.annotate(
        f"#{frame}",
        (post, height),
        (4 * (side or 1), 0 if side else 1),
        textcoords="offset points",
        ha="right" if side < 0 else "left",
        va="center" if side else "bottom",
        fontsize="small",
    )


def describe_packet(packet: Followed) -> str:
    """Say what a packet is in a few words."""
    ends = [_end(packet["src"], packet["sport"]), _end(packet["dst"], packet["dport"])]
    flags = f" [{packet['flags']}]" if packet["flags"] else ""
    return label(f"{packet['protocol']} {ends[0]} → {ends[1]}{flags} {packet['length']:,} B", 64)


def _end(address: str, port: int | None) -> str:
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
