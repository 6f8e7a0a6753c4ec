"""Every decoded field of given frames, as columns."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.model import Frames, Interface, Readable
from vxlanalyze.errors import CaptureError
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire import ethernet, fields, ipv6, link, sctp, tcp, udp
from vxlanalyze.wire.dispatch import bindings
from vxlanalyze.wire.fields import (
    AT,
    BLANK,
    END,
    IN_FRAGMENT,
    INNER,
    LIMIT,
    OUTER,
    QUOTED_AT,
    RECORD_FIELDS,
    Record,
)
from vxlanalyze.wire.octets import Octets, byte
from vxlanalyze.wire.raw_frames import RAW_FRAMES, RawFrames, link_types_of
from vxlanalyze.wire.verify import WITHOUT_LIMIT, verify
from vxlanalyze.wire.walk import descend, walk

_BLOCK_ROWS = 4096

Columns = dict[str, NDArray[Any]]

_FRAME = {
    "packet_type": fields.PACKET_TYPE,
    "if_index": fields.IF_INDEX,
    "tunnel": fields.TUNNEL,
    "tunnel_depth": fields.DEPTH,
    "vni": fields.VNI,
    "group_policy": fields.GROUP_POLICY,
    "geneve_options_bytes": fields.OPTIONS_BYTES,
    "encryption": fields.ENCRYPTION,
    "inner_start": fields.INNER_AT,
    "inner_ethertype": fields.INNER_TYPE,
    "anomalies": fields.ANOMALIES,
}
_IP = {
    "family": fields.FAMILY,
    "protocol": fields.PROTOCOL,
    "ttl": fields.TTL,
    "tos": fields.TOS,
    "ip_id": fields.IP_ID,
    "length": fields.LENGTH,
    "fragment_offset": fields.FRAGMENT_OFFSET,
    "more_fragments": fields.MORE_FRAGMENTS,
    "dont_fragment": fields.DONT_FRAGMENT,
    "sport": fields.SPORT,
    "dport": fields.DPORT,
}
_LINK = {"src_mac": fields.SRC_MAC, "dst_mac": fields.DST_MAC}
_CHECKS = {
    "checksum": fields.CHECK_STORED,
    "checksum_expected": fields.CHECK_EXPECTED,
    "checksum_state": fields.CHECK_STATE,
    "ip_checksum_state": fields.IP_STATE,
}
_LAST = {
    "tcp_seq": fields.SEQ,
    "tcp_ack": fields.ACK,
    "tcp_flags": fields.TCP_FLAGS,
    "tcp_window": fields.WINDOW,
    "mss": fields.MSS,
    "window_scale": fields.WINDOW_SCALE,
    "icmp_type": fields.ICMP_TYPE,
    "icmp_code": fields.ICMP_CODE,
    "icmp_mtu": fields.ICMP_MTU,
    "arp_operation": fields.ARP_OPERATION,
    "arp_sender_mac": fields.ARP_SENDER_MAC,
    "arp_target_mac": fields.ARP_TARGET_MAC,
    "payload_start": fields.PAYLOAD_AT,
}
_PORTED = (tcp.PROTOCOL, udp.PROTOCOL, sctp.PROTOCOL)


def columns(frames: Frames, interfaces: Sequence[Interface], *, ports: Sequence[int] = ()) -> Columns:
    """Decode all fields of the given frames.

    Parameters
    ----------
    frames : Frames
        `n` frames: a chunk, or the result of ``Source.fetch``.
    interfaces : sequence of Interface
        Those of the source.
    ports : sequence of int
        UDP ports that carry tunnels, in addition to the known ones.

    Returns
    -------
    dict of str to ndarray
        Columns of int64, shape ``(n,)``, with -1 for absent fields; addresses are uint8 of shape ``(n, 16)``
        (IPv4 in the first 4, the others 0) and a column of their `family` (4, 6, or 0 for none). MAC
        addresses are numbers of 48 bits.

        Columns that begin with ``outer_``, and `vlan`, describe the outermost IP packet and the frame around
        it, tunnel or not. `src`, `dst`, `protocol`, ... and those that begin with ``inner_`` describe the
        innermost packet and are absent without a tunnel. The columns of TCP, ICMP, ARP and neighbour
        discovery, and `payload_...`, describe the innermost packet, tunnel or not. ``quoted_...`` describes
        the packet that an ICMP error quotes (``quoted_inner_...``: the packet in its tunnel). ``..._start``
        are positions in ``frames.data``; ``..._state`` are `Checksum`.
    """
    n = len(frames)
    link_types = link_types_of(interfaces)
    bound_to = bindings(ports)
    table: Columns = {
        "time": frames.time_ns.copy(),
        "captured_length": frames.captured_length.astype(np.int64),
        "original_length": frames.original_length.astype(np.int64),
        "interface": frames.interface.astype(np.int64),
        "link_type": link_types[frames.interface] if n else np.empty(0, np.int64),
    }
    blocks = [
        _block(frames, slice(first, min(first + _BLOCK_ROWS, n)), link_types, bound_to)
        for first in range(0, max(n, 1), _BLOCK_ROWS)
    ]
    for name in blocks[0]:
        table[name] = np.concatenate([block[name] for block in blocks])
    return table


def check_link_types(source: Readable) -> None:
    """Reject a capture without any decodable interface.

    Raises
    ------
    CaptureError
        Names the capture's link types and the supported ones.
    """
    there = {interface.link_type for interface in source.interfaces}
    if there and not there & link.SUPPORTED.keys():
        kinds = ", ".join(str(kind) for kind in sorted(there))
        supported = ", ".join(f"{name} ({kind})" for kind, name in sorted(link.SUPPORTED.items()))
        raise CaptureError(
            source.files[0].path, f"link type {kinds} is not supported; supported are {supported}"
        )


def records(
    frames: Frames,
    rows: slice | NDArray[np.int64],
    link_types: NDArray[np.int64],
    bound_to: NDArray[np.uint8],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Decode the chosen frames to complete scratch records.

    Returns
    -------
    record : ndarray of int64, shape (k, RECORD_FIELDS)
        Of each frame.
    quoted : ndarray of int64, shape (k, RECORD_FIELDS)
        Of the packet that it quotes; blank where it is not an ICMP error.
    base : ndarray of int64, shape (k,)
        Of the innermost packet, OUTER or INNER.
    """
    raw = RawFrames.of(frames, link_types, rows)
    record = np.empty((len(raw.start), RECORD_FIELDS), np.int64)
    quoted = np.empty((len(raw.start), RECORD_FIELDS), np.int64)
    base = np.empty(len(raw.start), np.int64)
    with np.errstate(over="ignore"):
        _decode_records(raw, bound_to, np.empty(RECORD_FIELDS, np.int64), (record, quoted, base))
    return record, quoted, base


