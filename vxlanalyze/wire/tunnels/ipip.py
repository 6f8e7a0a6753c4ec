"""IP packets directly inside IP packets: IPIP, 6in4, 4in6 and IPv6 in IPv6. There is no header.

Sources: RFC 2003 section 3.1 (protocol 4); RFC 4213 section 3 (protocol 41); RFC 2473 section 3.
"""

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire import ethernet, ipv4
from vxlanalyze.wire.fields import AT, STOP, Record, holds
from vxlanalyze.wire.model import Tunnel
from vxlanalyze.wire.octets import Octets, byte
from vxlanalyze.wire.protocols import IPIP, IPV6
from vxlanalyze.wire.tunnels.encapsulation import Encapsulation


@compiled
def read(data: Octets, found: Record) -> int:
    """Return the EtherType for the version of the packet inside."""
    if not holds(found, found[AT] + 1):
        return STOP
    return ethernet.IPV4 if byte(data, found[AT]) >> 4 == ipv4.VERSION else ethernet.IPV6


@compiled
def recognise(data: Octets, found: Record, carrier: int) -> bool:
    """Accept what the protocol number announces."""
    return carrier in (IPIP, IPV6)


ENCAPSULATION = Encapsulation(
    Tunnel.IPIP,
    "IPIP",
    priority=60,
    header_bytes=0,
    read=read,
    recognise=recognise,
    ip_protocols=(IPIP, IPV6),
    link_type="ipip",
)
