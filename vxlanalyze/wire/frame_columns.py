"""The columns of the table `frames`: name, type and meaning, in order.

Columns that begin with ``outer_`` describe the outermost IP packet, tunnel or not; `src`, `dst` and the
following describe the innermost one and are null without a tunnel, except `mss`, `window_scale` and those
that begin with ``icmp_``, ``quoted_``, ``arp_`` and ``nd_``: these describe the innermost packet,
encapsulated or not.
"""

from typing import Any, NamedTuple

import pyarrow as pa

from vxlanalyze.wire.model import FACTS, Anomaly, Checksum
from vxlanalyze.wire.tunnels import NAMES

ADDRESS = pa.dictionary(pa.int32(), pa.string())
MAC = pa.dictionary(pa.int32(), pa.large_string())  # a separate type, distinct from IP addresses
NAME = pa.dictionary(pa.int8(), pa.string())
FILE = pa.dictionary(pa.int32(), pa.string())
ANOMALIES = pa.list_(pa.string())
TIME = pa.timestamp("ns", tz="UTC")

# Both forms of a checksum that a network card will fill in are "offload"; all ones is one kind of bad.
CHECKSUM_NAMES = {
    int(Checksum.OK): "ok",
    int(Checksum.BAD): "bad",
    int(Checksum.ABSENT): "absent",
    int(Checksum.PARTIAL): "offload",
    int(Checksum.LCO): "offload",
    int(Checksum.UNVERIFIABLE): "unverifiable",
    int(Checksum.ALL_ONES): "bad",
}
_STATES = ", ".join(dict.fromkeys(CHECKSUM_NAMES.values())) + "."
_KINDS = ", ".join(NAMES.values()) + ": the innermost one."
_ODDITIES = ", ".join(kind.name.lower() for kind in Anomaly if kind.name and not kind & FACTS) + "."


class FrameColumn(NamedTuple):
    """One column: its Arrow type, and what it holds."""

    name: str
    type: Any
    meaning: str


