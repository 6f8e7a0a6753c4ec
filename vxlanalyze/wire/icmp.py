"""ICMP header.

    |     Type      |     Code      |          Checksum             |
    |  identifier, sequence number;  unused, next-hop MTU;  ...     |

Sources: RFC 792; RFC 1191 section 4 (next-hop MTU).
"""

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire.fields import (
    ANOMALIES,
    AT,
    CHECK_AT,
    CHECK_END,
    CHECK_RULE,
    CHECK_STORED,
    DPORT,
    END,
    ICMP_CODE,
    ICMP_ERROR,
    ICMP_MTU,
    ICMP_TYPE,
    LIMIT,
    PAYLOAD_AT,
    PAYLOAD_END,
    QUOTED_AT,
    RULE_PLAIN,
    SEQ,
    SPORT,
    Record,
    holds,
    packet_end,
)
from vxlanalyze.wire.octets import Octets, be16, byte
from vxlanalyze.wire.protocols import ICMP

PROTOCOL = ICMP
HEADER_BYTES = 8
COMMON_BYTES = 4  # type, code and checksum
CHECKSUM_AT = 2

ECHO_REPLY = 0
UNREACHABLE = 3
SOURCE_QUENCH = 4
REDIRECT = 5
ECHO = 8
TIME_EXCEEDED = 11
PARAMETER_PROBLEM = 12

FRAGMENTATION_NEEDED = 4  # code of UNREACHABLE


@compiled
def read(data: Octets, found: Record, base: int) -> None:
    """Read one message; `SPORT` and `DPORT` take type and code, and the echo identifier."""
    begin(data, found, base, RULE_PLAIN)
    at = found[AT]
    if not holds(found, at + HEADER_BYTES):
        return
    kind = byte(data, at)
    if kind in (ECHO, ECHO_REPLY):
        found[base + DPORT] = be16(data, at + 4)
        found[base + SEQ] = be16(data, at + 6)
    elif kind in (UNREACHABLE, SOURCE_QUENCH, REDIRECT, TIME_EXCEEDED, PARAMETER_PROBLEM):
        found[ANOMALIES] |= ICMP_ERROR
        found[base + QUOTED_AT] = at + HEADER_BYTES
        if kind == UNREACHABLE and byte(data, at + 1) == FRAGMENTATION_NEEDED:
            found[base + ICMP_MTU] = be16(data, at + 6)


@compiled
def begin(data: Octets, found: Record, base: int, rule: int) -> None:
    """Read the fields common to ICMP and ICMPv6."""
    at = found[AT]
    if at + 2 <= found[END]:
        found[base + ICMP_TYPE] = byte(data, at)
        found[base + ICMP_CODE] = byte(data, at + 1)
        found[base + SPORT] = be16(data, at)
        found[base + DPORT] = 0
    if at + COMMON_BYTES <= found[END]:
        found[base + CHECK_RULE] = rule
        found[base + CHECK_AT] = at + CHECKSUM_AT
        found[base + CHECK_END] = packet_end(found, base)
        found[base + CHECK_STORED] = be16(data, at + CHECKSUM_AT)
        found[base + PAYLOAD_AT] = min(at + HEADER_BYTES, found[LIMIT])
        found[base + PAYLOAD_END] = found[LIMIT]
