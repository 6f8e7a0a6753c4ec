"""Messages of HTTP/1: heads, and bodies by their length or in chunks, whichever way TCP splits them.

Interim responses (100 to 199) are passed over: the message is the final one. Where octets are missing, a
message goes on to the next segment that begins with a head.

Sources: RFC 9112 sections 2 (message format), 6 (body length) and 7.1 (chunked); RFC 9110 section 15.2
(interim responses).
"""

from vxlanalyze.analysis.messages.columns import (
    BEGIN,
    BEGINS,
    CHUNKED,
    ENDS,
    FIELD,
    HASH,
    INCOMPLETE,
    LEFT,
    LINE,
    MODE,
    SIZE,
    STATUS,
    WORD,
    MessageEvents,
    add,
)
from vxlanalyze.kernels.arrays import I64, U8, Boolean, Integer
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire.octets import be32, byte

# Modes. START: the next octet begins a message; OPEN: a message whose end is unknown; LOST: none is known.
LOST, START, HEAD, BODY, CHUNK_SIZE, CHUNK, TRAILER, OPEN = range(8)

_CR, _LF, _COLON, _SPACE, _SEMICOLON, _TAB = 13, 10, 58, 32, 59, 9
_LONGEST_BODY = 1 << 40
_HASHED, _HASH_FACTOR = 0xFFFFFFFF, 31
_OTHER_FIELD, _LENGTH_FIELD, _CODING_FIELD = 1, 2, 3
_WORD_MASK = (1 << 56) - 1
_CHUNKED_WORD = int.from_bytes(b"chunked")
_HTTP_WORD, _VERSION_1 = int.from_bytes(b"HTTP"), int.from_bytes(b"P/1.")
_METHODS = tuple(
    int.from_bytes(name) for name in (b"GET ", b"HEAD", b"POST", b"PUT ", b"PATC", b"DELE", b"OPTI", b"TRAC")
)
_CONNECT = int.from_bytes(b"CONN")
_SHORTEST = 7
_SWITCHING = 101


def _hash(name: bytes) -> int:
    value = 0
    for octet in name:
        value = (value * _HASH_FACTOR + octet) & _HASHED
    return value


_CONTENT_LENGTH, _TRANSFER_ENCODING = _hash(b"content-length"), _hash(b"transfer-encoding")


@compiled
def begins(data: U8, at: int, octets: Integer, responds: Boolean) -> Boolean:
    """Whether octets begin a request line, or a status line."""
    if octets < _SHORTEST:
        return False
    word = be32(data, at)
    if responds:
        return word == _HTTP_WORD and be32(data, at + 3) == _VERSION_1
    return word in _METHODS or word == _CONNECT


@compiled
def feed(
    offset: Integer, length: Integer, piece: tuple[U8, int, Integer, bool], state: I64, out: MessageEvents
) -> None:
    """Follow the next octets of a stream; `piece` has those captured, and whether they are a server's."""
    data, start, captured, responds = piece
    mode = state[MODE]
    if (mode in (OPEN, LOST)) and begins(data, start, captured, responds):
        finish(offset, state, out)
        state[MODE] = START
    at = 0
    while at < captured:
        mode = state[MODE]
        if mode in (OPEN, LOST):
            return
        if mode in (BODY, CHUNK):
            fresh = state[BEGIN] >= 0 and state[WORD] == 1
            state[WORD] = 0
            if mode == BODY and fresh and responds and begins(data, start + at, captured - at, True):
                # The answer to HEAD has the length of a body that does not follow.
                _complete(offset + at, state, out)
                continue
            step = min(state[LEFT], captured - at)
            at += step
            _passed(offset + at, step, state, out)
            continue
        if mode == START:
            if not begins(data, start + at, captured - at, responds):
                state[MODE] = LOST
                return
            _begin(offset + at, be32(data, start + at), responds, state)
        at += 1
        _octet(offset + at, byte(data, start + at - 1), responds, state, out)
    if length > captured:
        skip(offset + length, length - captured, state, out)


@compiled
def skip(end: Integer, missing: Integer, state: I64, out: MessageEvents) -> None:
    """Follow octets that were not captured, up to the offset `end`: only a body is known to go on."""
    mode = state[MODE]
    if (mode in (BODY, CHUNK)) and state[LEFT] >= missing:
        _passed(end, missing, state, out)
    elif mode != LOST and mode != START:
        state[MODE] = OPEN
    else:
        state[MODE] = LOST


@compiled
def finish(end: Integer, state: I64, out: MessageEvents) -> None:
    """End the message whose end is not known where the stream, or the next message, shows it."""
    mode = state[MODE]
    if mode != LOST and mode != START and state[BEGIN] >= 0:
        flags = BEGINS | ENDS if mode == OPEN else BEGINS | INCOMPLETE
        add(0, (state[BEGIN], end), flags, state, out)
    state[MODE], state[BEGIN] = LOST, -1


