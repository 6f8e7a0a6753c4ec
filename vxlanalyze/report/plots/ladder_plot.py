"""Draw the ladder of some packets: a post for each point, an arrow for each packet between posts."""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes

from vxlanalyze.report.plots.plot_parts import DELIVERED, LOST, UNKNOWN, label
from vxlanalyze.report.series.model import FollowedPacket, Ladder, SeenAt

WIDTH_INCHES, ROW_INCHES = 10.5, 0.34
_HEAD = 1.15  # rows above the first packet, for the names
_SLANT = 0.5  # of a row's height, from post to post
_FIRST_POST, _LAST_POST, _WORDS = 0.16, 0.47, 0.53  # of the width; text to the left and right of the posts
_COLOURS = {"delivered": DELIVERED, "lost": LOST}
_LETTER_INCHES = 0.095  # of a bold name

_Place = tuple[float, float]


class _Leg(NamedTuple):
    """A leg of a packet's path, without an arrowhead if it ends between two points."""

    start: _Place
    end: _Place
    fate: str


@dataclass(frozen=True)
class _Lane:
    """The row of a packet in the drawing, which slants from the post where it was sent."""

    row: int
    posts: list[float]
    onward: bool

    def at(self, post: float) -> _Place:
        slope = _SLANT / (self.posts[-1] - self.posts[0])
        return post, self.row + slope * abs(post - self.posts[0 if self.onward else -1])

    def seen(self, packet: FollowedPacket) -> list[tuple[float, SeenAt]]:
        """Give the posts that saw the packet, in the order of its path."""
        seen = [(post, at) for post, at in zip(self.posts, packet["seen"], strict=True) if at is not None]
        return seen if self.onward else seen[::-1]


def draw_ladder(axes: Axes, series: Ladder) -> Axes:
    """Draw packets one below the other, in the order they were sent; rows are not to scale in time.

    Next to each post is the frame number in that capture, on the left the time, on the right a description.
    """
    points, packets = series["points"], series["packets"]
    posts = np.linspace(_FIRST_POST, _LAST_POST, len(points)).tolist()
    bottom = max(len(packets), 1) - 0.1
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom, -_HEAD)
    axes.vlines(posts, -0.55, bottom, color=rcParams["axes.edgecolor"], linewidth=1.2)
    room = (_LAST_POST - _FIRST_POST) * WIDTH_INCHES / max(len(points) - 1, 1)
    for post, name in zip(posts, points, strict=True):
        words = label(name, min(18, int(room / _LETTER_INCHES)))
        axes.text(post, -0.65, words, ha="center", va="bottom", fontweight="bold")
    arrows: list[_Leg] = []
    stops: list[_Leg] = []
    for row, packet in enumerate(packets):
        lane = _Lane(row, posts, packet["way"] == "forward")
        if lane.seen(packet):
            _describe(axes, packet, lane)
            arrows += _arrows(packet, lane)
            stops += _stop(packet, lane)
    _draw_arrows(axes, arrows)
    _draw_stops(axes, stops)
    axes.set_axis_off()
    return axes


def _describe(axes: Axes, packet: FollowedPacket, lane: _Lane) -> None:
    """Write what the packet is, when it was sent, and the numbers of the frames that hold it."""
    seen = lane.seen(packet)
    for post, seen_at in seen:
        side = (post == lane.posts[-1]) - (post == lane.posts[0])
        _frame_number(axes, seen_at["frame"], *lane.at(post), side)
    axes.text(0, lane.row, f"{seen[0][1]['time_ns'] / 1e6:,.3f} ms", va="center")
    axes.text(_WORDS, lane.row, describe_packet(packet), va="center", fontsize=0.9 * rcParams["font.size"])


def _arrows(packet: FollowedPacket, lane: _Lane) -> list[_Leg]:
    """The legs of a packet's path from post to post."""
    posts = [post for post, _ in lane.seen(packet)]
    return [_Leg(lane.at(start), lane.at(end), packet["fate"]) for start, end in pairwise(posts)]


def _stop(packet: FollowedPacket, lane: _Lane) -> list[_Leg]:
    """The last leg of a path that ends between two posts; none where the packet was seen at the last one."""
    last = lane.seen(packet)[-1][0]
    if last == lane.posts[-1 if lane.onward else 0]:
        return []
    step = (lane.posts[1] - lane.posts[0]) * (0.5 if lane.onward else -0.5)
    return [_Leg(lane.at(last), lane.at(last + step), packet["fate"])]


def _draw_arrows(axes: Axes, arrows: list[_Leg]) -> None:
    """Draw all at once: a separate annotation for each arrow takes ten times as long."""
    if not arrows:
        return
    start, end = (np.array(places) for places in zip(*((a.start, a.end) for a in arrows), strict=True))
    axes.quiver(
        *start.T,
        *(end - start).T,
        angles="xy",
        scale_units="xy",
        scale=1,
        units="inches",
        width=0.02,
        headwidth=5,
        headlength=6,
        headaxislength=6,
        color=[_COLOURS.get(arrow.fate, UNKNOWN) for arrow in arrows],
    )


def _draw_stops(axes: Axes, stops: list[_Leg]) -> None:
    """Paths that end between two points: lost, or unknown."""
    for fate, mark in (("lost", "x"), ("unknown", "$?$")):
        ends = [stop for stop in stops if (stop.fate == "lost") == (fate == "lost")]
        if not ends:
            continue
        colour = _COLOURS.get(fate, UNKNOWN)
        columns = np.array([(stop.start, stop.end) for stop in ends])
        gaps = np.full((len(ends), 1, 2), np.nan)
        x, y = np.concatenate([columns, gaps], axis=1).reshape(-1, 2).T
        axes.plot(x, y, color=colour, linewidth=1.4, linestyle="--")
        width = 1.8 if fate == "lost" else 0.4
        axes.plot(*columns[:, 1].T, ls="none", marker=mark, color=colour, markersize=7, markeredgewidth=width)


def _frame_number(axes: Axes, frame: int, post: float, height: float, side: int) -> None:
    """Write a frame number outside of the first and last post, and above the arrow at those in between."""
    axes.annotate(
        f"#{frame}",
        (post, height),
        (4 * (side or 1), 0 if side else 1),
        textcoords="offset points",
        ha="right" if side < 0 else "left",
        va="center" if side else "bottom",
        fontsize="small",
    )


def describe_packet(packet: FollowedPacket) -> str:
    """Describe a packet in a few words."""
    ends = [_end(packet["src"], packet["sport"]), _end(packet["dst"], packet["dport"])]
    flags = f" [{packet['flags']}]" if packet["flags"] else ""
    return label(f"{packet['protocol']} {ends[0]} → {ends[1]}{flags} {packet['length']:,} B", 64)


def _end(address: str, port: int | None) -> str:
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
