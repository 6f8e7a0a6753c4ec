"""Parse octets of two streams, split as wanted, as far as captured."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vxlanalyze.analysis.messages.columns import (
    COUNT,
    ORIGIN,
    STATE_COLUMNS,
    MessageEvents,
    Payloads,
    Protocol,
    Segments,
    Streams,
)
from vxlanalyze.analysis.messages.parsing import Sign, parse, recognise


class Found(NamedTuple):
    number: int
    begin: int
    end: int
    flags: int


def found(
    protocol: Protocol,
    pieces: Sequence[bytes | int],
    *,
    responds: bool = False,
    snap: int = 1 << 20,
    room: int = 1000,
) -> list[Found]:
    """What one stream holds that comes in `pieces`; a number stands for so many octets that are missing."""
    data = b"".join(each for each in pieces if isinstance(each, bytes))
    offset, start, at = [], [], 0
    position = ORIGIN
    for piece in pieces:
        if isinstance(piece, int):
            position += piece
            continue
        offset.append(position)
        start.append(at)
        at += len(piece)
        position += len(piece)
    length = np.array([len(each) for each in pieces if isinstance(each, bytes)], np.int64)
    captured = np.minimum(length, snap)
    out = MessageEvents(np.empty(room, np.int32), *(np.empty(room, np.int64) for _ in range(4)))
    state = np.zeros(STATE_COLUMNS, np.int64)
    parse(
        Segments(np.zeros(len(length), np.int32), np.array(offset, np.int64), length),
        Payloads(np.frombuffer(data, np.uint8), np.array(start, np.int64), captured),
        Streams(np.array([protocol], np.uint8), np.array([responds])),
        state,
        out,
    )
    rows = zip(out.number, out.begin - ORIGIN, out.end - ORIGIN, out.flags, strict=True)
    return [Found(*(int(value) for value in row)) for row, _ in zip(rows, range(state[COUNT]), strict=False)]


def sign(payload: bytes, length: int | None = None) -> Sign:
    """What the payload of a segment shows by itself."""
    signs = np.zeros(1, np.uint8)
    one = Payloads(
        np.frombuffer(payload or b"\0", np.uint8), np.zeros(1, np.int64), np.array([len(payload)], np.int64)
    )
    recognise(one, np.array([length or len(payload)], np.int64), signs)
    return Sign(int(signs[0]))
