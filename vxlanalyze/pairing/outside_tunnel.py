"""Traffic between nodes outside of any tunnel, as evidence of when a capture began and ended.

Where nothing comes back through the tunnel, only the other node's ARP shows that its capture lacks the end.
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.address_book import AddressBook
from vxlanalyze.pairing.ends import HopEnds
from vxlanalyze.pairing.fate import rows_where
from vxlanalyze.pairing.home import End
from vxlanalyze.pairing.lookalikes import NEAR_NS
from vxlanalyze.pairing.model import NO_ROW, Clock, Point
from vxlanalyze.pairing.one_way import sent_by_receivers_clock
from vxlanalyze.pairing.routes import Route
from vxlanalyze.wire.model import Tunnel

_NONE = np.empty(0, np.int64)


def lacking(ends: HopEnds, clock: Clock | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Times, by a node's own clock, of unencapsulated packets it sent that only the other capture shows.

    For the first node and for the second. Only conversations that its capture also shows are considered: a
    filter may have left out others. Empty where the clocks are unknown.
    """
    if clock is None or ends.first.capture == ends.second.capture:
        return _NONE, _NONE
    of_first, of_second = (_flows(ends, route) for route in (Route.FORWARD, Route.BACKWARD))
    here, there = ends.first.index.time_ns, ends.second.index.time_ns
    at = _rows(ends.first, np.concatenate([of_first, of_second]))
    at = at[ends.partner[at] != NO_ROW]
    near = np.abs(there[ends.partner[at]] - here[at] - clock.offset_at(here[at])) <= NEAR_NS
    by_first = np.setdiff1d(_rows(ends.second, of_first), ends.partner[at[near]])
    by_second = np.setdiff1d(_rows(ends.first, of_second), at[near])
    return (
        sent_by_receivers_clock(there[by_first], clock, forward=False),
        sent_by_receivers_clock(here[by_second], clock, forward=True),
    )


def _flows(ends: HopEnds, route: Route) -> NDArray[np.uint64]:
    """Identities of the unencapsulated flows of one direction shown by both captures."""
    mine = ends.first.flows.identity[np.flatnonzero(ends.common == route)]
    return np.intersect1d(mine, ends.second.flows.identity) if len(mine) else mine


def _rows(point: Point, identities: NDArray[np.uint64]) -> NDArray[np.int32]:
    """Rows of some flows at a point."""
    return rows_where(point, np.isin(point.flows.identity, identities))


def routes_of(first: End, second: End, book: AddressBook) -> NDArray[np.uint8]:
    """Route of unencapsulated traffic between the two nodes (ARP, ICMP, ...): it serves the clock, too."""
    near = np.array(first.home.numbers, dtype=np.int32)
    far = np.array(second.home.numbers, dtype=np.int32)
    flows, i = first.decoded.flows, first.place.capture
    unencapsulated = first.place.flows & (flows.tunnel == Tunnel.NONE)
    result = np.full(len(flows), Route.NONE, dtype=np.uint8)
    result[unencapsulated & np.isin(book.src[i], near) & ~np.isin(book.src[i], far)] = Route.FORWARD
    result[unencapsulated & np.isin(book.src[i], far) & ~np.isin(book.src[i], near)] = Route.BACKWARD
    return result
