"""ARP for IPv4 over Ethernet.

    |        Hardware type          |        Protocol type          |
    | Hlen (6)      | Plen (4)      |          Operation            |
    | sender hardware (6) | sender protocol (4) | target hardware (6) | target protocol (4) |

Sources: RFC 826.
"""

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire.fields import (
    ARP_OPERATION,
    ARP_SENDER_MAC,
    ARP_TARGET_MAC,
    AT,
    DST,
    PAYLOAD_AT,
    PAYLOAD_END,
    SPORT,
    SRC,
    Record,
    holds,
)
from vxlanalyze.wire.octets import Octets, be16, be48, le32

HEADER_BYTES = 28
_ETHERTYPE_IPV4 = 0x0800
_ADDRESS_LENGTHS = 0x0604


@compiled
def read(data: Octets, found: Record, base: int) -> None:
    """Read one message: `SRC` and `DST` take the protocol addresses, `SPORT` the operation."""
    at = found[AT]
    if not holds(found, at + HEADER_BYTES):
        return
    if be16(data, at + 2) != _ETHERTYPE_IPV4 or be16(data, at + 4) != _ADDRESS_LENGTHS:
        return
    found[base + ARP_OPERATION] = be16(data, at + 6)
    found[base + SPORT] = be16(data, at + 6)
    found[base + ARP_SENDER_MAC] = be48(data, at + 8)
    found[base + SRC] = le32(data, at + 14)
    found[base + ARP_TARGET_MAC] = be48(data, at + 18)
    found[base + DST] = le32(data, at + 24)
    found[base + PAYLOAD_AT] = at + HEADER_BYTES
    found[base + PAYLOAD_END] = at + HEADER_BYTES
