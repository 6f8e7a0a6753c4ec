"""The wire packets of one direction of a hop, each with its fate."""

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model.observation import NO_ROW, Point, gathered, wire_payload

# Fields of a Direction with one value per packet, and with one for each packet that only the receiver saw.
PER_PACKET = (
    "sent_row", "received_row", "segment", "received_segment", "outcome", "reason", "copies", "corrupted",
    "delay_ns",
)  # fmt: skip


PER_UNSENT = ("unsent_row", "unsent_segment", "unsent_reason")


class Outcome(IntEnum):
    """The fate of a wire packet."""

    DELIVERED = 0
    LOST = 1
    UNKNOWN = 2
    UNSENT = 3  # seen at the receiver only


class Reason(IntEnum):
    """Qualifies an outcome; tables show the names in lower case with dashes."""

    NONE = 0
    WINDOW = 1  # outside the time covered by both captures
    CAPTURE_LOSS = 2  # the other capture lacks it, though the host had it
    AMBIGUOUS = 3  # equal to other packets; the count is right, the pairing may be crossed
    OTHER_PEER = 4  # to or from a node that was not captured


@dataclass(frozen=True, eq=False)  # compared and hashed by identity: arrays have no single truth
class Direction:
    """The `m` wire packets that `sender` saw going to `receiver`, in the order of sending.

    Parameters
    ----------
    label : str
        ``X>Y``, as in every output.
    sent_row, received_row : NDArray[np.int32]
        Rows of the sender's and the receiver's index; `received_row` is NO_ROW where none arrived.
    segment, received_segment : NDArray[np.uint16]
        Position inside the super-packet of that row.
    outcome, reason : NDArray[np.uint8]
        `Outcome` (never UNSENT) and `Reason`.
    copies : NDArray[np.uint8]
        How often the receiver saw it, at most 255; 0 where it did not.
    corrupted : NDArray[np.bool_]
        The payload that arrived differs from the one sent.
    delay_ns : NDArray[np.int64]
        One-way delay, clock-corrected; NO_DELAY where there is none. Relative if the clock is.
    unsent_row, unsent_segment, unsent_reason
        Shape ``(k,)``: wire packets of this direction that only the receiver saw.
    window_ns : tuple[int, int] or None
        The observation window by the sender's clock, both ends included; None where there is none.
    window_by : str
        What the window is based on, in words.
    assessed : bool
        Whether loss can be judged at all; `not_assessed_why` says why not.
    maybe_lost : int
        Unknown packets: lost, or dropped by the receiver's capture, which reports this many drops.
    """

    label: str
    sender: Point
    receiver: Point
    sent_row: NDArray[np.int32]
    received_row: NDArray[np.int32]
    segment: NDArray[np.uint16]
    received_segment: NDArray[np.uint16]
    outcome: NDArray[np.uint8]
    reason: NDArray[np.uint8]
    copies: NDArray[np.uint8]
    corrupted: NDArray[np.bool_]
    delay_ns: NDArray[np.int64]
    unsent_row: NDArray[np.int32]
    unsent_segment: NDArray[np.uint16]
    unsent_reason: NDArray[np.uint8]
    window_ns: tuple[int, int] | None
    window_by: str
    assessed: bool = True
    not_assessed_why: str = ""
    maybe_lost: int = 0

    def __len__(self) -> int:
        return len(self.sent_row)

    @property
    def lost(self) -> NDArray[np.bool_]:
        """Packets that were sent and did not arrive, shape ``(m,)``."""
        return self.outcome == Outcome.LOST

    @property
    def delivered(self) -> NDArray[np.bool_]:
        """Packets that were sent and arrived, shape ``(m,)``."""
        return self.outcome == Outcome.DELIVERED

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Packets whose fate is known: delivered or lost, shape ``(m,)``."""
        return self.outcome <= Outcome.LOST

    @cached_property  # used by nearly every diagnostic
    def flow(self) -> NDArray[np.int32]:
        """Row in ``sender.flows`` of each packet, shape ``(m,)``."""
        return self.sender.index.flow[self.sent_row]

    @property
    def time_ns(self) -> NDArray[np.int64]:
        """When it was sent, by the sender's clock, shape ``(m,)``."""
        return self.sender.index.time_ns[self.sent_row]

    def sent_ns(self, chosen: NDArray[np.integer] | NDArray[np.bool_]) -> NDArray[np.int64]:
        """When some packets, given by position or mask, were sent, by the sender's clock."""
        return self.sender.index.time_ns[self.sent_row[chosen]]

    @property
    def received_time_ns(self) -> NDArray[np.int64]:
        """When it was received, by the receiver's clock, shape ``(m,)``; 0 where it was not."""
        return gathered(self.receiver.index.time_ns, self.received_row)

    @property
    def payload_length(self) -> NDArray[np.uint32]:
        """L4 payload bytes of each wire packet, shape ``(m,)``."""
        return wire_payload(self.sender, self.sent_row, self.segment)

    @property
    def length(self) -> NDArray[np.uint32]:
        """Inner IP total length of each wire packet, shape ``(m,)``."""
        return self._less_other_segments(self.sender.index.length)

    @property
    def outer_length(self) -> NDArray[np.uint32]:
        """Outer IP total length of each wire packet, shape ``(m,)``; 0 where it is unencapsulated."""
        return self._less_other_segments(self.sender.index.outer_length)

    def _less_other_segments(self, whole: NDArray[np.uint32]) -> NDArray[np.uint32]:
        lengths = whole[self.sent_row]
        if self.sender.segment_bytes.any():
            split = np.flatnonzero(self.sender.segment_bytes[self.sent_row])  # few frames are super-packets
            rows, known = self.sent_row[split], lengths[split]
            others = self.sender.index.payload_length[rows] - wire_payload(
                self.sender, rows, self.segment[split]
            )
            lengths[split] = np.where(known == 0, known, known - others)
        return lengths

    @property
    def seq(self) -> NDArray[np.uint32]:
        """TCP sequence number of each wire packet (see `Index.seq`), shape ``(m,)``."""
        return self.seq_of(slice(None))

    def seq_of(self, packets: NDArray[np.integer[Any]] | slice) -> NDArray[np.uint32]:
        """TCP sequence numbers of packets at some positions, shape kept."""
        rows, segment = self.sent_row[packets], self.segment[packets]
        first = self.sender.index.seq[rows]
        if not segment.any():
            return first
        step = np.where(self.sender.flows.protocol[self.flow[packets]] == 6, segment, 0).astype(np.uint32)
        return first + step * self.sender.segment_bytes[rows]

    @property
    def ip_id(self) -> NDArray[np.uint16]:
        """Inner IPv4 identification, shape ``(m,)``: as received, else counted up from the frame's."""
        sent = self.sender.index.ip_id[self.sent_row] + self.segment
        received = gathered(self.receiver.index.ip_id, self.received_row) + self.received_segment
        return np.where(self.received_row == NO_ROW, sent, received)

    @cached_property
    def largest_delivered(self) -> int | None:
        """Outer (unencapsulated: inner) IP length of the largest packet that arrived, in bytes."""
        return _extreme(self.wire_length, self.delivered, np.max)

    @cached_property
    def smallest_lost(self) -> int | None:
        """Outer (unencapsulated: inner) IP length of the smallest packet that was lost, in bytes."""
        return _extreme(self.wire_length, self.lost, np.min)

    @cached_property
    def wire_length(self) -> NDArray[np.uint32]:
        """IP length on the wire at the sender: the outer one, or the inner where unencapsulated."""
        outer = self.outer_length
        return outer if outer.all() else np.where(outer == 0, self.length, outer)


def _extreme(lengths: NDArray[np.uint32], chosen: NDArray[np.bool_], pick: object) -> int | None:
    return int(pick(lengths[chosen])) if chosen.any() else None  # type: ignore[operator]
