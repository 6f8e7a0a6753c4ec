"""Geneve header.

    |Ver|  Opt Len  |O|C|    Rsvd.  |          Protocol Type        |
    |        Virtual Network Identifier (VNI)       |    Reserved   |
    |                 Options, Opt Len words                        |

VXLAN also runs on its port. There, the flags of VXLAN would mean eight words of options.

Sources: RFC 8926 section 3.4; IANA port 6081.
"""

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire import ethernet, udp
from vxlanalyze.wire.fields import (
    ANOMALIES,
    AT,
    BAD_VERSION,
    END,
    OPTIONS_BYTES,
    RESERVED_BITS,
    STOP,
    VNI,
    Record,
    holds,
)
from vxlanalyze.wire.model import Tunnel
from vxlanalyze.wire.octets import Octets, be16, be24, byte
from vxlanalyze.wire.tunnels.encapsulation import Encapsulation

HEADER_BYTES = 8
OPTIONS_MASK = 0x3F  # in words
RESERVED_FLAGS = 0x3F


@compiled
def read(data: Octets, found: Record) -> int:
    """Read one header, skipping its options; the protocol type is an EtherType."""
    at = found[AT]
    if not holds(found, at + HEADER_BYTES):
        return STOP
    first = byte(data, at)
    if first >> 6 != 0:
        found[ANOMALIES] |= BAD_VERSION
        return STOP
    if byte(data, at + 1) & RESERVED_FLAGS or byte(data, at + 7):
        found[ANOMALIES] |= RESERVED_BITS
    options = (first & OPTIONS_MASK) << 2
    found[VNI] = be24(data, at + 4)
    found[OPTIONS_BYTES] = options
    if not holds(found, at + HEADER_BYTES + options):
        return STOP
    found[AT] = at + HEADER_BYTES + options
    return be16(data, at + 2)


@compiled
def recognise(data: Octets, found: Record, carrier: int) -> bool:
    """Whether version, reserved bits and the Ethernet frame inside are valid."""
    at = found[AT]
    if carrier != udp.PROTOCOL or at + HEADER_BYTES > found[END]:
        return False
    first = byte(data, at)
    return (
        first >> 6 == 0
        and byte(data, at + 1) & RESERVED_FLAGS == 0
        and be16(data, at + 2) == ethernet.TRANSPARENT_ETHERNET
        and byte(data, at + 7) == 0
        and ethernet.plausible(data, found, at + HEADER_BYTES + ((first & OPTIONS_MASK) << 2))
    )


@compiled
def fits(data: Octets, found: Record) -> bool:
    """Whether version and protocol type can be Geneve's; VXLAN has zeros for the latter."""
    at = found[AT]
    return at + 4 > found[END] or (byte(data, at) >> 6 == 0 and be16(data, at + 2) != 0)


ENCAPSULATION = Encapsulation(
    Tunnel.GENEVE,
    "Geneve",
    priority=30,
    header_bytes=HEADER_BYTES,
    read=read,
    recognise=recognise,
    udp_ports=(6081,),
    link_type="geneve",
    fits=fits,
    options="options",
)
