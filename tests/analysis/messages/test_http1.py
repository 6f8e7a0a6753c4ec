"""Messages of HTTP/1, however TCP splits them and as far as they are captured."""

import random

import pytest

from tests.analysis.messages.streams import found, sign
from vxlanalyze.analysis.messages.columns import BEGINS, ENDS, GAP, INCOMPLETE, Protocol
from vxlanalyze.analysis.messages.parsing import Sign

GET = b"GET /a HTTP/1.1\r\nHost: b\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\ncontent-LENGTH:  5 \r\n\r\nhello"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5;x=y\r\nhello\r\n"
    b"A\r\n0123456789\r\n0\r\nX: y\r\n\r\n"
)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 900\r\n\r\n"
OF_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"
WHOLE = BEGINS | ENDS


def of(pieces, **more):
    return [(each.begin, each.end, each.flags) for each in found(Protocol.HTTP1, pieces, **more)]


def ranges(messages):
    """Where messages begin and end that follow each other."""
    at, result = 0, []
    for message in messages:
        result.append((at, at + len(message), WHOLE))
        at += len(message)
    return result


@pytest.mark.parametrize(
    ("messages", "responds"),
    [((GET, POST, GET), False), ((OK, CHUNKED, NOT_MODIFIED, OK), True)],
    ids=["requests", "answers"],
)
def test_any_split_gives_the_same_messages(messages, responds):
    data = b"".join(messages)
    expected = ranges(messages)

    assert of([data], responds=responds) == expected
    for at in range(8, len(data) - 8):
        starts = {begin for begin, _, _ in expected}
        if not any(0 < at - begin < 7 for begin in starts):  # a head split in its first octets is not found
            assert of([data[:at], data[at:]], responds=responds) == expected, at


def test_an_interim_answer_is_not_the_answer():
    assert of([CONTINUE, OK], responds=True) == [(len(CONTINUE), len(CONTINUE) + len(OK), WHOLE)]


def test_the_answer_to_head_has_no_body():
    assert of([OF_HEAD + OK], responds=True) == ranges([OF_HEAD, OK])


def test_a_body_that_is_not_captured_is_passed_by_its_length():
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n" + bytes(4000)

    assert of([body[:1000], body[1000:], OK], responds=True, snap=100) == ranges([body, OK])


def test_a_head_that_is_cut_ends_where_the_next_one_begins():
    assert of([GET, POST], snap=20) == ranges([GET, POST])


def test_missing_octets_of_a_body_do_not_matter_and_others_do():
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n"
    size = len(body) + 400

    assert of([body, 300, bytes(100), OK], responds=True) == [
        (len(body) + 300, len(body) + 300, GAP),
        (0, size, WHOLE),
        (size, size + len(OK), WHOLE),
    ]
    assert of([len(OK), OK], responds=True) == [
        (len(OK), len(OK), GAP),
        (len(OK), 2 * len(OK), WHOLE),
    ]


def test_an_answer_without_a_length_goes_on_to_the_end():
    answer = b"HTTP/1.0 200 OK\r\n\r\n" + bytes(100)

    assert of([answer], responds=True) == [(0, len(answer), WHOLE)]


def test_a_message_that_goes_on_beyond_the_capture_is_incomplete():
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n" + bytes(100)

    assert of([answer], responds=True) == [(0, len(answer), BEGINS | INCOMPLETE)]


def test_another_protocol_follows_an_upgrade():
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"

    assert len(of([switch, b"\x81\x05hello", b"\x81\x05hello"], responds=True)) == 1


@pytest.mark.parametrize("number", range(40))
def test_damaged_messages_are_bounded(number):
    chance = random.Random(number)
    octets = bytearray((GET + POST + OK + CHUNKED) * 3)
    for _ in range(chance.randrange(30)):
        octets[chance.randrange(len(octets))] = chance.choice(b"\r\n:0f \xff")
    pieces = []
    while octets:
        size = chance.randrange(1, 90)
        pieces.append(bytes(octets[:size]) if chance.random() < 0.9 else size)
        del octets[:size]
    if not any(isinstance(each, bytes) for each in pieces):
        return

    said = of(pieces, responds=bool(number & 1), snap=chance.choice((1 << 20, 40, 1)))

    assert all(begin <= end for begin, end, _ in said)


def test_more_messages_than_there_is_room_for():
    assert len(of([GET * 10], room=3)) == 3


@pytest.mark.parametrize(
    ("payload", "expected"),
    [(GET, Sign.REQUEST), (OK, Sign.RESPONSE), (b"GETTING", Sign(0)), (b"GE", Sign(0)), (b"", Sign(0))],
)
def test_what_a_segment_shows(payload, expected):
    assert sign(payload) == expected
