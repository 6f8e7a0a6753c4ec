"""Linux "cooked" captures, as taken on the `any` interface.

    SLL:   | packet type | ARPHRD | address length | address (8) | protocol |
    SLL2:  | protocol | reserved | interface index (4) | ARPHRD | type (1) | length (1) | address (8) |

Sources: tcpdump.org, LINKTYPE_LINUX_SLL and LINKTYPE_LINUX_SLL2.
"""

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire.fields import AT, IF_INDEX, OUTER, PACKET_TYPE, SRC_MAC, STOP, Record, holds
from vxlanalyze.wire.octets import Octets, be16, be32, be48, byte

LINK_TYPE = 113
LINK_TYPE_2 = 276

HEADER_BYTES = 16
HEADER_2_BYTES = 20
_MAC_BYTES = 6
_ARPHRD_NETLINK = 824  # then the protocol is a netlink family, not an EtherType
_LARGEST_PACKET_TYPE = 254  # 255 stands for unknown


@compiled
def read(data: Octets, found: Record) -> int:
    """Read an SLL header; return the EtherType, or STOP."""
    at = found[AT]
    if not holds(found, at + HEADER_BYTES):
        return STOP
    found[PACKET_TYPE] = min(be16(data, at), _LARGEST_PACKET_TYPE)
    if be16(data, at + 4) == _MAC_BYTES:
        found[OUTER + SRC_MAC] = be48(data, at + 6)
    found[AT] = at + HEADER_BYTES
    return STOP if be16(data, at + 2) == _ARPHRD_NETLINK else be16(data, at + 14)


@compiled
def read_2(data: Octets, found: Record) -> int:
    """Read an SLL2 header; return the EtherType, or STOP."""
    at = found[AT]
    if not holds(found, at + HEADER_2_BYTES):
        return STOP
    found[IF_INDEX] = be32(data, at + 4)
    found[PACKET_TYPE] = min(byte(data, at + 10), _LARGEST_PACKET_TYPE)
    if byte(data, at + 11) == _MAC_BYTES:
        found[OUTER + SRC_MAC] = be48(data, at + 12)
    found[AT] = at + HEADER_2_BYTES
    return STOP if be16(data, at + 8) == _ARPHRD_NETLINK else be16(data, at)
