"""A node that got a new address: it sends from that one, and packets still go to the one that it had."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import Direction
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.wire.addresses import text

_FEWEST = 3  # packets from each of the two addresses
_NEARLY_ALL = 0.9
_AT_ONCE_NS = 1_000_000_000  # a node may be silent for a moment when its address changes


class Renumbered(NamedTuple):
    """The address that lost packets went to, and the one that their receiver has sent from since then.

    `since_ns` is the first packet from the new address, by the clock of the lost packets' sender.
    """

    old: str
    new: str
    since_ns: int


def of(direction: Direction, lost: NDArray[np.bool_]) -> Renumbered | None:
    """Find out whether the receiver of lost packets no longer used the address that they went to.

    What arrives in the sender's capture shows it: packets from that address only up to a moment, and from
    another one of the same node only after it, about when the losses begin.

    Parameters
    ----------
    lost : NDArray[np.bool_]
        Packets of the direction, shape ``(m,)``.
    """
    flows, index = direction.sender.flows, direction.sender.index
    ends = [np.column_stack([flows.outer_family, side]) for side in (flows.outer_src, flows.outer_dst)]
    names, numbers = distinct(np.concatenate(ends))
    source, destination = np.split(numbers, 2)
    gone = direction.flow[lost]
    targets, counts = np.unique(destination[gone], return_counts=True)
    if not len(gone) or counts.max() < _NEARLY_ALL * len(gone):
        return None
    old = targets[counts.argmax()]
    near = source[gone[destination[gone] == old][0]]
    rows = np.flatnonzero(index.flow >= 0)
    rows = rows[destination[index.flow[rows]] == near]  # what other nodes send to the lost packets' sender
    sender, time_ns = source[index.flow[rows]], index.time_ns[rows]
    before, after = time_ns[sender == old], time_ns[sender != old]
    if len(before) < _FEWEST or not len(after):
        return None
    began_ns = int(index.time_ns[direction.sent_row[lost]].min())
    for other in np.unique(sender[(sender != old) & (time_ns > before.max())]).tolist():
        times = time_ns[sender == other]
        old_text, new_text = text(names[[old, other], 1:], names[[old, other], 0])
        fits = before.max() < times.min() <= began_ns + _AT_ONCE_NS and len(times) >= _FEWEST
        if fits and new_text in direction.receiver.addresses:
            return Renumbered(old_text, new_text, int(times.min()))
    return None
