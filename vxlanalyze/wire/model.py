"""The decoder's result: a compact row for each frame, and the flows that the rows belong to.

A capture of `n` frames gives an `Index` of `n` rows (row `i` is frame `i + 1`) and `f` flows. Fields shared
by all packets of a flow (addresses, ports, VNI, MACs) are stored once, in `Flows`; those that vary are in the
row. Where there is a tunnel, a row describes its innermost packet (`length`, `ip_id`, `seq`, ...) and the
outermost IP packet around it (`outer_...`).
"""

from dataclasses import dataclass, field, fields
from enum import IntEnum, IntFlag
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.wire.usage import Usage, usage

NO_FLOW = -1
NO_VNI = 0xFFFFFFFF
UNKNOWN_LENGTH = 0xFFFFFFFF
WINDOW_MASK, WINDOW_SCALE_SHIFT = 0xFFFF, 16  # of Index.window


class Tunnel(IntEnum):
    """Kinds of encapsulation, by their numbers in the tables; `NONE` where the packet is unencapsulated.

    Everything else (name, title, header length, ports, and the order in which contents are examined) is
    defined in the module of this name in `vxlanalyze.wire.tunnels`.
    """

    NONE = 0
    VXLAN = 1
    VXLAN_GPE = 2
    GENEVE = 3
    GRE = 4
    NVGRE = 5
    IPIP = 6
    GUE = 7


class Encryption(IntEnum):
    """Encryption recognised (but not removed) in the outermost IP packet."""

    NONE = 0
    ESP = 1
    WIREGUARD = 2


class Checksum(IntEnum):
    """State of one checksum field, as far as the captured bytes can tell.

    `PARTIAL` holds the folded pseudo-header sum, `LCO` is valid for the packet as completed by the NIC (Linux
    Documentation/networking/checksum-offloads.rst); both are "offload". `ALL_ONES` is 0xFFFF where that is
    invalid.
    """

    NONE = 0  # no such field in this packet
    OK = 1
    BAD = 2
    ABSENT = 3  # zero: the sender did not compute one
    PARTIAL = 4
    LCO = 5
    UNVERIFIABLE = 6  # bytes missing: snap length, fragment
    ALL_ONES = 7


# The four states share one uint16 `checks`, three bits each.
CHECK_MASK = 7
OUTER_IP_SHIFT = 0
OUTER_L4_SHIFT = 3
INNER_IP_SHIFT = 6
INNER_L4_SHIFT = 9

UNFILLED = (Checksum.PARTIAL, Checksum.LCO)  # left to the network card


def checksum_states(checks: NDArray[np.uint16], shift: int) -> NDArray[np.uint8]:
    """`Checksum` of one field of each frame, shape ``(n,)``; `shift` is one of the four above."""
    return (checks >> np.uint16(shift) & np.uint16(CHECK_MASK)).astype(np.uint8)


class Anomaly(IntFlag):
    """Anomalies of a frame. The `anomalies` column shows the names in lower case."""

    CUT = 1 << 0  # captured_length < original_length
    HEADER_CUT = 1 << 1  # the snap length cut a header: the columns after it are unknown
    LENGTH_LIES = 1 << 2  # a length field exceeds the frame's length on the wire
    BAD_VERSION = 1 << 3
    BAD_HEADER_LENGTH = 1 << 4
    FIRST_FRAGMENT = 1 << 5  # outer fragment with offset 0; decoded as far as possible
    LATER_FRAGMENT = 1 << 6  # outer fragment with offset > 0; has no flow
    REASSEMBLED = 1 << 7  # row of a first fragment whose datagram was reassembled
    INNER_FRAGMENT = 1 << 8
    VNI_NOT_VALID = 1 << 9  # the I flag is clear
    RESERVED_BITS = 1 << 10
    UNKNOWN_PROTOCOL = 1 << 11
    TOO_DEEP = 1 << 12  # more nested tunnels than are decoded
    PADDING_NOT_ZERO = 1 << 13  # Ethernet padding of the inner frame is not zero
    ICMP_ERROR = 1 << 14  # the innermost packet is an ICMP error that quotes another
    TUNNEL_GUESSED = 1 << 15  # recognised by content, not by port
    UNSUPPORTED_LINK = 1 << 16
    OUTER_DF = 1 << 17  # not an anomaly, but needed per packet: Don't Fragment of the outermost IPv4
    INNER_DF = 1 << 18
    MERGED_DATAGRAM = 1 << 19  # further encapsulated packets follow the inner frame
    FURTHER_PACKET = 1 << 20  # row of a packet after the first of a merged datagram
    UNDECODED_LINK = 1 << 21  # a header between Ethernet and IP that is not decoded


# The bits above identify that header: its index in `vxlanalyze.wire.shims.NOT_DECODED`.
UNDECODED_KIND_SHIFT, UNDECODED_KIND_MASK = 22, 7

# Bits of Anomaly that are plain facts, omitted from the `anomalies` column.
FACTS = Anomaly.OUTER_DF | Anomaly.INNER_DF | Anomaly.ICMP_ERROR | Anomaly.FURTHER_PACKET


