"""A hop, two points with the packets between them; and a comparison, all hops of a run."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.pairing.model.clock import Clock
from vxlanalyze.pairing.model.direction import Direction
from vxlanalyze.pairing.model.observation import CaptureFacts, Point


@dataclass(frozen=True, slots=True)
class Hop:
    """Two neighbouring points; `forward` follows the order of the command line."""

    forward: Direction
    backward: Direction
    clock: Clock

    @property
    def directions(self) -> tuple[Direction, Direction]:
        """Both directions."""
        return self.forward, self.backward


@dataclass(frozen=True, eq=False)  # compared by identity, so that measurements can be cached for it
class Comparison:
    """Captures and the fate of each wire packet between them: the input of all diagnostics.

    `hops` lie between neighbouring captures in path order; `inside` are the hops within a node that an `any`
    capture shows. With one capture both are empty. `translated` are the identities shared by flows of several
    5-tuples, due to services and masquerading (`pairing.translation`).
    """

    captures: tuple[CaptureFacts, ...]
    points: tuple[Point, ...]
    hops: tuple[Hop, ...]
    inside: tuple[Hop, ...] = ()
    cluster: Cluster = field(default_factory=Cluster)
    ports: tuple[int, ...] = ()
    translated: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Every direction of every hop between captures, in path order, forward first."""
        return tuple(d for hop in self.hops for d in hop.directions)

    def clock_of(self, direction: Direction) -> Clock:
        """Clock of the hop that a direction belongs to."""
        for hop in (*self.hops, *self.inside):
            if direction is hop.forward or direction is hop.backward:
                return hop.clock
        raise KeyError(direction.label)
