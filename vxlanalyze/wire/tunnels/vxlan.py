"""VXLAN header, with the group policy extension.

    |G|R|R|R|I|R|R|R|R|D|R|R|A|R|R|R|        Group Policy ID        |
    |            Network Identifier (VNI)           |   Reserved    |

Sources: RFC 7348 section 5; draft-smith-vxlan-group-policy-05 section 2.1. Ports: IANA's 4789, and
8472, the default of the Linux kernel (drivers/net/vxlan).
"""

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire import ethernet, udp
from vxlanalyze.wire.fields import (
    ANOMALIES,
    AT,
    END,
    GROUP_POLICY,
    RESERVED_BITS,
    STOP,
    VNI,
    VNI_NOT_VALID,
    Record,
    holds,
)
from vxlanalyze.wire.model import Tunnel
from vxlanalyze.wire.octets import Octets, be16, be32, byte
from vxlanalyze.wire.tunnels.encapsulation import Encapsulation

HEADER_BYTES = 8
FLAG_VNI_VALID = 0x08  # I, must be set
FLAG_GROUP_POLICY = 0x80  # G, gives bytes 2 and 3 a meaning
RESERVED_FLAGS = 0x77  # sent as zero, ignored on receipt
POLICY_FLAGS = 0x48  # of byte 1: D (do not learn), A (policy applied)


@compiled
def read(data: Octets, found: Record) -> int:
    """Read one header; an Ethernet frame follows."""
    at = found[AT]
    if not holds(found, at + HEADER_BYTES):
        return STOP
    flags = byte(data, at)
    word = be32(data, at + 4)
    allowed = 0
    if flags & FLAG_GROUP_POLICY:
        found[GROUP_POLICY] = be16(data, at + 2)
        allowed = POLICY_FLAGS
    elif be16(data, at + 2):
        found[ANOMALIES] |= RESERVED_BITS
    if flags & RESERVED_FLAGS or byte(data, at + 1) & ~allowed or word & 0xFF:
        found[ANOMALIES] |= RESERVED_BITS
    if flags & FLAG_VNI_VALID == 0:
        found[ANOMALIES] |= VNI_NOT_VALID
    found[VNI] = word >> 8
    found[AT] = at + HEADER_BYTES
    return ethernet.TRANSPARENT_ETHERNET


@compiled
def recognise(data: Octets, found: Record, carrier: int) -> bool:
    """Whether flags, reserved bits and the frame inside are as Linux would send them."""
    at = found[AT]
    if carrier != udp.PROTOCOL or at + HEADER_BYTES > found[END]:
        return False
    flags = byte(data, at)
    if flags == FLAG_VNI_VALID:
        clear = be32(data, at) & 0x00FFFFFF == 0
    elif at + HEADER_BYTES + ethernet.HEADER_BYTES <= found[END]:  # else there is too little evidence
        clear = flags == FLAG_VNI_VALID | FLAG_GROUP_POLICY and byte(data, at + 1) & ~POLICY_FLAGS == 0
    else:
        clear = False
    return clear and byte(data, at + 7) == 0 and ethernet.plausible(data, found, at + HEADER_BYTES)


@compiled
def fits(data: Octets, found: Record) -> bool:
    """Whether the mandatory VXLAN flag is set; on its own ports, nothing more is required."""
    at = found[AT]
    return at >= found[END] or byte(data, at) & FLAG_VNI_VALID != 0


ENCAPSULATION = Encapsulation(
    Tunnel.VXLAN,
    "VXLAN",
    priority=10,
    header_bytes=HEADER_BYTES,
    read=read,
    recognise=recognise,
    udp_ports=(4789, 8472),
    link_type="vxlan",
    fits=fits,
)
