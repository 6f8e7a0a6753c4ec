"""Requests that a device between the nodes takes, and answers in the name of their target."""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests import answers, forged
from vxlanalyze.pairing.model import Comparison, Direction


def taken(pair: Comparison, direction: Direction) -> NDArray[np.intp]:
    """Lost packets that the forged packets of a direction answer, as positions in the opposite direction.

    A forged packet answers the last one of its conversation that its receiver sent before.
    """
    rows = forged.proved(pair, direction)
    opposite = answers.opposite(pair, direction)
    if not len(rows) or not len(opposite):
        return np.empty(0, np.intp)
    wanted, requested = forged.conversations(opposite, direction, direction.receiver.index.flow[rows])
    conversation = np.concatenate([requested, wanted])
    time_ns = np.concatenate([opposite.time_ns, direction.receiver.index.time_ns[rows]])
    answer = np.arange(len(conversation)) >= len(requested)
    order = np.lexsort((answer, time_ns, conversation))
    last = np.maximum.accumulate(np.where(answer[order], -1, np.arange(len(order))))
    at = np.flatnonzero(answer[order] & (last >= 0))
    packets = order[last[at]]
    packets = packets[conversation[packets] == conversation[order[at]]]
    return np.unique(packets[opposite.lost[packets]])
