"""What is kept and found of each TCP stream while it is followed; see `waiting`."""

from enum import IntEnum


class Cause(IntEnum):
    """What a stream's sender waited for."""

    APPLICATION = 0  # its own application
    ACKNOWLEDGEMENT = 1  # its congestion window, with room left in the peer's window
    RECOVERY = 2  # data was lost, or taken for lost
    WINDOW = 3  # the window that its peer advertises is full
    ZERO_WINDOW = 4  # the peer advertises a window of zero
    PATH = 5  # the peer's data was on the path
    PEER = 6  # its data had arrived, and the peer's host acknowledged nothing
    IDLE = 7  # nobody: all was delivered, and nobody had anything to say


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

# Columns of a turn (stream that answers, when the data it answers had arrived, when its answer left, the rows
# of both, SYN_TURN or 0), and of a sample (stream, when sent, round trip, one way or -1, window or -1).
TURN_COLUMNS, SAMPLE_COLUMNS = 6, 5
SYN_TURN = 1

NO_SCALE, UNSEEN = -1, -2  # a SYN without the option; no SYN
WITHOUT_SCALE, WITH_SCALE = 1, 2  # what SCALED says where the handshake was seen
# What a host takes to send after an acknowledgement lets it; longer, and its application was not ready.
REACTION_NS = 2_000_000
# What an application writes at once ends with less than a full segment. Messages of one size are no full
# segments where they are smaller than those of any path.
FULL_SEGMENT_BYTES = 1200
# Longer without any data due, and nobody waits; a user notices what takes a second.
IDLE_NS = 1_000_000_000
# A server that is silent for so long holds the request back on purpose, as a subscription does.
LONG_POLL_NS = 60_000_000_000
SLOW_TURN_NS = 100_000_000  # slower ones are still written down when little room is left
RESERVED_TURNS = 4096
