"""Packets of which a capture shows the first fragment alone, and whose TCP connections stop at them.

A filter by UDP port hides later fragments whether they arrive or not, and so proves nothing. TCP does: data
in packets that arrive whole is acknowledged, and each connection goes on.

Source: RFC 9293 section 3.4 (a receiver acknowledges the data that it has).
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.tcp.tcp_streams import sent
from vxlanalyze.analysis.underlay import fragmented
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.wire.protocols import TCP

_LEAST = 2  # connections; each has sent the same data four times or more


def stopped(pair: Comparison, direction: Direction) -> NDArray[np.bool_]:
    """Mark those packets, shape ``(m,)``; none where any of the connections went on."""
    first_only = fragmented.of(direction).without_rest & direction.delivered
    none = np.zeros(len(direction), np.bool_)
    if not first_only.any():
        return none
    flows = direction.sender.flows
    carrying = np.unique(flows.identity[direction.flow[first_only & _of_tcp(direction)]])
    halted = np.unique(flows.identity[_stalled_flows(pair, direction)])
    if len(carrying) < _LEAST or not np.isin(carrying, halted).all():
        return none
    return first_only


def _of_tcp(direction: Direction) -> NDArray[np.bool_]:
    result: NDArray[np.bool_] = direction.sender.flows.protocol[direction.flow] == TCP
    return result


def _stalled_flows(pair: Comparison, direction: Direction) -> NDArray[np.int32]:
    """Flows of the stalled streams that the sender of a direction sends; empty at other points."""
    for outbound in sent(pair):
        if outbound.label == direction.label:
            went = outbound.seen.progress
            rows = went.last_row[np.flatnonzero(went.stalled & outbound.chosen)]
            return np.asarray(outbound.point.index.flow[rows], np.int32)
    return np.empty(0, np.int32)
