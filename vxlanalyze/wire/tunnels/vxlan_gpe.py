"""VXLAN with the generic protocol extension.

    |R|R|Ver|I|P|B|O|       Reserved                |Next Protocol  |
    |            Network Identifier (VNI)           |   Reserved    |

Sources: draft-ietf-nvo3-vxlan-gpe-12 sections 3 and 3.2; IANA port 4790.
"""

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire import ethernet, shims
from vxlanalyze.wire.fields import (
    ANOMALIES,
    AT,
    RESERVED_BITS,
    STOP,
    UNKNOWN_PROTOCOL,
    VNI,
    VNI_NOT_VALID,
    Record,
    holds,
)
from vxlanalyze.wire.model import Tunnel
from vxlanalyze.wire.octets import Octets, be16, be24, byte
from vxlanalyze.wire.tunnels.encapsulation import Encapsulation

HEADER_BYTES = 8
FLAG_VNI_VALID = 0x08  # I
FLAG_NEXT_PROTOCOL = 0x04  # P: byte 3 names the protocol; if clear, an Ethernet frame follows
RESERVED_FLAGS = 0xC0

NEXT_IPV4 = 1
NEXT_IPV6 = 2
NEXT_ETHERNET = 3
NEXT_NSH = 4
NEXT_MPLS = 5


@compiled
def read(data: Octets, found: Record) -> int:
    """Read one header; its next protocol field names what follows."""
    at = found[AT]
    if not holds(found, at + HEADER_BYTES):
        return STOP
    flags = byte(data, at)
    following = byte(data, at + 3)
    named = flags & FLAG_NEXT_PROTOCOL
    if flags & RESERVED_FLAGS or be16(data, at + 1) or byte(data, at + 7) or (following and not named):
        found[ANOMALIES] |= RESERVED_BITS
    if flags & FLAG_VNI_VALID == 0:
        found[ANOMALIES] |= VNI_NOT_VALID
    found[VNI] = be24(data, at + 4)
    found[AT] = at + HEADER_BYTES
    return _ethertype(found, following) if named else ethernet.TRANSPARENT_ETHERNET


@compiled
def _ethertype(found: Record, following: int) -> int:
    if following == NEXT_IPV4:
        return ethernet.IPV4
    if following == NEXT_IPV6:
        return ethernet.IPV6
    if following == NEXT_ETHERNET:
        return ethernet.TRANSPARENT_ETHERNET
    if following == NEXT_NSH:
        return shims.NSH
    if following == NEXT_MPLS:
        return shims.MPLS
    found[ANOMALIES] |= UNKNOWN_PROTOCOL
    return STOP


@compiled
def recognise(data: Octets, found: Record, carrier: int) -> bool:
    """Never: on another port, a header followed by an IP packet matches too easily by chance."""
    return False


ENCAPSULATION = Encapsulation(
    Tunnel.VXLAN_GPE,
    "VXLAN-GPE",
    priority=20,
    header_bytes=HEADER_BYTES,
    read=read,
    recognise=recognise,
    udp_ports=(4790,),
    link_type="vxlan",
)
