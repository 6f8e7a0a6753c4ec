"""Captures of one direction only, sent or received: tcpdump's ``-Q``, a filter on addresses."""

from vxlanalyze.pairing.model import Direction, Hop, Outcome, Reason


def hides_arrivals(direction: Direction) -> bool:
    """Whether the receiver's capture shows no packet of a direction although some were answered."""
    answered = (direction.outcome == Outcome.UNKNOWN) & (direction.reason == Reason.CAPTURE_LOSS)
    return bool(answered.any() and not direction.delivered.any())


def hides_departures(direction: Direction) -> bool:
    """Whether the sender's capture shows no packet of a direction although the receiver's does."""
    return len(direction) == 0 and bool((direction.unsent_reason == Reason.CAPTURE_LOSS).any())


def unrelated(hop: Hop) -> bool:
    """Whether both captures show both directions of a hop, but do not share a single packet.

    Then they are from two networks with the same addresses.
    """
    shown_twice = all(len(d) and len(d.unsent_row) for d in hop.directions)
    return shown_twice and not any(d.delivered.any() for d in hop.directions)
