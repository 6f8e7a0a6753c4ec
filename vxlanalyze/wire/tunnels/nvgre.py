"""NVGRE: GRE with a key, and Ethernet inside.

    |0| |1|0|   Reserved0     | Ver |   Protocol Type 0x6558        |
    |               Virtual Subnet ID (VSID)        |    FlowID     |

An Ethernet-over-GRE tunnel with a key (Linux ``gretap key``) has the same header. VSIDs below 0x1000 are
reserved, so smaller values are keys of GRE; larger keys are shown in NVGRE form, divided by 256.

Sources: RFC 7637 section 3.2.
"""

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire import ethernet
from vxlanalyze.wire.fields import AT, END, STOP, VNI, Record, holds
from vxlanalyze.wire.model import Tunnel
from vxlanalyze.wire.octets import Octets, be16, be24
from vxlanalyze.wire.tunnels import gre
from vxlanalyze.wire.tunnels.encapsulation import Encapsulation

HEADER_BYTES = 8
FIRST_VSID = 0x1000


@compiled
def read(data: Octets, found: Record) -> int:
    """Read one header; an Ethernet frame follows."""
    at = found[AT]
    if not holds(found, at + HEADER_BYTES):
        return STOP
    found[VNI] = be24(data, at + 4)
    found[AT] = at + HEADER_BYTES
    return ethernet.TRANSPARENT_ETHERNET


@compiled
def recognise(data: Octets, found: Record, carrier: int) -> bool:
    """Whether a GRE header has only a key, not a reserved VSID, and is followed by an Ethernet frame."""
    at = found[AT]
    return (
        carrier == gre.IP_PROTOCOL
        and at + gre.HEADER_BYTES <= found[END]
        and be16(data, at) == gre.FLAG_KEY
        and be16(data, at + 2) == ethernet.TRANSPARENT_ETHERNET
        and (at + HEADER_BYTES > found[END] or be24(data, at + 4) >= FIRST_VSID)
    )


ENCAPSULATION = Encapsulation(
    Tunnel.NVGRE,
    "NVGRE",
    priority=40,  # before GRE, of which it is a special case
    header_bytes=HEADER_BYTES,
    read=read,
    recognise=recognise,
    ip_protocols=(gre.IP_PROTOCOL,),
    link_type="gretap",
)
