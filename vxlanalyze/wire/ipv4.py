"""IPv4 header.

    |Version|  IHL  |Type of Service|          Total Length         |
    |         Identification        |Flags|      Fragment Offset    |
    |  Time to Live |    Protocol   |         Header Checksum       |
    |                       Source Address                          |
    |                    Destination Address                        |
    |                    Options, up to IHL words                   |

Sources: RFC 791 section 3.1. Linux uses a total length of 0 for a packet of more than 65535 bytes before
segmentation (include/net/ip.h, ``iph_totlen``): the packet is as long as the frame.
"""

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire.fields import (
    ANOMALIES,
    AT,
    BAD_HEADER_LENGTH,
    BAD_VERSION,
    DONT_FRAGMENT,
    DST,
    FAMILY,
    FRAGMENT_OFFSET,
    IP_AT,
    IP_ID,
    L4_AT,
    LENGTH,
    LIMIT,
    MORE_FRAGMENTS,
    PROTOCOL,
    SRC,
    STOP,
    TOS,
    TTL,
    Record,
    bound,
    holds,
)
from vxlanalyze.wire.octets import Octets, be16, byte, le32

VERSION = 4
HEADER_BYTES = 20
CHECKSUM_AT = 10
DONT_FRAGMENT_FLAG = 0x4000
MORE_FRAGMENTS_FLAG = 0x2000
_OFFSET_MASK = 0x1FFF
OFFSET_UNIT_BYTES = 8


@compiled
def read(data: Octets, found: Record, base: int) -> int:
    """Read one header and its bounds; return the protocol of what follows, or STOP."""
    at = found[AT]
    if not holds(found, at + HEADER_BYTES):
        return STOP
    first = byte(data, at)
    header_bytes = (first & 15) << 2
    if first >> 4 != VERSION:
        found[ANOMALIES] |= BAD_VERSION
        return STOP
    if header_bytes < HEADER_BYTES:
        found[ANOMALIES] |= BAD_HEADER_LENGTH
        return STOP
    _fixed_part(data, found, base)
    total = found[base + LENGTH]
    if total < header_bytes:
        found[ANOMALIES] |= BAD_HEADER_LENGTH
        return STOP
    bound(found, at + total)
    if not holds(found, at + header_bytes):
        return STOP
    found[base + L4_AT] = at + header_bytes
    found[AT] = at + header_bytes
    protocol: int = found[base + PROTOCOL]
    return protocol


@compiled
def _fixed_part(data: Octets, found: Record, base: int) -> None:
    at = found[AT]
    fragment = be16(data, at + 6)
    length = be16(data, at + 2)
    found[base + FAMILY] = VERSION
    found[base + IP_AT] = at
    found[base + TOS] = byte(data, at + 1)
    found[base + LENGTH] = length if length else found[LIMIT] - at
    found[base + IP_ID] = be16(data, at + 4)
    found[base + DONT_FRAGMENT] = 1 if fragment & DONT_FRAGMENT_FLAG else 0
    found[base + MORE_FRAGMENTS] = 1 if fragment & MORE_FRAGMENTS_FLAG else 0
    found[base + FRAGMENT_OFFSET] = (fragment & _OFFSET_MASK) * OFFSET_UNIT_BYTES
    found[base + TTL] = byte(data, at + 8)
    found[base + PROTOCOL] = byte(data, at + 9)
    found[base + SRC] = le32(data, at + 12)
    found[base + DST] = le32(data, at + 16)
