"""Assess what arrives at a node from its own capture alone.

A single capture cannot show what was lost. But it shows what reached its node and what the node sent, and so
whether arriving requests were answered and arriving checksums are valid. For these checks, a single capture
is treated as two points: packets that arrive count as seen at both.

The capture does not say which node took it. That follows from its addresses, where pairing found them, or
from offload: only a node's own packets are captured before its network card fills in their checksums.
"""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed
from vxlanalyze.analysis.integrity import checksums
from vxlanalyze.analysis.underlay import tunnel_ends
from vxlanalyze.pairing.model import (
    NO_DELAY,
    NO_ROW,
    Clock,
    ClockPiece,
    Comparison,
    Direction,
    Hop,
    Outcome,
    Point,
    Reason,
)
from vxlanalyze.wire.model import INNER_L4_SHIFT, OUTER_L4_SHIFT, UNFILLED

OTHERS = "the other node"
# Frames merged by the receiving kernel look unfilled, too; frames this small were not merged.
_SMALL_BYTES = 400


def run(
    pair: Comparison, code: str, check: Callable[[Comparison], list[DiagnosticResult]]
) -> list[DiagnosticResult]:
    """Run a diagnostic on a comparison, or on its only capture; the results then have no direction."""
    if pair.hops:
        return check(pair)
    points = [p for p in pair.points if p.encapsulated and len(p.index)]
    if not points:
        return []
    own = _own_addresses(points[0])
    if not own:
        return [NotAssessed(code, "it is not known which end of the tunnel this capture belongs to")]
    hop = _mirrored(points[0], own)
    results = check(replace(pair, hops=(hop,)))
    # A single capture does not show whether departing packets arrived.
    kept = [a for a in results if isinstance(a, Finding) or a.direction != hop.backward.label]
    return [_without_direction(a) for a in kept][:1]


def run_directions(
    pair: Comparison, code: str, check: Callable[[Comparison, Direction], DiagnosticResult | None]
) -> list[DiagnosticResult]:
    """Run a diagnostic on each direction in which both points see the tunnel; None is clear."""

    def each(looked_at: Comparison) -> list[DiagnosticResult]:
        tunnelled = [d for d in looked_at.directions if d.sender.encapsulated and d.receiver.encapsulated]
        results = [check(looked_at, direction) for direction in tunnelled]
        return [result for result in results if result is not None]

    return run(pair, code, each)


def _without_direction(answer: DiagnosticResult) -> DiagnosticResult:
    if isinstance(answer, NotAssessed):
        return replace(answer, direction=None)
    texts = (answer.summary, answer.explanation, answer.remedy)
    summary, explanation, remedy = (
        text[:1].upper() + text[1:] if text.startswith(OTHERS) else text for text in texts
    )
    return replace(answer, direction=None, summary=summary, explanation=explanation, remedy=remedy)


def is_alone(direction: Direction) -> bool:
    """Whether both points of a direction belong to the same capture."""
    return direction.sender.decoded is direction.receiver.decoded


def _own_addresses(point: Point) -> set[str]:
    if len(point.addresses) == 1:
        return set(point.addresses)
    unfilled = np.zeros(len(point.index), np.bool_)
    for shift in (OUTER_L4_SHIFT, INNER_L4_SHIFT):
        unfilled |= checksums.among(checksums.states(point, shift), UNFILLED)
    small = unfilled & (point.index.outer_length > 0) & (point.index.outer_length <= _SMALL_BYTES)
    packets = tunnel_ends.packets_of(point, np.flatnonzero(small))
    return set(tunnel_ends.outer_addresses(point.flows, point.flows.outer_src, packets))


def _mirrored(point: Point, own: set[str]) -> Hop:
    arriving = _rows(point, point.flows.outer_dst, own)
    leaving = _rows(point, point.flows.outer_src, own)
    peer = replace(point, name=OTHERS, addresses=(), addresses_by="")
    never = np.full(len(leaving), NO_ROW, np.int32)
    start = int(point.index.time_ns[0])
    clock = Clock(
        OTHERS, point.name, None, None, None, "one capture", (ClockPiece(start, 0, 0.0),), True, 0, 0
    )
    return Hop(_direction(peer, point, arriving, arriving), _direction(point, peer, leaving, never), clock)


def _rows(point: Point, column: NDArray[np.uint8], own: set[str]) -> NDArray[np.int32]:
    """Rows of tunnel packets whose outer address in a column is one of those given."""
    flows = point.flows
    chosen = np.zeros(len(flows) + 1, np.bool_)  # one more: NO_FLOW is the last
    for address in map(ip_address, own):
        packed = np.frombuffer(address.packed.ljust(16, b"\0"), np.uint8)
        chosen[:-1] |= (flows.outer_family == address.version) & (column == packed).all(axis=1)
    rows = np.flatnonzero(chosen[point.index.flow]).astype(np.int32)
    return rows if point.rows is None else np.intersect1d(rows, point.rows)


def _direction(
    sender: Point, receiver: Point, sent: NDArray[np.int32], received: NDArray[np.int32]
) -> Direction:
    count = len(sent)
    arrived = received != NO_ROW
    return Direction(
        label=f"{sender.name}>{receiver.name}",
        sender=sender,
        receiver=receiver,
        sent_row=sent,
        received_row=received,
        segment=np.zeros(count, np.uint16),
        received_segment=np.zeros(count, np.uint16),
        outcome=np.where(arrived, Outcome.DELIVERED, Outcome.UNKNOWN).astype(np.uint8),
        reason=np.full(count, Reason.NONE, np.uint8),
        copies=arrived.astype(np.uint8),
        corrupted=np.zeros(count, np.bool_),
        delay_ns=np.full(count, NO_DELAY, np.int64),
        unsent_row=np.empty(0, np.int32),
        unsent_segment=np.empty(0, np.uint16),
        unsent_reason=np.empty(0, np.uint8),
        window_ns=None,
        window_by="",
        assessed=False,
        not_assessed_why="one capture alone",
    )
