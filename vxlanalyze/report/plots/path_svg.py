"""The path as a picture: positions of points and arrows, horizontal for desktops and vertical for phones.

Only geometry and text; the page's template draws them.
"""

from dataclasses import dataclass

from vxlanalyze.report import inside_hops
from vxlanalyze.report.model import CaptureRecord, HopRecord, Report
from vxlanalyze.text import words

_LETTER = 9  # width of a letter of a name, with a margin
_DESK = 1254  # units, which are pixels on a wide screen
_LINE = 16  # from one line of text to the next


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text; `anchor` as in SVG."""

    x: float
    y: float
    anchor: str
    words: str


@dataclass(frozen=True, slots=True)
class Box:
    """A point of the path; `name` is complete, however long."""

    x: float
    y: float
    width: float
    height: float
    name: str
    lines: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Arrow:
    """One direction; `state` is "whole", "lossy", "blocked" (then it ends in the middle) or "undecided"."""

    x1: float
    y1: float
    x2: float
    y2: float
    state: str
    lines: tuple[Text, ...]

    @property
    def turn(self) -> int:
        """Rotation of its head in degrees from pointing right."""
        if self.y1 != self.y2:
            return 90 if self.y2 > self.y1 else 270
        return 0 if self.x2 > self.x1 else 180

    @property
    def middle(self) -> tuple[float, float]:
        """Where a blocked arrow ends."""
        return self.x1 + 0.6 * (self.x2 - self.x1), self.y1 + 0.6 * (self.y2 - self.y1)


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawing of `width` by `height` units."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def lying(report: Report) -> Drawing:
    """Points from left to right, the forward direction above, the reverse direction below."""
    points = _points(report)
    width, height, least_gap = (170, 164, 200) if len(points) <= 3 else (136, 164, 172)
    gap = min(max((_DESK - len(points) * width) // max(len(points) - 1, 1), least_gap), 910)
    boxes = []
    for i, (name, capture) in enumerate(points):
        left = 2 + i * (width + gap)
        boxes.append(_box((left, 2), (width, height), name, capture, inside_hops.lost_in(report, name)))
    arrows = []
    for i, (onward, home) in enumerate(_pairs(report)):
        start, end = 2 + i * (width + gap) + width, 2 + (i + 1) * (width + gap)
        middle = (start + end) / 2
        above = 78 - _LINE * len(labels(onward)) + 4
        arrows.append(_arrow((start + 6, 78), (end - 6, 78), onward, (middle, above, "middle")))
        arrows.append(_arrow((end - 6, 92), (start + 6, 92), home, (middle, 110, "middle")))
    return Drawing(len(points) * (width + gap) - gap + 4, height + 4, tuple(boxes), tuple(arrows))


def upright(report: Report) -> Drawing:
    """Points from top to bottom, the forward direction on the left, the reverse direction on the right."""
    width, gap, height, whole = 210, 88, 70, 350
    points = _points(report)
    middle = whole / 2
    boxes = []
    for i, (name, capture) in enumerate(points):
        place = (middle - width / 2, 2 + i * (height + gap))
        boxes.append(_box(place, (width, height), name, capture, inside_hops.lost_in(report, name)))
    arrows = []
    for i, (onward, home) in enumerate(_pairs(report)):
        start, end = 2 + i * (height + gap) + height, 2 + (i + 1) * (height + gap)
        for hop, side, first, last, anchor in (
            (onward, middle - 12, start + 5, end - 5, "end"),
            (home, middle + 12, end - 5, start + 5, "start"),
        ):
            text = (start + end) / 2 - _LINE * (len(labels(hop)) - 1) / 2 + 4
            next_to = side + (10 if anchor == "start" else -10)
            arrows.append(_arrow((side, first), (side, last), hop, (next_to, text, anchor)))
    return Drawing(whole, len(points) * (height + gap) - gap + 4, tuple(boxes), tuple(arrows))


def state(hop: HopRecord) -> str:
    """The state of a direction, in one word."""
    if hop["not_assessed"] is not None or hop["delivered"] + hop["lost"] == 0:
        return "undecided"
    if hop["lost"] == 0:
        return "whole"
    return "lossy" if hop["delivered"] else "blocked"


def labels(hop: HopRecord) -> tuple[str, ...]:
    """The labels of a direction, in at most four short lines."""
    if hop["sent"] == 0:
        return ("nothing was sent",)
    judged = hop["delivered"] + hop["lost"]
    if state(hop) == "undecided":
        return (words.count(hop["sent"], "packet") + " sent", "loss not assessed")
    first = f"{hop['delivered']:,} of {judged:,} arrived"
    lost = f"{hop['lost']:,} lost ({100 * hop['lost'] / judged:.3g} %)" if hop["lost"] else "none lost"
    unknown = (f"{hop['unknown']:,} unknown",) if hop["unknown"] else ()
    middle_ns = hop["delay_ns"]["p50"]
    delay = () if middle_ns is None else (f"{words.span(middle_ns)} median",)
    return (first, lost, *unknown, *delay)


def _pairs(report: Report) -> list[tuple[HopRecord, HopRecord]]:
    return list(zip(report.hops[::2], report.hops[1::2], strict=False))


def _points(report: Report) -> list[tuple[str, CaptureRecord | None]]:
    captures = {capture["name"]: capture for capture in report.captures}
    pairs = _pairs(report)
    if not pairs:
        return [(capture["name"], capture) for capture in report.captures]
    names = [pairs[0][0]["from"], *(onward["to"] for onward, _ in pairs)]
    return [(name, captures.get(name)) for name in names]


def _box(
    place: tuple[float, float],
    size: tuple[float, float],
    name: str,
    capture: CaptureRecord | None,
    lost_inside: int,
) -> Box:
    (x, y), (width, height) = place, size
    texts: list[str] = []
    if capture is not None:
        addresses = capture["node_addresses"]
        texts += [
            _short(a, width * 1.2) + (f" +{len(addresses) - 1}" if len(addresses) > 1 else "")
            for a in addresses[:1]
        ]
        texts.append(words.count(capture["packets"], "frame"))
    if lost_inside:
        texts.append(f"{lost_inside:,} lost inside")
    middle, first = x + width / 2, y + height / 2 - _LINE * len(texts) / 2 + 5
    lines = [Text(middle, first + _LINE * (i + 1), "middle", line) for i, line in enumerate(texts)]
    return Box(x, y, width, height, name, (Text(middle, first, "middle", _short(name, width)), *lines))


def _arrow(
    start: tuple[float, float], end: tuple[float, float], hop: HopRecord, text: tuple[float, float, str]
) -> Arrow:
    x, y, anchor = text
    lines = tuple(Text(x, y + _LINE * i, anchor, line) for i, line in enumerate(labels(hop)))
    return Arrow(*start, *end, state(hop), lines)


def _short(name: str, room: float) -> str:
    longest = int(room / _LETTER)
    return name if len(name) <= longest else f"{name[: longest - 6]}…{name[-5:]}"


def alternative(report: Report) -> str:
    """A text alternative for the picture."""
    hops = (*report.hops, *inside_hops.losing(report))
    return ". ".join(f"{hop['direction']}: {', '.join(labels(hop))}" for hop in hops)
