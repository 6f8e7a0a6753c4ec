"""State and results of each TCP stream while it is followed; see `waiting`."""

from enum import IntEnum
from typing import NamedTuple

from vxlanalyze.kernels.arrays import I8, I32, I64, U16, U32, Integer


class Cause(IntEnum):
    """The cause that a stream's sender waited for."""

    APPLICATION = 0  # its own application
    ACKNOWLEDGEMENT = 1  # its congestion window, with room left in the peer's window
    RECOVERY = 2  # data was lost, or considered lost
    WINDOW = 3  # the window that its peer advertises is full
    ZERO_WINDOW = 4  # the peer advertises a window of zero
    PATH = 5  # the peer's data was on the path
    PEER = 6  # its data had arrived, but the peer's host acknowledged nothing
    IDLE = 7  # nothing: all data was delivered, and neither end had more to send


APPLICATION, ACKNOWLEDGEMENT, RECOVERY, WINDOW, ZERO_WINDOW, PATH, PEER, IDLE = (c.value for c in Cause)
CAUSES = len(Cause)


# Columns of the state of each stream.
(BEGUN, TOP, ACKED, EDGE, EDGE_AT_SEND, EDGE_NS, ACK_NS, SENT_NS, LAST_CAUSE, ARRIVED, ARRIVED_NS,
 ARRIVED_ROW, ACK_LEFT, RECOVERING, RECOVER, SCALE, ZERO, ZERO_NS, WAS_ZERO, PROBED, SAMPLE, SAMPLE_NS,
 SAMPLE_ARRIVED_NS, WINDOW_NOW, CURSOR, LAST_NS, START, EDGE_KNOWN, FLIGHT_NS,
 MORE, GAP) = range(31)  # fmt: skip
STATE_COLUMNS = 31

# Columns of the figures of each stream.
(BYTES, SEGMENTS, RESENT, RTT_MIN_NS, ZERO_TIMES, ZERO_TOTAL_NS, WINDOW_MAX, FIRST_NS, END_NS, CLIENT,
 ROW_BLOCKED, ROW_ZERO, LARGEST, IN_FLIGHT_MAX, SCALED, IN_FLIGHT_NS, PATH_TIMES,
 DATA_NS, PUSHES) = range(19)  # fmt: skip
FIGURE_COLUMNS = 19

# Columns of a turn: the answering stream, arrival of the data it answers, departure of its answer, the rows
# of both, and SYN_TURN or 0.
TURN_STREAM, TURN_ARRIVED_NS, TURN_LEFT_NS, TURN_ARRIVED_ROW, TURN_LEFT_ROW, TURN_KIND = range(6)
TURN_COLUMNS = 6
SYN_TURN = 1
# Columns of a sample of the round trip; the one-way delay and the window are -1 where they are unknown.
SAMPLE_STREAM, SAMPLE_SENT_NS, SAMPLE_RTT_NS, SAMPLE_ONE_WAY_NS, SAMPLE_WINDOW = range(5)
SAMPLE_COLUMNS = 5
# What is counted: turns and samples that were written down, and turns for which there was no room.
TURNS, SAMPLES, TURNS_LEFT_OUT = range(3)
COUNTS = 3

NO_SCALE, UNSEEN = -1, -2  # a SYN without the option; no SYN
WITHOUT_SCALE, WITH_SCALE = 1, 2  # values of SCALED where the handshake was seen
# Time a host needs to send after an acknowledgement permits it; longer means that its application was not
# ready.
REACTION_NS = 2_000_000
# A single write of an application ends with less than a full segment. Messages of one size are not full
# segments if they are smaller than those of any path.
FULL_SEGMENT_BYTES = 1200
# Longer without any data due means that neither end waits; a user notices delays of a second.
IDLE_NS = 1_000_000_000
# A server that is silent for this long holds the request on purpose, as for a subscription.
LONG_POLL_NS = 60_000_000_000
SLOW_TURN_NS = 100_000_000  # slower ones are still recorded when little room is left
RESERVED_TURNS = 4096


class Captured(NamedTuple):
    """The TCP packets of a point that belong to streams that are followed, in the order of time.

    The first three have shape ``(k,)``, the rest are columns of the point's index, by row.
    """

    row: I32
    stream: I32
    time_ns: I64
    seq: U32
    ack: U32
    payload_length: U32
    tcp_flags: U16
    window: U32


class StreamHomes(NamedTuple):
    """The point nearest the sender of each stream, and the only point that shows each connection, or -1."""

    home: I8
    only: I8


class StreamPacket(NamedTuple):
    """One of them; `window` with its scale, as the index has both."""

    row: Integer
    time_ns: Integer
    seq: Integer
    ack: Integer
    payload: Integer
    flags: Integer
    window: Integer


class FollowedStreams(NamedTuple):
    """What is written while streams are followed; rows of the first three are streams."""

    state: I64
    waited_ns: I64
    figures: I64
    turns: I64
    samples: I64
    counts: I64
