"""IPv6 header and its extension headers.

    |Version| Traffic Class |           Flow Label                  |
    |         Payload Length        |  Next Header  |   Hop Limit   |
    |                     Source Address (16)                       |
    |                   Destination Address (16)                    |

    |  Next Header  |  Hdr Ext Len  |   hop-by-hop, routing, destination options, ...
    |  Next Header  |   Reserved    |   Fragment Offset  |Res|M|  Identification (4)   (fragment)

Sources: RFC 8200 sections 3 and 4; RFC 4302 section 2.2 (its length counts 4 octets); RFC 2675 (payload
length 0: a jumbogram, or Linux's packet before segmentation); RFC 5533 section 5.2 (shim6); RFC 6564 section
4. Nothing follows mobility (RFC 6275) and host identity (RFC 7401) headers: they count as protocols.
"""

import numpy as np

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire.fields import (
    ANOMALIES,
    AT,
    BAD_VERSION,
    DST,
    DST_REST,
    END,
    FAMILY,
    FRAGMENT_AT,
    FRAGMENT_OFFSET,
    IP_AT,
    IP_ID,
    L4_AT,
    LENGTH,
    LIMIT,
    MORE_FRAGMENTS,
    OUTER,
    PROTOCOL,
    ROUTED,
    SRC,
    SRC_REST,
    STOP,
    TOS,
    TTL,
    Record,
    bound,
    holds,
)
from vxlanalyze.wire.octets import Octets, be16, be32, byte, le64

VERSION = 6
HEADER_BYTES = 40
FRAGMENT_HEADER_BYTES = 8
EXTENSION_UNIT_BYTES = 8

HOP_BY_HOP = 0
ROUTING = 43
FRAGMENT = 44
AUTHENTICATION = 51
DESTINATION_OPTIONS = 60
SHIM6 = 140
_EXTENSIONS = (
    HOP_BY_HOP,
    ROUTING,
    FRAGMENT,
    DESTINATION_OPTIONS,
    AUTHENTICATION,
    SHIM6,
)

_OFFSET_MASK = 0xFFF8
_MORE_FRAGMENTS = 1
_SEGMENTS_LEFT_AT = 3
_OPTION_PAD1 = 0
_OPTION_HOME_ADDRESS = 201
FRAGMENT_RESERVED = 0x0006  # between offset and flag


@compiled
def read(data: Octets, found: Record, base: int) -> int:
    """Read one header, its extensions and its bounds; return the protocol after them, or STOP."""
    at = found[AT]
    if not holds(found, at + HEADER_BYTES):
        return STOP
    if byte(data, at) >> 4 != VERSION:
        found[ANOMALIES] |= BAD_VERSION
        return STOP
    _fixed_part(data, found, base)
    bound(found, at + found[base + LENGTH])
    found[AT] = at + HEADER_BYTES
    return _extensions(data, found, base, byte(data, at + 6))


@compiled
def _fixed_part(data: Octets, found: Record, base: int) -> None:
    at = found[AT]
    length = be16(data, at + 4)
    found[base + FAMILY] = VERSION
    found[base + IP_AT] = at
    found[base + TOS] = (be16(data, at) >> 4) & 0xFF
    found[base + LENGTH] = length + HEADER_BYTES if length else found[LIMIT] - at
    found[base + TTL] = byte(data, at + 7)
    found[base + PROTOCOL] = byte(data, at + 6)
    found[base + SRC] = np.int64(le64(data, at + 8))
    found[base + SRC_REST] = np.int64(le64(data, at + 16))
    found[base + DST] = np.int64(le64(data, at + 24))
    found[base + DST_REST] = np.int64(le64(data, at + 32))


@compiled
def _extensions(data: Octets, found: Record, base: int, protocol: int) -> int:
    """Walk the chain. It ends before a fragment's bytes, whose headers are in the first fragment."""
    while is_extension(protocol):
        at = found[AT]
        if at < found[END]:
            found[base + PROTOCOL] = byte(data, at)
        if not holds(found, at + EXTENSION_UNIT_BYTES):
            return STOP
        following = byte(data, at)
        length = _extension_bytes(protocol, byte(data, at + 1))
        if not holds(found, at + length):
            return STOP
        if protocol == FRAGMENT and found[base + FRAGMENT_OFFSET] < 0:
            _fragment_header(data, found, base)
        elif _replaces_address(data, at, length, protocol):
            found[base + ROUTED] = 1
        found[AT] = at + length
        protocol = following
        if found[base + FRAGMENT_OFFSET] > 0:
            break
    found[base + L4_AT] = found[AT]
    return protocol


@compiled
def is_extension(protocol: int) -> bool:
    """Whether this next header value announces an extension header that can be skipped."""
    return protocol in _EXTENSIONS


@compiled
def _extension_bytes(protocol: int, length: int) -> int:
    if protocol == FRAGMENT:
        return FRAGMENT_HEADER_BYTES
    if protocol == AUTHENTICATION:
        return (length + 2) << 2
    return (length + 1) << 3


@compiled
def _replaces_address(data: Octets, at: int, length: int, protocol: int) -> bool:
    """Whether a header puts another address into the pseudo-header.

    That is the last destination of a route not yet travelled, or a home address (RFC 6275 section 6.3).
    """
    if protocol == ROUTING:
        return byte(data, at + _SEGMENTS_LEFT_AT) > 0
    if protocol != DESTINATION_OPTIONS:
        return False
    end = at + length
    at += 2
    while at + 2 <= end:
        option = byte(data, at)
        if option == _OPTION_HOME_ADDRESS:
            return True
        at += 1 if option == _OPTION_PAD1 else 2 + byte(data, at + 1)
    return False


@compiled
def _fragment_header(data: Octets, found: Record, base: int) -> None:
    at = found[AT]
    word = be16(data, at + 2)
    found[base + FRAGMENT_OFFSET] = word & _OFFSET_MASK
    found[base + MORE_FRAGMENTS] = word & _MORE_FRAGMENTS
    found[base + IP_ID] = be32(data, at + 4)
    if base == OUTER:
        found[FRAGMENT_AT] = at
