"""The columns in which messages are found, shared by the parser of each protocol.

Streams are followed in the order of their octets. An *offset* counts octets of a stream from `ORIGIN`: after
the SYN, or the first data where no SYN was seen. The bits from `EPOCH_SHIFT` up number the connections that
used the same ports one after another.
"""

from enum import IntEnum
from typing import NamedTuple

from vxlanalyze.kernels.arrays import I32, I64, U8, Bools, Integer
from vxlanalyze.kernels.decorator import compiled

EPOCH_SHIFT, ORIGIN = 40, 1 << 36


class Protocol(IntEnum):
    """What a connection carries."""

    NONE = 0
    HTTP1 = 1
    HTTP2 = 2
    TLS = 3


# What an event says; several may hold for one.
BEGINS, ENDS, RESETS, GRPC_MESSAGE, INCOMPLETE, HANDSHAKE, GAP = (1 << bit for bit in range(7))


class Segments(NamedTuple):
    """Data of streams in the order of streams and offsets, each octet once; shape ``(k,)``."""

    stream: I32
    offset: I64
    length: I64


class Payloads(NamedTuple):
    """Captured octets of each segment: position of the first in `data`, and their number."""

    data: U8
    start: I64
    captured: I64


class Streams(NamedTuple):
    """The `Protocol` of each stream, and whether its sender is the server."""

    protocol: U8
    responds: Bools


class MessageEvents(NamedTuple):
    """What was found, in the order of streams and offsets.

    `number` is the stream identifier in HTTP/2, the content type in TLS. An event covers the octets from
    `begin` up to `end`.
    """

    stream: I32
    number: I64
    begin: I64
    end: I64
    flags: I64


# The state of the stream that is being followed, STREAM. COUNT and LEFT_OUT are those of all events.
(COUNT, LEFT_OUT, STREAM, NEXT, MODE, BEGIN, LEFT, LINE, HASH, FIELD, WORD, SIZE, CHUNKED, STATUS, HAVE, HEAD,
 ID, LARGEST_ID, TYPE_BEFORE) = range(19)  # fmt: skip
STATE_COLUMNS = 19


# Modes of protocols whose messages are units with their length in a header (frames, records).
LOST, FOLLOWED = 0, 1


@compiled
def skip_units(missing: Integer, state: I64) -> None:
    """Follow octets of such a protocol that were not captured: only the rest of a unit is known."""
    if state[HAVE] == 0 and state[LEFT] >= missing:
        state[LEFT] -= missing
    else:
        state[MODE], state[HAVE] = LOST, 0


@compiled
def add(
    number: Integer, span: tuple[Integer, Integer], flags: Integer, state: I64, out: MessageEvents
) -> None:
    """Write an event of the stream down, or count it where there is no room."""
    at = state[COUNT]
    if at >= len(out.stream):
        state[LEFT_OUT] += 1
        return
    out.stream[at], out.number[at], out.flags[at] = state[STREAM], number, flags
    out.begin[at], out.end[at] = span
    state[COUNT] = at + 1
