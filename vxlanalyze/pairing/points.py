"""The places where packets were seen: each capture, and the interfaces inside a node that it shows.

A capture of one interface is one point. One of several (`tcpdump -i any`, a pcapng with several
interfaces) is split: the interface with the most tunnel packets is the node's NIC and carries the
capture's name, every other that shows IP packets is a place inside the node.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.pairing import addresses, rows
from vxlanalyze.pairing.addresses import AddressBook, Common, Sides
from vxlanalyze.pairing.model import CaptureFacts
from vxlanalyze.wire.model import Decoded, Flows, Tunnel

InCommon = Callable[[int, int], Common]


@dataclass(frozen=True, slots=True)
class Place:
    """One interface of a capture.

    `flows` marks the flows seen there, shape ``(f,)``; `main` is the one that stands for the capture.
    """

    name: str
    capture: int
    main: bool
    encapsulated: bool
    flows: NDArray[np.bool_]


def places(captures: Sequence[tuple[CaptureFacts, Decoded]]) -> list[Place]:
    """All places of all captures, in path order, the main one of each capture first."""
    found: list[Place] = []
    tunnelled = [d.flows.identity[d.flows.tunnel != Tunnel.NONE] for _, d in captures]
    bare = [d.flows.identity[d.flows.tunnel == Tunnel.NONE] for _, d in captures]
    for number, (facts, decoded) in enumerate(captures):
        found += _places_of(number, facts, decoded, _others(tunnelled, number), _others(bare, number))
    return found


def _is_ip(flows: Flows) -> NDArray[np.bool_]:
    """Flows of IP packets, bare or around a tunnel: what is inside may be cut off, or be no IP."""
    return np.isin(np.where(flows.tunnel == Tunnel.NONE, flows.family, flows.outer_family), (4, 6))


def _others(identities: Sequence[NDArray[np.uint64]], number: int) -> NDArray[np.uint64]:
    return np.concatenate([_NO_IDENTITIES, *(t for i, t in enumerate(identities) if i != number)])


_NO_IDENTITIES = np.zeros(0, dtype=np.uint64)


def _places_of(
    number: int,
    facts: CaptureFacts,
    decoded: Decoded,
    tunnelled_elsewhere: NDArray[np.uint64],
    bare_elsewhere: NDArray[np.uint64],
) -> list[Place]:
    flows = decoded.flows
    key = flows.interface.astype(np.int64) << 32 | flows.if_index
    packets = decoded.usage.packets
    ip = _is_ip(flows) & (packets > 0)
    tunnel = ip & (flows.tunnel != Tunnel.NONE)
    everywhere = np.ones(len(flows), dtype=np.bool_)
    keys = np.unique(key[ip])
    if len(keys) <= 1:
        # Bare packets that stand inside the tunnel elsewhere make it a pod's interface, not a NIC.
        bare = not tunnel.any() and bool(np.isin(flows.identity[ip], tunnelled_elsewhere).any())
        bare |= not tunnel.any() and not len(tunnelled_elsewhere) and bool(ip.any())
        return [Place(facts.name, number, True, not bare, everywhere)]
    nic = _nic(key, tunnel, packets, flows.identity)
    if not nic.any():
        nic = _crossing(key, packets, np.isin(flows.identity, bare_elsewhere))
    found = [Place(facts.name, number, True, True, nic)]
    for k in keys.tolist():
        here = key == k
        if not (here & nic).any():
            found.append(Place(_name(facts, k), number, False, bool((here & tunnel).any()), here))
    return found


def _nic(
    key: NDArray[np.int64],
    tunnel: NDArray[np.bool_],
    packets: NDArray[np.int64],
    identity: NDArray[np.uint64],
) -> NDArray[np.bool_]:
    """Flows at the interfaces that carry the tunnel, each packet once.

    A second one is another way out where it carries other packets, and a second sighting of the same ones (a
    bond and its member) where it does not.
    """
    weight = {int(k): int(packets[tunnel & (key == k)].sum()) for k in np.unique(key[tunnel])}
    chosen = np.zeros(len(key), dtype=np.bool_)
    for k in sorted(weight, key=lambda k: (-weight[k], k)):
        here = tunnel & (key == k)
        again = np.isin(identity[here], identity[chosen & tunnel])
        if packets[here][again].sum() * 2 <= weight[k]:
            chosen |= key == k
    return chosen


def _crossing(
    key: NDArray[np.int64], packets: NDArray[np.int64], common: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Flows at the interface whose bare packets other captures show too; nowhere if none does.

    With no tunnel packet at all, the NIC is what the other node hears of (ARP, ICMP); if there is none,
    nothing left the node.
    """
    shared = {int(k): int(packets[common & (key == k)].sum()) for k in np.unique(key[common & (packets > 0)])}
    if not shared:
        return np.zeros(len(key), dtype=np.bool_)
    return key == min(shared, key=lambda k: (-shared[k], k))


def _name(facts: CaptureFacts, key: int) -> str:
    interface, if_index = key >> 32, key & 0xFFFFFFFF
    named = facts.interfaces[interface].name if interface < len(facts.interfaces) else None
    return f"{facts.name}/if{if_index}" if if_index else f"{facts.name}/{named or f'if{interface}'}"


def rows_of(place: Place, decoded: Decoded) -> NDArray[np.int32] | None:
    """Index rows seen at a place; None for all."""
    if place.flows.all():
        return None
    return rows.rows_of(decoded.index.flow, place.flows)


