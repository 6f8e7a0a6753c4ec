"""Checksum states and the payload digest of one walked frame, with each byte read once.

At the sender, checksums are often not yet present: the network card fills them in. Until then, Linux leaves
in the field:

* the folded sum of the pseudo-header, not complemented (``PARTIAL``). Drivers that segment need it without
  the length (``tcp_v6_gso_csum_prep``): both forms are recognised;
* in the outer UDP header, the sum that will be valid once the card has filled in the inner one (``LCO``):
  until then, both are off by the same amount, modulo 65535.

Sources: RFC 1071; RFC 1624; RFC 768 and RFC 8200 section 8.1 (pseudo-headers, zero); RFC 9260
section 6.8; Linux Documentation/networking/checksum-offloads.rst, net/ipv4/udp.c (``udp_set_csum``).
"""

from typing import NamedTuple

import numpy as np

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire import checksum, ipv4
from vxlanalyze.wire.fields import (
    CHECK_AT,
    CHECK_END,
    CHECK_EXPECTED,
    CHECK_RULE,
    CHECK_STATE,
    CHECK_STORED,
    DEPTH,
    DIGEST,
    DIGEST_LENGTH,
    DST,
    DST_REST,
    END,
    FAMILY,
    INNER,
    IP_AT,
    IP_STATE,
    L4_AT,
    MORE_FRAGMENTS,
    OUTER,
    PAYLOAD_AT,
    PAYLOAD_END,
    PROTOCOL,
    ROUTED,
    RULE_CRC32C,
    RULE_NONE,
    RULE_PLAIN,
    RULE_UDP,
    SRC,
    SRC_REST,
    Record,
)
from vxlanalyze.wire.model import Checksum
from vxlanalyze.wire.octets import Octets, be16, byte

OK = int(Checksum.OK)
BAD = int(Checksum.BAD)
ABSENT_CHECKSUM = int(Checksum.ABSENT)
PARTIAL = int(Checksum.PARTIAL)
LCO = int(Checksum.LCO)
UNVERIFIABLE = int(Checksum.UNVERIFIABLE)
ALL_ONES = int(Checksum.ALL_ONES)

WITHOUT_LIMIT = 1 << 40  # larger than any packet, for `keep_bytes`

_LOW_32 = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


class _Payload(NamedTuple):
    """The captured payload of the innermost packet: its position, and the folded sum of its octets."""

    start: int
    end: int
    total: int


@compiled
def verify(data: Octets, found: Record, base: int, captured_end: int, keep_bytes: int) -> None:
    """Fill the checksum states and the digest.

    Parameters
    ----------
    data : ndarray of uint8, shape (k,)
        The buffer.
    found : ndarray of int64, shape (RECORD_FIELDS,)
        The walker's result.
    base : int
        The innermost packet, OUTER or INNER.
    captured_end : int
        Position after the last captured byte of the frame.
    keep_bytes : int
        How many bytes of the innermost IP packet the digest may cover.
    """
    start = found[base + PAYLOAD_AT]
    end = min(found[base + PAYLOAD_END], found[END])
    total = 0
    if 0 <= start < end:
        first = found[base + IP_AT] if found[base + FAMILY] else start
        total = _digest(data, found, start, end, first + keep_bytes)
    payload = _Payload(start, end, total)
    _ip_header(data, found, base, captured_end)
    if found[base + CHECK_RULE] != RULE_NONE:
        _layer_4(data, found, base, captured_end, payload)
    if found[DEPTH] > 0:
        _ip_header(data, found, OUTER, captured_end)
        if found[OUTER + CHECK_RULE] != RULE_NONE:
            _layer_4(data, found, OUTER, captured_end, payload)
            _local_offload(found)


@compiled
def _digest(data: Octets, found: Record, start: int, end: int, limit: int) -> int:
    """Digest up to `limit`; return the folded sum of everything up to `end`."""
    kept = max(min(end, limit), start)
    total, digest = checksum.add_and_digest(data, start, kept)
    found[DIGEST] = digest
    found[DIGEST_LENGTH] = kept - start
    folded = checksum.fold(total)
    if kept == end:
        return folded
    return checksum.join(folded, checksum.fold(checksum.add(data, kept, end)), kept - start)


@compiled
def _ip_header(data: Octets, found: Record, base: int, captured_end: int) -> None:
    if found[base + FAMILY] != ipv4.VERSION:
        return
    at = found[base + IP_AT]
    end = at + ((byte(data, at) & 15) << 2)
    if end > captured_end:
        found[base + IP_STATE] = UNVERIFIABLE
    elif checksum.fold(checksum.add(data, at, end)) == 0xFFFF:
        found[base + IP_STATE] = OK
    elif be16(data, at + ipv4.CHECKSUM_AT) == 0xFFFF:
        found[base + IP_STATE] = ALL_ONES
    else:
        found[base + IP_STATE] = BAD


