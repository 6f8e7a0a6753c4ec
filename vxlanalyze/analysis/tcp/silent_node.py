"""Times in which a node sends nothing to its peer despite requests."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vxlanalyze.analysis.tcp.late_answers import LateAnswer
from vxlanalyze.pairing.model import NO_DELAY, NO_ROW, Comparison, Direction

_LEAST_NS = 500_000_000
_EDGE_NS = 1_000_000  # the answers at the end of a silence are not part of it


class Silence(NamedTuple):
    """Begin and end of a silence, by the silent node's clock, and what arrived meanwhile.

    `peer` is the outer address that it sends to, None where unknown.
    """

    from_ns: int
    to_ns: int
    arrived: int
    peer: str | None


def of(pair: Comparison, label: str | None, late: Sequence[LateAnswer]) -> Silence | None:
    """Find the longest silence, with a request waiting, of the node that answers a direction's requests."""
    hops = [hop for hop in pair.hops if label in (hop.forward.label, hop.backward.label)]
    if not hops:
        return None
    first, last = pair.hops[0], pair.hops[-1]
    forward = label == first.forward.label
    requests, back = (last.forward, last.backward) if forward else (first.backward, first.forward)
    sent = np.sort(back.time_ns)
    arrived = _arrivals(requests)
    best: Silence | None = None
    for each in late:
        begin, end = each.from_ns + _EDGE_NS, each.to_ns - _EDGE_NS
        if end - begin < _LEAST_NS or np.searchsorted(sent, end) != np.searchsorted(sent, begin):
            continue
        rows = arrived[(arrived[:, 0] >= each.from_ns) & (arrived[:, 0] < each.to_ns)]
        others = len(np.unique(rows[:, 1])) > 1
        if len(rows) < 2 or not (others or each.by_kernel):
            continue
        if best is None or each.to_ns - each.from_ns > best.to_ns - best.from_ns:
            peers = requests.sender.addresses
            best = Silence(each.from_ns, each.to_ns, len(rows), peers[0] if len(peers) == 1 else None)
    return best


def _arrivals(direction: Direction) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Arrival time of each packet of a direction, and its flow there, shape ``(k, 2)``."""
    rows = direction.received_row[direction.received_row != NO_ROW]
    index = direction.receiver.index
    return np.column_stack([index.time_ns[rows], index.flow[rows]])


def round_trip_ns(pair: Comparison) -> int | None:
    """Sum the median delays of both directions of all hops; the clocks' offsets cancel out."""
    total = 0
    for direction in pair.directions:
        known = direction.delay_ns[direction.delay_ns != NO_DELAY]
        if len(known) == 0 or pair.clock_of(direction).relative:
            return None
        total += int(np.median(known))
    return total if pair.hops else None
