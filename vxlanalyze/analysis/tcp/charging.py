"""Charge the time between two advances of a connection to its cause; part of `waiting`."""

from vxlanalyze.analysis.tcp.waiting_columns import (
    ACK_LEFT,
    ACK_NS,
    ACKED,
    ACKNOWLEDGEMENT,
    APPLICATION,
    ARRIVED,
    ARRIVED_NS,
    ARRIVED_ROW,
    CLIENT,
    CURSOR,
    EDGE_AT_SEND,
    EDGE_KNOWN,
    EDGE_NS,
    GAP,
    IDLE,
    IDLE_NS,
    LARGEST,
    LAST_CAUSE,
    LONG_POLL_NS,
    MORE,
    PATH,
    PATH_TIMES,
    PEER,
    PROBED,
    REACTION_NS,
    RECOVER,
    RECOVERING,
    RECOVERY,
    RESENT,
    RESERVED_TURNS,
    ROW_BLOCKED,
    SAMPLE_NS,
    SENT_NS,
    SLOW_TURN_NS,
    START,
    SYN_TURN,
    TOP,
    TURN_ARRIVED_NS,
    TURN_ARRIVED_ROW,
    TURN_KIND,
    TURN_LEFT_NS,
    TURN_LEFT_ROW,
    TURN_STREAM,
    TURNS,
    TURNS_LEFT_OUT,
    WAS_ZERO,
    WINDOW,
    ZERO,
    ZERO_WINDOW,
    FollowedStreams,
    StreamPacket,
)
from vxlanalyze.kernels.arrays import I64, Boolean, Integer
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.sequence_numbers import after
from vxlanalyze.wire.numbers import SYN


@compiled
def charge_again(
    stream: Integer, packet: StreamPacket, end: Integer, unseen_arrival: bool, out: FollowedStreams
) -> None:
    """Record retransmitted data: the time since the last advance went into its recovery."""
    state, figures = out.state, out.figures
    seq, payload, now = packet.seq, packet.payload, packet.time_ns
    leader = stream & ~1
    if payload <= 1 and seq != state[stream, START]:
        if state[stream, ZERO]:
            state[stream, PROBED] = 1
        if payload == 0 or after(state[stream, TOP], seq) == 1:  # a repeated FIN, or a keep-alive
            return
    figures[stream, RESENT] += payload > 0
    state[stream, SAMPLE_NS] = 0
    if after(end, state[stream, ACKED]) <= 0:  # it had already been acknowledged: no time was lost
        return
    gap = now - state[leader, CURSOR]
    arrived = not (unseen_arrival or state[stream, GAP]) and after(state[stream, ARRIVED], end) >= 0
    if state[stream, ZERO]:
        add(stream, ZERO_WINDOW, gap, out)
    elif arrived and _was_full(stream, max(figures[stream, LARGEST], 1), state):
        add(stream, WINDOW, gap, out)
    elif arrived and after(end, state[stream, ACK_LEFT]) > 0:
        add(stream, PEER, gap, out)
    else:
        add(stream, RECOVERY, gap, out)
        state[stream, RECOVERING], state[stream, RECOVER] = 1, state[stream, TOP]
    state[leader, CURSOR] = max(state[leader, CURSOR], now)


