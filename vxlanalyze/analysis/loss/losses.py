"""The lost packets of a direction, and the facts about delivered ones that can refute an explanation."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.loss import beginnings, openings
from vxlanalyze.analysis.loss.beginnings import Beginnings
from vxlanalyze.analysis.loss.openings import Openings
from vxlanalyze.analysis.loss.traits import Classes, Trait, classes
from vxlanalyze.analysis.statistics import evidence
from vxlanalyze.pairing.model import Direction, Outcome
from vxlanalyze.pairing.sorting import present
from vxlanalyze.wire.model import NO_FLOW
from vxlanalyze.wire.protocols import TCP, UDP

_STEPS = 64  # moments at which the largest size delivered may have fallen


class Sizes(NamedTuple):
    """Lengths of the delivered packets.

    Parameters
    ----------
    different : int
        Number of distinct lengths.
    largest : list of tuple of int
        A position, and the largest length that is delivered from there on: at the first packet, and at the
        first positions after which it decreases.
    """

    different: int
    largest: list[tuple[int, int]]

    @classmethod
    def of(cls, length: NDArray[np.uint32], position: NDArray[np.intp]) -> "Sizes":
        """Find them; the packets are in order."""
        if len(length) == 0:
            return cls(0, [])
        since = np.maximum.accumulate(length[::-1])[::-1]
        falls = np.flatnonzero(since[:-1] > since[1:])[:_STEPS]
        later = [(int(position[i]) + 1, int(since[i + 1])) for i in falls]
        return cls(len(present(length)), [(0, int(since[0])), *later])


@dataclass(frozen=True, eq=False)
class Losses:
    """The judged packets of one direction: `n` of them, of which `k` were lost.

    `position` counts the judged packets in the order sent. Arrays of lost packets have shape ``(k,)``.
    """

    n: int
    packet: NDArray[np.intp]  # of the direction
    position: NDArray[np.intp]
    time_ns: NDArray[np.int64]
    length: NDArray[np.uint32]  # IP length on the wire
    flow: NDArray[np.int32]
    deliveries_before: NDArray[np.intp]
    delivered: int
    last_position: int  # of a delivered packet, -1 where none was
    sizes: Sizes
    arrived: NDArray[np.intp]  # packets, by flow
    last_delivered: NDArray[np.intp]  # position, by flow; -1 where none was
    outer_sport: NDArray[np.uint16]  # by flow
    portless: NDArray[np.bool_]  # by flow: its protocol has no ports
    beside: NDArray[np.bool_]  # by flow: next to the tunnel, its addresses are those of the nodes
    traits: dict[Trait, Classes]
    openings: Openings
    beginnings: Beginnings

    @classmethod
    def of(cls, direction: Direction) -> "Losses":
        """Gather what is needed; some lost packet must exist."""
        flow = direction.flow
        judged = np.flatnonzero(direction.judged & (flow != NO_FLOW))
        lost = direction.outcome[judged] == Outcome.LOST
        flow = flow[judged]
        length = direction.wire_length[judged]
        gone, kept = np.flatnonzero(lost), np.flatnonzero(~lost)
        last = np.full(len(direction.sender.flows), -1, np.intp)
        last[flow[kept]] = kept  # in order, so the last one wins
        first = np.full(len(last), -1, np.intp)
        first[flow[::-1]] = np.arange(len(flow))[::-1]  # in reverse order, so the first one wins
        active = np.flatnonzero(first >= 0)
        sorted_by = classes(direction.sender.flows, active)
        opening = openings.find(direction, judged, lost, sorted_by[Trait.SERVICE].from_server)
        return cls(
            n=len(judged),
            packet=judged[gone],
            position=gone,
            time_ns=direction.sent_ns(judged[gone]),
            length=length[gone],
            flow=flow[gone],
            deliveries_before=np.searchsorted(kept, gone),
            delivered=len(kept),
            last_position=int(kept[-1]) if len(kept) else -1,
            sizes=Sizes.of(length[kept], kept),
            arrived=np.bincount(flow[kept], minlength=len(last)),
            last_delivered=last,
            outer_sport=direction.sender.flows.outer_sport,
            portless=~np.isin(direction.sender.flows.protocol, (TCP, UDP)),
            beside=direction.sender.flows.outer_family == 0
            if direction.sender.encapsulated
            else np.zeros(len(last), np.bool_),
            traits=sorted_by,
            openings=opening,
            beginnings=beginnings.find(
                direction.sender.flows, (flow[gone], gone), last, first, opening.opened
            ),
        )

    def events(self, chosen: NDArray[np.bool_]) -> float:
        """Count chosen losses by weight; the first loss after a delivery begins a new event."""
        times, before = self.time_ns[chosen], self.deliveries_before[chosen]
        weights = np.where(np.diff(before) == 0, evidence.weight(np.diff(times)), 1.0)
        return 1 + float(weights.sum()) if len(times) else 0.0