@compiled
def _pseudo_header(found: Record, base: int) -> int:
    """Sum addresses and protocol; the length is left to `_length_sum`."""
    total = np.uint64(0)
    for place in (SRC, SRC_REST, DST, DST_REST):
        word = np.uint64(found[base + place])
        total += (word & _LOW_32) + (word >> _32)
    return checksum.join(checksum.fold(total), found[base + PROTOCOL], 0)


@compiled
def _length_sum(found: Record, base: int) -> int:
    length = found[base + CHECK_END] - found[base + L4_AT]
    return checksum.join(length & 0xFFFF, length >> 16, 0)


@compiled
def _layer_4(data: Octets, found: Record, base: int, captured_end: int, payload: _Payload) -> None:
    """Judge the L4 checksum of one packet; the sum of the innermost payload is already known."""
    rule = found[base + CHECK_RULE]
    stored = found[base + CHECK_STORED]
    if rule == RULE_UDP and stored == 0:
        found[base + CHECK_STATE] = ABSENT_CHECKSUM
        return
    missing = found[base + CHECK_END] > min(captured_end, found[base + PAYLOAD_END])
    if missing or found[base + MORE_FRAGMENTS] > 0:
        found[base + CHECK_STATE] = UNVERIFIABLE
        return
    start = found[base + L4_AT]
    end = found[base + CHECK_END]
    if rule == RULE_CRC32C:
        _crc32c(data, found, base)
        return
    if start <= payload.start < payload.end <= end:
        total = checksum.fold(checksum.add(data, start, payload.start))
        total = checksum.join(total, payload.total, payload.start - start)
        rest = checksum.fold(checksum.add(data, payload.end, end))
        total = checksum.join(total, rest, payload.end - start)
    else:
        total = checksum.fold(checksum.add(data, start, end))
    pseudo = _pseudo_header(found, base)
    if rule != RULE_PLAIN:
        total = checksum.join(checksum.join(total, pseudo, 0), _length_sum(found, base), 0)
    _judge(found, base, total, pseudo)


@compiled
def _judge(found: Record, base: int, total: int, pseudo: int) -> None:
    """Name the state, given the sum of everything covered, the field itself included."""
    rule = found[base + CHECK_RULE]
    stored = found[base + CHECK_STORED]
    expected = 0xFFFF - checksum.join(total, 0xFFFF - stored, 0)
    if total == 0xFFFF:
        found[base + CHECK_EXPECTED] = stored
        found[base + CHECK_STATE] = OK
        return
    found[base + CHECK_EXPECTED] = 0xFFFF if rule == RULE_UDP and expected == 0 else expected
    if rule != RULE_PLAIN and is_partial(found, base, pseudo):
        found[base + CHECK_STATE] = PARTIAL
    elif found[base + ROUTED] > 0:
        found[base + CHECK_STATE] = UNVERIFIABLE  # computed for other addresses (RFC 8200 8.1)
    elif stored == 0xFFFF:
        found[base + CHECK_STATE] = ALL_ONES
    else:
        found[base + CHECK_STATE] = BAD


@compiled
def is_partial(found: Record, base: int, pseudo: int) -> bool:
    """Whether the field holds the sum of the pseudo-header, with or without its length."""
    stored = found[base + CHECK_STORED]
    return stored == checksum.join(pseudo, _length_sum(found, base), 0) or stored == pseudo


@compiled
def _local_offload(found: Record) -> None:
    """Recognise an outer checksum that is valid for what the network card will send."""
    unexplained = found[OUTER + CHECK_STATE] == BAD or found[OUTER + CHECK_STATE] == ALL_ONES
    if not unexplained or found[INNER + CHECK_STATE] != PARTIAL:
        return
    outer = found[OUTER + CHECK_EXPECTED] - found[OUTER + CHECK_STORED]
    inner = found[INNER + CHECK_EXPECTED] - found[INNER + CHECK_STORED]
    if (outer - inner) % 0xFFFF == 0:
        found[OUTER + CHECK_STATE] = LCO


@compiled
def _crc32c(data: Octets, found: Record, base: int) -> None:
    crc = checksum.crc32c(data, found[base + L4_AT], found[base + CHECK_END], found[base + CHECK_AT])
    expected = checksum.swap(crc & 0xFFFF) << 16 | checksum.swap(crc >> 16)  # lowest octet first
    found[base + CHECK_EXPECTED] = expected
    found[base + CHECK_STATE] = OK if expected == found[base + CHECK_STORED] else BAD
