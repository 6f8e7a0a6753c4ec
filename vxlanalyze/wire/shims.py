"""Headers between Ethernet and IP: MPLS, PPPoE sessions, provider backbone bridges, service chains.

    MPLS        | label (20) | class (3) | bottom (1) | TTL (8) |  any number, the last with the bottom bit
    PPPoE       |Ver|Type| Code | Session ID (2) | Length (2) | PPP protocol (2) |
    802.1ah     | PCP, flags, I-SID (4) | customer's destination (6), source (6), EtherType (2) |
    NSH         |Ver|O|U| TTL | Length |U|U|U|U| MD type | Next protocol | path (4) | context, Length words

Other headers in this position are only known by EtherType: such frames are marked `UNDECODED_LINK`, with
their kind.

Sources: RFC 3032 section 2.1; RFC 4385 section 3 (the word before Ethernet in MPLS); RFC 2516 section 4 and
RFC 1661; IEEE Std 802.1Q-2018 clause 9.7; RFC 8300 section 2.2; IANA, "IEEE 802 Numbers".
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire import ethernet
from vxlanalyze.wire.fields import ANOMALIES, AT, END, STOP, UNDECODED_LINK, Record, bound, holds
from vxlanalyze.wire.model import UNDECODED_KIND_MASK, UNDECODED_KIND_SHIFT
from vxlanalyze.wire.octets import Octets, be16, byte

MPLS = 0x8847
MPLS_UPSTREAM = 0x8848
PPPOE_SESSION = 0x8864
BACKBONE = 0x88E7
NSH = 0x894F
DECODED = (MPLS, MPLS_UPSTREAM, PPPOE_SESSION, BACKBONE, NSH)
NOT_DECODED: dict[int, str] = {
    0x8926: "VN-Tag",
    0x8903: "FabricPath",
    0x8909: "Cisco metadata",
    0x88E5: "MACsec",
    0x22F3: "TRILL",
    0xF1C1: "802.1CB",
}
_UNDECODED = tuple(NOT_DECODED)

_MOST = 8  # consecutive headers of this kind
_LABEL_BYTES, _BOTTOM_AT = 4, 2
_MOST_LABELS = 16
_PPPOE_BYTES, _PPP_IPV4, _PPP_IPV6 = 6, 0x0021, 0x0057
_BACKBONE_BYTES, _ADDRESSES_BYTES = 4, 12
_NSH_BYTES = 8
_NSH_IPV4, _NSH_IPV6, _NSH_ETHERNET, _NSH_NSH, _NSH_MPLS = 1, 2, 3, 4, 5


@compiled
def through(data: Octets, found: Record, base: int, ethertype: int) -> int:
    """Read the headers before IP or ARP; return the EtherType of what follows, or STOP."""
    for _ in range(_MOST):
        if ethertype not in DECODED:
            break
        if ethertype in (MPLS, MPLS_UPSTREAM):
            ethertype = _labels(data, found)
        elif ethertype == PPPOE_SESSION:
            ethertype = _session(data, found)
        elif ethertype == BACKBONE:
            ethertype = _backbone(data, found, base)
        else:
            ethertype = _chain(data, found)
        if ethertype == ethernet.TRANSPARENT_ETHERNET:
            ethertype = _frame(data, found, base)
    for kind in range(len(_UNDECODED)):
        if ethertype == _UNDECODED[kind]:
            found[ANOMALIES] |= UNDECODED_LINK | kind << UNDECODED_KIND_SHIFT
    return ethertype


def undecoded(anomalies: NDArray[np.uint32]) -> dict[str, int]:
    """Count the frames of rows, shape ``(n,)``, with an undecoded header, by its name."""
    marked = anomalies[anomalies & np.uint32(UNDECODED_LINK) != 0]
    kinds = marked >> np.uint32(UNDECODED_KIND_SHIFT) & np.uint32(UNDECODED_KIND_MASK)
    counts = np.bincount(kinds, minlength=len(NOT_DECODED)).tolist()
    return {name: count for name, count in zip(NOT_DECODED.values(), counts, strict=True) if count}


@compiled
def _labels(data: Octets, found: Record) -> int:
    """Skip the label stack; only the first four bits after it show what follows."""
    for _ in range(_MOST_LABELS):
        at = found[AT]
        if not holds(found, at + _LABEL_BYTES):
            return STOP
        found[AT] = at + _LABEL_BYTES
        if byte(data, at + _BOTTOM_AT) & 1:
            break
    at = found[AT]
    if not holds(found, at + 1):
        return STOP
    version = byte(data, at) >> 4
    if version == 4:
        return ethernet.IPV4
    if version == 6:
        return ethernet.IPV6
    if version == 0 and at + 4 <= found[END] and ethernet.plausible(data, found, at + 4):
        found[AT] = at + 4
        return ethernet.TRANSPARENT_ETHERNET
    return ethernet.TRANSPARENT_ETHERNET if ethernet.plausible(data, found, at) else STOP


@compiled
def _session(data: Octets, found: Record) -> int:
    at = found[AT]
    if not holds(found, at + _PPPOE_BYTES + 2) or be16(data, at) != 0x1100:
        return STOP
    bound(found, at + _PPPOE_BYTES + be16(data, at + 4))
    found[AT] = at + _PPPOE_BYTES + 2
    protocol = be16(data, at + _PPPOE_BYTES)
    if protocol == _PPP_IPV4:
        return ethernet.IPV4
    return ethernet.IPV6 if protocol == _PPP_IPV6 else STOP


@compiled
def _backbone(data: Octets, found: Record, base: int) -> int:
    at = found[AT] + _BACKBONE_BYTES
    if not holds(found, at + ethernet.HEADER_BYTES):
        return STOP
    found[AT] = at + ethernet.HEADER_BYTES
    return ethernet.typed(data, found, base, be16(data, at + _ADDRESSES_BYTES))


@compiled
def _frame(data: Octets, found: Record, base: int) -> int:
    """Read the frame inside; the addresses of the frame around it are kept."""
    at = found[AT]
    if not holds(found, at + ethernet.HEADER_BYTES):
        return STOP
    found[AT] = at + ethernet.HEADER_BYTES
    return ethernet.typed(data, found, base, be16(data, at + _ADDRESSES_BYTES))


@compiled
def _chain(data: Octets, found: Record) -> int:
    at = found[AT]
    if not holds(found, at + _NSH_BYTES):
        return STOP
    end = at + ((byte(data, at + 1) & 0x3F) << 2)
    if end < at + _NSH_BYTES or not holds(found, end):
        return STOP
    found[AT] = end
    following = byte(data, at + 3)
    if following == _NSH_IPV4:
        return ethernet.IPV4
    if following == _NSH_IPV6:
        return ethernet.IPV6
    if following == _NSH_ETHERNET:
        return ethernet.TRANSPARENT_ETHERNET
    if following == _NSH_NSH:
        return NSH
    return MPLS if following == _NSH_MPLS else STOP