@compiled(f"{RAW_FRAMES} u1[] i8[] (i8[,] i8[,] i8[])")
def _decode_records(
    frames: RawFrames,
    bound_to: NDArray[np.uint8],
    found: Record,
    out: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
) -> None:
    record, quoted, bases = out
    data = frames.data
    for row in range(len(frames.start)):
        base = walk(frames, row, bound_to, found)
        verify(data, found, base, frames.start[row] + np.int64(frames.captured_length[row]), WITHOUT_LIMIT)
        bases[row] = base
        for place in range(RECORD_FIELDS):
            record[row, place] = found[place]
        at = found[base + QUOTED_AT]
        end = found[END]
        for place in range(RECORD_FIELDS):
            found[place] = BLANK[place]
        if 0 <= at < end:
            _quoted(data, found, at, end, bound_to)
        for place in range(RECORD_FIELDS):
            quoted[row, place] = found[place]


@compiled
def _quoted(data: Octets, found: Record, at: int, end: int, bound_to: NDArray[np.uint8]) -> None:
    """Decode the beginning of a packet, whose length field legitimately exceeds the quoted bytes."""
    found[AT] = at
    found[END] = end
    found[LIMIT] = end
    found[IN_FRAGMENT] = 1
    version = byte(data, at) >> 4
    descend(data, found, bound_to, ethernet.IPV6 if version == ipv6.VERSION else ethernet.IPV4)


