"""Find packets of a direction that travelled fragmented (outer IP fragments), and where that happened.

Sources: RFC 791 section 3.2 and RFC 8200 section 4.5 (fragments), RFC 7348 section 4.3 (a tunnel endpoint
must not fragment, and may discard fragments).
"""

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.statistics import evidence
from vxlanalyze.pairing.model import NO_ROW, Direction, Point
from vxlanalyze.pairing.tuples import number_rows
from vxlanalyze.wire.model import NO_FLOW, Anomaly, Fragments, Tunnel

_HEADER_BYTES = {4: 20, 6: 48}  # IPv6: with its fragment header
_UNIT_BYTES = 8  # fragments are cut at multiples of it
_FRAGMENTED = np.uint32((Anomaly.FIRST_FRAGMENT | Anomaly.REASSEMBLED).value)
_FIRST = np.uint32(Anomaly.FIRST_FRAGMENT.value)


@dataclass(frozen=True, eq=False)
class Fragmented:
    """Fragmentation in a direction of `m` packets; masks of shape ``(m,)``.

    Parameters
    ----------
    at_sender : NDArray[np.bool_]
        Packets that are already fragmented in the sender's capture.
    on_the_way : NDArray[np.bool_]
        Packets that left in one piece and arrived in fragments.
    incomplete : NDArray[np.bool_]
        Lost packets of which some fragments arrived.
    vanished : NDArray[np.bool_]
        Lost packets that the sender's capture shows in fragments and of which none arrived, although some
        fragment is no larger than packets that arrive unfragmented: its size is not the reason.
    without_rest : NDArray[np.bool_]
        Packets of which the receiver's capture has the first fragment but not all others: lost, or counted as
        delivered where the capture was filtered by port.
    largest_bytes : int or None
        IP length of the largest fragment, last ones excluded.
    whole_bytes : int
        IP length of the largest packet that the fragmenting link carried in one piece; 0 where there is none.
    """

    at_sender: NDArray[np.bool_]
    on_the_way: NDArray[np.bool_]
    incomplete: NDArray[np.bool_]
    vanished: NDArray[np.bool_]
    without_rest: NDArray[np.bool_]
    largest_bytes: int | None
    whole_bytes: int = 0

    @property
    def any(self) -> NDArray[np.bool_]:
        """Packets that travelled fragmented."""
        return self.at_sender | self.on_the_way | self.incomplete

    @property
    def mtu(self) -> tuple[int, int] | None:
        """Smallest and largest MTU that makes such fragments."""
        if self.largest_bytes is None:
            return None
        most = self.largest_bytes + _UNIT_BYTES - 1
        return (
            self.whole_bytes if self.largest_bytes < self.whole_bytes <= most else self.largest_bytes
        ), most


def in_part(direction: Direction) -> int:
    """Count the packets that count as delivered although the receiver shows their first fragment alone."""
    if not len(direction.receiver.decoded.fragments):
        return 0
    arrived = direction.received_row[direction.delivered]
    return int(np.count_nonzero(direction.receiver.index.anomalies[arrived] & _FIRST))


def of(direction: Direction) -> Fragmented:
    """Find packets that travelled fragmented."""
    sender, receiver = direction.sender, direction.receiver
    is_fragmented = any((point.index.anomalies & _FRAGMENTED).any() for point in (sender, receiver))
    if not is_fragmented and not len(receiver.decoded.fragments):
        none = np.zeros(len(direction), np.bool_)
        return Fragmented(none, none, none, none, none, None)
    left_as = sender.index.anomalies[direction.sent_row]
    at_sender = left_as & _FRAGMENTED != 0
    arrived = direction.received_row != NO_ROW
    marks = np.zeros(len(direction), np.uint32)
    marks[arrived] = receiver.index.anomalies[direction.received_row[arrived]]
    without_rest = (left_as & _FIRST == 0) & (marks & _FIRST != 0)
    rest_only = _without_first(direction)
    en_route = ~at_sender & ((marks & _FRAGMENTED != 0) | rest_only)
    shown_by = sender if at_sender.any() else receiver
    mine = direction.sent_row[at_sender] if at_sender.any() else direction.received_row[en_route & arrived]
    largest = _largest(shown_by, mine)
    whole = ~at_sender & ~en_route & (direction.flow != NO_FLOW)
    gone = at_sender & direction.lost & ~without_rest & ~rest_only
    if largest is not None and at_sender.any() and _limited(direction, whole, largest):
        rest_only, gone = np.zeros_like(gone), gone & _some_small(direction, gone, whole)
    incomplete = (direction.lost & without_rest) | rest_only
    carried = whole & (direction.judged if at_sender.any() else direction.delivered)
    return Fragmented(
        at_sender=at_sender,
        on_the_way=en_route,
        incomplete=incomplete,
        vanished=_vanished(direction, at_sender, gone, whole) if largest is not None else np.zeros_like(gone),
        without_rest=without_rest,
        largest_bytes=largest,
        whole_bytes=0 if largest is None else _longest(direction, carried, largest),
    )


