"""Build one hop: the packets of both directions between two points, and the clock between them."""

from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing import clock, damage, lookalikes, outside_tunnel, positions, window
from vxlanalyze.pairing.answered import answered
from vxlanalyze.pairing.corruption import corrupted
from vxlanalyze.pairing.ends import HopEnds
from vxlanalyze.pairing.fate import Units
from vxlanalyze.pairing.hop_clock import at_window_start, fit_strict, same_clock, unknown_clock
from vxlanalyze.pairing.legs import Leg, legs, rows_of, threads
from vxlanalyze.pairing.model import (
    NO_DELAY,
    NO_ROW,
    CaptureFacts,
    Clock,
    Direction,
    Hop,
    Outcome,
    Point,
    Reason,
)
from vxlanalyze.pairing.numbered import Tuples
from vxlanalyze.pairing.routes import Route
from vxlanalyze.pairing.sightings import Sightings
from vxlanalyze.wire.model import Anomaly, Tunnel

_Item = TypeVar("_Item", bound=np.generic)


def build(ends: HopEnds, tuples: Tuples) -> Hop:
    """Build a hop."""
    known_clock = same_clock(ends) or fit_strict(ends)
    forward, backward = legs(ends, known_clock)
    if known_clock is None:
        known_clock = _fit_matched(ends, forward, backward)
        if known_clock is not None:
            forward, backward = legs(ends, known_clock)
    clock_ = known_clock or unknown_clock(ends)
    by_first, by_second = outside_tunnel.lacking(ends, known_clock)
    edges_ns = [
        leg.edges_ns(facts) if known_clock else (0, 0)
        for leg, facts in zip((backward, forward), ends.facts, strict=True)
    ]
    covers = (
        _cover(ends.facts[0], forward, edges_ns[0], by_first),
        _cover(ends.facts[1], backward, edges_ns[1], by_second),
    )
    disjoint = known_clock is None and lookalikes.overlap_ns(ends.facts) < 0
    with threads(ends) as pool:
        there = pool.submit(_direction, ends, forward, covers, disjoint, tuples)
        back = pool.submit(_direction, ends, backward, covers[::-1], disjoint, tuples)
        return Hop(there.result(), back.result(), at_window_start(clock_, ends))


def _fit_matched(ends: HopEnds, forward: Leg, backward: Leg) -> Clock | None:
    """A clock from packets without a key of their own, paired by order alone."""
    times, differences, senses = [], [], []
    for leg in (forward, backward):
        got = leg.matched.partner >= 0
        sent, received = leg.sent.time_ns[got], leg.received.time_ns[leg.matched.partner[got]]
        first, second = (sent, received) if leg.forward else (received, sent)
        times.append(first)
        differences.append(second - first)
        senses.append(np.full(len(first), leg.forward))
    order = np.argsort(np.concatenate(times), kind="stable")
    seen = Sightings(*(np.concatenate(c)[order] for c in (times, differences, senses)))
    return clock.fit(ends.first.name, ends.second.name, seen)


def _cover(
    facts: CaptureFacts, sends: Leg, edges_ns: tuple[int, int], unencapsulated_ns: NDArray[np.int64]
) -> window.Cover:
    """What a capture covers, given the direction that its node sends and what it lacks outside of that."""
    unmatched = sends.matched.unmatched
    arrived_ns = sends.received.time_ns[unmatched]
    shift = sends.typical_shift
    shortest, longest = sends.span_ns
    lacking_ns = np.concatenate([arrived_ns - shift, unencapsulated_ns])
    return window.cover(facts, lacking_ns, edges_ns, shortest, longest)


def _direction(
    ends: HopEnds, leg: Leg, covers: tuple[window.Cover, window.Cover], disjoint: bool, tuples: Tuples
) -> Direction:
    seen = _as_seen(ends, leg, covers, disjoint)
    near, far = (facts.source for facts in (ends.facts if leg.forward else ends.facts[::-1]))
    corrupted = seen.corrupted | damage.in_super_packets(seen, near, far, ends.ports)
    if seen.assessed:
        outcome, reason = seen.outcome.copy(), seen.reason.copy()
        seen_anyway = answered(seen, tuples)
        outcome[seen_anyway], reason[seen_anyway] = Outcome.UNKNOWN, Reason.CAPTURE_LOSS
        judged = replace(seen, corrupted=corrupted, outcome=outcome, reason=reason)
    else:  # then a missing packet proves nothing, least of all that the capture lost it
        judged = replace(
            seen,
            corrupted=corrupted,
            outcome=np.where(seen.lost, np.uint8(Outcome.UNKNOWN), seen.outcome),
            unsent_reason=np.full(len(seen.unsent_row), Reason.NONE, np.uint8),
        )
    return _with_other_peers(judged, ends, leg)


def _as_seen(ends: HopEnds, leg: Leg, covers: tuple[window.Cover, window.Cover], disjoint: bool) -> Direction:
    """The direction according to matching and the captures' coverage, before answers are consulted."""
    sender, receiver = leg.sent.point, leg.received.point
    received_row = positions.of_partners(leg.received.row, leg.matched.partner, NO_ROW)
    unmatched = np.flatnonzero(leg.matched.unmatched)
    outcome, reason = _fates(ends, leg, covers[1], received_row, disjoint)
    return Direction(
        label=f"{sender.name}>{receiver.name}",
        sender=sender,
        receiver=receiver,
        sent_row=leg.sent.row,
        received_row=received_row,
        segment=leg.sent.segment,
        received_segment=positions.of_partners(leg.received.segment, leg.matched.partner, 0),
        outcome=outcome,
        reason=reason,
        copies=leg.matched.copies,
        corrupted=corrupted(leg.sent, leg.received, leg.matched),
        delay_ns=leg.delay_ns,
        unsent_row=leg.received.row[unmatched],
        unsent_segment=leg.received.segment[unmatched],
        unsent_reason=_unsent_reason(leg, unmatched, covers[0]),
        window_ns=_window(ends, leg, covers),
        window_by="; ".join(c.by for c in covers if c.by)
        or "assumed to overlap fully, without evidence to the contrary",
        assessed=not ends.routes.not_assessed_why,
        not_assessed_why=ends.routes.not_assessed_why,
    )


