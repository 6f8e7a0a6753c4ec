"""Decide whether the bytes of two packets differ through damage, or because they are two datagrams.

Where neither a checksum nor a number decides (UDP without checksum and IP ID, or truncated), the packets are
read again. Damage is a few bits, or one block of bytes. That alone proves nothing: the next datagram of a
stream may differ only in a counter. So the datagrams that the flow sent just before and after show which of
its bytes vary. Two packets are the same if enough of the varying bytes agree, or if the few differing bits
never vary.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze import wire
from vxlanalyze.capture.model import Source
from vxlanalyze.pairing.model import Point

_AT_ONCE_BYTES = 8 << 20  # payload in memory at once, for each of the packets compared
_AROUND = (-2, -1, 1, 2)  # datagrams of the flow that show the varying bytes
_FEWEST_OTHERS = 2
_FEW_BITS = 3
_AGREEING_BYTES = 8  # that vary in the flow; random bytes agree once in 2**64 cases

_Rows = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Rereading:
    """Reads packets of both points again, and compares their payloads."""

    sent: Source
    received: Source
    ports: tuple[int, ...]

    def looks_damaged(self, near: Point, here: _Rows, far: Point, there: _Rows) -> NDArray[np.bool_]:
        """Mark the pairs whose differences look like damage.

        Parameters
        ----------
        near, far : Point
            The sender and the receiver.
        here, there : NDArray[np.int32]
            Rows of the two points, shapes ``(k,)``, pair by pair.

        Returns
        -------
        NDArray[np.bool_]
            Shape ``(k,)``.

        Raises
        ------
        CaptureError
            A file has changed since it was read.
        """
        result = np.zeros(len(here), np.bool_)
        if not len(here):
            return result
        others = _others(near, here)
        judged = np.flatnonzero((others >= 0).sum(axis=1) >= _FEWEST_OTHERS)
        width = int(near.index.payload_length[here].max())
        parts = -(-len(judged) * max(width, 1) // _AT_ONCE_BYTES)
        for some in np.array_split(judged, max(parts, 1)):
            if len(some):
                result[some] = self._compare(near, here[some], others[some], (far, there[some]))
        return result

    def _compare(
        self, near: Point, here: _Rows, others: _Rows, arrived: tuple[Point, _Rows]
    ) -> NDArray[np.bool_]:
        far, there = arrived
        width = int(near.index.payload_length[here].max())
        sent, kept = self._payloads(self.sent, near, here, width)
        received, kept_there = self._payloads(self.received, far, there, width)
        compared = np.arange(width) < np.minimum(kept, kept_there)[:, None]
        varies = np.zeros_like(compared)
        for column in others.T:
            other, _ = self._payloads(self.sent, near, np.where(column >= 0, column, here), width)
            varies |= other != sent
        mask = np.where(compared, sent ^ received, np.uint8(0))
        return _as_damage(mask, compared, varies)

    def _payloads(
        self, source: Source, point: Point, rows: _Rows, width: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Payloads as rows, shape ``(k, width)``, and the number of captured bytes of each."""
        frames = source.fetch(point.index.place[rows])
        fields = wire.columns(frames, source.interfaces, ports=self.ports)
        start, kept = fields["payload_start"], np.minimum(fields["payload_captured"], width)
        at = np.arange(width)
        inside = at < kept[:, None]
        data = frames.data[np.where(inside, start[:, None] + at, 0)]
        return np.where(inside, data, np.uint8(0)), kept


def _others(point: Point, rows: _Rows) -> _Rows:
    """Rows of neighbouring packets of the flow with equal length, shape ``(k, 4)``; -1 where none."""
    index = point.index
    wanted = np.zeros(len(point.flows), np.bool_)
    wanted[index.flow[rows]] = True
    of_flows = np.flatnonzero((index.flow >= 0) & wanted[index.flow])
    order = of_flows[np.lexsort((of_flows, index.length[of_flows], index.flow[of_flows]))]
    place = np.empty(len(index), np.int64)
    place[order] = np.arange(len(order))
    found = place[rows][:, None] + np.array(_AROUND)
    exists = (found >= 0) & (found < len(order))
    result = order[np.where(exists, found, 0)].astype(np.int32)
    one = rows[:, None]
    alike = (index.flow[result] == index.flow[one]) & (index.length[result] == index.length[one])
    return np.where(exists & alike, result, np.int32(-1))


def _as_damage(
    mask: NDArray[np.uint8], compared: NDArray[np.bool_], varies: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Whether damage explains the difference, from the differing bits, compared bytes, and varying bytes."""
    differs = mask != 0
    bits = np.bitwise_count(mask).sum(axis=1, dtype=np.int64)
    width = mask.shape[1]
    first, last = differs.argmax(axis=1), width - 1 - differs[:, ::-1].argmax(axis=1)
    few = bits <= _FEW_BITS
    block = (last - first + 1) * 2 <= compared.sum(axis=1)
    agreeing = (varies & compared & ~differs).sum(axis=1)
    steady = ~(differs & varies).any(axis=1)
    known = agreeing >= _AGREEING_BYTES
    damage: NDArray[np.bool_] = (bits > 0) & ((known & (few | block)) | (few & steady))
    return damage
