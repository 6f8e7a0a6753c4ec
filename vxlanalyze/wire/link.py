"""The link layers of captures: the reader of a frame's first header, by the number in the capture's header.

Source: the tcpdump group's list of link-layer header types (tcpdump.org/linktypes.html).
"""

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire import ethernet, ipv6, linux_sll, null_loop
from vxlanalyze.wire.fields import ANOMALIES, AT, STOP, UNSUPPORTED_LINK, Record, holds
from vxlanalyze.wire.octets import Octets, byte

ETHERNET = 1
RAW_IP = (101, 12, 14, 228, 229)  # raw IP; as DLT_RAW of BSD and of OpenBSD; IPv4; IPv6
SUPPORTED: dict[int, str] = {
    ETHERNET: "Ethernet",
    linux_sll.LINK_TYPE: "Linux cooked",
    linux_sll.LINK_TYPE_2: "Linux cooked v2",
    101: "raw IP",
    12: "raw IP",
    14: "raw IP",
    228: "IPv4",
    229: "IPv6",
    null_loop.LINK_TYPE_NULL: "BSD loopback",
    null_loop.LINK_TYPE_LOOP: "OpenBSD loopback",
}


@compiled
def read(data: Octets, found: Record, link_type: int) -> int:
    """Read the link header; return the EtherType of what follows."""
    if link_type == ETHERNET:
        return ethernet.TRANSPARENT_ETHERNET
    if link_type == linux_sll.LINK_TYPE:
        return linux_sll.read(data, found)
    if link_type == linux_sll.LINK_TYPE_2:
        return linux_sll.read_2(data, found)
    if link_type == null_loop.LINK_TYPE_NULL or link_type == null_loop.LINK_TYPE_LOOP:
        return null_loop.read(data, found)
    if link_type in RAW_IP:
        if not holds(found, found[AT] + 1):
            return STOP
        return ethernet.IPV6 if byte(data, found[AT]) >> 4 == ipv6.VERSION else ethernet.IPV4
    found[ANOMALIES] |= UNSUPPORTED_LINK
    return STOP
