"""SYN ACKs missing from their sender's capture whose connection goes on there with the same numbers.

Whoever answers in a server's name has to invent the initial sequence number. Where the server itself sends
on from that number, the SYN ACK was its own, and the capture merely lacks it (RFC 9293 section 3.4).
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import Direction

_FURTHEST = np.uint32(1 << 30)  # bytes that a connection sends at most before numbers could wrap around


def continued(direction: Direction, rows: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Decide which SYN ACKs seen by the receiver alone the sender went on from, shape of `rows`."""
    index = direction.receiver.index
    if not len(rows):
        return np.zeros(0, np.bool_)
    wanted = np.zeros(len(direction.receiver.flows) + 1, np.bool_)
    wanted[index.flow[rows]] = True
    later = direction.received_row[direction.delivered]
    later = later[wanted[index.flow[later]]]
    order = np.lexsort((index.time_ns[rows], index.flow[rows]))
    flows, times = index.flow[rows][order], index.time_ns[rows][order]
    low = np.searchsorted(flows, index.flow[later], "left")
    high = np.searchsorted(flows, index.flow[later], "right")
    result = np.zeros(len(rows), np.bool_)
    for place in range(int((high - low).max(initial=0))):  # a SYN ACK is repeated a few times at most
        at = low + place
        held = at < high
        syn_ack = order[at[held]]
        ahead = index.seq[later[held]] - index.seq[rows[syn_ack]] - np.uint32(1)
        goes_on = (ahead < _FURTHEST) & (index.time_ns[later[held]] > times[at[held]])
        result[syn_ack[goes_on]] = True
    return result
