"""Bytes after the IP packet of a frame: padding, or a further packet that offload merged."""

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire import ethernet, udp
from vxlanalyze.wire.fields import (
    ANOMALIES,
    DEPTH,
    INNER_AT,
    INNER_TYPE,
    LIMIT,
    MERGED_DATAGRAM,
    OUTER,
    PADDING_NOT_ZERO,
    PAYLOAD_AT,
    PROTOCOL,
    Record,
)
from vxlanalyze.wire.octets import Octets, be16, be32, byte

_TUNNEL_BYTES = 8  # of VXLAN, GPE and Geneve: repeated in a merged datagram


@compiled
def check_padding(data: Octets, found: Record, end: int) -> None:
    """Mark bytes after the packet, inside its frame, unless they are zero as they should be."""
    for at in range(found[LIMIT], end):
        if byte(data, at):
            found[ANOMALIES] |= MERGED_DATAGRAM if _is_merged(data, found, end) else PADDING_NOT_ZERO
            return


@compiled
def _is_merged(data: Octets, found: Record, end: int) -> bool:
    """Whether the tunnel's header is repeated after the inner packet and followed by a frame."""
    first, again = found[OUTER + PAYLOAD_AT], found[LIMIT]
    header_bytes = found[INNER_AT] - first
    frame = again + header_bytes
    if found[DEPTH] != 1 or found[OUTER + PROTOCOL] != udp.PROTOCOL or header_bytes < _TUNNEL_BYTES:
        return False
    if found[INNER_TYPE] != ethernet.TRANSPARENT_ETHERNET or frame + ethernet.HEADER_BYTES > end:
        return False
    same = be32(data, again) == be32(data, first) and be32(data, again + 4) == be32(data, first + 4)
    kind = be16(data, frame + 12)
    known = kind == ethernet.IPV4 or kind == ethernet.IPV6 or kind == ethernet.ARP
    return same and known and byte(data, frame + 6) & 1 == 0
