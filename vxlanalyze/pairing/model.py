"""What pairing hands on: every wire packet of every hop with its fate, and the clocks between the points.

A *point* is a place where packets were seen; a *hop* lies between two neighbouring points; each has two
*directions* of `m` wire packets: arrays of shape ``(m,)``. What can be derived from the frame that a packet
was seen in (length, time, addresses) is a property, so that a direction costs some 24 bytes a packet.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.model import Damage, File, Interface, InterfaceStatistics, Source
from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.pairing import offsets
from vxlanalyze.pairing.tuples import Tuples
from vxlanalyze.wire.mirrors import Mirror
from vxlanalyze.wire.model import Decoded, Flows, Index

_Number = TypeVar("_Number", bound=np.integer[Any])

NO_ROW = -1
NO_DELAY = np.iinfo(np.int64).min

# Fields of a Direction with one value a packet, and with one for each that only the receiver saw.
PER_PACKET = (
    "sent_row", "received_row", "segment", "received_segment", "outcome", "reason", "copies", "corrupted",
    "delay_ns",
)  # fmt: skip
PER_UNSENT = ("unsent_row", "unsent_segment", "unsent_reason")


class Outcome(IntEnum):
    """What became of a wire packet."""

    DELIVERED = 0
    LOST = 1
    UNKNOWN = 2
    UNSENT = 3  # seen at the receiver only


class Reason(IntEnum):
    """Why an outcome is not plain; names in lower case with dashes stand in tables."""

    NONE = 0
    WINDOW = 1  # outside the time that both captures cover
    CAPTURE_LOSS = 2  # the other capture lacks it, though the host had it
    AMBIGUOUS = 3  # equal to other packets; the count is right, the pairing may be crossed
    OTHER_PEER = 4  # to or from a node that was not captured


@dataclass(frozen=True, slots=True)
class CaptureFacts:
    """What one capture says of itself; times by its own clock, None where it holds no frame."""

    name: str
    source: Source
    files: tuple[File, ...]
    interfaces: tuple[Interface, ...]
    statistics: tuple[InterfaceStatistics, ...]
    damages: tuple[Damage, ...]
    packets: int
    tunnel_packets: int
    first_ns: int | None
    last_ns: int | None
    snaplen_bytes: int | None  # None: no limit that cut anything
    dropped_by_kernel: int | None
    mirror: Mirror | None = None  # the session that brought the frames, which its header stood around
    seen_again: int = 0  # frames that show a packet a second time, and are left out


@dataclass(frozen=True)
class Point:
    """A place where packets were seen: a whole capture, or one interface of an `any` capture.

    Parameters
    ----------
    name : str
        The capture's name; ``node1/if5`` for a place inside the node of capture `node1`.
    capture : int
        Index into ``Comparison.captures``.
    encapsulated : bool
        Whether packets stand inside the tunnel here (a node's NIC) or bare (a pod's veth).
    rows : NDArray[np.int32] or None
        The rows of `decoded.index` that were seen here; None for all of them.
    segment_bytes : NDArray[np.uint16]
        Shape ``(n,)``, by index row: L4 payload of each wire packet in a super-packet; 0 where the
        frame is one wire packet.
    addresses : tuple[str, ...]
        Outer addresses of the node (bare: addresses of the pod) that this point belongs to.
    addresses_by : str
        What they rest on, in words.
    tuples : Tuples or None
        The 5-tuples of all captures, where they were numbered.
    """

    name: str
    capture: int
    encapsulated: bool
    decoded: Decoded
    rows: NDArray[np.int32] | None
    segment_bytes: NDArray[np.uint16]
    addresses: tuple[str, ...]
    addresses_by: str
    tuples: Tuples | None = None

    @property
    def index(self) -> Index:
        """One row a frame."""
        return self.decoded.index

    @property
    def flows(self) -> Flows:
        """The flows of the capture."""
        return self.decoded.flows

    def frame(self, rows: NDArray[np.int32]) -> NDArray[np.int64]:
        """Frame numbers as Wireshark counts them, shape of `rows`; 0 where the row is NO_ROW."""
        if self.decoded.frame is None:
            return rows.astype(np.int64) + 1
        return np.append(self.decoded.frame, np.int32(0))[rows].astype(np.int64)  # the last for NO_ROW


@dataclass(frozen=True, slots=True)
class ClockPiece:
    """Offset of the receiver point's clock from the sender point's, linear from a moment on.

    ``offset(t) = offset_ns + drift_ppm * 1e-6 * (t - from_ns)``, `t` by the first point's clock.
    """

    from_ns: int
    offset_ns: int
    drift_ppm: float


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of `to` minus that of `from_`, told from packets.

    `offset_ns` is taken at the start of the common window. With packets in one direction only it
    cannot be told from delay: `offset_ns` is None and `relative` holds, so delays count from the
    smallest. `method` says in words what it rests on. Steps make more than one piece. Where time stamps
    contradict each other by more than interrupts explain, `contradiction_ns` is by how much at most.
    """

    from_: str
    to: str
    offset_ns: int | None
    drift_ppm: float | None
    uncertainty_ns: int | None
    method: str
    pieces: tuple[ClockPiece, ...]
    relative: bool
    pairs_forward: int
    pairs_backward: int
    contradiction_ns: int = 0

    def offset_at(self, time_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Offset at times by the clock of `from_`; what is used to compute delays, shape kept."""
        return offsets.at(time_ns, self.pieces)


@dataclass(frozen=True, eq=False)  # compared and hashed by identity: arrays have no single truth
class Direction:
    """The `m` wire packets that `sender` saw going to `receiver`, in the order they were sent.

    Parameters
    ----------
    label : str
        ``X>Y``, as it stands in every output.
    sent_row, received_row : NDArray[np.int32]
        Rows of the sender's and the receiver's index; `received_row` is NO_ROW where none arrived.
    segment, received_segment : NDArray[np.uint16]
        Place inside the super-packet of that row.
    outcome, reason : NDArray[np.uint8]
        `Outcome` (never UNSENT) and `Reason`.
    copies : NDArray[np.uint8]
        How often the receiver saw it, at most 255; 0 where it did not.
    corrupted : NDArray[np.bool_]
        The payload that arrived differs from the one sent.
    delay_ns : NDArray[np.int64]
        One-way delay, clock-corrected; NO_DELAY where there is none. Relative where the clock is.
    unsent_row, unsent_segment, unsent_reason
        Shape ``(k,)``: wire packets of this direction that only the receiver saw.
    window_ns : tuple[int, int] or None
        The common window by the sender's clock, both ends included; None where there is none.
    window_by : str
        What the window rests on, in words.
    assessed : bool
        Whether loss can be judged at all; `not_assessed_why` says why not.
    maybe_lost : int
        Unknown packets: lost, or dropped by the receiver's capture, which states so many drops.
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

    @cached_property  # asked by nearly every diagnostic
    def flow(self) -> NDArray[np.int32]:
        """Row in ``sender.flows`` of each packet, shape ``(m,)``."""
        return self.sender.index.flow[self.sent_row]

    @property
    def time_ns(self) -> NDArray[np.int64]:
        """When it was sent, by the sender's clock, shape ``(m,)``."""
        return self.sender.index.time_ns[self.sent_row]

    def sent_ns(self, chosen: NDArray[np.integer] | NDArray[np.bool_]) -> NDArray[np.int64]:
        """When some packets were sent, given by place or marked, by the sender's clock."""
        return self.sender.index.time_ns[self.sent_row[chosen]]

    @property
    def received_time_ns(self) -> NDArray[np.int64]:
        """When it was received, by the receiver's clock, shape ``(m,)``; 0 where it was not."""
        return _gather(self.receiver.index.time_ns, self.received_row)

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
        """Outer IP total length of each wire packet, shape ``(m,)``; 0 where it is bare."""
        return self._less_other_segments(self.sender.index.outer_length)

    def _less_other_segments(self, whole: NDArray[np.uint32]) -> NDArray[np.uint32]:
        lengths = whole[self.sent_row]
        if self.sender.segment_bytes.any():
            split = self.sender.segment_bytes[self.sent_row] != 0
            others = self.sender.index.payload_length[self.sent_row] - self.payload_length
            bare = lengths == 0
            lengths = np.where(split & ~bare, lengths - others, lengths)
        return lengths

    @property
    def seq(self) -> NDArray[np.uint32]:
        """TCP sequence number of each wire packet (see `Index.seq`), shape ``(m,)``."""
        return self.seq_of(slice(None))

    def seq_of(self, packets: NDArray[np.int64] | slice) -> NDArray[np.uint32]:
        """TCP sequence numbers of packets at some places, shape kept."""
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
        received = _gather(self.receiver.index.ip_id, self.received_row) + self.received_segment
        return np.where(self.received_row == NO_ROW, sent, received)

    @cached_property
    def largest_delivered(self) -> int | None:
        """Outer (bare: inner) IP length of the largest packet that arrived, in bytes."""
        return _extreme(self.wire_length, self.delivered, np.max)

    @cached_property
    def smallest_lost(self) -> int | None:
        """Outer (bare: inner) IP length of the smallest packet that was lost, in bytes."""
        return _extreme(self.wire_length, self.lost, np.min)

    @cached_property
    def wire_length(self) -> NDArray[np.uint32]:
        """IP length on the wire at the sender: the outer one, or the inner where it is bare."""
        outer = self.outer_length
        return outer if outer.all() else np.where(outer == 0, self.length, outer)


@dataclass(frozen=True, slots=True)
class Hop:
    """Two neighbouring points; `forward` goes the way of the command line."""

    forward: Direction
    backward: Direction
    clock: Clock

    @property
    def directions(self) -> tuple[Direction, Direction]:
        """Both directions."""
        return self.forward, self.backward


@dataclass(frozen=True, eq=False)  # by identity, so that what is measured of it can be kept beside it
class Comparison:
    """Captures and what became of each wire packet between them: all that diagnostics look at.

    `hops` lie between neighbouring captures in path order; `inside` are the hops within a node that
    an `any` capture shows. With one capture both are empty. `translated` are the identities that stand for
    flows of several 5-tuples: those of services and masquerading (`pairing.translation`).
    """

    captures: tuple[CaptureFacts, ...]
    points: tuple[Point, ...]
    hops: tuple[Hop, ...]
    inside: tuple[Hop, ...] = ()
    cluster: Cluster = field(default_factory=Cluster)
    ports: tuple[int, ...] = ()
    translated: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Every direction of every hop between captures, in path order, forward first."""
        return tuple(d for hop in self.hops for d in hop.directions)

    def clock_of(self, direction: Direction) -> Clock:
        """Clock of the hop that a direction belongs to."""
        for hop in (*self.hops, *self.inside):
            if direction is hop.forward or direction is hop.backward:
                return hop.clock
        raise KeyError(direction.label)


def wire_payload(point: Point, rows: NDArray[np.int32], segment: NDArray[np.uint16]) -> NDArray[np.uint32]:
    """L4 payload bytes of wire packets seen in given rows at given places, shape of `rows`."""
    whole = point.index.payload_length[rows]
    if not point.segment_bytes.any():
        return whole
    size = point.segment_bytes[rows].astype(np.uint32)
    return np.where(size == 0, whole, np.minimum(whole - size * segment, size))


def _gather(values: NDArray[_Number], rows: NDArray[np.int32]) -> NDArray[_Number]:
    """Values at rows, 0 at NO_ROW; works on an empty capture too."""
    found = rows != NO_ROW
    result = np.zeros(len(rows), dtype=values.dtype)
    result[found] = values[rows[found]]
    return result


def _extreme(lengths: NDArray[np.uint32], chosen: NDArray[np.bool_], pick: object) -> int | None:
    return int(pick(lengths[chosen])) if chosen.any() else None  # type: ignore[operator]