def sides(place: Place, decoded: Decoded, book: AddressBook) -> Sides:
    """The outer ends of a place's tunnel packets, or the ends of its bare ones."""
    flows = decoded.flows
    here = place.flows & ((flows.tunnel != Tunnel.NONE) == place.encapsulated) & _is_ip(flows)
    if not place.encapsulated:
        here &= ~to_a_group(flows)
    packets = np.where(here, decoded.usage.packets, 0)
    n = place.capture
    ends = (book.outer_src[n], book.outer_dst[n]) if place.encapsulated else (book.src[n], book.dst[n])
    bare = place.flows & (flows.tunnel == Tunnel.NONE) & np.isin(flows.family, (4, 6))
    bare_packets = np.where(bare, decoded.usage.packets, 0)
    return Sides(*ends, packets, flows.packet_type, book.src[n], book.dst[n], bare_packets, flows.identity)


def to_a_group(flows: Flows) -> NDArray[np.bool_]:
    """Flows to multicast and broadcast addresses (RFC 1112 section 4, RFC 4291 section 2.7): to no host."""
    first = flows.dst[:, 0]
    group: NDArray[np.bool_] = np.where(flows.family == 6, first == 0xFF, first >= 0xE0)
    return group


@dataclass(frozen=True, slots=True)
class Home:
    """Addresses that a place's node (bare: its pod) answers to, and what that rests on."""

    numbers: tuple[int, ...]
    texts: tuple[str, ...]
    by: str


NOBODY = Home((), (), "")
_BY_HUB = "being an end of every packet of the capture"


def homes(
    main: Sequence[Place], ends: Sequence[Sides], book: AddressBook, cluster: Cluster, in_common: InCommon
) -> list[Home]:
    """Addresses of the node of each capture's main place.

    Parameters
    ----------
    main : sequence of Place
        One for each capture, in path order.
    ends : sequence of Sides
        Of each of them.
    in_common : callable
        ``in_common(i, j)``: the packets that captures i and j both saw.
    """
    found = [_alone(place, side, book, cluster) for place, side in zip(main, ends, strict=True)]
    nics = [i for i, place in enumerate(main) if place.encapsulated]
    pods = [i for i, place in enumerate(main) if not place.encapsulated]
    # What holds no packet tells nothing of the others, so these come last.
    for i, j in sorted(combinations(nics, 2), key=lambda two: any(not _shows(ends[n]) for n in two)):
        # In path order, pods stand before the first card and behind the last one.
        before = [ends[p] for p in pods if p < i == nics[0]]
        behind = [ends[p] for p in pods if p > j == nics[-1]]
        _together(i, j, found, ends, book, in_common, (before, behind))
    for i in pods:
        for nic in (i - 1, i + 1):
            if nic in nics and not found[i].numbers:
                found[i] = _behind(main[nic], found[nic], ends[i], book)
    for i, j in combinations(pods, 2):
        _together(i, j, found, ends, book, in_common, ([], []))
    return found


def _shows(side: Sides) -> bool:
    return bool(addresses.hubs(side))


def _alone(place: Place, side: Sides, book: AddressBook, cluster: Cluster) -> Home:
    for node in cluster.nodes:
        if place.encapsulated and node.name == place.name and node.addresses:
            numbers = book.numbers(node.addresses)
            return Home(tuple(numbers.tolist()), tuple(node.addresses), node.addresses_by)
    own = addresses.marked(side)
    if own and place.encapsulated:
        return _home(own, book, "the kernel's mark on outgoing frames")
    every = addresses.hubs(side)
    if len(every) == 1:
        return _home(every, book, _BY_HUB)
    return NOBODY


def _home(numbers: tuple[int, ...], book: AddressBook, by: str) -> Home:
    return Home(numbers, tuple(book.texts[n] for n in numbers), by)


def _behind(nic: Place, node: Home, side: Sides, book: AddressBook) -> Home:
    """Which of the two ends of all bare packets lives on the node of the NIC beside this place."""
    n = nic.capture
    sent = nic.flows & np.isin(book.outer_src[n], node.numbers)
    local = tuple(end for end in addresses.hubs(side) if (book.src[n][sent] == end).any())
    return _home(local, book, f"being the end that {nic.name} sends for") if len(local) == 1 else NOBODY


def _together(
    i: int,
    j: int,
    found: list[Home],
    ends: Sequence[Sides],
    book: AddressBook,
    in_common: InCommon,
    beside: tuple[list[Sides], list[Sides]],
) -> None:
    """Tell the homes of two captures that see one pair of addresses."""
    pair = addresses.hubs(ends[i]) or addresses.hubs(ends[j])
    if found[i].numbers and found[i] == found[j]:
        # One address cannot be both nodes': it sends elsewhere what should go to the other, and both see it.
        senders = addresses.senders(ends[i], ends[j])
        if found[i].by == _BY_HUB and len(senders) == 2 and found[i].numbers[0] in senders:
            pair, found[i], found[j] = senders, NOBODY, NOBODY
    if len(pair) != 2 or (found[i].numbers and found[j].numbers):
        return
    for known, open_ in ((i, j), (j, i)):
        if found[known].numbers:
            rest = tuple(set(pair) - set(found[known].numbers))
            if len(rest) == 1 and addresses.hubs(ends[open_]):
                found[open_] = _home(rest, book, f"being the other end, {found[known].texts[0]} is not it")
            return
    a, b, by = addresses.of_pair((pair[0], pair[1]), ends[i], ends[j], in_common(i, j), beside)
    found[i] = _home((a,), book, by)
    if addresses.hubs(ends[j]):
        found[j] = _home((b,), book, by)
