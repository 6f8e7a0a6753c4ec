"""The columns of the tables `packets` and `flows`: name, type and meaning, in order.

Absent fields are null. Times are by the clock of their capture; addresses and other repeated values are
dictionary-encoded strings.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from vxlanalyze.wire.tunnels import NAMES

NAME = pa.dictionary(pa.int32(), pa.string())
TIME = pa.timestamp("ns", tz="UTC")
_TUNNELS = ", ".join(NAMES.values()) + "."


class Column(NamedTuple):
    """One column: its Arrow type, and what it holds."""

    name: str
    type: Any
    meaning: str


PACKETS = (
    Column("direction", NAME, "`X>Y`: the points between which it was followed."),
    Column("outcome", NAME, "delivered, lost, unknown, or unsent (seen at the receiver only)."),
    Column("reason", NAME, "window, capture-loss, ambiguous, other-peer; null where the outcome is plain."),
    Column(
        "time", TIME, "When it was sent (unsent: received), by the first capture's clock: to resample by."
    ),
    Column("sent_time", TIME, "When the sender's point saw it, by that capture's clock."),
    Column("received_time", TIME, "When the receiver's point saw it, by that capture's clock."),
    Column("delay_ns", pa.int64(), "One-way delay, clock-corrected; relative where the offset is not known."),
    Column("sent_frame", pa.int64(), "Frame number in the sender's capture, from 1."),
    Column("received_frame", pa.int64(), "Frame number in the receiver's capture, from 1."),
    Column("segment", pa.uint16(), "Place inside the sender's super-packet, from 0."),
    Column("copies", pa.uint8(), "How often the receiver saw it, at most 255."),
    Column("tunnel", NAME, _TUNNELS),
    Column("vni", pa.uint32(), "Network identifier of the innermost tunnel."),
    Column("outer_src", NAME, "Outermost source address, at the sender."),
    Column("outer_dst", NAME, "Outermost destination address, at the sender."),
    Column("outer_sport", pa.uint16(), "Outermost source port."),
    Column("outer_dport", pa.uint16(), "Outermost destination port."),
    Column("outer_length", pa.uint32(), "Outermost IP total length on the wire, bytes."),
    Column("src", NAME, "Innermost source address."),
    Column("dst", NAME, "Innermost destination address."),
    Column("src_name", NAME, "Pod, service or node of `src`, as `--kube` says; else null."),
    Column("dst_name", NAME, "Pod, service or node of `dst`."),
    Column("sport", pa.uint16(), "Innermost source port (TCP, UDP, SCTP)."),
    Column("dport", pa.uint16(), "Innermost destination port."),
    Column("protocol", pa.uint8(), "Innermost IP protocol number."),
    Column("protocol_name", NAME, "Its name, such as tcp; the number where it has none."),
    Column("ip_id", pa.uint16(), "Innermost IPv4 identification."),
    Column("length", pa.uint32(), "Innermost IP total length, bytes."),
    Column("tcp_seq", pa.uint32(), "Sequence number, raw."),
    Column("tcp_ack", pa.uint32(), "Acknowledgement number, raw."),
    Column("tcp_flags", pa.uint16(), "Flags, FIN is 1."),
    Column("sent_outer_checksum", NAME, "Worst of outer IP and UDP: ok, bad, absent, offload, unverifiable."),
    Column("sent_inner_checksum", NAME, "Worst of inner IP and transport."),
    Column("received_outer_checksum", NAME, "As the receiver's point saw it."),
    Column("received_inner_checksum", NAME, "As the receiver's point saw it."),
    Column("corrupted", pa.bool_(), "Whether the bytes that arrived differ; null where none did."),
)

SPIN = (
    Column(
        "spin_bit",
        pa.string(),
        "Spin bit of QUIC: set, constant or random (not set by an endpoint); null where it is not QUIC.",
    ),
    Column(
        "spin_rtt_p50_ns",
        pa.int64(),
        "Median time between changes of the spin bit at the sender: round trip and pauses of both ends.",
    ),
    Column("spin_rtt_p99_ns", pa.int64(), "99th percentile of it."),
    Column(
        "spin_own_p50_ns",
        pa.int64(),
        "Median part of it at the sender itself: from a change in what it receives to its own change. The "
        "round trip without that of both ends is the path.",
    ),
)
WAITING = (
    Column(
        "active_ns",
        pa.int64(),
        "Time in which either end of the TCP connection waited; null where the connection was not followed.",
    ),
    Column(
        "share_client",
        pa.float64(),
        "Share of the active time spent waiting for the client's application.",
    ),
    Column(
        "share_server",
        pa.float64(),
        "Share of the active time spent waiting for the server's application.",
    ),
    Column(
        "share_congestion",
        pa.float64(),
        "Share of the active time in which the sender waited for acknowledgements with room in the "
        "receiver's window: its congestion window, or its send buffer, which captures do not distinguish.",
    ),
    Column(
        "share_recovery",
        pa.float64(),
        "Share of the active time spent waiting for the recovery of lost data.",
    ),
    Column(
        "share_window",
        pa.float64(),
        "Share of the active time spent waiting for the receiver's window.",
    ),
    Column(
        "share_zero_window",
        pa.float64(),
        "Share of the active time spent waiting for the receiver's window of zero.",
    ),
    Column("share_path", pa.float64(), "Share of the active time spent waiting for the path."),
    Column(
        "share_queue",
        pa.float64(),
        "Share of the active time spent waiting for the queues on the path.",
    ),
    Column(
        "share_in_flight",
        pa.float64(),
        "Share of the active time in which the flow had data in flight that was not acknowledged yet.",
    ),
    Column("bits_per_s", pa.float64(), "New bytes of this flow over the active time."),
    Column("rtt_min_ns", pa.int64(), "Smallest round trip of its data, seen by its sender."),
    Column("rtt_p50_ns", pa.int64(), "Median round trip, delayed acknowledgements included."),
    Column("rtt_p99_ns", pa.int64(), "99th percentile."),
    Column("window_p50_bytes", pa.int64(), "Median window that its receiver advertised."),
    Column("window_max_bytes", pa.int64(), "Largest one; null where the handshake was not seen."),
    Column("think_p50_ns", pa.int64(), "Median time its sender took to answer data."),
    Column("think_p99_ns", pa.int64(), "99th percentile."),
    Column("resent_ratio", pa.float64(), "Share of its packets with data that were sent before."),
)
FLOWS = (
    Column("direction", NAME, "`X>Y`: the points between which it was followed."),
    Column("tunnel", NAME, _TUNNELS),
    Column("vni", pa.uint32(), "Network identifier of the innermost tunnel."),
    Column("src", NAME, "Innermost source address."),
    Column("dst", NAME, "Innermost destination address."),
    Column("src_name", NAME, "Pod, service or node of `src`, as `--kube` says; else null."),
    Column("dst_name", NAME, "Pod, service or node of `dst`."),
    Column("sport", pa.uint16(), "Innermost source port (TCP, UDP, SCTP)."),
    Column("dport", pa.uint16(), "Innermost destination port."),
    Column("protocol", pa.uint8(), "Innermost IP protocol number."),
    Column("protocol_name", NAME, "Its name, such as tcp; the number where it has none."),
    Column("sent", pa.int64(), "Wire packets seen at the sender."),
    Column("delivered", pa.int64(), "Of these, arrived."),
    Column("lost", pa.int64(), "Of these, lost."),
    Column("unknown", pa.int64(), "Of these, with unknown fate."),
    Column("unsent", pa.int64(), "Wire packets that only the receiver saw."),
    Column("bytes_sent", pa.int64(), "Inner IP bytes of the packets sent."),
    Column("bytes_delivered", pa.int64(), "Of these, arrived."),
    Column("bytes_lost", pa.int64(), "Of these, lost."),
    Column("bytes_unknown", pa.int64(), "Of these, with unknown fate."),
    Column("first", TIME, "First packet, by the sender's clock (unsent only: the receiver's)."),
    Column("last", TIME, "Last packet, likewise."),
    Column("delay_min_ns", pa.int64(), "Smallest one-way delay."),
    Column("delay_p50_ns", pa.int64(), "Median one-way delay."),
    Column("delay_p90_ns", pa.int64(), "90th percentile."),
    Column("delay_p99_ns", pa.int64(), "99th percentile."),
    Column("delay_max_ns", pa.int64(), "Largest one-way delay."),
    Column(
        "jitter_ns",
        pa.int64(),
        "Mean difference of the one-way delays of packets that follow each other, as sent (RFC 3393).",
    ),
    Column(
        "retransmissions",
        pa.int64(),
        "TCP segments below the highest byte sent before; null where it is not TCP.",
    ),
    Column("largest_delivered", pa.uint32(), "IP length on the wire of the largest delivered packet."),
    Column("smallest_lost", pa.uint32(), "IP length on the wire of the smallest lost packet."),
    *WAITING,
    *SPIN,
)


def schema_of(columns: Sequence[Column]) -> Any:
    """Give the Arrow schema of a table, meanings included as field metadata."""
    return pa.schema(
        [pa.field(column.name, column.type, metadata={"meaning": column.meaning}) for column in columns]
    )
