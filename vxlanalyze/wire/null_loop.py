"""BSD loopback: four bytes with the address family, in the host's order (NULL) or the network's (LOOP).

Sources: tcpdump.org, LINKTYPE_NULL and LINKTYPE_LOOP.
"""

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire import ethernet
from vxlanalyze.wire.fields import AT, STOP, Record, holds
from vxlanalyze.wire.octets import Octets, be32, le32

LINK_TYPE_NULL = 0
LINK_TYPE_LOOP = 108

HEADER_BYTES = 4
_AF_INET = 2
_AF_INET6_LINUX = 10
_AF_INET6_NETBSD = 24
_AF_INET6_FREEBSD = 28
_AF_INET6_DARWIN = 30


@compiled
def read(data: Octets, found: Record) -> int:
    """Read the family in either byte order; return the EtherType that means the same, or STOP."""
    at = found[AT]
    if not holds(found, at + HEADER_BYTES):
        return STOP
    family = min(be32(data, at), le32(data, at))  # families are small: the wrong order gives a large one
    found[AT] = at + HEADER_BYTES
    if family == _AF_INET:
        return ethernet.IPV4
    if family in (_AF_INET6_LINUX, _AF_INET6_NETBSD, _AF_INET6_FREEBSD, _AF_INET6_DARWIN):
        return ethernet.IPV6
    return STOP
