"""Tunnel packets that the snap length cut too short to distinguish one from another.

Without the inner IP header, they are indistinguishable. Without a TCP sequence number, a super-packet cannot
be split, so the number of its packets on the wire is unknown.
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.wire import tcp
from vxlanalyze.wire.model import NO_FLOW, Anomaly, Decoded, Tunnel

_HEADER_CUT = np.uint32(Anomaly.HEADER_CUT.value)


def flows(decoded: Decoded) -> NDArray[np.bool_]:
    """Whether each flow is of such packets, shape ``(f,)``."""
    index, every = decoded.index, decoded.flows
    doubtful = (every.family == 0) & (every.sport == 0) | (every.protocol == tcp.PROTOCOL)
    doubtful &= every.tunnel != Tunnel.NONE
    rows = np.flatnonzero(index.anomalies & _HEADER_CUT)
    rows = rows[index.flow[rows] != NO_FLOW]
    if not doubtful.any() or not len(rows):
        return np.zeros(len(every), np.bool_)
    cut = np.bincount(index.flow[rows], minlength=len(every)) > 0
    numbered = np.bincount(index.flow[rows], index.seq[rows] > 0, len(every)) > 0
    result: NDArray[np.bool_] = doubtful & cut & ~numbered
    return result


def most(decoded: Decoded, place: NDArray[np.bool_]) -> bool:
    """Whether more than half of the tunnel packets of a place are like this; `place` has shape ``(f,)``."""
    cut = flows(decoded) & place
    if not cut.any():
        return False
    packets = decoded.usage.packets
    tunnelled = place & (decoded.flows.tunnel != Tunnel.NONE)
    return bool(2 * packets[cut].sum() > packets[tunnelled].sum())
