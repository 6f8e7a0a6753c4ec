"""UDP header.

    |          Source Port          |       Destination Port        |
    |            Length             |           Checksum            |

Sources: RFC 768; RFC 2675 section 4 (in a jumbogram, a length of 0 extends to the end of the packet). Linux
interprets 0 this way in every IPv6 packet (net/ipv6/udp.c, ``__udp6_lib_rcv``), and discards it in an IPv4
packet of ordinary size.
"""

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire import ipv6
from vxlanalyze.wire.fields import (
    ANOMALIES,
    AT,
    BAD_HEADER_LENGTH,
    CHECK_AT,
    CHECK_END,
    CHECK_RULE,
    CHECK_STORED,
    DPORT,
    END,
    FAMILY,
    LIMIT,
    PAYLOAD_AT,
    PAYLOAD_END,
    RULE_UDP,
    SEQ,
    SPORT,
    STOP,
    Record,
    bound,
    holds,
)
from vxlanalyze.wire.numbers import DNS_PORT, MULTICAST_DNS_PORT
from vxlanalyze.wire.octets import Octets, be16, be32
from vxlanalyze.wire.protocols import UDP

PROTOCOL = UDP
HEADER_BYTES = 8
CHECKSUM_AT = 6
LARGEST_LENGTH = 0xFFFF


@compiled
def read(data: Octets, found: Record, base: int) -> int:
    """Read one header and its bounds; return the destination port, or STOP."""
    at = found[AT]
    if at + 4 <= found[END]:
        found[base + SPORT] = be16(data, at)
        found[base + DPORT] = be16(data, at + 2)
    if not holds(found, at + HEADER_BYTES):
        return STOP
    length = be16(data, at + 4)
    if length == 0 and (found[base + FAMILY] == ipv6.VERSION or found[LIMIT] - at > LARGEST_LENGTH):
        length = found[LIMIT] - at
    if length < HEADER_BYTES:
        found[ANOMALIES] |= BAD_HEADER_LENGTH
        return STOP
    bound(found, at + length)
    found[base + CHECK_RULE] = RULE_UDP
    found[base + CHECK_AT] = at + CHECKSUM_AT
    found[base + CHECK_END] = at + length
    found[base + CHECK_STORED] = be16(data, at + CHECKSUM_AT)
    found[base + PAYLOAD_AT] = at + HEADER_BYTES
    found[base + PAYLOAD_END] = found[LIMIT]
    found[AT] = at + HEADER_BYTES
    port: int = found[base + DPORT]
    return port


@compiled
def name_query(data: Octets, found: Record, base: int) -> None:
    """Keep identifier and flags of a DNS message, which match query and answer (RFC 1035 section 4.1.1)."""
    sport = found[base + SPORT]
    dport = found[base + DPORT]
    if (dport in (DNS_PORT, MULTICAST_DNS_PORT) or sport in (DNS_PORT, MULTICAST_DNS_PORT)) and found[
        AT
    ] + 4 <= found[END]:
        found[base + SEQ] = be32(data, found[AT])
