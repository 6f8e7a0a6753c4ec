"""ICMPv6 header, and the target of neighbour discovery.

    |     Type      |     Code      |          Checksum             |
    |  identifier, sequence number;  MTU;  unused, flags;  ...      |
    |        Target Address (16): neighbour solicitation, advertisement       |

Sources: RFC 4443 sections 2.1, 2.3, 3 and 4; RFC 4861 sections 4.3 and 4.4.
"""

import numpy as np

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire import icmp
from vxlanalyze.wire.fields import (
    ANOMALIES,
    AT,
    DPORT,
    END,
    ICMP_ERROR,
    ICMP_MTU,
    QUOTED_AT,
    RULE_PSEUDO,
    SEQ,
    TARGET,
    TARGET_REST,
    Record,
    holds,
)
from vxlanalyze.wire.octets import Octets, be16, be32, byte, le64
from vxlanalyze.wire.protocols import ICMPV6

PROTOCOL = ICMPV6
HEADER_BYTES = 8

PACKET_TOO_BIG = 2
LAST_KNOWN_ERROR = 4
ECHO_REQUEST = 128
ECHO_REPLY = 129
NEIGHBOR_SOLICITATION = 135
NEIGHBOR_ADVERTISEMENT = 136


@compiled
def read(data: Octets, found: Record, base: int) -> None:
    """Read one message; `SPORT` and `DPORT` take type and code, and the echo identifier."""
    icmp.begin(data, found, base, RULE_PSEUDO)
    at = found[AT]
    if not holds(found, at + HEADER_BYTES):
        return
    kind = byte(data, at)
    if kind in (ECHO_REQUEST, ECHO_REPLY):
        found[base + DPORT] = be16(data, at + 4)
        found[base + SEQ] = be16(data, at + 6)
    elif 1 <= kind <= LAST_KNOWN_ERROR:
        found[ANOMALIES] |= ICMP_ERROR
        found[base + QUOTED_AT] = at + HEADER_BYTES
        if kind == PACKET_TOO_BIG:
            found[base + ICMP_MTU] = be32(data, at + 4)
    elif NEIGHBOR_SOLICITATION <= kind <= NEIGHBOR_ADVERTISEMENT and at + 24 <= found[END]:
        found[base + TARGET] = np.int64(le64(data, at + 8))
        found[base + TARGET_REST] = np.int64(le64(data, at + 16))
