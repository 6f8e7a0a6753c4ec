"""ESP, alone or inside UDP: recognised, not decrypted.

    |               Security Parameters Index (SPI)                 |
    |                      Sequence Number                          |

Sources: RFC 4303 section 2; RFC 3948 section 2 (port 4500: an SPI of 0 marks key exchange, a single
octet of 0xFF a keepalive).
"""

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire.fields import AT, DPORT, END, SPORT, Record
from vxlanalyze.wire.octets import Octets, be32
from vxlanalyze.wire.protocols import ESP

PROTOCOL = ESP
HEADER_BYTES = 8
UDP_PORT = 4500


@compiled
def in_udp(data: Octets, found: Record, base: int) -> bool:
    """Whether the UDP payload at `AT` is an ESP packet."""
    if found[base + DPORT] != UDP_PORT and found[base + SPORT] != UDP_PORT:
        return False
    return found[AT] + HEADER_BYTES <= found[END] and be32(data, found[AT]) != 0
