"""Cards between which pods talk without a tunnel: native routing, alone or next to tunnels to other nodes.

A plugin may encapsulate only what crosses a subnet (Calico's CrossSubnet, flannel's DirectRouting, Cilium
with auto-direct-node-routes) or nothing at all (host-gw, BGP). Then the cards of two such nodes show pod
packets as they are, and these are compared: each node is the set of addresses that its card sends for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing import addresses, ownership, points
from vxlanalyze.pairing.address_book import AddressBook
from vxlanalyze.pairing.addresses import Common, Sides
from vxlanalyze.pairing.home import Home
from vxlanalyze.pairing.model import NO_ROW
from vxlanalyze.pairing.points import Place
from vxlanalyze.wire.model import Decoded, Encryption, Tunnel
from vxlanalyze.wire.protocols import ICMP, ICMPV6, SCTP, TCP, UDP

_OF_PODS = (ICMP, TCP, UDP, ICMPV6, SCTP)
_FEWEST = 4  # packets that both cards show; fewer may be anything
_BY_SENDING = "each capture shows what this node sends, and the other one none of it"
_MOSTLY = 0.9  # share of these packets that go between the two nodes


@dataclass(frozen=True)
class _Card:
    """One of the two captures; `sides` are the ends of its unencapsulated packets."""

    place: Place
    decoded: Decoded
    sides: Sides

    @property
    def native(self) -> NDArray[np.bool_]:
        """Flows that may be those of pods, without a tunnel."""
        flows = self.decoded.flows
        result: NDArray[np.bool_] = (
            self.sides.unicast & (flows.tunnel == Tunnel.NONE) & np.isin(flows.protocol, _OF_PODS)
        )
        return result

    def macs(self, own: NDArray[np.int32], flows: NDArray[np.integer]) -> NDArray[np.uint64]:
        """The card's own MACs: at the node's end of some flows."""
        src, dst = self.sides.src[flows], self.sides.dst[flows]
        sent, received = self.sides.src_mac[flows], self.sides.dst_mac[flows]
        return np.setdiff1d(np.append(sent[np.isin(src, own)], received[np.isin(dst, own)]), [0])


class _Found(NamedTuple):
    """Addresses of both nodes, the flows of each capture that show them, and how."""

    near: NDArray[np.int32]
    far: NDArray[np.int32]
    flows: tuple[NDArray[np.integer], NDArray[np.integer]]
    by: str


def homes(
    main: Sequence[Place], decoded: Sequence[Decoded], book: AddressBook, partner: NDArray[np.int32] | None
) -> tuple[Home, Home] | None:
    """Give the addresses of both nodes where their pods talk without a tunnel; None where they do not.

    Parameters
    ----------
    main : sequence of Place
        The main places of the captures.
    decoded : sequence of Decoded
        The captures.
    partner : NDArray[np.int32] or None
        For each row of the first, the row of the second, or NO_ROW.
    """
    if len(main) != 2 or partner is None or main[0].encapsulated != main[1].encapsulated:
        return None
    if any((d.flows.encryption[d.usage.used] != Encryption.NONE).any() for d in decoded):
        return None
    bare = [replace(place, encapsulated=False) for place in main]
    sides = [points.sides(p, d, book) for p, d in zip(bare, decoded, strict=True)]
    cards = _Card(bare[0], decoded[0], sides[0]), _Card(bare[1], decoded[1], sides[1])
    if not all(card.native.any() for card in cards):
        return None
    if not main[0].encapsulated and ownership.is_plain((cards[0].sides, cards[1].sides)):
        return None  # then there is nothing to find out
    nodes = _tunnel_ends(main, decoded, book)
    common = _common(cards, partner, nodes)
    seen = _of_both(cards, common, book) if len(common.source) >= _FEWEST else _each_alone(cards, nodes)
    if seen is None or (main[0].encapsulated and _tunnelled(cards, seen, book)):
        return None
    near, far = _with_unmatched(cards, seen)
    return _home(near, book, seen.by), _home(far, book, seen.by)


def _tunnel_ends(main: Sequence[Place], decoded: Sequence[Decoded], book: AddressBook) -> NDArray[np.int32]:
    """Addresses of nodes: the ends of tunnels in either capture."""
    ends = [np.zeros(0, np.int32)]
    for place, capture in zip(main, decoded, strict=True):
        tunnelled = capture.usage.used & (capture.flows.tunnel != Tunnel.NONE)
        ends += [book.outer_src[place.capture][tunnelled], book.outer_dst[place.capture][tunnelled]]
    return np.unique(np.concatenate(ends))


def _common(cards: tuple[_Card, _Card], partner: NDArray[np.int32], nodes: NDArray[np.int32]) -> Common:
    """The packets of pods that both cards show without a tunnel."""
    first, second = cards
    here, there = first.decoded.index, second.decoded.index
    of_pods = first.native & ~np.isin(first.sides.src, nodes) & ~np.isin(first.sides.dst, nodes)
    row = np.flatnonzero(partner != NO_ROW)
    row = row[of_pods[here.flow[row]] & second.native[there.flow[partner[row]]]]
    other = partner[row]
    return Common(
        first.sides.src[here.flow[row]],
        (here.flow[row], there.flow[other]),
        there.time_ns[other] - here.time_ns[row],
        lambda: addresses.filled(here.checks[row], there.checks[other]),
    )


def _of_both(cards: tuple[_Card, _Card], common: Common, book: AddressBook) -> _Found | None:
    """By the packets that both cards show."""
    sides = cards[0].sides, cards[1].sides
    label = ownership.labels(sides, common, len(book.texts))
    flow, packets = np.unique(common.flows[0], return_counts=True)
    from_, to = label[sides[0].src[flow]], label[sides[0].dst[flow]]
    weight = np.bincount(np.concatenate([from_, to]), np.concatenate([packets, packets]))
    if np.count_nonzero(weight) < 2:
        return None
    a, b = np.argsort(-weight, kind="stable")[:2].tolist()
    between = (from_ == a) & (to == b) | (from_ == b) & (to == a)
    if packets[between].sum() < _MOSTLY * packets.sum():
        return None
    owners = ownership.relabelled(sides[0], label), ownership.relabelled(sides[1], label)
    a, b, by = addresses.of_pair((a, b), owners, ownership.common_relabelled(common, label))
    near, far = (np.flatnonzero(label == end).astype(np.int32) for end in (a, b))
    return _Found(near, far, common.flows, by)


def _each_alone(cards: tuple[_Card, _Card], nodes: NDArray[np.int32]) -> _Found | None:
    """By what each card sends to the other's senders, where none of it arrives."""
    first, second = (card.sides for card in cards)
    chosen = [
        np.flatnonzero(
            card.native
            & ~np.isin(card.sides.src, nodes)
            & ~np.isin(card.sides.dst, nodes)
            & ~np.isin(card.sides.identity, other.sides.identity[other.native])
        )
        for card, other in (cards, cards[::-1])
    ]
    for _ in range(2):  # the second time, only the sources of such flows count
        sources = first.src[chosen[0]], second.src[chosen[1]]
        chosen = [
            chosen[0][np.isin(first.dst[chosen[0]], sources[1])],
            chosen[1][np.isin(second.dst[chosen[1]], sources[0])],
        ]
    near, far = np.unique(first.src[chosen[0]]), np.unique(second.src[chosen[1]])
    packets = (first.packets[chosen[0]].sum(), second.packets[chosen[1]].sum())
    if min(packets) < _FEWEST or len(np.intersect1d(near, far)):
        return None
    return _Found(near, far, (chosen[0], chosen[1]), _BY_SENDING)


