"""GRE header, with its key.

    |C| |K|S|   Reserved      | Ver |         Protocol Type         |
    |      Checksum (with C)        |       Reserved1 (with C)      |
    |                         Key (with K)                          |
    |                    Sequence Number (with S)                   |

Sources: RFC 2784 section 2; RFC 2890 section 2.
"""

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire.fields import (
    ANOMALIES,
    AT,
    BAD_VERSION,
    RESERVED_BITS,
    STOP,
    VNI,
    Record,
    holds,
)
from vxlanalyze.wire.model import Tunnel
from vxlanalyze.wire.octets import Octets, be16, be32
from vxlanalyze.wire.protocols import GRE
from vxlanalyze.wire.tunnels.encapsulation import Encapsulation

IP_PROTOCOL = GRE
HEADER_BYTES = 4
OPTIONAL_BYTES = 4
FLAG_CHECKSUM = 0x8000
FLAG_KEY = 0x2000
FLAG_SEQUENCE = 0x1000
RESERVED_FLAGS = 0x4FF8
VERSION_MASK = 0x0007


@compiled
def read(data: Octets, found: Record) -> int:
    """Read one header; the key is the network's identifier, the protocol type an EtherType."""
    at = found[AT]
    if not holds(found, at + HEADER_BYTES):
        return STOP
    flags = be16(data, at)
    if flags & VERSION_MASK:
        found[ANOMALIES] |= BAD_VERSION  # 1 is PPTP's
        return STOP
    if flags & RESERVED_FLAGS:
        found[ANOMALIES] |= RESERVED_BITS
    before_key = HEADER_BYTES + (OPTIONAL_BYTES if flags & FLAG_CHECKSUM else 0)
    before_sequence = before_key + (OPTIONAL_BYTES if flags & FLAG_KEY else 0)
    header_bytes = before_sequence + (OPTIONAL_BYTES if flags & FLAG_SEQUENCE else 0)
    if not holds(found, at + header_bytes):
        return STOP
    if flags & FLAG_KEY:
        found[VNI] = be32(data, at + before_key)
    found[AT] = at + header_bytes
    return be16(data, at + 2)


@compiled
def recognise(data: Octets, found: Record, carrier: int) -> bool:
    """Accept whatever the protocol number announces and no other tunnel claims."""
    return carrier == IP_PROTOCOL


ENCAPSULATION = Encapsulation(
    Tunnel.GRE,
    "GRE",
    priority=50,
    header_bytes=None,
    read=read,
    recognise=recognise,
    ip_protocols=(IP_PROTOCOL,),
    link_type="gre",
)
