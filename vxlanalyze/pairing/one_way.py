"""One-way delays of packets between two points, whose clocks may differ."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing import offsets
from vxlanalyze.pairing.model import NO_DELAY, Clock


def sent_by_receivers_clock(
    time_ns: NDArray[np.int64], clock: Clock | None, forward: bool
) -> NDArray[np.int64]:
    """Convert times of the sender's clock to the receiver's clock.

    Parameters
    ----------
    time_ns : NDArray[np.int64]
        Times by the sender's clock, in any shape.
    clock : Clock or None
        Of the second point relative to the first; without it, times stay as they are.
    forward : bool
        Whether the sender is the first point.
    """
    if clock is None:
        return time_ns
    if forward:
        return time_ns + clock.offset_at(time_ns)
    # In the reverse direction, the sender is the second point: find the piece by where it begins on that
    # clock.
    pieces = sorted(clock.pieces, key=lambda piece: piece.from_ns + piece.offset_ns)
    starts = np.array([p.from_ns + p.offset_ns for p in pieces], dtype=np.int64)
    piece = np.clip(np.searchsorted(starts, time_ns, side="right") - 1, 0, None) if len(starts) > 1 else 0
    base = np.array([p.offset_ns for p in pieces], dtype=np.int64)[piece]
    begin = np.array([p.from_ns for p in pieces], dtype=np.int64)[piece]
    # One step suffices: the drift within a piece changes the time that it is computed from by only a
    # millionth.
    return time_ns - clock.offset_at(np.maximum(time_ns - base, begin))


def pair_offsets(
    first_ns: NDArray[np.int64], second_ns: NDArray[np.int64], clock: Clock
) -> NDArray[np.int64]:
    """Offset of the second point's clock when both saw a packet, shape ``(m,)``.

    Of a packet that was under way while a clock was set, one time is from before the step and one from after
    it: the piece that gives the smaller delay applies.
    """
    offset = clock.offset_at(first_ns)
    for before, after in pairwise(sorted(clock.pieces, key=lambda piece: piece.from_ns)):
        crossing = np.flatnonzero(
            (first_ns >= after.from_ns)
            != (second_ns >= after.from_ns + min(before.offset_ns, after.offset_ns))
        )
        for piece in (before, after):
            other = offsets.at(first_ns[crossing], (piece,))
            apart_ns = second_ns[crossing] - first_ns[crossing]
            nearer = np.abs(apart_ns - other) < np.abs(apart_ns - offset[crossing])
            offset[crossing[nearer]] = other[nearer]
    return offset


def delays(
    sent_ns: NDArray[np.int64],
    received_ns: NDArray[np.int64],
    arrived: NDArray[np.bool_],
    clock: Clock | None,
    forward: bool,
) -> NDArray[np.int64]:
    """One-way delay of each packet that arrived, never negative; NO_DELAY for all others, shape ``(m,)``.

    Parameters
    ----------
    sent_ns, received_ns : NDArray[np.int64]
        Times of each packet, shape ``(m,)``, each by the clock of the point that saw it.
    arrived : NDArray[np.bool_]
        Shape ``(m,)``: whether `received_ns` is known.
    clock, forward : Clock or None, bool
        As in `sent_by_receivers_clock`.
    """
    if clock is None:
        return np.full(len(sent_ns), NO_DELAY, dtype=np.int64)
    # In place: for large captures, these are the largest arrays of all.
    first_ns, second_ns = (sent_ns, received_ns) if forward else (received_ns, sent_ns)
    delay = pair_offsets(first_ns, second_ns, clock)
    if forward:
        np.negative(delay, out=delay)
    delay += received_ns
    delay -= sent_ns
    np.maximum(delay, 0, out=delay)
    delay[~arrived] = NO_DELAY
    return delay