@dataclass(frozen=True, slots=True)
class Index:
    """One row per frame; all arrays have shape ``(n,)``. Absent fields are 0.

    `length` and `outer_length` are IP total lengths from the headers (IPv6: payload length + 40), so they are
    correct for frames cut by the snap length. For a reassembled datagram, `outer_length` is that of the
    whole. For an unencapsulated packet, the `outer_` columns are 0, and its own fields are in the plain ones.

    `seq` is the TCP sequence number; for ICMP echo the sequence number; for DNS over UDP (a port 53 or 5353)
    ``transaction_id << 16 | flags``. `digest` covers the L4 payload as captured, up to the limit given to the
    decoder, `digest_length` of its bytes. `window` is the TCP window as in the header; a SYN with the window
    scale option (RFC 7323) has its shift count plus 1 above these 16 bits.
    """

    time_ns: NDArray[np.int64]
    place: NDArray[np.int64]
    flow: NDArray[np.int32]  # row in Flows, or NO_FLOW
    seq: NDArray[np.uint32]
    ack: NDArray[np.uint32]
    length: NDArray[np.uint32]
    payload_length: NDArray[np.uint32]  # L4 payload; UNKNOWN_LENGTH where the header is cut
    outer_length: NDArray[np.uint32]
    digest: NDArray[np.uint32]
    digest_length: NDArray[np.uint32]
    anomalies: NDArray[np.uint32]
    window: NDArray[np.uint32]
    ip_id: NDArray[np.uint16]
    outer_ip_id: NDArray[np.uint16]
    tcp_flags: NDArray[np.uint16]
    checks: NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.time_ns)

    @property
    def is_frame(self) -> NDArray[np.bool_]:
        """Whether a row is a frame's first: further packets of a merged datagram have rows after it."""
        first: NDArray[np.bool_] = self.anomalies & np.uint32(Anomaly.FURTHER_PACKET) == 0
        return first


@dataclass(frozen=True, slots=True)
class Flows:
    """Fields shared by all packets of a flow; all arrays have shape ``(f,)``, addresses ``(f, 16)``.

    A flow is unidirectional. IPv4 addresses are in the first 4 of the 16 bytes, the others are 0. `family` is
    4, 6, or 0 for ARP (then `src`, `dst` are sender and target protocol address and `sport` the operation)
    and for frames without IP. `sport` and `dport` of ICMP hold ``type << 8 | code`` and the echo identifier
    (0 for other types). `identity` is a hash of fields that a working network leaves unchanged: family, src,
    dst, protocol, sport, dport.
    """

    interface: NDArray[np.uint16]
    if_index: NDArray[np.uint32]  # SLL2 interface index, else 0
    packet_type: NDArray[
        np.uint8
    ]  # SLL and SLL2: 0 to us, 1 broadcast, 2 multicast, 3 other, 4 outgoing; 255 unknown
    tunnel: NDArray[np.uint8]  # Tunnel of the innermost encapsulation
    tunnel_depth: NDArray[np.uint8]
    encryption: NDArray[np.uint8]  # Encryption
    vni: NDArray[np.uint32]  # of the innermost tunnel; NO_VNI where there is none
    outer_family: NDArray[np.uint8]  # 4, 6, or 0 where the packet is unencapsulated
    outer_src: NDArray[np.uint8]
    outer_dst: NDArray[np.uint8]
    outer_protocol: NDArray[np.uint8]
    outer_sport: NDArray[np.uint16]
    outer_dport: NDArray[np.uint16]
    outer_src_mac: NDArray[np.uint64]
    outer_dst_mac: NDArray[np.uint64]
    inner_src_mac: NDArray[np.uint64]
    inner_dst_mac: NDArray[np.uint64]
    family: NDArray[np.uint8]
    src: NDArray[np.uint8]
    dst: NDArray[np.uint8]
    protocol: NDArray[np.uint8]
    sport: NDArray[np.uint16]
    dport: NDArray[np.uint16]
    mss: NDArray[np.uint16]  # option of this flow's SYN, 0 where none was seen
    identity: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.vni)


@dataclass(frozen=True, slots=True)
class Fragments:
    """The fragments of outermost IP packets, in frame order; arrays of shape ``(k,)``, addresses ``(k, 16)``.

    Those of one `group` belong to one datagram; `complete` means that all of it was captured, so it was
    reassembled (unless the snap length cut it) and its first fragment's row describes it.
    """

    row: NDArray[np.int64]  # in Index
    family: NDArray[np.uint8]
    outer_src: NDArray[np.uint8]
    outer_dst: NDArray[np.uint8]
    protocol: NDArray[np.uint8]
    ip_id: NDArray[np.uint32]
    offset_bytes: NDArray[np.uint32]
    length_bytes: NDArray[np.uint32]  # of the datagram's payload, in this fragment
    more: NDArray[np.bool_]
    group: NDArray[np.int32]
    complete: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.row)

    @classmethod
    def none(cls) -> "Fragments":
        """Create the table of a capture without fragments."""
        return cls(
            row=np.empty(0, np.int64),
            family=np.empty(0, np.uint8),
            outer_src=np.empty((0, 16), np.uint8),
            outer_dst=np.empty((0, 16), np.uint8),
            protocol=np.empty(0, np.uint8),
            ip_id=np.empty(0, np.uint32),
            offset_bytes=np.empty(0, np.uint32),
            length_bytes=np.empty(0, np.uint32),
            more=np.empty(0, np.bool_),
            group=np.empty(0, np.int32),
            complete=np.empty(0, np.bool_),
        )


@dataclass(frozen=True)
class Decoded:
    """A decoded capture, or a part of one.

    `frame` is the number of each row's frame, from 1, shape ``(n,)``; None where the rows are all frames.
    """

    index: Index
    flows: Flows
    fragments: Fragments = field(default_factory=Fragments.none)
    frame: NDArray[np.int32] | None = None

    @cached_property
    def usage(self) -> Usage:
        """The rows' usage by each flow."""
        return usage(self.index.flow, self.index.time_ns, len(self.flows))

    def row(self, frames: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of frames that have one, shape of `frames`."""
        return frames - 1 if self.frame is None else np.searchsorted(self.frame, frames)

    def __sizeof__(self) -> int:
        tables = (self.index, self.flows, self.fragments)
        return sum(int(getattr(table, column.name).nbytes) for table in tables for column in fields(table))