@compiled
def _begin(offset: Integer, word: Integer, responds: Boolean, state: I64) -> None:
    state[MODE], state[BEGIN], state[LINE], state[STATUS] = HEAD, offset, 0, 0
    state[FIELD], state[HASH], state[SIZE], state[CHUNKED] = _OTHER_FIELD, 0, -1, 0
    state[WORD] = word == _CONNECT and not responds


@compiled
def _passed(offset: Integer, octets: Integer, state: I64, out: MessageEvents) -> None:
    """Count octets of a body or a chunk; `offset` is after them."""
    state[LEFT] -= octets
    if state[LEFT] > 0:
        return
    if state[MODE] == BODY:
        _complete(offset, state, out)
    else:
        state[MODE], state[SIZE], state[FIELD] = CHUNK_SIZE, 0, 0


@compiled
def _complete(end: Integer, state: I64, out: MessageEvents) -> None:
    add(0, (state[BEGIN], end), BEGINS | ENDS, state, out)
    state[MODE], state[BEGIN] = START, -1


@compiled
def _octet(after: Integer, octet: Integer, responds: Boolean, state: I64, out: MessageEvents) -> None:
    """Read an octet of a head, a chunk's size or a trailer; the next one has the offset `after`."""
    if octet == _CR:
        return
    if state[MODE] == CHUNK_SIZE:
        _size(octet, state)
        return
    if octet != _LF:
        state[LINE] += 1
        if state[MODE] == HEAD:
            _in_line(octet, responds, state)
        return
    ends, state[LINE] = state[LINE] == 0, 0
    if not ends:
        state[FIELD], state[HASH] = 0, 0
    elif state[MODE] == TRAILER:
        _complete(after, state, out)
    else:
        _body(after, responds, state, out)


@compiled
def _size(octet: Integer, state: I64) -> None:
    """Read an octet of the line before a chunk; anything after the digits is an extension."""
    if octet == _LF:
        if state[SIZE] == 0:
            state[MODE], state[LINE] = TRAILER, 0
        else:
            state[MODE], state[LEFT], state[WORD] = CHUNK, state[SIZE] + 2, 0
        return
    letter = octet | 0x20
    digit = -1
    if 48 <= octet <= 57:
        digit = octet - 48
    elif 97 <= letter <= 102:
        digit = letter - 87
    if state[FIELD] or octet in (_SEMICOLON, _SPACE, _TAB):
        state[FIELD] = 1
    elif digit >= 0:
        state[SIZE] = min(state[SIZE] * 16 + digit, _LONGEST_BODY)
    else:
        state[MODE] = OPEN


@compiled
def _in_line(octet: Integer, responds: Boolean, state: I64) -> None:
    """Read an octet of a line of a head: the status, a field's name, or its value."""
    field, line = state[FIELD], state[LINE]
    if field == _OTHER_FIELD:  # the first line, too
        if responds and 10 <= line <= 12 and 48 <= octet <= 57 and state[STATUS] < 100:
            state[STATUS] = state[STATUS] * 10 + octet - 48
        return
    lower = octet | 0x20 if 65 <= octet <= 90 else octet
    if field == 0 and octet == _COLON:
        name = state[HASH]
        state[FIELD] = _OTHER_FIELD
        if name == _CONTENT_LENGTH:
            state[FIELD], state[SIZE] = _LENGTH_FIELD, 0
        elif name == _TRANSFER_ENCODING:
            state[FIELD], state[HASH] = _CODING_FIELD, 0
    elif field == 0:
        state[HASH] = (state[HASH] * _HASH_FACTOR + lower) & _HASHED
    elif field == _LENGTH_FIELD:
        if 48 <= octet <= 57:
            state[SIZE] = min(state[SIZE] * 10 + octet - 48, _LONGEST_BODY)
    else:
        state[HASH] = (state[HASH] << 8 | lower) & _WORD_MASK
        state[CHUNKED] |= state[HASH] == _CHUNKED_WORD


@compiled
def _body(after: Integer, responds: Boolean, state: I64, out: MessageEvents) -> None:
    """Decide, at the end of a head, what follows."""
    status, connects = state[STATUS], state[WORD]
    state[WORD] = 1  # nothing of the body was seen yet
    if responds and 100 <= status < 200 and status != _SWITCHING:
        state[MODE], state[BEGIN] = START, -1
    elif connects or (responds and status == _SWITCHING):
        state[MODE] = OPEN  # another protocol follows
    elif responds and (status == 204 or status == 304):
        _complete(after, state, out)
    elif state[CHUNKED]:
        state[MODE], state[SIZE], state[FIELD] = CHUNK_SIZE, 0, 0
    elif state[SIZE] > 0:
        state[MODE], state[LEFT] = BODY, state[SIZE]
    elif state[SIZE] == 0 or not responds:
        _complete(after, state, out)
    else:
        state[MODE] = OPEN  # up to the end of the connection