def _with_unmatched(cards: tuple[_Card, _Card], found: _Found) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Add addresses of which no packet arrived: each card's own senders, and what goes from card to card."""
    near, far = found.near, found.far
    own = cards[0].macs(near, found.flows[0]), cards[1].macs(far, found.flows[1])
    more: list[list[NDArray[np.int32]]] = [[near], [far]]
    for at, card in enumerate(cards):
        sent = card.native & np.isin(card.sides.src_mac, own[at])
        more[at].append(card.sides.src[sent])
        more[1 - at].append(card.sides.dst[sent & np.isin(card.sides.dst_mac, own[1 - at])])
    first, second = (np.unique(np.concatenate(some)) for some in more)
    both = np.setdiff1d(np.intersect1d(first, second), np.concatenate([near, far]))
    return np.setdiff1d(first, np.append(both, far)), np.setdiff1d(second, np.append(both, near))


def _tunnelled(cards: tuple[_Card, _Card], found: _Found, book: AddressBook) -> bool:
    """Whether the two nodes also have a tunnel to each other, or their tunnel addresses are unknown."""
    nodes = []
    for card, own, flows in zip(cards, (found.near, found.far), found.flows, strict=True):
        tunnels = card.decoded.usage.used & (card.decoded.flows.tunnel != Tunnel.NONE)
        sent = tunnels & np.isin(card.decoded.flows.outer_src_mac, card.macs(own, flows))
        nodes.append(np.unique(book.outer_src[card.place.capture][sent]))
        if tunnels.any() and not sent.any():
            return True
    for card in cards:
        n, used = card.place.capture, card.decoded.usage.used & (card.decoded.flows.tunnel != Tunnel.NONE)
        src, dst = book.outer_src[n][used], book.outer_dst[n][used]
        for near, far in (nodes, nodes[::-1]):
            if (np.isin(src, near) & np.isin(dst, far)).any():
                return True
    return False


def _home(numbers: NDArray[np.int32], book: AddressBook, by: str) -> Home:
    return Home(tuple(numbers.tolist()), tuple(book.texts[n] for n in numbers), by)