FRAME_COLUMNS = tuple(
    FrameColumn(*column)
    for column in (
        ("frame", pa.int64(), "Number in the whole capture, from 1."),
        ("file", FILE, "Path of the file that holds it."),
        ("time", TIME, "When it was captured, by that machine's clock."),
        ("captured_length", pa.uint32(), "Bytes in the capture."),
        ("original_length", pa.uint32(), "Bytes on the wire."),
        ("interface", pa.uint16(), "Place among the capture's interfaces, from 0."),
        ("link_type", pa.uint16(), "Link-layer header type, as in the file."),
        (
            "packet_type",
            pa.uint8(),
            "Linux cooked: 0 to us, 1 broadcast, 2 multicast, 3 to others, 4 ours.",
        ),
        ("if_index", pa.uint32(), "Linux cooked v2: index of the interface."),
        ("outer_src_mac", MAC, "Source of the outermost frame."),
        ("outer_dst_mac", MAC, "Destination of the outermost frame."),
        ("vlan", pa.uint16(), "Outermost VLAN of the outermost frame."),
        ("outer_src", ADDRESS, "Source address."),
        ("outer_dst", ADDRESS, "Destination address."),
        ("outer_protocol", pa.uint8(), "IP protocol; after IPv6 extension headers."),
        ("outer_ttl", pa.uint8(), "TTL or hop limit."),
        ("outer_tos", pa.uint8(), "DSCP and ECN."),
        ("outer_ip_id", pa.uint32(), "Identification; of IPv6 where there is a fragment header."),
        ("outer_length", pa.uint32(), "IP total length in bytes; of IPv6 with its header."),
        ("outer_fragment_offset", pa.uint32(), "Bytes."),
        ("outer_more_fragments", pa.bool_(), "More Fragments."),
        ("outer_dont_fragment", pa.bool_(), "Don't Fragment, of IPv4."),
        ("outer_sport", pa.uint16(), "Source port (UDP, TCP, SCTP)."),
        ("outer_dport", pa.uint16(), "Destination port."),
        ("outer_checksum", pa.uint32(), "Checksum of the transport header, as captured."),
        ("outer_checksum_expected", pa.uint32(), "What it should be, where that can be computed."),
        ("outer_checksum_state", NAME, _STATES),
        ("outer_ip_checksum_state", NAME, "Likewise, of the IPv4 header."),
        ("encryption", NAME, "esp or wireguard: recognised, not taken off."),
        ("tunnel", NAME, _KINDS),
        ("vni", pa.uint32(), "Network identifier of that tunnel."),
        ("tunnel_depth", pa.uint8(), "Number of nested tunnels."),
        ("group_policy", pa.uint16(), "VXLAN group policy, where its flag is set."),
        ("geneve_options_bytes", pa.uint16(), "Bytes of Geneve options."),
        ("inner_src_mac", MAC, "Source of the innermost frame."),
        ("inner_dst_mac", MAC, "Destination of the innermost frame."),
        ("inner_vlan", pa.uint16(), "Outermost VLAN of the innermost frame."),
        ("src", ADDRESS, "Source address."),
        ("dst", ADDRESS, "Destination address."),
        ("protocol", pa.uint8(), "IP protocol; after IPv6 extension headers."),
        ("ttl", pa.uint8(), "TTL or hop limit."),
        ("tos", pa.uint8(), "DSCP and ECN."),
        ("ip_id", pa.uint32(), "Identification; of IPv6 where there is a fragment header."),
        ("length", pa.uint32(), "IP total length in bytes; of IPv6 with its header."),
        ("fragment_offset", pa.uint32(), "Bytes."),
        ("more_fragments", pa.bool_(), "More Fragments."),
        ("dont_fragment", pa.bool_(), "Don't Fragment, of IPv4."),
        ("sport", pa.uint16(), "Source port (TCP, UDP, SCTP)."),
        ("dport", pa.uint16(), "Destination port."),
        ("tcp_seq", pa.uint32(), "Sequence number, raw."),
        ("tcp_ack", pa.uint32(), "Acknowledgement number, raw."),
        ("tcp_flags", pa.uint16(), "Flags: FIN is 1, SYN 2, RST 4, PSH 8, ACK 16."),
        ("tcp_window", pa.uint16(), "Window, without its scale."),
        ("payload_length", pa.uint32(), "Bytes after the innermost header, by the length fields."),
        ("inner_checksum", pa.uint32(), "Checksum of the transport header, as captured."),
        ("inner_checksum_expected", pa.uint32(), "What it should be, where that can be computed."),
        ("inner_checksum_state", NAME, _STATES),
        ("inner_ip_checksum_state", NAME, "Likewise, of the IPv4 header."),
        ("mss", pa.uint16(), "Maximum segment size that a SYN announces."),
        ("window_scale", pa.uint8(), "Shift of the window that a SYN announces."),
        ("icmp_type", pa.uint8(), "Of ICMP and ICMPv6."),
        ("icmp_code", pa.uint8(), "Of ICMP and ICMPv6."),
        ("icmp_mtu", pa.uint32(), "MTU reported by an ICMP error."),
        ("quoted_src", ADDRESS, "Source of the packet that an ICMP error quotes."),
        ("quoted_dst", ADDRESS, "Its destination."),
        ("quoted_protocol", pa.uint8(), "Its IP protocol."),
        ("quoted_sport", pa.uint16(), "Its source port."),
        ("quoted_dport", pa.uint16(), "Its destination port."),
        ("quoted_ip_id", pa.uint32(), "Its identification."),
        ("quoted_vni", pa.uint32(), "Network identifier of the tunnel in it, as far as it is quoted."),
        ("quoted_inner_src", ADDRESS, "Source of the packet in that tunnel."),
        ("quoted_inner_dst", ADDRESS, "Its destination."),
        ("arp_operation", pa.uint16(), "1 request, 2 reply."),
        ("arp_sender_mac", MAC, "Who says so."),
        ("arp_sender", ADDRESS, "Whose address it is."),
        ("arp_target_mac", MAC, "Who is meant, in a reply."),
        ("arp_target", ADDRESS, "Requested address."),
        ("nd_target", ADDRESS, "Target of a neighbour solicitation or advertisement."),
        ("anomalies", ANOMALIES, _ODDITIES),
    )
)
SCHEMA: pa.Schema = pa.schema([(column.name, column.type) for column in FRAME_COLUMNS])
