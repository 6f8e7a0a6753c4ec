"""What one capture says about itself, and the points at which it shows packets."""

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.model import Damage, File, Interface, InterfaceStatistics, Source
from vxlanalyze.pairing.numbered import Tuples
from vxlanalyze.wire.mirrors import Mirror
from vxlanalyze.wire.model import Decoded, Flows, Index, Tunnel

_Number = TypeVar("_Number", bound=np.integer[Any])


NO_ROW = -1


NO_DELAY = np.iinfo(np.int64).min


class SetBack(NamedTuple):
    """A clock that was set back: the row of the first frame after it, and by how much."""

    row: int
    by_ns: int


@dataclass(frozen=True, slots=True)
class CaptureFacts:
    """What one capture says about itself; times by its own clock, None where it holds no frame.

    Where the clock was set back, times after it are counted on; `stated_ns` has those of the file.
    """

    name: str
    source: Source
    files: tuple[File, ...]
    interfaces: tuple[Interface, ...]
    statistics: tuple[InterfaceStatistics, ...]
    damages: tuple[Damage, ...]
    packets: int  # frames; those of a reassembled datagram count as one
    tunnel_packets: int
    first_ns: int | None
    last_ns: int | None
    snaplen_bytes: int | None  # None: no limit, or none that cut anything
    dropped_by_kernel: int | None
    mirror: Mirror | None = None  # the session that mirrored the frames, each encapsulated in its header
    seen_again: int = 0  # frames that show a packet a second time and were left out
    stated_ns: tuple[int, int] | None = None
    set_back: tuple[SetBack, ...] = ()


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
        Whether packets are inside the tunnel here (a node's NIC) or unencapsulated (a pod's veth).
    rows : NDArray[np.int32] or None
        The rows of `decoded.index` that were seen here; None for all of them.
    segment_bytes : NDArray[np.uint16]
        Shape ``(n,)``, by index row: L4 payload of each wire packet in a super-packet; 0 where the
        frame is one wire packet.
    addresses : tuple[str, ...]
        Outer addresses of the node (unencapsulated: addresses of the pod) that this point belongs to.
    addresses_by : str
        The evidence for them, in words.
    tuples : Tuples or None
        The 5-tuples of all captures, where they were numbered.
    set_back : tuple[SetBack, ...]
        Where the clock was set back: times in `index` are counted on after it.
    routed : bool
        Whether it is the network card of a node whose pods talk to the other captured node without a tunnel.
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
    set_back: tuple[SetBack, ...] = ()
    routed: bool = False

    @property
    def index(self) -> Index:
        """One row a frame."""
        return self.decoded.index

    @property
    def flows(self) -> Flows:
        """The flows of the capture."""
        return self.decoded.flows

    @property
    def own_flows(self) -> NDArray[np.bool_]:
        """Flows as this point sees its packets: inside the tunnel or unencapsulated; shape ``(f,)``."""
        tunnelled = self.flows.tunnel != Tunnel.NONE
        own: NDArray[np.bool_] = (tunnelled == self.encapsulated) | self.routed
        return own

    def frame(self, rows: NDArray[np.int32]) -> NDArray[np.int64]:
        """Frame numbers as Wireshark counts them, shape of `rows`; 0 where the row is NO_ROW."""
        if self.decoded.frame is None:
            return rows.astype(np.int64) + 1
        return np.append(self.decoded.frame, np.int32(0))[rows].astype(np.int64)  # the last for NO_ROW

    def stated_ns(self, rows: NDArray[np.int32]) -> NDArray[np.int64]:
        """Times of rows as the file states them, shape of `rows`."""
        times = self.index.time_ns[rows]
        for step in self.set_back:
            times[rows >= step.row] -= step.by_ns
        return times


def wire_payload(point: Point, rows: NDArray[np.int32], segment: NDArray[np.uint16]) -> NDArray[np.uint32]:
    """L4 payload bytes of wire packets in given rows at given positions, shape of `rows`."""
    whole = point.index.payload_length[rows]
    if not point.segment_bytes.any():
        return whole
    split = np.flatnonzero(point.segment_bytes[rows])  # few frames are super-packets
    size = point.segment_bytes[rows[split]].astype(np.uint32)
    whole[split] = np.minimum(whole[split] - size * segment[split], size)
    return whole


def gathered(values: NDArray[_Number], rows: NDArray[np.int32]) -> NDArray[_Number]:
    """Values at rows, 0 at NO_ROW; also works on an empty capture."""
    found = rows != NO_ROW
    result = np.zeros(len(rows), dtype=values.dtype)
    result[found] = values[rows[found]]
    return result
