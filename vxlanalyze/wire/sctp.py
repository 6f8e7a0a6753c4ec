"""SCTP common header.

    |     Source Port Number        |     Destination Port Number   |
    |                      Verification Tag                         |
    |                           Checksum                            |

Sources: RFC 9260 section 3.1 and appendix A (CRC32c).
"""

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire.fields import (
    AT,
    CHECK_AT,
    CHECK_END,
    CHECK_RULE,
    CHECK_STORED,
    DPORT,
    END,
    LIMIT,
    PAYLOAD_AT,
    PAYLOAD_END,
    RULE_CRC32C,
    SPORT,
    Record,
    holds,
    packet_end,
)
from vxlanalyze.wire.octets import Octets, be16, be32
from vxlanalyze.wire.protocols import SCTP

PROTOCOL = SCTP
HEADER_BYTES = 12
CHECKSUM_AT = 8


@compiled
def read(data: Octets, found: Record, base: int) -> None:
    """Read one common header; the chunks after it count as payload."""
    at = found[AT]
    if at + 4 <= found[END]:
        found[base + SPORT] = be16(data, at)
        found[base + DPORT] = be16(data, at + 2)
    if not holds(found, at + HEADER_BYTES):
        return
    found[base + CHECK_RULE] = RULE_CRC32C
    found[base + CHECK_AT] = at + CHECKSUM_AT
    found[base + CHECK_END] = packet_end(found, base)
    found[base + CHECK_STORED] = be32(data, at + CHECKSUM_AT)
    found[base + PAYLOAD_AT] = at + HEADER_BYTES
    found[base + PAYLOAD_END] = found[LIMIT]