def _limited(direction: Direction, whole: NDArray[np.bool_], largest_bytes: int) -> bool:
    """Whether size may explain lost first fragments: no unfragmented packet as large arrives."""
    lengths = direction.wire_length[whole & direction.delivered]
    return len(lengths) == 0 or int(lengths.max()) < largest_bytes


def _some_small(direction: Direction, gone: NDArray[np.bool_], whole: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Packets with a fragment that a capture would show, no larger than packets arriving unfragmented.

    A capture filtered by UDP port holds no later fragment; other frames in it show that it was not.
    """
    receiver, delivered = direction.receiver, whole & direction.delivered
    result = np.zeros(len(direction), np.bool_)
    used = receiver.decoded.usage.used
    if not delivered.any() or not (receiver.flows.tunnel[used] == Tunnel.NONE).any():
        return result
    fragments: Fragments = direction.sender.decoded.fragments
    header = np.where(fragments.family == 6, _HEADER_BYTES[6], _HEADER_BYTES[4])
    small = fragments.length_bytes + header <= int(direction.wire_length[delivered].max())
    having = np.isin(fragments.group, fragments.group[small])
    rows = np.flatnonzero(gone)
    result[rows] = np.isin(direction.sent_row[rows], fragments.row[having])
    return result


def _vanished(
    direction: Direction, at_sender: NDArray[np.bool_], gone: NDArray[np.bool_], whole: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Keep those of flows that deliver unfragmented packets; all of them if nothing fragmented arrives."""
    proved = gone & _delivering(direction, whole)
    if proved.any() and not (at_sender & direction.delivered).any():
        return gone
    return proved


def _delivering(direction: Direction, whole: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Packets of flows whose unfragmented packets arrive, so the flow is not blocked."""
    flows = direction.sender.flows
    talk, names = number_rows(flows.identity[:, np.newaxis])  # flows that differ only in their outer header
    arrived = np.bincount(talk[direction.flow[whole & direction.delivered]], minlength=len(names))
    result: NDArray[np.bool_] = (direction.flow != NO_FLOW) & (arrived[talk[direction.flow]] > 0)
    return result


def _longest(direction: Direction, whole: NDArray[np.bool_], largest_bytes: int) -> int:
    """Length of the longest unfragmented packet that barely exceeds the largest fragment."""
    lengths = direction.wire_length[whole]
    lengths = lengths[lengths < largest_bytes + _UNIT_BYTES]
    return int(lengths.max()) if len(lengths) else 0


def lost_fragmented(direction: Direction, chance: float) -> NDArray[np.bool_]:
    """Mark the packets that are lost because some or all of their fragments are, shape ``(m,)``.

    None where random loss explains this many at the given probability: a packet in two fragments is lost
    twice as often as an unfragmented one.
    """
    travelled = of(direction)
    lost, judged = travelled.incomplete | travelled.vanished, direction.judged
    if not lost.any():
        return lost
    sent = int(np.count_nonzero(travelled.any & judged))
    others = judged & ~travelled.any
    rate = evidence.usual_rate(
        int(np.count_nonzero(others & direction.lost)), int(np.count_nonzero(others & direction.delivered))
    )
    share = evidence.independent(direction.sent_ns(lost)) / np.count_nonzero(lost)
    nats = evidence.excess(share * np.count_nonzero(lost), share * sent, min(0.5, 2 * rate))
    return lost if nats >= -log(chance) else np.zeros_like(lost)


def _without_first(direction: Direction) -> NDArray[np.bool_]:
    """Lost packets of which later fragments arrived: identified by outer source and IP identification."""
    result = np.zeros(len(direction), np.bool_)
    fragments, index = direction.receiver.decoded.fragments, direction.sender.index
    if len(fragments) == 0:
        return result
    headed = np.unique(fragments.group[fragments.offset_bytes == 0])
    orphans = ~np.isin(fragments.group, headed)
    missing = np.flatnonzero(direction.lost & (direction.received_row == NO_ROW))
    if not orphans.any() or len(missing) == 0:
        return result
    flows, flow = direction.sender.flows, direction.flow[missing]
    ip_id = index.outer_ip_id[direction.sent_row[missing]] + direction.segment[missing]
    known = _keys(fragments.outer_src[orphans], fragments.ip_id[orphans] & 0xFFFF)
    result[missing] = np.isin(_keys(flows.outer_src[flow], ip_id), known)
    return result


def _keys(address: NDArray[np.uint8], ip_id: NDArray[np.integer]) -> NDArray[np.void]:
    octets = ip_id.astype(">u2").view(np.uint8).reshape(-1, 2)
    rows = np.ascontiguousarray(np.column_stack((address, octets)))
    return rows.view(np.dtype((np.void, rows.shape[1]))).ravel()


def _largest(point: Point, rows: NDArray[np.int32]) -> int | None:
    """IP length of the largest fragment that is not the last of the datagrams beginning at given rows."""
    fragments: Fragments = point.decoded.fragments
    chosen = fragments.more & np.isin(fragments.group, fragments.group[np.isin(fragments.row, rows)])
    if not chosen.any():
        return None
    header = np.where(fragments.family[chosen] == 6, _HEADER_BYTES[6], _HEADER_BYTES[4])
    return int((fragments.length_bytes[chosen] + header).max())
