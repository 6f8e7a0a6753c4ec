"""Follow the messages in streams; recognise the protocol of a stream by its octets."""

from enum import IntFlag

from vxlanalyze.analysis.messages import http1, http2, tls
from vxlanalyze.analysis.messages.columns import (
    BEGIN,
    COUNT,
    EPOCH_SHIFT,
    GAP,
    LEFT_OUT,
    NEXT,
    ORIGIN,
    STATE_COLUMNS,
    STREAM,
    MessageEvents,
    Payloads,
    Protocol,
    Segments,
    Streams,
    add,
    skip_units,
)
from vxlanalyze.kernels.arrays import I64, U8, Integer
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire.octets import byte

_HTTP1, _HTTP2, _TLS = Protocol.HTTP1.value, Protocol.HTTP2.value, Protocol.TLS.value


class Sign(IntFlag):
    """What the first octets of a segment show."""

    REQUEST = 1  # of HTTP/1
    RESPONSE = 2
    PREFACE = 4  # of HTTP/2
    FRAMES = 8
    FRAMES_WITH_HEADERS = 16
    CLIENT_HELLO = 32
    RECORD = 64  # of TLS


_REQUEST, _RESPONSE, _PREFACE, _FRAMES, _HEADERS, _HELLO, _RECORD = (sign.value for sign in Sign)


@compiled("Payloads(u1[] i8[] i8[]) i8[] u1[]")
def recognise(payloads: Payloads, length: I64, signs: U8) -> None:
    """Give what each segment shows."""
    data = payloads.data
    for i in range(len(signs)):
        at, captured = payloads.start[i], payloads.captured[i]
        signs[i] = 0
        if http1.begins(data, at, captured, False):
            signs[i] = _REQUEST
        elif http1.begins(data, at, captured, True):
            signs[i] = _RESPONSE
        elif http2.is_preface(data, at, captured):
            signs[i] = _PREFACE
        elif tls.is_record(data, at, captured):
            hello = captured > tls.RECORD_BYTES and byte(data, at) == tls.HANDSHAKES
            hello = hello and byte(data, at + tls.RECORD_BYTES) == tls.CLIENT_HELLO
            signs[i] = _HELLO if hello else _RECORD
        else:
            frames = http2.chained(data, at, captured, length[i])
            if frames != 0:
                signs[i] = _FRAMES if frames > 0 else _HEADERS


@compiled(
    "Segments(i4[] i8[] i8[]) Payloads(u1[] i8[] i8[]) Streams(u1[] b1[]) i8[] "
    "MessageEvents(i4[] i8[] i8[] i8[] i8[])"
)
def parse(segments: Segments, payloads: Payloads, streams: Streams, state: I64, out: MessageEvents) -> None:
    """Find the messages of streams; ``state[COUNT]`` is their number, ``state[LEFT_OUT]`` how many more."""
    epoch = -1
    for i in range(len(segments.stream)):
        stream, offset, length = segments.stream[i], segments.offset[i], segments.length[i]
        if i == 0 or stream != state[STREAM] or offset >> EPOCH_SHIFT != epoch:
            if i > 0:
                _finish(streams, state, out)
            epoch = offset >> EPOCH_SHIFT
            _reset(stream, min(offset, (epoch << EPOCH_SHIFT) + ORIGIN), state)
        if offset > state[NEXT]:
            _skip(offset, streams, state, out)
        piece = (payloads.data, payloads.start[i], payloads.captured[i])
        _feed((offset, length), piece, streams, state, out)
        state[NEXT] = offset + length
    if len(segments.stream) > 0:
        _finish(streams, state, out)


@compiled
def _reset(stream: Integer, offset: Integer, state: I64) -> None:
    count, left_out = state[COUNT], state[LEFT_OUT]
    for column in range(STATE_COLUMNS):
        state[column] = 0
    state[COUNT], state[LEFT_OUT], state[STREAM], state[NEXT], state[BEGIN] = (
        count,
        left_out,
        stream,
        offset,
        -1,
    )


@compiled
def _feed(
    octets: tuple[Integer, Integer],
    piece: tuple[U8, int, Integer],
    streams: Streams,
    state: I64,
    out: MessageEvents,
) -> None:
    offset, length = octets
    protocol = streams.protocol[state[STREAM]]
    if protocol == _HTTP1:
        data, start, captured = piece
        http1.feed(offset, length, (data, start, captured, streams.responds[state[STREAM]]), state, out)
    elif protocol == _HTTP2:
        http2.feed(offset, length, piece, state, out)
    elif protocol == _TLS:
        tls.feed(offset, length, piece, state, out)


@compiled
def _skip(offset: Integer, streams: Streams, state: I64, out: MessageEvents) -> None:
    """Follow a stream over octets that the capture lacks."""
    protocol, missing = streams.protocol[state[STREAM]], offset - state[NEXT]
    add(0, (offset, offset), GAP, state, out)
    if protocol == _HTTP1:
        http1.skip(offset, missing, state, out)
    elif protocol in (_HTTP2, _TLS):
        skip_units(missing, state)


@compiled
def _finish(streams: Streams, state: I64, out: MessageEvents) -> None:
    if streams.protocol[state[STREAM]] == _HTTP1:
        http1.finish(state[NEXT], state, out)
