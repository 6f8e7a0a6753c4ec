"""Frames of HTTP/2: where each stream's request and response begin and end; gRPC's messages in them.

Header fields stay compressed (HPACK): paths and statuses are not read, so interim responses cannot be
distinguished from final ones.

Sources: RFC 9113 sections 3.4 (preface), 4.1 (frames) and 6 (types and flags); gRPC over HTTP/2
(PROTOCOL-HTTP2.md), "Length-Prefixed-Message".
"""

from vxlanalyze.analysis.messages.columns import (
    BEGINS,
    ENDS,
    FOLLOWED,
    GRPC_MESSAGE,
    HAVE,
    HEAD,
    ID,
    LARGEST_ID,
    LEFT,
    LOST,
    MODE,
    RESETS,
    MessageEvents,
    add,
    skip_units,
)
from vxlanalyze.kernels.arrays import I64, U8, Boolean, Integer
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire.octets import be24, be32, byte

FRAME_BYTES, PREFACE_BYTES = 9, 24
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_PRIORITY, _PUSH_PROMISE, _CONTINUATION = 2, 5, 9
_END_STREAM, _PADDED = 0x01, 0x08
_HEADERS_FLAGS, _DATA_FLAGS = 0x2D, 0x09
_LARGEST_FRAME = 1 << 20  # the default is 2**14; larger ones are negotiated, and rare
_PREFACE = int.from_bytes(b"PRI "), int.from_bytes(b"* HT")
_GRPC_BYTES = 5
_MOST_CHAINED = 64


@compiled
def is_preface(data: U8, at: int, octets: Integer) -> Boolean:
    """Whether octets begin a client's connection preface."""
    return octets >= 8 and be32(data, at) == _PREFACE[0] and be32(data, at + 4) == _PREFACE[1]


@compiled
def plausible(size: Integer, kind: Integer, flags: Integer, identifier: Integer) -> Boolean:
    """Whether the fields of a frame's header go together."""
    if size > _LARGEST_FRAME or kind > _CONTINUATION or identifier >= 1 << 31:
        return False
    if kind == _SETTINGS:
        return identifier == 0 and size % 6 == 0 and flags <= 1
    if kind in (_PING, _GOAWAY):
        return identifier == 0 and (size == 8 or (kind == _GOAWAY and size > 8)) and flags <= 1
    if kind == _WINDOW_UPDATE:
        return size == 4 and flags == 0
    if identifier == 0:
        return False
    if kind in (_RST_STREAM, _PRIORITY):
        return size == (4 if kind == _RST_STREAM else 5)
    if kind == _HEADERS:
        return flags & ~_HEADERS_FLAGS == 0 and size > 0
    return kind != _DATA or flags & ~_DATA_FLAGS == 0


@compiled
def chained(data: U8, at: int, captured: Integer, length: Integer) -> int:
    """Count the frames that fill a segment exactly, as far as captured; negative if one has HEADERS, else 0.

    A frame may go on beyond the segment; its header must be in it.
    """
    place, frames, headers = 0, 0, False
    while place < length and frames < _MOST_CHAINED:
        if place + FRAME_BYTES > captured:
            return 0
        begin = at + place
        size, kind = be24(data, begin), byte(data, begin + 3)
        if not plausible(size, kind, byte(data, begin + 4), be32(data, begin + 5)):
            return 0
        headers = headers or kind == _HEADERS
        place += FRAME_BYTES + size
        frames += 1
        if place > captured and captured < length:
            break
    return -frames if headers else frames


@compiled
def feed(
    offset: Integer, length: Integer, piece: tuple[U8, int, Integer], state: I64, out: MessageEvents
) -> None:
    """Follow the next octets of a stream."""
    data, start, captured = piece
    at = 0
    if state[MODE] == LOST:
        if is_preface(data, start, captured):
            state[LEFT] = PREFACE_BYTES
        elif chained(data, start, captured, length) == 0:
            return
        else:
            state[LEFT] = 0
        state[MODE], state[HAVE] = FOLLOWED, 0
    while at < captured:
        if state[LEFT] > 0:
            step = min(state[LEFT], captured - at)
            state[LEFT] -= step
            at += step
            continue
        octet = byte(data, start + at)
        if state[HAVE] < 5:
            state[HEAD] = (state[HEAD] << 8 | octet) & 0xFFFFFFFFFF
        else:
            state[ID] = (state[ID] << 8 | octet) & 0xFFFFFFFF
        state[HAVE] += 1
        at += 1
        if state[HAVE] < FRAME_BYTES:
            continue
        if not _frame(offset + at, (data, start + at, captured - at), state, out):
            state[MODE] = LOST
            return
    if length > captured:
        skip_units(length - captured, state)


@compiled
def _frame(after: Integer, piece: tuple[U8, int, Integer], state: I64, out: MessageEvents) -> Boolean:
    """Record a frame whose header ends before the offset `after`; False if it is none."""
    head, identifier = state[HEAD], state[ID]
    size, kind, flags = head >> 16, head >> 8 & 0xFF, head & 0xFF
    state[HAVE], state[LEFT] = 0, size
    if kind > _CONTINUATION:  # an extension is ignored
        return size <= _LARGEST_FRAME
    if not plausible(size, kind, flags, identifier):
        return False
    said = 0
    if kind == _HEADERS:
        said = BEGINS
    elif kind == _RST_STREAM:
        said = RESETS
    elif kind == _DATA and flags & _PADDED == 0 and _is_grpc(piece, size):
        said = GRPC_MESSAGE
    if flags & _END_STREAM and (kind in (_HEADERS, _DATA)):
        said |= ENDS
    if said and identifier & 1:
        state[LARGEST_ID] = max(state[LARGEST_ID], identifier)
        add(identifier, (after - FRAME_BYTES, after + size), said, state, out)
    return True


@compiled
def _is_grpc(piece: tuple[U8, int, Integer], size: Integer) -> Boolean:
    """Whether a DATA frame holds exactly one message of gRPC."""
    data, start, captured = piece
    if size < _GRPC_BYTES or captured < _GRPC_BYTES:
        return False
    return byte(data, start) <= 1 and be32(data, start + 1) == size - _GRPC_BYTES
