"""TCP header.

    |          Source Port          |       Destination Port        |
    |                        Sequence Number                        |
    |                    Acknowledgment Number                      |
    | Offset| Rsrvd |A|  Flags      |            Window             |
    |           Checksum            |         Urgent Pointer        |
    |                           Options                             |

Sources: RFC 9293 section 3.1 and 3.2; RFC 7323 section 2.2 (window scale); RFC 3540, and the AccECN
draft (the ninth flag).
"""

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire.fields import (
    ACK,
    ANOMALIES,
    AT,
    BAD_HEADER_LENGTH,
    CHECK_AT,
    CHECK_END,
    CHECK_RULE,
    CHECK_STORED,
    DPORT,
    END,
    LIMIT,
    MSS,
    PAYLOAD_AT,
    PAYLOAD_END,
    RULE_PSEUDO,
    SEQ,
    SPORT,
    TCP_FLAGS,
    WINDOW,
    WINDOW_SCALE,
    Record,
    holds,
    packet_end,
)
from vxlanalyze.wire.numbers import SYN
from vxlanalyze.wire.octets import Octets, be16, be32, byte
from vxlanalyze.wire.protocols import TCP

PROTOCOL = TCP
HEADER_BYTES = 20
CHECKSUM_AT = 16
FLAGS_MASK = 0x0FFF

OPTION_END = 0
OPTION_NOTHING = 1
OPTION_MSS = 2
OPTION_WINDOW_SCALE = 3


@compiled
def read(data: Octets, found: Record, base: int) -> None:
    """Read one header, or the available fields of a truncated one (an ICMP error quotes 8 bytes)."""
    at = found[AT]
    if at + 8 <= found[END]:
        found[base + SEQ] = be32(data, at + 4)
    if at + 4 <= found[END]:
        found[base + SPORT] = be16(data, at)
        found[base + DPORT] = be16(data, at + 2)
    if at + 12 <= found[END]:
        found[base + ACK] = be32(data, at + 8)
    whole = holds(found, at + HEADER_BYTES)
    if at + CHECKSUM_AT > found[END]:
        return
    word = be16(data, at + 12)
    flags = word & FLAGS_MASK
    header_bytes = (word >> 12) << 2
    found[base + TCP_FLAGS] = flags
    found[base + WINDOW] = be16(data, at + 14)
    if header_bytes < HEADER_BYTES:
        found[ANOMALIES] |= BAD_HEADER_LENGTH
        return
    if whole:
        found[base + CHECK_RULE] = RULE_PSEUDO
        found[base + CHECK_AT] = at + CHECKSUM_AT
        found[base + CHECK_END] = packet_end(found, base)
        found[base + CHECK_STORED] = be16(data, at + CHECKSUM_AT)
        if flags & SYN:
            _options(data, found, base, at + HEADER_BYTES, min(at + header_bytes, found[END]))
    if holds(found, at + header_bytes) or at + header_bytes <= found[LIMIT]:
        found[base + PAYLOAD_AT] = at + header_bytes  # a snap length may end before it
        found[base + PAYLOAD_END] = found[LIMIT]


@compiled
def _options(data: Octets, found: Record, base: int, at: int, end: int) -> None:
    """Read the options that a SYN negotiates; a malformed option ends the list."""
    while at + 1 < end:
        kind = byte(data, at)
        if kind == OPTION_NOTHING:
            at += 1
            continue
        length = byte(data, at + 1)
        if kind == OPTION_END or length < 2 or at + length > end:
            return
        if kind == OPTION_MSS and length == 4:
            found[base + MSS] = be16(data, at + 2)
        elif kind == OPTION_WINDOW_SCALE and length == 3:
            found[base + WINDOW_SCALE] = byte(data, at + 2)
        at += length
