"""The scratch record that one frame is decoded into: positions in an int64 array, named once.

The walker clears the record, the readers fill it, the emitters (`index`, `rows`) read it. It has a
part for the frame and two parts of the same form for packets: `OUTER` for the outermost IP packet
with the frame around it, `INNER` for the innermost where there is a tunnel. A position in a packet
is ``base + SPORT`` with `base` one of the two. Fields that a frame does not have are `ABSENT`.

Positions of bytes count from the start of the buffer. Two limits bound every read: `END`, after the last byte
captured, and `LIMIT`, after the last byte on the wire; every length field encountered can only move both
closer.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire.model import Anomaly

Record = NDArray[Any]  # int64, shape (RECORD_FIELDS,); Any, so that an element may stand for an int

ABSENT = -1
MAX_DEPTH = 8
STOP = -1  # a reader's result: nothing after this header can be decoded

# Of the frame.
(
    AT,  # where the next header starts
    END,
    LIMIT,
    ANOMALIES,
    PACKET_TYPE,  # SLL, SLL2
    IF_INDEX,  # SLL2
    DEPTH,  # of tunnels
    DEEPEST,  # maximum depth to follow
    TUNNEL,  # Tunnel of the innermost
    VNI,
    GROUP_POLICY,
    OPTIONS_BYTES,  # Geneve
    ENCRYPTION,
    IN_FRAGMENT,  # 1 after a first fragment: lengths may exceed the data present
    FRAGMENT_AT,  # IPv6 fragment header of the outermost packet
    INNER_AT,  # where the frame or packet inside the innermost tunnel starts,
    INNER_TYPE,  # and its EtherType: 0x6558 for an Ethernet frame
    INNER_END,  # after its last byte on the wire
    DIGEST,
    DIGEST_LENGTH,
) = range(20)

OUTER = 20

# Of a packet, from its base.
(
    SRC_MAC,
    DST_MAC,
    VLAN,
    FAMILY,
    SRC,  # 16 bytes, as two little-endian words
    SRC_REST,
    DST,
    DST_REST,
    PROTOCOL,
    TTL,
    TOS,
    IP_ID,
    LENGTH,
    FRAGMENT_OFFSET,
    MORE_FRAGMENTS,
    DONT_FRAGMENT,
    IP_AT,
    L4_AT,
    IP_STATE,  # Checksum of the IPv4 header
    ROUTED,  # 1 where IPv6 extension headers replace the header's addresses
    SPORT,
    DPORT,
    CHECK_RULE,  # how the L4 checksum is computed: RULE_...
    CHECK_AT,
    CHECK_END,  # after the last byte it covers
    CHECK_STORED,
    CHECK_EXPECTED,
    CHECK_STATE,
    PAYLOAD_AT,
    PAYLOAD_END,  # as on the wire
    SEQ,
    ACK,
    TCP_FLAGS,
    WINDOW,
    MSS,
    WINDOW_SCALE,
    ICMP_TYPE,
    ICMP_CODE,
    ICMP_MTU,
    QUOTED_AT,  # the packet that an ICMP error quotes
    TARGET,  # neighbour discovery: two little-endian words
    TARGET_REST,
    ARP_OPERATION,
    ARP_SENDER_MAC,
    ARP_TARGET_MAC,
) = range(45)

_PACKET_FIELDS = 45
INNER = OUTER + _PACKET_FIELDS
RECORD_FIELDS = INNER + _PACKET_FIELDS

# How the checksum at CHECK_AT is computed.
RULE_NONE = 0
RULE_PLAIN = 1  # of the covered bytes alone: ICMP, GRE
RULE_PSEUDO = 2  # with the pseudo-header: TCP, ICMPv6
RULE_UDP = 3  # with the pseudo-header, and 0 means that there is none
RULE_CRC32C = 4  # SCTP

# Anomaly as plain integers, which the kernels need.
CUT = int(Anomaly.CUT)
HEADER_CUT = int(Anomaly.HEADER_CUT)
LENGTH_LIES = int(Anomaly.LENGTH_LIES)
BAD_VERSION = int(Anomaly.BAD_VERSION)
BAD_HEADER_LENGTH = int(Anomaly.BAD_HEADER_LENGTH)
FIRST_FRAGMENT = int(Anomaly.FIRST_FRAGMENT)
LATER_FRAGMENT = int(Anomaly.LATER_FRAGMENT)
REASSEMBLED = int(Anomaly.REASSEMBLED)
INNER_FRAGMENT = int(Anomaly.INNER_FRAGMENT)
VNI_NOT_VALID = int(Anomaly.VNI_NOT_VALID)
RESERVED_BITS = int(Anomaly.RESERVED_BITS)
UNKNOWN_PROTOCOL = int(Anomaly.UNKNOWN_PROTOCOL)
TOO_DEEP = int(Anomaly.TOO_DEEP)
PADDING_NOT_ZERO = int(Anomaly.PADDING_NOT_ZERO)
ICMP_ERROR = int(Anomaly.ICMP_ERROR)
TUNNEL_GUESSED = int(Anomaly.TUNNEL_GUESSED)
UNSUPPORTED_LINK = int(Anomaly.UNSUPPORTED_LINK)
OUTER_DF = int(Anomaly.OUTER_DF)
INNER_DF = int(Anomaly.INNER_DF)
MERGED_DATAGRAM = int(Anomaly.MERGED_DATAGRAM)
FURTHER_PACKET = int(Anomaly.FURTHER_PACKET)
UNDECODED_LINK = int(Anomaly.UNDECODED_LINK)

BLANK: NDArray[np.int64] = np.full(RECORD_FIELDS, ABSENT, np.int64)
for _zero in (ANOMALIES, DEPTH, TUNNEL, ENCRYPTION, IN_FRAGMENT, DIGEST, DIGEST_LENGTH):
    BLANK[_zero] = 0
for _base in (OUTER, INNER):
    for _zero in (FAMILY, SRC, SRC_REST, DST, DST_REST, IP_STATE, CHECK_RULE, CHECK_STATE, MSS):
        BLANK[_base + _zero] = 0
BLANK[DEEPEST] = MAX_DEPTH
BLANK.flags.writeable = False


@compiled
def holds(found: Record, end: int) -> bool:
    """Whether everything up to `end` was captured; if not, mark the reason."""
    if end <= found[END]:
        return True
    if end <= found[LIMIT]:
        found[ANOMALIES] |= HEADER_CUT
    elif found[IN_FRAGMENT] == 0:
        found[ANOMALIES] |= LENGTH_LIES
    return False


@compiled
def bound(found: Record, end: int) -> None:
    """Let a length field end the layer at `end`; mark it where it exceeds the data."""
    if end <= found[LIMIT]:
        found[LIMIT] = end
        found[END] = min(found[END], end)
    elif found[IN_FRAGMENT] == 0:
        found[ANOMALIES] |= LENGTH_LIES


@compiled
def packet_end(found: Record, base: int) -> int:
    """Give the end of the IP packet according to its header."""
    end: int = found[base + IP_AT] + found[base + LENGTH]
    return end