def _fates(
    ends: HopEnds, leg: Leg, receiver_cover: window.Cover, received_row: NDArray[np.int32], disjoint: bool
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Outcome and reason of each packet, according to matching and the receiver's coverage."""
    receiver = leg.received.point
    arrived = leg.matched.partner >= 0
    outcome = np.where(arrived, np.uint8(Outcome.DELIVERED), np.uint8(Outcome.LOST))
    reason = np.where(leg.matched.ambiguous, np.uint8(Reason.AMBIGUOUS), np.uint8(Reason.NONE))
    outcome[_incomplete(leg.sent.point, receiver, leg.sent.row, received_row)] = Outcome.LOST
    missing = ~arrived
    beyond = missing & (window.outside(leg.sent_at_receiver_ns, receiver_cover, leg.span_ns[1]) | disjoint)
    receiving = ends.facts[1 if leg.forward else 0].source
    beyond |= missing & window.within(leg.sent_at_receiver_ns, damage.gaps(receiver, receiving), *leg.span_ns)
    outcome[beyond], reason[beyond] = Outcome.UNKNOWN, Reason.WINDOW
    return outcome, reason


def _incomplete(
    sender: Point, receiver: Point, sent_row: NDArray[np.int32], received_row: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """Packets whose first fragment alone arrived, at a capture that would show the others."""
    first = np.uint32(Anomaly.FIRST_FRAGMENT)
    if not (receiver.index.anomalies & first).any():
        return np.zeros(len(received_row), np.bool_)
    result = received_row != NO_ROW
    result[result] = receiver.index.anomalies[received_row[result]] & first != 0
    result &= sender.index.anomalies[sent_row] & first == 0
    return result if result.any() and shows_later_fragments(receiver) else np.zeros_like(result)


def shows_later_fragments(point: Point) -> bool:
    """Whether a capture would show later fragments: it has some, or it was not filtered by port.

    A filter on UDP ports passes first fragments only, since later ones carry no port; it also leaves out
    everything but tunnel packets.
    """
    index, flows = point.index, point.flows
    if (index.anomalies & np.uint32(Anomaly.LATER_FRAGMENT)).any() or (index.flow < 0).any():
        return True
    return bool((flows.tunnel == Tunnel.NONE).any())


def _unsent_reason(leg: Leg, unmatched: NDArray[np.int64], sender: window.Cover) -> NDArray[np.uint8]:
    """Why the sender's capture lacks a packet that its node sent: its window, or capture loss."""
    sent_ns = leg.received.time_ns[unmatched] - leg.typical_shift
    shortest, longest = leg.span_ns
    inside = (sent_ns - longest <= sender.end_ns) & (sent_ns - shortest >= sender.begin_ns)
    return np.where(inside, np.uint8(Reason.CAPTURE_LOSS), np.uint8(Reason.WINDOW))


def _window(ends: HopEnds, leg: Leg, covers: tuple[window.Cover, window.Cover]) -> tuple[int, int] | None:
    """The time covered by both captures, by the sender's clock, bounded by what either shows."""
    sender, receiver = covers
    facts = ends.facts if leg.forward else ends.facts[::-1]
    shift = leg.typical_shift
    shows = [
        (f.first_ns - s, f.last_ns - s)
        for f, s in zip(facts, (0, shift), strict=True)
        if f.first_ns is not None and f.last_ns is not None
    ]
    if not shows or receiver.end_ns < receiver.begin_ns or sender.end_ns < sender.begin_ns:
        return None
    begin, end = min(s[0] for s in shows), max(s[1] for s in shows)
    if sender.begin_ns != window.OPEN_BEGIN:
        begin = max(begin, sender.begin_ns)
    if receiver.begin_ns != window.OPEN_BEGIN:
        begin = max(begin, receiver.begin_ns - shift)
    if sender.end_ns != window.OPEN_END:
        end = min(end, sender.end_ns)
    if receiver.end_ns != window.OPEN_END:
        end = min(end, receiver.end_ns - shift)
    return (begin, end) if begin <= end else None


def _with_other_peers(direction: Direction, ends: HopEnds, leg: Leg) -> Direction:
    """Add packets sent to nodes that were not captured, in the order of sending."""
    route = ends.routes.first if leg.forward else ends.routes.second
    other = Units.of(direction.sender, rows_of(direction.sender, route, Route.OTHER_PEER))
    count = len(other.row)
    if not count:
        return direction
    order = np.argsort(np.concatenate([direction.sent_row, other.row]), kind="stable")

    def join(values: NDArray[_Item], fill: int | NDArray[_Item]) -> NDArray[_Item]:
        added = np.full(count, fill, dtype=values.dtype) if isinstance(fill, int) else fill
        return np.concatenate([values, added])[order]

    return replace(
        direction,
        sent_row=join(direction.sent_row, other.row),
        segment=join(direction.segment, other.segment),
        received_row=join(direction.received_row, NO_ROW),
        received_segment=join(direction.received_segment, 0),
        outcome=join(direction.outcome, int(Outcome.UNKNOWN)),
        reason=join(direction.reason, int(Reason.OTHER_PEER)),
        copies=join(direction.copies, 0),
        corrupted=join(direction.corrupted, 0),
        delay_ns=join(direction.delay_ns, int(NO_DELAY)),
    )
