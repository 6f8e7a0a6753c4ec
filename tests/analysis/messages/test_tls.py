"""Records of TLS, however TCP splits them."""

import struct

import pytest

from tests.analysis.messages.streams import found, sign
from vxlanalyze.analysis.messages.columns import BEGINS, ENDS, HANDSHAKE, Protocol
from vxlanalyze.analysis.messages.parsing import Sign


def record(kind, size, first=0):
    return struct.pack(">BHH", kind, 0x0303, size) + bytes([first]) + bytes(size - 1)


HELLO, CHANGE, FINISHED, REQUEST, ALERT = (
    *(record(22, 200, 1), record(20, 1), record(23, 53), record(23, 300), record(21, 19)),
)


def of(pieces, **more):
    return [
        (each.number, each.flags & HANDSHAKE != 0, each.end - each.begin)
        for each in found(Protocol.TLS, pieces, **more)
    ]


def test_records_wherever_tcp_splits():
    data = HELLO + CHANGE + FINISHED + REQUEST + ALERT
    expected = [(22, True, 205), (23, True, 58), (23, False, 305)]

    for at in range(1, len(data)):
        assert of([data[:at], data[at:]])[-3:] == expected or at < 5


def test_records_that_are_not_captured_are_passed_by_their_length():
    assert of([HELLO, CHANGE + FINISHED, REQUEST], snap=16) == [
        (22, True, 205),
        (23, True, 58),
        (23, False, 305),
    ]


def test_flags():
    assert [each.flags for each in found(Protocol.TLS, [REQUEST])] == [BEGINS | ENDS]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (HELLO, Sign.CLIENT_HELLO),
        (REQUEST, Sign.RECORD),
        (record(22, 90, 2), Sign.RECORD),
        (b"\x17\x03\x03\xff\xff", Sign(0)),
        (b"\x17\x03", Sign(0)),
    ],
)
def test_what_a_segment_shows(payload, expected):
    assert sign(payload) == expected