def _block(
    frames: Frames, rows: slice, link_types: NDArray[np.int64], bound_to: NDArray[np.uint8]
) -> Columns:
    record, quoted, base = records(frames, rows, link_types, bound_to)
    tunnelled = base == INNER
    block: Columns = {name: record[:, place].copy() for name, place in _FRAME.items()}
    block["vlan"] = record[:, OUTER + fields.VLAN].copy()
    block["inner_vlan"] = record[:, INNER + fields.VLAN].copy()
    block["inner_bytes"] = np.where(
        block["inner_start"] >= 0, record[:, fields.INNER_END] - block["inner_start"], fields.ABSENT
    )
    for prefix, base_of in (("outer_", OUTER), ("inner_", INNER)):
        for name, place in (_LINK | _CHECKS).items():
            block[prefix + name] = record[:, base_of + place].copy()
    _packet(block, "outer_", record, OUTER)
    _packet(block, "", record, INNER)
    last = np.where(tunnelled[:, np.newaxis], record[:, INNER:], record[:, OUTER:INNER])
    _innermost(block, last, record[:, fields.END])
    _packet(block, "quoted_", quoted, OUTER)
    _packet(block, "quoted_inner_", quoted, INNER)
    block["quoted_tunnel"] = quoted[:, fields.TUNNEL].copy()
    block["quoted_vni"] = quoted[:, fields.VNI].copy()
    return block


def _packet(block: Columns, prefix: str, record: NDArray[np.int64], base: int) -> None:
    """Add the IP columns of one packet; ARP and others without IP leave them absent."""
    for name, place in _IP.items():
        block[prefix + name] = record[:, base + place].copy()
    without_ip = block[prefix + "family"] == 0
    block[prefix + "src"] = octets_of(record[:, base + fields.SRC : base + fields.SRC + 2])
    block[prefix + "dst"] = octets_of(record[:, base + fields.DST : base + fields.DST + 2])
    block[prefix + "src"][without_ip] = 0
    block[prefix + "dst"][without_ip] = 0
    ported = np.isin(block[prefix + "protocol"], _PORTED) & ~without_ip
    block[prefix + "sport"][~ported] = fields.ABSENT
    block[prefix + "dport"][~ported] = fields.ABSENT


def _innermost(block: Columns, last: NDArray[np.int64], end: NDArray[np.int64]) -> None:
    """Add the columns of the innermost packet, encapsulated or not."""
    for name, place in _LAST.items():
        block[name] = last[:, place].copy()
    block["tcp_seq"][block["tcp_flags"] < 0] = fields.ABSENT  # the field is also used for echoes and DNS
    block["mss"][block["mss"] == 0] = fields.ABSENT
    start, stop = last[:, fields.PAYLOAD_AT], last[:, fields.PAYLOAD_END]
    block["payload_length"] = np.where(start >= 0, stop - start, fields.ABSENT)
    block["payload_captured"] = np.where(start >= 0, np.maximum(np.minimum(stop, end) - start, 0), 0)
    is_arp = (last[:, fields.ARP_OPERATION] >= 0)[:, np.newaxis]
    block["arp_sender"] = np.where(is_arp, octets_of(last[:, fields.SRC : fields.SRC + 2]), np.uint8(0))
    block["arp_target"] = np.where(is_arp, octets_of(last[:, fields.DST : fields.DST + 2]), np.uint8(0))
    has_target = (last[:, [fields.TARGET, fields.TARGET_REST]] != fields.ABSENT).any(axis=1)
    target = octets_of(last[:, fields.TARGET : fields.TARGET + 2])
    block["nd_target"] = np.where(has_target[:, np.newaxis], target, np.uint8(0))


def octets_of(words: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Convert pairs of little-endian words, shape ``(k, 2)``, to addresses, shape ``(k, 16)``."""
    return words.astype("<i8", order="C").view(np.uint8).reshape(len(words), 16)
