"""Addresses and ports of both ends of connections: the one that many share is a server's."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import Point
from vxlanalyze.pairing.tuples import distinct


class Sockets(NamedTuple):
    """Where each stream of `c` connections is sent from.

    Attributes
    ----------
    family : NDArray[np.uint8]
        Shape ``(c,)``: 4 or 6, 0 where no packet was seen.
    address : NDArray[np.uint8]
        Shape ``(c, 2, 16)``.
    port : NDArray[np.int64]
        Shape ``(c, 2)``.
    """

    family: NDArray[np.uint8]
    address: NDArray[np.uint8]
    port: NDArray[np.int64]

    def connections_with(self) -> NDArray[np.intp]:
        """Count the connections that have the address and port of each end, shape ``(c, 2)``."""
        keys = octets(self.family.repeat(2), self.port.reshape(-1), self.address.reshape(-1, 16))
        names = distinct(keys)[1]
        return np.bincount(names)[names].reshape(-1, 2)


def sockets(points: Sequence[Point], of: NDArray[np.int64]) -> Sockets:
    """Read them from the flows of some points.

    Parameters
    ----------
    of : NDArray[np.int64]
        Shape ``(c, 3)``: see `Connections.flow`.
    """
    size = len(of)
    result = Sockets(
        family=np.zeros(size, np.uint8),
        address=np.zeros((size, 2, 16), np.uint8),
        port=np.zeros((size, 2), np.int64),
    )
    place, flow, stream = of.T
    for number, point in enumerate(points):
        mine = np.flatnonzero((place == number) & (flow >= 0))
        flows, rows, own = point.flows, flow[mine], stream[mine] & 1
        result.family[mine] = flows.family[rows]
        for side, address, port in ((own, flows.src, flows.sport), (own ^ 1, flows.dst, flows.dport)):
            result.address[mine, side], result.port[mine, side] = address[rows], port[rows]
    return result


def octets(
    family: NDArray[np.uint8], port: NDArray[np.integer], address: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Write family, port and address of each socket as octets, shape ``(k, 19)``, to find equal ones."""
    return np.column_stack([family, port.astype(">u2").view(np.uint8).reshape(-1, 2), address])
