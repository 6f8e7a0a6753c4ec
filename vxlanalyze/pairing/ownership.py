"""Group outer addresses by node, where a node has more than one.

A dual-stack node has an address of each family; a node whose tunnel endpoint is on a loopback interface sends
from one address and receives at another; a hypervisor has several endpoints on one card. The evidence, most
reliable first: a packet in both captures went from one node to the other, so its two outer addresses belong
to different nodes; frames with one source MAC leave one node; an inner address sends from the node where it
is reached; packets of one node have the same delay. Evidence that contradicts what is already known is
ignored.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.address_book import NO_ADDRESS
from vxlanalyze.pairing.addresses import Common, Sides, ahead_ns, with_neighbours
from vxlanalyze.pairing.grouping import members as places_of
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.wire import hashing

_FAMILIES = 3  # IPv4, IPv6, and 0 for ARP
_Key = (
    int | tuple[str, int, int]
)  # an address, or something that represents a node: a MAC at a capture, an inner address


@dataclass(slots=True)
class _Parity:
    """Sets of keys whose members are known to belong to the same node or to different ones."""

    _parent: dict[_Key, tuple[_Key, int]] = field(default_factory=dict)

    def find(self, key: _Key) -> tuple[_Key, int]:
        """Give the representative of a key's set, and 1 where the key belongs to the other node."""
        path, parity = [], 0
        while (above := self._parent.get(key, (key, 0)))[0] != key:
            path.append((key, above[1]))
            key, parity = above[0], parity ^ above[1]
        rest = parity
        for below, step in path:
            self._parent[below] = (key, rest)
            rest ^= step
        return key, parity

    def join(self, a: _Key, b: _Key, different: int) -> bool:
        """Record that two keys belong to one node (0) or to different ones (1); False if contradicted."""
        (root, of_a), (other, of_b) = self.find(a), self.find(b)
        if root == other:
            return of_a ^ of_b == different
        self._parent[other] = (root, of_a ^ of_b ^ different)
        return True


def is_plain(seen: Sequence[Sides]) -> bool:
    """Whether all unicast packets of some captures go between the same two addresses."""
    ends: set[int] = set()
    for side in seen:
        real = side.unicast
        ends |= set(np.unique(side.src[real]).tolist()) | set(np.unique(side.dst[real]).tolist())
    return len(ends) <= 2


def of_other_ends(side: Sides, first: Sequence[int], second: Sequence[int]) -> NDArray[np.uint64]:
    """Identities, hashed with their ends, of the unicast flows that are not between the two nodes."""
    near, far = np.array(first, np.int32), np.array(second, np.int32)
    between = np.isin(side.src, near) & np.isin(side.dst, far) | np.isin(side.src, far) & np.isin(
        side.dst, near
    )
    chosen = side.unicast & ~between
    ends = side.src[chosen].astype(np.uint64) << np.uint64(32) | side.dst[chosen].astype(np.uint64)
    other: NDArray[np.uint64] = side.identity[chosen] ^ ends * hashing.GOLDEN
    return other


def labels(seen: tuple[Sides, Sides], common: Common, addresses: int) -> NDArray[np.int32]:
    """Label addresses by node: all addresses of one node get the number of one of them.

    Parameters
    ----------
    seen : tuple of Sides
        The two captures.
    common : Common
        The packets held by both.
    addresses : int
        Number of addresses.
    """
    known = _Parity()
    matched = [
        np.bincount(flow, minlength=len(side.src)) for flow, side in zip(common.flows, seen, strict=True)
    ]
    edges = _edges(seen, matched)
    if edges:
        for edge in edges:
            known.join(edge.src, edge.dst, 1)
        _by_macs(known, edges)
        _by_inner(known, seen[0], matched[0])
        _by_time(known, edges, common)
    else:
        for number, side in enumerate(seen):
            _by_card(known, number, side)
    return _numbers(known, addresses)


def _numbers(known: _Parity, addresses: int) -> NDArray[np.int32]:
    result = np.arange(addresses, dtype=np.int32)
    first: dict[tuple[_Key, int], int] = {}
    for number in range(addresses):
        result[number] = first.setdefault(known.find(number), number)
    return result


class _Edge(NamedTuple):
    """Ends, at one capture, of some packets held by both."""

    capture: int
    src: int
    dst: int
    src_mac: int
    dst_mac: int
    packets: int


def _edges(seen: Sequence[Sides], matched: Sequence[NDArray[np.int64]]) -> list[_Edge]:
    """Distinct ends of the packets held by both captures, the most frequent first."""
    found = []
    for capture, (side, packets) in enumerate(zip(seen, matched, strict=True)):
        chosen = np.flatnonzero(side.unicast & (packets > 0))
        if not len(chosen):
            continue
        columns = (side.src, side.dst, side.src_mac, side.dst_mac)
        table = np.column_stack([np.asarray(c[chosen], np.uint64) for c in columns])
        rows, code = distinct(table.view(np.uint8))
        totals = np.bincount(code, packets[chosen], minlength=len(rows))
        for (src, dst, *macs), total in zip(rows.view(np.uint64).tolist(), totals.tolist(), strict=True):
            found.append(_Edge(capture, src, dst, macs[0], macs[1], int(total)))
    return sorted(found, key=lambda e: -e.packets)


