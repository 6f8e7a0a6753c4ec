"""Frames of HTTP/2, however TCP splits them and as far as they are captured."""

import random

import pytest

from tests.analysis.messages.streams import found, sign
from tests.lab.calls import ACK, DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, frame
from vxlanalyze.analysis.messages.columns import BEGINS, ENDS, GAP, GRPC_MESSAGE, RESETS, Protocol
from vxlanalyze.analysis.messages.parsing import Sign

OPENING = PREFACE + frame(SETTINGS, 0, 0, bytes(6))
CALL = frame(HEADERS, END_HEADERS, 1, b"\x82" * 40) + frame(DATA, END_STREAM, 1, b"\0\0\0\0\5hello")
GET = frame(HEADERS, END_HEADERS | END_STREAM, 3, b"\x82" * 20)
RESET = frame(3, 0, 3, bytes(4))


def of(pieces, **more):
    return [(each.number, each.flags) for each in found(Protocol.HTTP2, pieces, **more)]


def test_requests_begin_and_end_wherever_tcp_splits():
    data = OPENING + CALL + GET + RESET
    expected = [(1, BEGINS), (1, ENDS | GRPC_MESSAGE), (3, BEGINS | ENDS), (3, RESETS)]

    assert of([data]) == expected
    for at in range(len(PREFACE), len(data)):
        said = of([data[:at], data[at:]])
        assert [(number, flags & ~GRPC_MESSAGE) for number, flags in said] == [
            (number, flags & ~GRPC_MESSAGE) for number, flags in expected
        ][: len(said)]
        assert len(said) >= len(expected)


def test_octets_of_a_message():
    begin = len(OPENING)
    first, last = found(Protocol.HTTP2, [OPENING + CALL])

    assert (first.begin, last.end) == (begin, begin + len(CALL))


def test_data_that_is_not_captured_is_passed_by_its_length():
    data = frame(DATA, 0, 1, bytes(900))

    assert of([OPENING, data, GET], snap=60) == [(3, BEGINS | ENDS)]


def test_missing_octets_within_a_frame_do_not_matter():
    data = frame(DATA, END_STREAM, 1, bytes(900))

    assert of([OPENING, data[:100], 500, data[600:], GET]) == [(1, ENDS), (0, GAP), (3, BEGINS | ENDS)]


def test_a_connection_that_began_before_the_capture_is_followed_from_whole_frames_on():
    half = frame(DATA, 0, 1, bytes(900))[400:]

    assert of([half, GET]) == [(3, BEGINS | ENDS)]


@pytest.mark.parametrize("number", range(40))
def test_damaged_frames_are_bounded(number):
    chance = random.Random(number)
    octets = bytearray(OPENING + (CALL + GET + RESET) * 5)
    for _ in range(chance.randrange(20)):
        octets[chance.randrange(len(octets))] = chance.randrange(256)
    pieces = []
    while octets:
        size = chance.randrange(1, 90)
        pieces.append(bytes(octets[:size]) if not pieces or chance.random() < 0.9 else size)
        del octets[:size]

    assert all(
        each.begin < each.end
        for each in found(Protocol.HTTP2, pieces, snap=chance.choice((999, 12)))
        if each.flags != GAP
    )


@pytest.mark.parametrize(
    ("payload", "length", "expected"),
    [
        (OPENING, None, Sign.PREFACE),
        (CALL, None, Sign.FRAMES_WITH_HEADERS),
        (frame(SETTINGS, ACK, 0), None, Sign.FRAMES),
        (frame(DATA, 0, 1, bytes(5000))[:1400], None, Sign.FRAMES),
        (CALL + b"x", None, Sign(0)),
        (CALL[:30], 49, Sign.FRAMES_WITH_HEADERS),
        (frame(DATA, 0, 0, b"x"), None, Sign(0)),
        (b"\0\0\0\x05\x10hello", None, Sign(0)),
    ],
)
def test_what_a_segment_shows(payload, length, expected):
    assert sign(payload, length) == expected
