"""When octets of streams left, and when they were delivered in order, at a point."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.messages.columns import EPOCH_SHIFT
from vxlanalyze.analysis.tcp.message_streams import Collected
from vxlanalyze.kernels.arrays import I64
from vxlanalyze.kernels.decorator import compiled

_STREAM_SHIFT = 48
NOWHERE = -1


class _Kept(NamedTuple):
    """Segments with octets that no earlier one had: their positions, and as in `OctetTimes`."""

    at: NDArray[np.int64]
    skip: NDArray[np.int64]
    delivered_ns: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class OctetTimes:
    """The segments of streams in the order of octets, each octet once; shape ``(k,)``.

    Parameters
    ----------
    stream, offset, length, skip, row : NDArray
        `skip` octets of the packet in `row` were in earlier segments; `offset` is that of the next one.
    first_ns : NDArray[np.int64]
        When the point first showed these octets.
    delivered_ns : NDArray[np.int64]
        When it had shown them and all before them, so that a receiver hands them on.
    """

    stream: NDArray[np.int32]
    offset: NDArray[np.int64]
    length: NDArray[np.int64]
    skip: NDArray[np.int64]
    row: NDArray[np.int32]
    first_ns: NDArray[np.int64]
    delivered_ns: NDArray[np.int64]

    @classmethod
    def of(cls, collected: Collected, time_ns: NDArray[np.int64]) -> "OctetTimes":
        """Order segments by stream and octets; `time_ns` has their shape, and they are in its order."""
        key = _key(collected.stream, collected.offset)
        order = np.argsort(key, kind="stable")
        kept = _Kept._make(np.empty(len(order), np.int64) for _ in _Kept._fields)
        count = _once_each(key[order], collected.length[order], time_ns[order], kept)
        kept = _Kept._make(column[:count] for column in kept)
        chosen = order[kept.at]
        return cls(
            collected.stream[chosen],
            collected.offset[chosen] + kept.skip,
            collected.length[chosen] - kept.skip,
            kept.skip,
            collected.row[chosen],
            time_ns[chosen],
            kept.delivered_ns,
        )

    def find(self, stream: NDArray[np.int64], offset: NDArray[np.int64]) -> NDArray[np.int64]:
        """Find the segment that has an octet; NOWHERE where none was seen."""
        if len(self.stream) == 0:
            return np.full(len(stream), NOWHERE)
        at = np.searchsorted(_key(self.stream, self.offset), _key(stream, offset), side="right") - 1
        safe = np.maximum(at, 0)
        held = (at >= 0) & (self.stream[safe] == stream) & (offset < self.offset[safe] + self.length[safe])
        return np.where(held, at, NOWHERE)


def _key(stream: NDArray[np.int32] | NDArray[np.int64], offset: NDArray[np.int64]) -> NDArray[np.int64]:
    key: NDArray[np.int64] = (stream.astype(np.int64) << _STREAM_SHIFT) + offset
    return key


@compiled("i8[] i8[] i8[] _Kept(i8[] i8[] i8[])")
def _once_each(key: I64, length: I64, time_ns: I64, kept: _Kept) -> int:
    """Choose the segments with octets that no earlier one had, and count them."""
    count, covered, latest = 0, np.int64(0), np.int64(0)
    for i in range(len(key)):
        begin, end = key[i], key[i] + length[i]
        if count == 0 or begin >> EPOCH_SHIFT != covered >> EPOCH_SHIFT:
            covered, latest = begin, time_ns[i]
        if end <= covered:
            continue
        latest = max(latest, time_ns[i])
        kept.at[count], kept.skip[count], kept.delivered_ns[count] = i, max(covered - begin, 0), latest
        covered = end
        count += 1
    return count