def _by_macs(known: _Parity, edges: Iterable[_Edge]) -> None:
    """At one capture, a MAC represents its own node or the path to the other, never both."""
    for edge in edges:
        if edge.src_mac:
            known.join(edge.src, ("mac", edge.capture, edge.src_mac), 0)
        if edge.dst_mac:
            known.join(edge.dst, ("mac", edge.capture, edge.dst_mac), 0)


def _by_inner(known: _Parity, side: Sides, packets: NDArray[np.int64]) -> None:
    """Join the address that an inner address sends from with the one it is reached at."""
    chosen = np.flatnonzero(side.unicast & (packets > 0))
    for inner, outer in ((side.inner_src, side.src), (side.inner_dst, side.dst)):
        pairs = np.unique(np.column_stack([inner[chosen], outer[chosen]]), axis=0)
        for address, end in pairs[pairs[:, 0] != NO_ADDRESS].tolist():
            known.join(end, ("inner", 0, address), 0)


def _by_time(known: _Parity, edges: Sequence[_Edge], common: Common) -> None:
    """Join the remaining sets with the largest one: packets of one node have the same delay."""
    main = edges[0].src
    opposite = next((e.src for e in edges if known.find(e.src) == _other(known.find(main))), None)
    places: list[NDArray[np.intp]] = []
    for edge in edges:
        if known.find(edge.src)[0] == known.find(main)[0]:
            continue
        different = 0
        if opposite is not None:
            places = places or places_of(common.source, int(common.source.max(initial=0)) + 1)
            near = [with_neighbours(places[edge.src], places[end]) for end in (main, opposite)]
            like, unlike = (abs(ahead_ns(common.source[n], common.later_ns[n], edge.src)) for n in near)
            different = int(like > unlike)
        known.join(main, edge.src, different)


def _other(end: tuple[_Key, int]) -> tuple[_Key, int]:
    return end[0], 1 - end[1]


def _by_card(known: _Parity, capture: int, side: Sides) -> None:
    """Join the addresses that share a MAC, in a capture with which the other has nothing in common.

    If only one MAC takes part in all frames, it is the node's own. If two do, one of them may lead to several
    nodes: then it identifies at most an address of each family, and one in each role.
    """
    real = np.flatnonzero(side.unicast & (side.src_mac > 0) & (side.dst_mac > 0))
    if not len(real):
        return
    src_mac, dst_mac = side.src_mac[real], side.dst_mac[real]
    macs = np.unique([src_mac[0], dst_mac[0]]).tolist()
    everywhere = [m for m in macs if ((src_mac == m) | (dst_mac == m)).all()]
    for mac in everywhere:
        sources, targets = (np.unique(e[real][m == mac]).tolist() for e, m in _roles(side, src_mac, dst_mac))
        if len(everywhere) == 1 or all(_one_of_each_family(side, some) for some in (sources, targets)):
            for address in (*sources, *targets):
                known.join(address, ("mac", capture, mac), 0)


def _roles(
    side: Sides, src_mac: NDArray[np.uint64], dst_mac: NDArray[np.uint64]
) -> tuple[tuple[NDArray[np.int32], NDArray[np.uint64]], ...]:
    return (side.src, src_mac), (side.dst, dst_mac)


def _one_of_each_family(side: Sides, some: Sequence[int]) -> bool:
    if len(some) > _FAMILIES:
        return False
    families = [int(side.family[(side.src == a) | (side.dst == a)][0]) for a in some]
    return len(families) == len(set(families))


def relabelled(side: Sides, label: NDArray[np.int32]) -> Sides:
    """Treat a capture as if each node had one address."""
    return replace(side, src=_through(label, side.src), dst=_through(label, side.dst))


def common_relabelled(common: Common, label: NDArray[np.int32]) -> Common:
    """Treat common packets as if each node had one address."""
    return replace(common, source=_through(label, common.source))


def _through(label: NDArray[np.int32], numbers: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.append(label, np.int32(NO_ADDRESS))[numbers]  # the last for NO_ADDRESS


def members(label: NDArray[np.int32], given: Sequence[int], side: Sides) -> tuple[int, ...]:
    """Addresses of the nodes that some addresses belong to, busiest in a capture first."""
    every = np.flatnonzero(np.isin(label, label[list(given)]))
    packets = np.zeros(len(label))
    for chosen, end in ((side.src >= 0, side.src), ((side.dst >= 0) & (side.dst != side.src), side.dst)):
        packets += np.bincount(end[chosen], side.packets[chosen], len(label))
    return tuple(every[np.argsort(-packets[every], kind="stable")].tolist())
