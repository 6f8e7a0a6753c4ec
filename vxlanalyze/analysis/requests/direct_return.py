"""Requests answered directly to the client, outside of the tunnel, from another address.

Direct server return: a load balancer forwards requests of a client outside of the cluster through the tunnel,
and the pod's node answers the client itself, from the address that the client contacted. A capture of the
tunnel alone shows requests without answers; nothing is missing.

Source: Cilium documentation, "Direct Server Return (DSR)"; cilium pull request 23890.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import NO_ROW, Point
from vxlanalyze.wire.model import Tunnel
from vxlanalyze.wire.protocols import WITH_PORTS

if TYPE_CHECKING:
    from vxlanalyze.analysis.requests.request_columns import Requests


def left_open(requests: "Requests", points: Sequence[Point]) -> "Requests":
    """Treat requests without an answer in the tunnel as undecided if their client is answered directly.

    Any of the `points` may show the answer; the forwarding node's capture does not.
    """
    point = requests.point
    flows = point.flows
    flow = point.index.flow[requests.first_row]
    silent = (requests.answer_row == NO_ROW) & (flows.tunnel[flow] != Tunnel.NONE)
    if not silent.any():
        return requests
    answered = np.concatenate([_answered(p) for p in (point, *points) if p.encapsulated or p is point])
    requested = keys(flows.family, flows.src, flows.protocol, flows.sport)[flow]
    return replace(requests, decided=requests.decided & ~(silent & np.isin(requested, answered)))


def _answered(point: Point) -> NDArray[np.void]:
    """Give the sockets that receive anything outside of tunnels."""
    flows, used = point.flows, point.decoded.usage.used
    direct = used & (flows.tunnel == Tunnel.NONE) & np.isin(flows.protocol, WITH_PORTS)
    return keys(flows.family, flows.dst, flows.protocol, flows.dport)[direct]


def keys(
    family: NDArray[np.uint8],
    address: NDArray[np.uint8],
    protocol: NDArray[np.uint8],
    port: NDArray[np.uint16],
) -> NDArray[np.void]:
    """Give one value for each socket: address, protocol and port."""
    octets = port.astype(">u2").view(np.uint8).reshape(-1, 2)
    rows = np.ascontiguousarray(np.column_stack([family, address, protocol, octets]).astype(np.uint8))
    return rows.view(np.dtype((np.void, rows.shape[1]))).ravel()
