"""One row of the table `packets`, for closer inspection."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vxlanalyze.api.capture import dissect_row
from vxlanalyze.pairing.model import NO_ROW, Comparison, Direction, Outcome, Point, Reason


@dataclass(frozen=True)
class Packet:
    """A wire packet on one hop.

    Parameters
    ----------
    direction : str
        ``X>Y``.
    outcome, reason : str
        As in the table; `reason` is empty if the outcome is unqualified.
    frames : dict of str to int
        Frame number, as Wireshark counts, by point that saw it.
    """

    direction: str
    outcome: str
    reason: str
    frames: dict[str, int]
    _comparison: Comparison = field(repr=False)
    _points: tuple[Point, ...] = field(repr=False)

    def dissect(self, point: str | None = None) -> list[Any]:
        """Dissect it with dpkt, from the link inwards; a super-packet is shown whole.

        Parameters
        ----------
        point : str, optional
            Point where it was seen; by default the first one.

        Raises
        ------
        KeyError
            That point did not see it.
        """
        name = next(iter(self.frames)) if point is None else point
        if name not in self.frames:
            raise KeyError(f"{name} did not see it; it was seen at {' and '.join(self.frames)}")
        at = next(p for p in self._points if p.name == name)
        source = self._comparison.captures[at.capture].source
        row = int(at.decoded.row(np.array([self.frames[name]]))[0])
        return dissect_row(source, at.decoded, row, self._comparison.ports)


def packet_of(comparison: Comparison, row: int) -> Packet:
    """Give the packet in a row of the table `packets`.

    Raises
    ------
    IndexError
        The table has no such row.
    """
    left = row
    for hop in (*comparison.hops, *comparison.inside):
        for direction in hop.directions:
            size = len(direction) + len(direction.unsent_row)
            if 0 <= left < size:
                return _packet(comparison, direction, left)
            left -= size
    raise IndexError(f"row {row}: the table has {row - left} rows, from 0 on")


def _packet(comparison: Comparison, direction: Direction, at: int) -> Packet:
    if at < len(direction):
        outcome, reason = direction.outcome[at], direction.reason[at]
        rows = (direction.sent_row[at], direction.received_row[at])
    else:
        unsent = at - len(direction)
        outcome, reason = Outcome.UNSENT, direction.unsent_reason[unsent]
        rows = (NO_ROW, direction.unsent_row[unsent])
    points = (direction.sender, direction.receiver)
    frames = {p.name: int(p.frame(np.array([row]))[0]) for p, row in zip(points, rows, strict=True)}
    seen = {name: frame for name, frame in frames.items() if frame}
    reason_text = "" if reason == Reason.NONE else Reason(reason).name.lower().replace("_", "-")
    return Packet(direction.label, Outcome(outcome).name.lower(), reason_text, seen, comparison, points)
