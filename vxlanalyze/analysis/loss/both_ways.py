"""A protocol that is lost both ways, where one way has a single service of it.

Everything to one port is lost, and it is all that this direction has of the protocol: whether the port
decides, or the protocol, only the other direction shows.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.loss.picture import Explanation, LossKind, Picture
from vxlanalyze.analysis.loss.traits import Trait
from vxlanalyze.pairing.model import Direction


def by_protocol(picture: Picture, opposite: Picture) -> Picture | None:
    """Take blocked services for a blocked protocol, if the other direction loses it; None if nothing changes.

    Parameters
    ----------
    picture, opposite : Picture
        Of a direction and of the one back.
    """
    blocked = [
        e for e in opposite.of(LossKind.PROTOCOL) if e.from_ns is None and e.rule.trait is Trait.PROTOCOL
    ]
    if not blocked or picture.lost is None:
        return None
    there = np.unique(np.concatenate([_protocols(opposite.direction, e.packets) for e in blocked]))
    changed = {id(e): _widened(picture, e, there) for e in picture.of(LossKind.FLOW)}
    if all(new is None for new in changed.values()):
        return None
    return replace(picture, explanations=tuple(changed.get(id(e)) or e for e in picture.explanations))


def _widened(picture: Picture, found: Explanation, there: NDArray[np.uint8]) -> Explanation | None:
    """Make it about the protocol, where it explains all packets of protocols that are lost there too."""
    direction = picture.direction
    mine = _protocols(direction, found.packets)
    known = np.flatnonzero(direction.judged)
    all_of = known[np.isin(direction.sender.flows.protocol[direction.flow[known]], mine)]
    if found.from_ns is not None or not np.isin(mine, there).all() or picture.lost is None:
        return None
    if not np.isin(all_of, found.packets).all():
        return None
    of_flow = picture.lost.traits[Trait.PROTOCOL].of_flow
    rule = replace(
        found.rule, trait=Trait.PROTOCOL, members=np.unique(of_flow[direction.flow[found.packets]])
    )
    return replace(found, kind=LossKind.PROTOCOL, rule=rule, rivals=(LossKind.FLOW,))


def _protocols(direction: Direction, packets: NDArray[np.intp]) -> NDArray[np.uint8]:
    return np.unique(direction.sender.flows.protocol[direction.flow[packets]])
