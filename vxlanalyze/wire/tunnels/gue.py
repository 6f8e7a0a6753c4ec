"""Generic UDP encapsulation, and IP directly in UDP.

    | 0 |C|   Hlen  |  Proto/ctype  |             Flags             |
    |     Extension fields and private data, Hlen words             |

The first two bits are the variant. In variant 1 there is no header: they are those of an IP version, 4 or 6.
Linux's foo-over-UDP (``ip fou``) with an IP tunnel and flannel's ``udp`` backend send exactly that;
kube-router sends either, on port 5555. There is no network identifier, except that of a GRE header inside.

Sources: draft-ietf-intarea-gue-09 sections 3.2, 3.3 and 4; IANA port 6080; Linux net/ipv4/fou_core.c.
"""

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire import checksum, ethernet, ipv4, ipv6, udp
from vxlanalyze.wire.fields import (
    ANOMALIES,
    AT,
    BAD_VERSION,
    END,
    LIMIT,
    STOP,
    UNKNOWN_PROTOCOL,
    Record,
    holds,
)
from vxlanalyze.wire.model import Tunnel
from vxlanalyze.wire.octets import Octets, be16, be32, byte
from vxlanalyze.wire.protocols import IPIP, IPV6
from vxlanalyze.wire.tunnels import gre, ipip
from vxlanalyze.wire.tunnels.encapsulation import Encapsulation

HEADER_BYTES = 4
VARIANT_HEADER = 0
VARIANT_DIRECT = 1
FLAG_CONTROL = 0x20  # C: a control message, for the tunnel's ends themselves
LENGTH_MASK = 0x1F  # in words

# Headers without extensions, as Linux writes them: all zero except for the protocol.
_PLAIN_IPV4 = IPIP << 16
_PLAIN_IPV6 = IPV6 << 16


@compiled
def read(data: Octets, found: Record) -> int:
    """Read one header; its protocol field names what follows."""
    at = found[AT]
    if not holds(found, at + 1):
        return STOP
    first = byte(data, at)
    if first >> 6 == VARIANT_DIRECT:
        return ipip.read(data, found)
    if first >> 6 != VARIANT_HEADER:
        found[ANOMALIES] |= BAD_VERSION
        return STOP
    if not holds(found, at + HEADER_BYTES):
        return STOP
    end = at + HEADER_BYTES + ((first & LENGTH_MASK) << 2)
    if first & FLAG_CONTROL or not holds(found, end):
        return STOP
    found[AT] = end
    return _following(data, found, byte(data, at + 1))


@compiled
def _following(data: Octets, found: Record, protocol: int) -> int:
    if protocol == IPIP:
        return ethernet.IPV4
    if protocol == IPV6:
        return ethernet.IPV6
    if protocol == gre.IP_PROTOCOL:
        return gre.read(data, found)
    found[ANOMALIES] |= UNKNOWN_PROTOCOL
    return STOP


@compiled
def recognise(data: Octets, found: Record, carrier: int) -> bool:
    """Whether one IP packet fills the remaining datagram, with a plain header before it or none."""
    at = found[AT]
    if carrier != udp.PROTOCOL or at + HEADER_BYTES > found[END]:
        return False
    word = be32(data, at)
    if word in (_PLAIN_IPV4, _PLAIN_IPV6):
        return _is_packet(data, found, at + HEADER_BYTES)
    return word >> 30 == VARIANT_DIRECT and _is_packet(data, found, at)


@compiled
def _is_packet(data: Octets, found: Record, at: int) -> bool:
    """Check what rarely matches by chance: the exact length, and the checksum or the addresses."""
    room = found[LIMIT] - at
    if at + ipv4.HEADER_BYTES > found[END]:
        return False
    first = byte(data, at)
    if first >> 4 == ipv4.VERSION:
        end = at + ((first & 15) << 2)
        if be16(data, at + 2) != room or end < at + ipv4.HEADER_BYTES or end > found[END]:
            return False
        return checksum.fold(checksum.add(data, at, end)) == 0xFFFF
    if first >> 4 != ipv6.VERSION or at + ipv6.HEADER_BYTES > found[END]:
        return False
    return (
        be16(data, at + 4) + ipv6.HEADER_BYTES == room
        and _is_unicast(be16(data, at + 8))
        and (_is_unicast(be16(data, at + 24)) or byte(data, at + 24) == 0xFF)
    )


@compiled
def _is_unicast(first: int) -> bool:
    """Whether an IPv6 address has a global, unique local or link-local prefix (RFC 4291 section 2.4)."""
    return first >> 13 == 1 or first >> 9 == 0x7E or first >> 6 == 0x3FA


ENCAPSULATION = Encapsulation(
    Tunnel.GUE,
    "GUE",
    priority=70,
    header_bytes=None,
    read=read,
    recognise=recognise,
    udp_ports=(6080,),
)