@compiled
def charge(stream: Integer, packet: StreamPacket, out: FollowedStreams) -> None:
    """Charge the time since the connection last advanced to the cause that held this new data back."""
    state, figures, payload, now = out.state, out.figures, packet.payload, packet.time_ns
    other, leader = stream ^ 1, stream & ~1
    start = state[leader, CURSOR]
    gap = max(0, now - start)
    state[leader, CURSOR] = max(start, now)
    # A sender with segmentation offload waits for room for two segments if it has that much to send.
    segment = min(payload, 2 * max(figures[stream, LARGEST], 1)) if figures[stream, LARGEST] else payload
    prompt = now - max(state[stream, ACK_NS], state[stream, EDGE_NS]) <= REACTION_NS
    in_flight = state[stream, ACK_NS] > state[stream, SENT_NS] or after(
        state[stream, TOP], state[stream, ACKED]
    )
    turn = state[other, ARRIVED_NS] > state[stream, SENT_NS]
    cause = _held_back(stream, segment, payload, prompt, state)
    if cause == WINDOW and (figures[stream, ROW_BLOCKED] < 0 or gap > REACTION_NS):
        figures[stream, ROW_BLOCKED] = packet.row
    if cause == APPLICATION:
        recent = now - state[stream, SENT_NS] <= REACTION_NS
        if turn and (start <= state[other, ARRIVED_NS] or not (in_flight and (prompt or recent))):
            _turn(stream, packet, start, out)
            return
        if in_flight and prompt:
            cause = ACKNOWLEDGEMENT
        elif in_flight and recent:
            cause = state[stream, LAST_CAUSE]
        elif gap > IDLE_NS:
            cause = IDLE
    state[stream, LAST_CAUSE] = cause
    add(stream, cause, gap, out)


@compiled
def _held_back(stream: Integer, segment: Integer, payload: Integer, prompt: bool, state: I64) -> int:
    """Find, from the state at the last packet, what held waiting data back; APPLICATION where none waited."""
    moved = state[stream, EDGE_NS] > state[stream, SENT_NS]
    if state[stream, RECOVERING] or state[stream ^ 1, RECOVERING]:
        return RECOVERY
    if moved and prompt and state[stream, WAS_ZERO]:
        return ZERO_WINDOW
    if moved and prompt and _was_full(stream, segment, state):
        return WINDOW
    # The last packet was not the end of what the application had written.
    return ACKNOWLEDGEMENT if state[stream, MORE] and payload > 0 else APPLICATION


@compiled
def _was_full(stream: Integer, segment: Integer, state: I64) -> Boolean:
    """Whether this segment had no room in the window when the last one left."""
    if not state[stream, EDGE_KNOWN]:
        return False
    return after(state[stream, EDGE_AT_SEND], (state[stream, TOP] + segment) & 0xFFFFFFFF) < 0


@compiled
def _turn(stream: Integer, packet: StreamPacket, start: Integer, out: FollowedStreams) -> None:
    """Charge a change of turns: the peer's data was on the path, then the application processed it."""
    state, figures, turns, counts = out.state, out.figures, out.turns, out.counts
    flags, payload, now = packet.flags, packet.payload, packet.time_ns
    other = stream ^ 1
    arrived = state[other, ARRIVED_NS]
    gap = max(0, now - max(start, arrived))
    on_path = max(0, min(arrived, now) - start)
    add(other, PATH, on_path, out)
    figures[other, PATH_TIMES] += on_path > 0
    limit = IDLE_NS if figures[stream, CLIENT] else LONG_POLL_NS
    idle = gap > limit
    state[stream, LAST_CAUSE] = APPLICATION
    add(stream, IDLE if idle else APPLICATION, gap, out)
    think = now - arrived
    room = len(turns) - counts[TURNS] - (0 if think >= SLOW_TURN_NS else RESERVED_TURNS)
    if room > 0 and (payload > 0 or flags & SYN):
        turn = turns[counts[TURNS]]
        turn[TURN_STREAM], turn[TURN_KIND] = stream, SYN_TURN if flags & SYN else 0
        turn[TURN_ARRIVED_NS], turn[TURN_ARRIVED_ROW] = arrived, state[other, ARRIVED_ROW]
        turn[TURN_LEFT_NS], turn[TURN_LEFT_ROW] = now, packet.row
        counts[TURNS] += 1
    elif payload > 0:
        counts[TURNS_LEFT_OUT] += 1


@compiled
def add(stream: Integer, cause: Integer, nanoseconds: Integer, out: FollowedStreams) -> None:
    """Add time to a cause."""
    if nanoseconds > 0:
        out.waited_ns[stream, cause] += nanoseconds
