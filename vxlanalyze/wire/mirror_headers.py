"""The headers of mirrors, read from the beginning of a frame up to the copied frame; see `mirrors`.

    ERSPAN II     |Ver 1|   VLAN    |COS|En|T|  Session ID | Reserved |       Index        |   8 octets
    ERSPAN III    |Ver 2|   VLAN    |COS|BSO|T| Session ID | Timestamp (4) | SGT | |O|   12, with O 20 octets
    TZSP          |Ver 1|Type| Encapsulated protocol (2) | tag, length, value ... | 1 (end)

ERSPAN I has GRE without a sequence number, and no header of its own.

Sources: draft-foschiano-erspan-03 sections 4.1 to 4.3; wireshark.org/docs/dfref/t/tzsp.html.
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire import esp, ethernet, fields, ipv4, ipv6, link, udp, wireguard
from vxlanalyze.wire.dispatch import bindings, by_port, by_protocol, recognise
from vxlanalyze.wire.fields import (
    ABSENT,
    AT,
    END,
    FRAGMENT_OFFSET,
    INNER,
    LENGTH,
    LIMIT,
    OUTER,
    RECORD_FIELDS,
    STOP,
    Record,
)
from vxlanalyze.wire.octets import Octets, be16, be24, be32, byte
from vxlanalyze.wire.raw_frames import RAW_FRAMES, RawFrames
from vxlanalyze.wire.tunnels import gre as gre_header
from vxlanalyze.wire.tunnels import vxlan as vxlan_header
from vxlanalyze.wire.walk import begin_frame

ERSPAN, TZSP, VXLAN, GRE = 1, 2, 3, 4

# Columns of the result; the first eight identify the session.
KIND, SESSION, FAMILY, SRC, DST, SEQUENCE = 0, 1, 2, 3, 5, 7
START, CAPTURED, ORIGINAL, CUT, TUNNEL, INNER_SRC, INNER_DST = 8, 9, 10, 11, 12, 13, 15
COLUMNS = 17

TZSP_PORT = 37008
_ERSPAN_2 = 0x88BE  # and ERSPAN I
_ERSPAN_3 = 0x22EB
_ERSPAN_2_BYTES, _ERSPAN_3_BYTES, _SUBHEADER_BYTES = 8, 12, 8
_SESSION_MASK = 0x3FF
_TRUNCATED = 0x0400
_TZSP_BYTES = 4
_TZSP_ETHERNET = 1
_TZSP_PADDING, _TZSP_END = 0, 1
_MOST_TAGS = 64


def read_all(frames: RawFrames) -> NDArray[np.int64]:
    """Read the mirror header of each of `n` frames, shape ``(n, COLUMNS)``; its KIND is 0 where none is."""
    out = np.zeros((len(frames.start), COLUMNS), np.int64)
    with np.errstate(over="ignore"):
        _read_all(frames, bindings(), np.empty(RECORD_FIELDS, np.int64), out)
    return out


@compiled(f"{RAW_FRAMES} u1[] i8[] i8[,]")
def _read_all(frames: RawFrames, bound_to: NDArray[np.uint8], found: Record, out: NDArray[np.int64]) -> None:
    data = frames.data
    for row in range(len(frames.start)):
        begin_frame(frames, row, found)
        mirror = out[row]
        link_type = frames.link_types[frames.interface[row]]
        protocol = _packet(data, found, OUTER, link.read(data, found, link_type))
        if protocol == gre_header.IP_PROTOCOL:
            _gre(data, found, mirror)
        elif protocol == udp.PROTOCOL:
            _datagram(data, found, mirror)
        if mirror[KIND] > 0:
            _copied(data, found, bound_to, mirror)


@compiled
def _packet(data: Octets, found: Record, base: int, ethertype: int) -> int:
    """Read link and network layer of a packet; return the protocol that follows, or STOP."""
    if ethertype == ethernet.TRANSPARENT_ETHERNET:
        ethertype = ethernet.read(data, found, base)
    elif ethertype != STOP:
        ethertype = ethernet.typed(data, found, base, ethertype)
    if ethertype == ethernet.IPV4:
        protocol = ipv4.read(data, found, base)
    elif ethertype == ethernet.IPV6:
        protocol = ipv6.read(data, found, base)
    else:
        return STOP
    # A mirror that fragments its copies leaves the copied headers in the first fragment: a truncated copy.
    return STOP if found[base + FRAGMENT_OFFSET] > 0 else protocol


@compiled
def _gre(data: Octets, found: Record, mirror: NDArray[np.int64]) -> None:
    at = found[AT]
    if at + gre_header.HEADER_BYTES > found[END]:
        return
    flags, kind = be16(data, at), be16(data, at + 2)
    if kind not in (_ERSPAN_2, _ERSPAN_3, ethernet.TRANSPARENT_ETHERNET) or flags & gre_header.VERSION_MASK:
        return
    at += gre_header.HEADER_BYTES + (gre_header.OPTIONAL_BYTES if flags & gre_header.FLAG_CHECKSUM else 0)
    mirror[SEQUENCE] = ABSENT
    if flags & gre_header.FLAG_KEY and at + 4 <= found[END]:
        mirror[SESSION] = be32(data, at)
        at += gre_header.OPTIONAL_BYTES
    if flags & gre_header.FLAG_SEQUENCE and at + 4 <= found[END]:
        mirror[SEQUENCE] = be32(data, at)
        at += gre_header.OPTIONAL_BYTES
    mirror[START] = at
    mirror[KIND] = GRE
    if kind != ethernet.TRANSPARENT_ETHERNET:
        _erspan(data, found, mirror, kind == _ERSPAN_3)


@compiled
def _erspan(data: Octets, found: Record, mirror: NDArray[np.int64], third: bool) -> None:
    mirror[KIND] = ERSPAN
    at = mirror[START]
    if not third and mirror[SEQUENCE] == ABSENT:
        return  # ERSPAN I
    header_bytes = _ERSPAN_3_BYTES if third else _ERSPAN_2_BYTES
    if at + header_bytes > found[END] or byte(data, at) >> 4 != (2 if third else 1):
        mirror[KIND] = 0
        return
    word = be16(data, at + 2)
    mirror[SESSION] = word & _SESSION_MASK
    mirror[CUT] = 1 if word & _TRUNCATED else 0
    if third and byte(data, at + 11) & 1:
        header_bytes += _SUBHEADER_BYTES
    mirror[START] = at + header_bytes


@compiled
def _datagram(data: Octets, found: Record, mirror: NDArray[np.int64]) -> None:
    port = udp.read(data, found, OUTER)
    at = found[AT]
    if port == STOP:
        return
    mirror[SEQUENCE] = ABSENT
    if port == TZSP_PORT:
        _tzsp(data, found, mirror)
    elif at + vxlan_header.HEADER_BYTES <= found[END] and be32(data, at) == vxlan_header.FLAG_VNI_VALID << 24:
        mirror[KIND] = VXLAN
        mirror[SESSION] = be24(data, at + 4)
        mirror[START] = at + vxlan_header.HEADER_BYTES


@compiled
def _tzsp(data: Octets, found: Record, mirror: NDArray[np.int64]) -> None:
    at = found[AT]
    if at + _TZSP_BYTES > found[END] or byte(data, at) != 1 or byte(data, at + 1) > 1:
        return
    if be16(data, at + 2) != _TZSP_ETHERNET:
        return
    at += _TZSP_BYTES
    for _ in range(_MOST_TAGS):
        if at >= found[END]:
            return
        tag = byte(data, at)
        if tag == _TZSP_END:
            mirror[KIND] = TZSP
            mirror[START] = at + 1
            return
        if tag == _TZSP_PADDING:
            at += 1
        elif at + 1 < found[END]:
            at += 2 + byte(data, at + 1)
        else:
            return


@compiled
def _copied(data: Octets, found: Record, bound_to: NDArray[np.uint8], mirror: NDArray[np.int64]) -> None:
    """Give the length of the copied frame, and whether it is an underlay packet with a tunnel."""
    at, end, limit = mirror[START], found[END], found[LIMIT]
    if at > end:
        mirror[KIND] = 0
        return
    mirror[FAMILY] = found[OUTER + fields.FAMILY]
    mirror[SRC] = found[OUTER + fields.SRC]
    mirror[SRC + 1] = found[OUTER + fields.SRC_REST]
    mirror[DST] = found[OUTER + fields.DST]
    mirror[DST + 1] = found[OUTER + fields.DST_REST]
    mirror[CAPTURED] = end - at
    found[AT] = at
    protocol = _packet(data, found, INNER, ethernet.TRANSPARENT_ETHERNET)
    stop = limit
    if found[INNER + fields.IP_AT] >= 0:
        stop = max(limit, found[INNER + fields.IP_AT] + found[INNER + LENGTH])
    mirror[ORIGINAL] = stop - at
    if stop > limit:
        mirror[CUT] = 1
    if protocol != STOP and _is_tunnel(data, found, bound_to, protocol):
        mirror[TUNNEL] = 1
        mirror[INNER_SRC] = found[INNER + fields.SRC]
        mirror[INNER_SRC + 1] = found[INNER + fields.SRC_REST]
        mirror[INNER_DST] = found[INNER + fields.DST]
        mirror[INNER_DST + 1] = found[INNER + fields.DST_REST]


@compiled
def _is_tunnel(data: Octets, found: Record, bound_to: NDArray[np.uint8], protocol: int) -> bool:
    if protocol != udp.PROTOCOL:
        return protocol == esp.PROTOCOL or by_protocol(data, found, protocol, bound_to) > 0
    port = udp.read(data, found, INNER)
    if port == STOP:
        return False
    if esp.in_udp(data, found, INNER) or wireguard.in_udp(data, found, INNER):
        return True
    return by_port(data, found, port, bound_to) > 0 or recognise(data, found, udp.PROTOCOL) > 0
