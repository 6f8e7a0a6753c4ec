"""Whole overlay networks (VNIs) lost, while others of the same direction arrive."""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import Direction
from vxlanalyze.wire.model import NO_VNI


def find(direction: Direction, lost: NDArray[np.bool_]) -> tuple[list[int], list[int]] | None:
    """Give the VNIs of some lost packets and those that arrive, if none belongs to both; else None."""
    flows = direction.sender.flows
    if not direction.sender.encapsulated or not direction.delivered.any():
        return None
    gone = np.unique(flows.vni[direction.flow[lost]])
    kept = np.unique(flows.vni[direction.flow[direction.delivered]])
    if NO_VNI in gone or NO_VNI in kept or np.isin(gone, kept).any():
        return None
    return gone.tolist(), kept.tolist()


def words(vnis: tuple[list[int], list[int]] | None) -> str:
    """State it as a sentence; "" where there is nothing to state."""
    if vnis is None:
        return ""
    gone, kept = (", ".join(map(str, each)) for each in vnis)
    return (
        f"They are all that VNI {gone} carries, while VNI {kept} arrives: the network may be what is missing "
        "on the path (a switch that maps VNIs, a filter for them), not the service. "
    )
