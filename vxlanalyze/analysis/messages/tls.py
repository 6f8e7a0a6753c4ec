"""Records of TLS: which are handshake, which application data; nothing is decrypted.

In TLS 1.3 all but the first records look like application data. The one after a change of cipher specs is
the end of the handshake (RFC 8446 appendix D.4), unless a client leaves that record out.

Sources: RFC 8446 section 5.1; RFC 5246 section 6.2.
"""

from vxlanalyze.analysis.messages.columns import (
    BEGINS,
    ENDS,
    FOLLOWED,
    HANDSHAKE,
    HAVE,
    HEAD,
    LEFT,
    LOST,
    MODE,
    TYPE_BEFORE,
    MessageEvents,
    add,
    skip_units,
)
from vxlanalyze.kernels.arrays import I64, U8, Boolean, Integer
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire.octets import be16, byte

RECORD_BYTES = 5
CHANGE, ALERT, HANDSHAKES, DATA = 20, 21, 22, 23
CLIENT_HELLO = 1
_MOST_BYTES = (1 << 14) + 2048


@compiled
def is_record(data: U8, at: int, octets: Integer) -> Boolean:
    """Whether octets begin a record."""
    if octets < RECORD_BYTES:
        return False
    return plausible(byte(data, at), be16(data, at + 1), be16(data, at + 3))


@compiled
def plausible(kind: Integer, version: Integer, size: Integer) -> Boolean:
    """Whether the fields of a record's header go together."""
    return CHANGE <= kind <= DATA and 0x0300 <= version <= 0x0304 and 0 < size <= _MOST_BYTES


@compiled
def feed(
    offset: Integer, length: Integer, piece: tuple[U8, int, Integer], state: I64, out: MessageEvents
) -> None:
    """Follow the next octets of a stream."""
    data, start, captured = piece
    if state[MODE] == LOST:
        if not is_record(data, start, captured):
            return
        state[MODE], state[HAVE], state[LEFT] = FOLLOWED, 0, 0
    at = 0
    while at < captured:
        if state[LEFT] > 0:
            step = min(state[LEFT], captured - at)
            state[LEFT] -= step
            at += step
            continue
        state[HEAD] = (state[HEAD] << 8 | byte(data, start + at)) & 0xFFFFFFFFFF
        state[HAVE] += 1
        at += 1
        if state[HAVE] == RECORD_BYTES:
            kind, version, size = state[HEAD] >> 32, state[HEAD] >> 16 & 0xFFFF, state[HEAD] & 0xFFFF
            if not plausible(kind, version, size):
                state[MODE], state[HAVE] = LOST, 0
                return
            _record(offset + at, kind, size, state, out)
    if length > captured:
        skip_units(length - captured, state)


@compiled
def _record(after: Integer, kind: Integer, size: Integer, state: I64, out: MessageEvents) -> None:
    state[HAVE], state[LEFT] = 0, size
    handshake = kind == HANDSHAKES or (kind == DATA and state[TYPE_BEFORE] == CHANGE)
    state[TYPE_BEFORE] = kind
    if handshake or kind == DATA:
        flags = BEGINS | ENDS | (HANDSHAKE if handshake else 0)
        add(kind, (after - RECORD_BYTES, after + size), flags, state, out)
