"""Addresses and ports of connections: the one that many share is a server's."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import Point
from vxlanalyze.pairing.tuples import distinct

_BYTES = 19  # family, port, address


def shared(points: Sequence[Point], of: NDArray[np.int64]) -> NDArray[np.intp]:
    """Count the connections that have the address and port of each end.

    Parameters
    ----------
    of : NDArray[np.int64]
        Shape ``(c, 3)``: see `Connections.flow`.

    Returns
    -------
    NDArray[np.intp]
        Shape ``(c, 2)``, by stream.
    """
    octets = np.zeros((len(of), 2, _BYTES), np.uint8)
    place, flow, stream = of.T
    for number, point in enumerate(points):
        mine = np.flatnonzero((place == number) & (flow >= 0))
        flows, rows, own = point.flows, flow[mine], stream[mine] & 1
        for side, address, port in ((own, flows.src, flows.sport), (own ^ 1, flows.dst, flows.dport)):
            octets[mine, side, 0] = flows.family[rows]
            octets[mine, side, 1:3] = port[rows].astype(">u2").view(np.uint8).reshape(-1, 2)
            octets[mine, side, 3:] = address[rows]
    names = distinct(octets.reshape(-1, _BYTES))[1]
    return np.bincount(names)[names].reshape(-1, 2)
