"""Pair the packets of two captures by the strictest key, at once or partition by partition.

The key is a hash of the packet's flow and of what distinguishes the packets of a flow (`identity.Level`).
Rows are matched within the partition that their keys fall into: equal keys are never separated, so the
partitions together give the same result as matching everything at once, wherever each is matched. Even an
elephant flow is spread over all of them.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.memory.threads import threads
from vxlanalyze.pairing import identity, match
from vxlanalyze.pairing.identity import Level
from vxlanalyze.pairing.model import NO_ROW
from vxlanalyze.pairing.points import Place
from vxlanalyze.pairing.rows import rows_of
from vxlanalyze.wire.model import Decoded


class KeyedRows(NamedTuple):
    """Rows of one capture that can be matched, and their keys, shapes ``(k,)``."""

    row: NDArray[np.int32]
    key: NDArray[np.uint64]

    @classmethod
    def of(cls, decoded: Decoded, place: Place, level: Level = Level.OUTER) -> "KeyedRows":
        """Those of the rows at a place that have a flow, which fragments and unknown protocols do not."""
        row = rows_of(decoded.index.flow, place.flows)
        return cls(row, identity.frame_keys(level, decoded, row))

    def parted(self, parts: int) -> "list[KeyedRows]":
        """Split into partitions, each in the original order."""
        part = (self.key % np.uint64(parts)).astype(np.int32)
        order = np.argsort(part, kind="stable")
        borders = np.searchsorted(part[order], np.arange(1, parts))
        return [KeyedRows(self.row[some], self.key[some]) for some in np.split(order, borders)]


class Pairs(NamedTuple):
    """Rows of the first capture and of the second that belong together, shapes ``(k,)``."""

    first: NDArray[np.int32]
    second: NDArray[np.int32]


def pairs(first: KeyedRows, second: KeyedRows) -> Pairs:
    """Pair the rows whose keys occur once on each side."""
    found = match.unique(first.key, second.key)
    paired = found != match.NO_PARTNER
    return Pairs(first.row[paired], second.row[found[paired]])


def partners(found: Iterable[Pairs], frames: int) -> NDArray[np.int32]:
    """Give for each of the first capture's `n` frames the row of its partner, or NO_ROW, shape ``(n,)``."""
    partner = np.full(frames, NO_ROW, dtype=np.int32)
    for pair in found:
        partner[pair.first] = pair.second
    return partner


def neighbours(captures: Sequence[tuple[Decoded, Place]]) -> list[list[Pairs]]:
    """Pair each capture with the next one, in one partition; the keys are made in parallel."""
    if len(captures) < 2:
        return []
    with threads(2) as pool:  # the kernel releases the lock
        seen = list(pool.map(lambda capture: KeyedRows.of(*capture), captures))
    return [[pairs(here, there)] for here, there in pairwise(seen)]
