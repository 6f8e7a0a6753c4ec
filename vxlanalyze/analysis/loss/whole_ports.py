"""Many light flows, and one dead path among several: no flow is lost in part.

A flow with one to three packets proves nothing by itself. Together they do: with random loss, some flows
would lose one packet and deliver another. That none does, though many could, is evidence that whole source
ports are lost. A burst loses packets of a flow that are close together, so a flow counts as many packets as
are independent of each other.
"""

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.loss.losses import Losses
from vxlanalyze.analysis.loss.traits import Classes, Trait
from vxlanalyze.analysis.statistics import evidence
from vxlanalyze.pairing.model import Direction
from vxlanalyze.wire.model import NO_FLOW

_COST = log(100)
_FEWEST_PORTS = 3
_MOST_OF_PORTS = 0.6  # of all source ports: a larger share is not a single path


@dataclass(frozen=True, eq=False)
class WholePorts:
    """Source ports with every packet lost: classes of the trait, and their proof."""

    members: NDArray[np.intp]
    several: int
    nats: float


def find(direction: Direction, lost: Losses, open_: NDArray[np.bool_], chance: float) -> WholePorts | None:
    """Find whole source ports among the unexplained losses, shape ``(k,)``, if beyond chance."""
    ports = lost.traits[Trait.OUTER_PORT]
    member = ports.of_flow[lost.flow[open_]]
    members = np.unique(member)
    few = len(members) < _FEWEST_PORTS or len(members) > _MOST_OF_PORTS * len(ports)
    if (
        few
        or _arrived(direction, ports)[members].any()
        or len(np.unique(lost.traits[Trait.SERVICE].of_flow[lost.flow])) < 2
    ):
        return None
    weights = _independent(direction, lost, open_)
    rate = len(member) / (len(member) + lost.delivered)
    several = weights[weights > 1]
    # Probability that this many packets are all lost or all arrive, at random:
    pure = np.log(rate**several + (1 - rate) ** several)
    nats = -float(pure.sum()) - _COST
    hit = int(np.count_nonzero(weights[members] > 1))
    return WholePorts(members, hit, nats) if hit >= _FEWEST_PORTS and nats >= -log(chance) else None


def _arrived(direction: Direction, ports: Classes) -> NDArray[np.bool_]:
    """Whether any packet of each source port arrived."""
    result = np.zeros(len(ports), np.bool_)
    result[ports.of_flow[direction.flow[direction.delivered & (direction.flow != NO_FLOW)]]] = True
    return result


def _independent(direction: Direction, lost: Losses, open_: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Count the packets of each source port, lost or delivered, by their weight."""
    used = direction.delivered & (direction.flow != NO_FLOW)
    used[lost.packet[open_]] = True
    chosen = np.flatnonzero(used)
    ports = lost.traits[Trait.OUTER_PORT]
    return evidence.independent_by(
        ports.of_flow[direction.flow[chosen]], direction.sent_ns(chosen), len(ports)
    )
