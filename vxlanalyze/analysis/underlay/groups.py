"""Tunnel packets to multicast and broadcast addresses, with which an endpoint floods unknown destinations."""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import Direction
from vxlanalyze.pairing.points import outer_group


def to_groups(direction: Direction) -> NDArray[np.bool_]:
    """Packets of a direction whose outer destination is a group, shape ``(m,)``."""
    group = outer_group(direction.sender.flows)
    return group[direction.flow] if group.any() else np.zeros(len(direction), np.bool_)


def only(direction: Direction, packets: NDArray[np.intp]) -> bool:
    """Whether all of some packets, given by position, go to a group."""
    flow = direction.flow[packets]
    return bool(len(flow)) and bool(outer_group(direction.sender.flows)[flow].all())
