"""Further evidence of whose packets a capture holds, where addresses and time do not decide."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.address_book import NO_ADDRESS
from vxlanalyze.pairing.addresses import Sides


@dataclass(frozen=True, slots=True)
class Further:
    """An address found to belong to a node, and the evidence for it."""

    number: int
    by: str


def sent_from_the_card(side: Sides, own: Sequence[int]) -> list[Further]:
    """Addresses that send from a node's own MAC, even if the other capture holds none of their packets."""
    real, mine = side.unicast, np.isin(side.src, own)
    macs = np.setdiff1d(
        side.src_mac[real & mine], np.append(side.src_mac[real & ~mine & np.isin(side.dst, own)], 0)
    )
    if not len(macs):
        return []
    # A MAC that other nodes' packets come from leads to the network.
    sends = real & np.isin(side.src_mac, macs)
    found = np.setdiff1d(side.src[sends], np.append(own, NO_ADDRESS)).tolist()
    return [Further(n, "it sends from this node's MAC") for n in found]


def only_peer(
    side: Sides, own: Sequence[int], peer: Sequence[int], strangers: Sequence[int]
) -> list[Further]:
    """Addresses attributed to the other node, since the same MAC sends to no other of their family.

    Parameters
    ----------
    side : Sides
        The capture of the sending node.
    own, peer : sequence of int
        Addresses known to belong to it and to the other node.
    strangers : sequence of int
        Addresses known to belong to others.
    """
    sent = side.unicast & np.isin(side.src, own)
    macs = np.unique(side.dst_mac[sent & np.isin(side.dst, peer)])
    known_families = set(np.unique(side.family[sent & np.isin(side.dst, peer)]).tolist())
    found = []
    for family in (4, 6):
        open_ = sent & (side.family == family) & np.isin(side.dst_mac, macs)
        targets = np.setdiff1d(side.dst[open_], [*peer, *own, *strangers])
        if family not in known_families and len(targets) == 1:
            found.append(Further(int(targets[0]), f"assumed: nothing else is sent to over IPv{family}"))
    return found


def claimed(seen: Sequence[Sides], own: Sequence[int], peer: Sequence[int]) -> list[Further]:
    """Addresses of tunnel packets for which a node answers ARP with the MAC of its known addresses.

    Parameters
    ----------
    seen : sequence of Sides
        The captures of both nodes.
    own, peer : sequence of int
        Addresses known to belong to the node and to the other one.
    """
    found: list[int] = []
    for side in seen:
        macs, others = (side.claimants[np.isin(side.claimed, some)] for some in (own, peer))
        mine = side.claimed[np.isin(side.claimants, np.setdiff1d(macs, others))]
        used = np.concatenate([side.src[side.unicast], side.dst[side.unicast]])
        found += np.setdiff1d(np.intersect1d(mine, used), [*own, *peer, NO_ADDRESS]).tolist()
    return [Further(n, "its MAC answers for this address too") for n in dict.fromkeys(found)]


def counterpart(
    side: Sides, own: Sequence[int], peer: Sequence[int], strangers: Sequence[int]
) -> list[Further]:
    """Addresses attributed to the other node: each is the only destination of a further address of this node.

    One address of a node may talk to many other nodes. Where an address is used for a single destination,
    through the MAC that leads to the other node, that destination is the other node's.
    """
    sent = side.unicast & np.isin(side.src, own)
    to_peer = sent & np.isin(side.dst, peer)
    macs = np.setdiff1d(side.dst_mac[to_peer], [0])
    further = np.flatnonzero(sent & ~np.isin(side.src, side.src[to_peer]))
    sources, of = np.unique(side.src[further], return_inverse=True)
    to = side.dst[further]
    one = np.ones(len(sources), np.bool_)
    one[of[to != to[_first_of(of, len(sources))][of]]] = False
    one[of[~np.isin(side.dst_mac[further], macs)]] = False
    targets = to[_first_of(of, len(sources))][one]
    others = np.array([*strangers, *own, *peer], np.int64)
    return [
        Further(target, "assumed: a further address sends to it alone")
        for target in targets[~np.isin(targets, others)].tolist()
    ]


def answering(near: Sides, far: Sides, own: Sequence[int], peer: Sequence[int]) -> list[Further]:
    """Addresses attributed to the other node, since they answer packets that its capture shows arriving.

    This happens where that capture shows nothing that its node sends: the answers leave through another card.

    Parameters
    ----------
    near, far : Sides
        The captures of this node and of the other one.
    own, peer : sequence of int
        Addresses known to belong to this node and to the other one.
    """
    arrived = far.unicast & np.isin(far.src, own) & np.isin(far.dst, peer)
    if not arrived.any() or (far.unicast & ~np.isin(far.src, own)).any():
        return []
    reached = far.inner_dst[arrived]
    back = near.unicast & np.isin(near.dst, own) & ~np.isin(near.src, [*own, *peer])
    sent_to = near.dst[near.unicast & np.isin(near.src, own)]
    back &= ~np.isin(near.src, sent_to)
    unreached = back & ~np.isin(near.inner_src, reached)
    return [
        Further(address, "assumed: it answers what only this node is seen to receive")
        for address in np.setdiff1d(near.src[back], near.src[unreached]).tolist()
    ]


def _first_of(group: NDArray[np.intp], groups: int) -> NDArray[np.intp]:
    """Give the first position of each group."""
    first = np.empty(groups, np.intp)
    first[group[::-1]] = np.arange(len(group))[::-1]
    return first
