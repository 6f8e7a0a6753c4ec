"""Clocks that were set back while they captured: count time on as though they had not been.

The frames of a file stand in the order in which they were captured, so a time far below that of the frame
before is either a clock that was set back or another file that was appended. Only in the first case, the time
differences of packets that a neighbouring capture also shows jump by as much. Such a clock shows the same
times twice: no order, duration or window can be derived from them until they are counted on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import NO_ROW, CaptureFacts, SetBack
from vxlanalyze.wire.model import Decoded

_BACKWARDS_NS = 100_000_000  # queues and processors stamp frames out of order by less
_MOST_DROPS = 64  # files joined piece by piece have more, and are no clock that was set
_COMPARED = 64  # packets on each side of a step whose time differences are compared
_FEWEST = 4  # fewer packets than this at another offset are outliers
_DELAY_NS = 50_000_000  # by how much delays may differ between both sides of a step

Partners = Mapping[tuple[int, int], NDArray[np.int32]]


def counted_on(
    decoded: Sequence[Decoded], facts: Sequence[CaptureFacts], partners: Partners
) -> tuple[list[Decoded], list[CaptureFacts]]:
    """Give the captures and their facts with the times after each such step counted on.

    Parameters
    ----------
    decoded, facts : sequences
        The captures in path order.
    partners : mapping
        For two neighbouring captures, the row in the second of each row of the first, or NO_ROW.
    """
    result, said = list(decoded), list(facts)
    for number, capture in enumerate(decoded):
        times = capture.index.time_ns
        drops = np.flatnonzero(times[1:] < times[:-1] - _BACKWARDS_NS)
        if not 0 < len(drops) <= _MOST_DROPS:
            continue
        pairs = [_pairs(number, both, partner) for both, partner in partners.items() if number in both]
        steps = _steps(times, drops + 1, [(own, decoded[i].index.time_ns[row]) for i, own, row in pairs])
        if not steps:
            continue
        whole = times.copy()
        for step in steps:
            whole[step.row :] += step.by_ns
        result[number] = replace(capture, index=replace(capture.index, time_ns=whole))
        said[number] = replace(
            said[number],
            first_ns=int(whole.min()),
            last_ns=int(whole.max()),
            stated_ns=(said[number].first_ns or 0, said[number].last_ns or 0),
            set_back=tuple(steps),
        )
    return result, said


def _pairs(
    number: int, both: tuple[int, int], partner: NDArray[np.int32]
) -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
    """Number of the neighbour, and rows of the same packets in the capture and in its neighbour."""
    first = np.flatnonzero(partner != NO_ROW)
    second = partner[first].astype(np.int64)
    if number == both[0]:
        return both[1], first, second
    order = np.argsort(second, kind="stable")
    return both[0], second[order], first[order]


def _steps(
    times: NDArray[np.int64],
    candidates: NDArray[np.int64],
    neighbours: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> list[SetBack]:
    """The candidate rows at which a neighbour confirms that the clock was set back."""
    steps: list[SetBack] = []
    unclear = 0  # rows whose differences were used before this one
    for row in candidates.tolist():
        dropped_ns = int(times[row - 1] - times[row])
        for own, there_ns in neighbours:
            at = int(np.searchsorted(own, row))
            before, after = slice(max(at - _COMPARED, 0), at), slice(at, at + _COMPARED)
            if row < unclear or min(at, len(own) - at) < _FEWEST:
                continue
            by_ns = _level(there_ns[after] - times[own[after]]) - _level(
                there_ns[before] - times[own[before]]
            )
            if by_ns >= dropped_ns - _DELAY_NS:
                steps.append(SetBack(row, by_ns))
                unclear = int(own[after][-1])
                break
    return steps


def _level(differences_ns: NDArray[np.int64]) -> int:
    """Middle of the differences of both directions, whatever the share of each."""
    base = differences_ns[0]
    low, high = np.quantile((differences_ns - base).astype(np.float64), [0.1, 0.9])
    return int(base) + round((low + high) / 2)
