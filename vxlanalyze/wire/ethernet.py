"""Ethernet II frames, the tags in front of the EtherType, and SNAP.

    |                  destination (6 octets)                       |
    |                    source (6 octets)                          |
    |  TPID (2)  | PCP, DEI, VLAN ID (2) |   any number of tags     |
    |  EtherType (2), or below 1536: length, then LLC               |

Sources: IEEE Std 802.3-2018 clause 3.1; IEEE Std 802.1Q-2018 clause 9; RFC 1042 (SNAP); IANA,
"IEEE 802 Numbers".
"""

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire.fields import AT, DST_MAC, END, LIMIT, SRC_MAC, STOP, VLAN, Record, bound, holds
from vxlanalyze.wire.octets import Octets, be16, be48, byte

HEADER_BYTES = 14
TAG_BYTES = 4
SNAP_BYTES = 8

IPV4 = 0x0800
ARP = 0x0806
TRANSPARENT_ETHERNET = 0x6558  # a complete Ethernet frame follows
TAG_CUSTOMER = 0x8100
IPV6 = 0x86DD
TAG_SERVICE = 0x88A8
TAG_OLD_9100 = 0x9100  # QinQ before IEEE 802.1ad
TAG_OLD_9200 = 0x9200

LENGTHS_BELOW = 0x0600
VLAN_ID_MASK = 0x0FFF
_SNAP = 0xAAAA  # both service access points; then control 3 and organisation 0


@compiled
def read(data: Octets, found: Record, base: int) -> int:
    """Read addresses, tags and type; return the EtherType, or STOP."""
    at = found[AT]
    if not holds(found, at + HEADER_BYTES):
        return STOP
    found[base + DST_MAC] = be48(data, at)
    found[base + SRC_MAC] = be48(data, at + 6)
    found[AT] = at + HEADER_BYTES
    return typed(data, found, base, be16(data, at + 12))


@compiled
def typed(data: Octets, found: Record, base: int, ethertype: int) -> int:
    """Read the tags and the SNAP header that an EtherType announces; return the EtherType after them."""
    while is_tag(ethertype):
        at = found[AT]
        if not holds(found, at + TAG_BYTES):
            return STOP
        if found[base + VLAN] < 0:
            found[base + VLAN] = be16(data, at) & VLAN_ID_MASK
        ethertype = be16(data, at + 2)
        found[AT] = at + TAG_BYTES
    if ethertype >= LENGTHS_BELOW:
        return ethertype
    return _snap(data, found, ethertype)


@compiled
def is_tag(ethertype: int) -> bool:
    """Whether a VLAN tag follows this EtherType."""
    return ethertype in (TAG_CUSTOMER, TAG_SERVICE, TAG_OLD_9100, TAG_OLD_9200)


@compiled
def is_followed(ethertype: int) -> bool:
    """Whether the protocol of this EtherType can be decoded here."""
    return ethertype in (IPV4, IPV6, ARP, TRANSPARENT_ETHERNET) or is_tag(ethertype)


@compiled
def _snap(data: Octets, found: Record, length: int) -> int:
    at = found[AT]
    bound(found, at + length)
    whole = at + SNAP_BYTES <= found[END]
    if not whole or be16(data, at) != _SNAP or be16(data, at + 2) != 0x0300 or be16(data, at + 4) & 0xFF:
        return STOP  # other LLC: spanning tree and the like
    found[AT] = at + SNAP_BYTES
    return be16(data, at + 6)


@compiled
def plausible(data: Octets, found: Record, at: int) -> bool:
    """Whether an Ethernet frame with IP or ARP fits exactly between `at` and `LIMIT`.

    This test recognises a tunnel on an unknown port, so it must be unlikely to succeed by chance. For a
    packet cut by the snap length, the captured part must fit.
    """
    end = found[END]
    if at + 7 <= end and byte(data, at + 6) & 1:  # a source address is never a group's
        return False
    if at + HEADER_BYTES > end:
        return end < found[LIMIT] and found[LIMIT] - at >= HEADER_BYTES + _SMALLEST_PACKET_BYTES
    ethertype = be16(data, at + 12)
    at += HEADER_BYTES
    while is_tag(ethertype) and at + TAG_BYTES <= end:
        ethertype = be16(data, at + 2)
        at += TAG_BYTES
    room = found[LIMIT] - at
    seen = room if end == found[LIMIT] else max(end - at, 0)
    if ethertype == IPV4 and room >= 20:
        begins = seen < 1 or (byte(data, at) >> 4 == 4 and byte(data, at) & 15 >= 5)
        return begins and (seen < 4 or _fits(be16(data, at + 2), room))
    if ethertype == IPV6 and room >= 40:
        begins = seen < 1 or byte(data, at) >> 4 == 6
        return begins and (seen < 6 or _fits(be16(data, at + 4) + 40, room))
    if ethertype == ARP and seen >= 8:
        return be16(data, at) == 1 and be16(data, at + 2) == IPV4 and be16(data, at + 4) == 0x0604
    return False


_SMALLEST_PACKET_BYTES = 20
_LARGEST_PADDING_BYTES = 46  # in a frame of 60 bytes


@compiled
def _fits(length: int, room: int) -> bool:
    return _SMALLEST_PACKET_BYTES <= length <= room <= length + _LARGEST_PADDING_BYTES
