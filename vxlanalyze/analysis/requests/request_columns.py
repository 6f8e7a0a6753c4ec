"""Requests of one observation point as columns: first and last transmission, response, refusal."""

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests.request_events import RequestKind
from vxlanalyze.pairing.model import NO_ROW, Point


@dataclass(frozen=True, eq=False)
class Requests:
    """The `r` requests that a point saw; all arrays have shape ``(r,)``.

    Parameters
    ----------
    tuple_of : NDArray[np.int32]
        The 5-tuple (of `MeasuredRequests.tuples`) from client to server.
    number : NDArray[np.int64]
        What distinguishes it within its tuple: echo sequence, DNS identifier, first TCP sequence number.
    kind : NDArray[np.uint8]
        `RequestKind`.
    first_row, last_row : NDArray[np.int32]
        Index rows of its first and last copy.
    copies : NDArray[np.int32]
        Number of times it was seen.
    answer_row : NDArray[np.int32]
        The first answer (or refusal), or NO_ROW.
    refused : NDArray[np.bool_]
        Whether that is a refusal.
    missed : NDArray[np.int32]
        Its transmissions without an answer, or those that will be if the request stays unanswered.
    replies : NDArray[np.int32]
        Packets that answered it.
    again : NDArray[np.int32]
        Copies of a SYN that were sent a while after an answer had been seen.
    decided : NDArray[np.bool_]
        Whether it was answered, or the capture went on long enough for an answer to come.
    """

    point: Point
    tuple_of: NDArray[np.int32]
    number: NDArray[np.int64]
    kind: NDArray[np.uint8]
    first_row: NDArray[np.int32]
    last_row: NDArray[np.int32]
    copies: NDArray[np.int32]
    answer_row: NDArray[np.int32]
    refused: NDArray[np.bool_]
    missed: NDArray[np.int32]
    replies: NDArray[np.int32]
    again: NDArray[np.int32]
    decided: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.first_row)

    def at(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> "Requests":
        """Choose some of them, by mask or number."""
        if which.dtype == np.bool_:  # read once, instead of for each column
            which = np.flatnonzero(which)
        columns = {f.name: getattr(self, f.name)[which] for f in fields(self) if f.name != "point"}
        return replace(self, **columns)

    @property
    def key(self) -> NDArray[np.int64]:
        """Key of each request, the same at every point that saw it."""
        return self.tuple_of.astype(np.int64) << 32 | self.number

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Requests with an answer other than a refusal."""
        result: NDArray[np.bool_] = (self.answer_row != NO_ROW) & ~self.refused
        return result

    @property
    def unanswered(self) -> NDArray[np.bool_]:
        """Requests without an answer although the capture went on."""
        result: NDArray[np.bool_] = self.decided & (self.answer_row == NO_ROW)
        return result

    @property
    def unanswered_transmissions(self) -> NDArray[np.int32]:
        """Transmissions without an answer, shape ``(r,)``; 0 where their fate is unknown."""
        return np.where(self.decided, self.missed, 0).astype(np.int32)

    @property
    def asked(self) -> NDArray[np.int32]:
        """Requests without retries; UDP datagrams, which have no number, each count."""
        return np.where(self.kind == RequestKind.UDP, self.copies, 1).astype(np.int32)

    @property
    def wait_ns(self) -> NDArray[np.int64]:
        """Time from the first copy to the answer, as the client experiences it; undefined without one."""
        times = self.point.index.time_ns
        return times[np.maximum(self.answer_row, 0)] - times[self.first_row]

    @property
    def latency_ns(self) -> NDArray[np.int64]:
        """Time from the last copy before the answer to the answer; undefined without one."""
        times = self.point.index.time_ns
        answered_ns = times[np.maximum(self.answer_row, 0)]
        last_ns, first_ns = times[self.last_row], times[self.first_row]
        return answered_ns - np.where(last_ns <= answered_ns, last_ns, first_ns)
