"""One row of the table `packets`: what became of it, and the frames that show it."""

from typing import NamedTuple

import numpy as np

from vxlanalyze.pairing.model import NO_ROW, Comparison, Direction, Outcome, Point, Reason


class SeenPacket(NamedTuple):
    """A wire packet on one hop, as plain data; see `api.packet.Packet`.

    Parameters
    ----------
    octets : dict
        For each point that saw it, the link type and what was captured of the frame.
    """

    direction: str
    outcome: str
    reason: str
    frames: dict[str, int]
    octets: dict[str, tuple[int, bytes]]


def packet_in(comparison: Comparison, row: int) -> SeenPacket:
    """Give the packet in a row of the table `packets`.

    Raises
    ------
    IndexError
        The table has no such row.
    CaptureError
        A file is gone or has changed.
    """
    left = row
    for hop in (*comparison.hops, *comparison.inside):
        for direction in hop.directions:
            size = len(direction) + len(direction.unsent_row)
            if 0 <= left < size:
                return _packet(comparison, direction, left)
            left -= size
    raise IndexError(f"row {row}: the table has {row - left} rows, from 0 on")


def _packet(comparison: Comparison, direction: Direction, at: int) -> SeenPacket:
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
    return SeenPacket(
        direction=direction.label,
        outcome=Outcome(outcome).name.lower(),
        reason="" if reason == Reason.NONE else Reason(reason).name.lower().replace("_", "-"),
        frames=seen,
        octets={p.name: _octets(comparison, p, seen[p.name]) for p in points if p.name in seen},
    )


def _octets(comparison: Comparison, point: Point, frame: int) -> tuple[int, bytes]:
    """Read a frame again; a super-packet is given whole."""
    source = comparison.captures[point.capture].source
    row = int(point.decoded.row(np.array([frame]))[0])
    frames = source.fetch(point.decoded.index.place[row : row + 1])
    start, length = int(frames.start[0]), int(frames.captured_length[0])
    octets = frames.data[start : start + length].tobytes()
    return source.interfaces[int(frames.interface[0])].link_type, octets
