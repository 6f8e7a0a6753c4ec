"""An inner address of a captured node that appears behind a third one: it moved, or somebody else has it.

Source: RFC 5227 section 2.3 and RFC 826 (a host announces its address where it comes up).
"""

from typing import NamedTuple

import numpy as np

from vxlanalyze.analysis.underlay.pod_addresses import among
from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.wire.addresses import mac_text, text
from vxlanalyze.wire.model import Tunnel

_IPV4 = np.uint8(4)


class AddressSighting(NamedTuple):
    """Where an address appears: the outer address, the inner MAC, and the first packet that shows it."""

    outer: str
    mac: str
    point: Point
    row: int

    @property
    def time_ns(self) -> int:
        """When it was first seen there, by the clock of that capture."""
        return int(self.point.index.time_ns[self.row])


def elsewhere(pair: Comparison, address: str) -> AddressSighting | None:
    """Find the first packet from an inner address out of a node that was not captured."""
    captured = {a for point in pair.points for a in point.addresses}
    found = [seen for point in pair.points if (seen := _at(point, address, captured)) is not None]
    return min(found, key=lambda seen: seen.time_ns, default=None)


def _at(point: Point, address: str, captured: set[str]) -> AddressSighting | None:
    flows = point.flows
    mine = point.decoded.usage.used & (flows.tunnel != Tunnel.NONE)
    mine &= among(flows.src, np.where(flows.family == 0, _IPV4, flows.family), {address})  # ARP has no family
    mine &= ~among(flows.outer_src, flows.outer_family, captured)
    rows = np.flatnonzero((point.index.flow >= 0) & mine[point.index.flow]) if mine.any() else mine[:0]
    if not len(rows):
        return None
    flow = [int(point.index.flow[rows[0]])]
    outer = str(text(flows.outer_src[flow], flows.outer_family[flow])[0])
    return AddressSighting(outer, mac_text(int(flows.inner_src_mac[flow[0]])), point, int(rows[0]))
