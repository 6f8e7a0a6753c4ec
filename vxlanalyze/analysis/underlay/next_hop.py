"""Packets sent to a MAC through which none arrives, while packets sent to another MAC arrive."""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import Direction
from vxlanalyze.pairing.tuples import distinct


def astray(direction: Direction) -> NDArray[np.bool_]:
    """Mark lost packets of a direction by the next hop that they were sent to.

    Parameters
    ----------
    direction : Direction
        Between two points inside the tunnel.

    Returns
    -------
    NDArray[np.bool_]
        Shape ``(m,)``: lost packets to an outer address whose packets to that MAC were all lost, while
        packets to the same address that were sent to another MAC arrived.
    """
    flows = direction.sender.flows
    if not direction.lost.any() or not direction.delivered.any():
        return np.zeros(len(direction.sent_row), np.bool_)
    flow = direction.flow
    _, address = distinct(np.column_stack([flows.outer_family, flows.outer_dst]))
    macs = np.unique(flows.outer_dst_mac, return_inverse=True)[1].ravel()
    # One number for each pair of an address and a MAC.
    hop = address.astype(np.int64) * (int(macs.max(initial=0)) + 1) + macs
    delivered_at = np.unique(hop[flow[direction.delivered]])
    reachable = np.unique(address[flow[direction.delivered]])
    stray = ~np.isin(hop, delivered_at) & np.isin(address, reachable)
    result: NDArray[np.bool_] = direction.lost & stray[flow]
    return result
