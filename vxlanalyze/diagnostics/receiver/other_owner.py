"""The second owner of a node's address: which MAC it has, and what is lost because it was sent to that."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.underlay import next_hop, tunnel_ends
from vxlanalyze.analysis.underlay.pod_addresses import among
from vxlanalyze.analysis.underlay.tunnel_ends import outer_addresses
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text.words import count
from vxlanalyze.wire.addresses import mac_text
from vxlanalyze.wire.model import Tunnel


class Astray(NamedTuple):
    """Packets of a direction sent to the owner at which none arrives."""

    direction: Direction
    mac: int
    lost: int
    delivered: int  # to the other owner

    @property
    def in_short(self) -> str:
        """The consequence, for a summary."""
        return (
            f": {count(self.lost, 'packet')} that {self.direction.sender.name} sent to "
            f"{mac_text(self.mac)} {'is' if self.lost == 1 else 'are'} lost"
        )

    @property
    def words(self) -> str:
        """The consequence with what it is compared to."""
        return (
            f" All {self.lost:,} packets that {self.direction.sender.name} sent to {mac_text(self.mac)} are "
            f"lost, and {self.delivered:,} that it sent to the other MAC arrived."
        )


def astray(pair: Comparison, claimed: Mapping[tuple[int, str], NDArray[np.uint64]]) -> dict[str, Astray]:
    """Find the packets for nodes' addresses that went to their other owners, where these are lost.

    `claimed` has the MACs that claim an address outside of the tunnel, by capture and address.
    """
    found: dict[str, Astray] = {}
    for direction in tunnel_ends.entering(pair) if claimed else ():
        chosen = next_hop.astray(direction)
        ends = _targets(direction, chosen) if chosen.any() else frozenset()
        for (capture, address), macs in claimed.items():
            if address not in found and capture == direction.sender.capture and address in ends:
                at = _astray_of(direction, chosen, address, macs)
                found |= {} if at is None else {address: at}
    return found


def rightful_mac(pair: Comparison, address: str) -> int | None:
    """The MAC from which the node that has an address sends tunnel packets; None where that is not seen."""
    macs: set[int] = set()
    for point in pair.points:
        if point.encapsulated and address in point.addresses:
            flows = point.flows
            sent = (flows.tunnel != Tunnel.NONE) & point.decoded.usage.used
            sent &= among(flows.outer_src, flows.outer_family, {address})
            macs |= set(np.unique(flows.outer_src_mac[sent]).tolist())
    return macs.pop() if len(macs) == 1 else None


def _targets(direction: Direction, chosen: NDArray[np.bool_]) -> frozenset[str]:
    """Outer addresses that some packets of a direction are sent to."""
    flows = direction.sender.flows
    used = np.bincount(direction.flow[chosen], minlength=len(flows))
    return frozenset(outer_addresses(flows, flows.outer_dst, used))


def _astray_of(
    direction: Direction, chosen: NDArray[np.bool_], address: str, claimed: NDArray[np.uint64]
) -> Astray | None:
    macs = direction.sender.flows.outer_dst_mac[direction.flow]
    lost = chosen & np.isin(macs, claimed)
    if not lost.any() or address not in _targets(direction, lost):
        return None
    arrived = direction.delivered & np.isin(macs, np.setdiff1d(claimed, macs[lost]))
    return Astray(direction, int(macs[lost][0]), int(lost.sum()), int(arrived.sum()))
