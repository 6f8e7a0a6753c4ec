"""Conversations that begin after some moment and deliver nothing, while earlier ones go on.

Connection tracking (a full nf_conntrack table, a newly loaded firewall) passes established connections and
refuses new ones. The moment follows from the deliveries: it is the beginning of the last conversation of
which anything arrived. A conversation is an inner 5-tuple, whatever its outer source port.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.tuples import number_rows
from vxlanalyze.wire.model import Flows

_FEWEST_NEW, _FEWEST_ESTABLISHED = 4, 2
_FEWEST_PROTOCOLS, _FEWEST_ENDPOINTS = 2, 2


@dataclass(frozen=True, eq=False)
class Beginnings:
    """Lost packets of conversations that began after the last successful one.

    Parameters
    ----------
    part : NDArray[np.bool_]
        Which of the `k` lost packets they are, shape ``(k,)``.
    first : int
        Position of the first of them, -1 where there is none.
    conversations, protocols, endpoints : int
        Conversations that begin after the moment, their protocols, and their destination addresses, counted.
    established : int
        Earlier conversations that still deliver after it.
    """

    part: NDArray[np.bool_]
    first: int
    conversations: int
    protocols: int
    endpoints: int
    established: int

    @property
    def sufficient(self) -> bool:
        """Whether new conversations of several protocols and endpoints fail while others go on."""
        enough = self.conversations >= _FEWEST_NEW and self.established >= _FEWEST_ESTABLISHED
        return enough and self.protocols >= _FEWEST_PROTOCOLS and self.endpoints >= _FEWEST_ENDPOINTS


def find(
    flows: Flows,
    losses: tuple[NDArray[np.int32], NDArray[np.intp]],
    last_delivered: NDArray[np.intp],
    first_seen: NDArray[np.intp],
    opened: NDArray[np.bool_],
) -> Beginnings:
    """Find them.

    Parameters
    ----------
    losses : tuple of NDArray
        Flow and position among the judged packets of each lost packet, shape ``(k,)``.
    last_delivered, first_seen : NDArray[np.intp]
        Positions by flow, shape ``(f,)``; -1 where there are none.
    opened : NDArray[np.bool_]
        Flows of conversations that this direction opens, shape ``(f,)``; answers to the other end's
        conversations pass where new ones are refused.
    """  # fmt: skip
    flow, position = losses
    none = Beginnings(np.zeros(len(flow), np.bool_), -1, 0, 0, 0, 0)
    used = np.flatnonzero(first_seen >= 0)
    if not len(used) or not len(flow):
        return none
    talk = np.full(len(flows), -1, np.intp)
    talk[used], _ = number_rows(flows.identity[used][:, np.newaxis])
    talks = int(talk.max()) + 1
    began, last = np.full(talks, np.iinfo(np.intp).max, np.intp), np.full(talks, -1, np.intp)
    np.minimum.at(began, talk[used], first_seen[used])
    np.maximum.at(last, talk[used], last_delivered[used])
    mine = np.zeros(talks, np.bool_)
    mine[talk[used[opened[used]]]] = True
    through = (last >= 0) & mine
    if not through.any():
        return none
    new = mine & (began > began[through].max())
    part = new[talk[flow]]
    if not part.any():
        return none
    first = int(position[part].min())
    rows = np.unique(flow[part])
    return Beginnings(
        part,
        first,
        int(np.count_nonzero(new)),
        len(np.unique(flows.protocol[rows])),
        len(np.unique(flows.dst[rows], axis=0)),
        int(np.count_nonzero(last > first)),
    )
