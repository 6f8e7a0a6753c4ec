"""The places where packets were seen: each capture, and the interfaces inside a node that it shows.

A capture of one interface is one point. One of several (`tcpdump -i any`, a pcapng with several
interfaces) is split: the interface with the most tunnel packets is the node's NIC and carries the
capture's name, every other that shows IP packets is a place inside the node.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kubernetes import own_addresses
from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.pairing import address_book, place_names, rows
from vxlanalyze.pairing.address_book import AddressBook
from vxlanalyze.pairing.addresses import Sides
from vxlanalyze.pairing.grouping import members
from vxlanalyze.pairing.model import CaptureFacts
from vxlanalyze.wire.icmpv6 import NEIGHBOR_ADVERTISEMENT
from vxlanalyze.wire.model import Decoded, Encryption, Flows, Tunnel
from vxlanalyze.wire.protocols import ICMP, ICMPV6, TCP, UDP

_NO_CLUSTER = Cluster()


@dataclass(frozen=True, slots=True)
class Place:
    """One interface of a capture.

    `flows` marks the flows seen there, shape ``(f,)``; `main` is the one that represents the capture; `key`
    is the interface of the others (see `place_names`).
    """

    name: str
    capture: int
    main: bool
    encapsulated: bool
    flows: NDArray[np.bool_]
    key: int = 0


def places(captures: Sequence[tuple[CaptureFacts, Decoded]], cluster: Cluster = _NO_CLUSTER) -> list[Place]:
    """All places of all captures, in path order, the main one of each capture first."""
    found: list[Place] = []
    tunnelled = [d.flows.identity[d.flows.tunnel != Tunnel.NONE] for _, d in captures]
    unencapsulated = [d.flows.identity[d.flows.tunnel == Tunnel.NONE] for _, d in captures]
    for number, (facts, decoded) in enumerate(captures):
        inside = _places_of(
            number, facts, decoded, _others(tunnelled, number), _others(unencapsulated, number)
        )
        found += _named(inside, facts, cluster)
    return found


def _is_ip(flows: Flows) -> NDArray[np.bool_]:
    """Flows of IP packets, unencapsulated or carrying a tunnel: the inside may be cut off, or not be IP."""
    return np.isin(np.where(flows.tunnel == Tunnel.NONE, flows.family, flows.outer_family), (4, 6))


def _others(identities: Sequence[NDArray[np.uint64]], number: int) -> NDArray[np.uint64]:
    return np.concatenate([_NO_IDENTITIES, *(t for i, t in enumerate(identities) if i != number)])


_MOST_PLACES = 64  # a node shows some dozens of pods; more than this is not a node
_NO_IDENTITIES = np.zeros(0, dtype=np.uint64)


def _places_of(
    number: int,
    facts: CaptureFacts,
    decoded: Decoded,
    tunnelled_elsewhere: NDArray[np.uint64],
    unencapsulated_elsewhere: NDArray[np.uint64],
) -> list[Place]:
    flows = decoded.flows
    key = flows.interface.astype(np.int64) << 32 | flows.if_index
    packets = decoded.usage.packets
    ip = _is_ip(flows) & (packets > 0)
    tunnel = ip & (flows.tunnel != Tunnel.NONE)
    everywhere = np.ones(len(flows), dtype=np.bool_)
    keys = np.unique(key[ip])
    if len(keys) <= 1:
        # Unencapsulated packets that are inside the tunnel elsewhere make it a pod's interface, not a NIC.
        native = not tunnel.any() and bool(np.isin(flows.identity[ip], tunnelled_elsewhere).any())
        native |= not tunnel.any() and not len(tunnelled_elsewhere) and bool(ip.any())
        return [Place(facts.name, number, True, not native, everywhere)]
    # Encrypted packets are matched as they are, and do not show whether they contain a tunnel.
    sealed = ip & (flows.encryption != Encryption.NONE)
    hidden = bool(sealed.any()) and not tunnel.any()
    nic = _nic(key, sealed if hidden else tunnel, packets, flows.identity)
    if not nic.any():
        nic = _crossing(key, packets, np.isin(flows.identity, unencapsulated_elsewhere))
    found = [Place(facts.name, number, True, not hidden, nic)]
    for k in _busiest(key, np.where(ip & ~nic, packets, 0)):
        here = key == k
        if not (here & nic).any():
            found.append(Place("", number, False, bool((here & tunnel).any()), here, k))
    return found


def _named(found: list[Place], facts: CaptureFacts, cluster: Cluster) -> list[Place]:
    """Name the places inside the node; the first has the capture's name."""
    main, *inside = found
    if not inside:
        return found
    keys, devices = [place.key for place in inside], own_addresses.devices(cluster, facts.name)
    named = place_names.names(facts.name, facts.interfaces, keys, devices)
    return [main, *(replace(place, name=name) for place, name in zip(inside, named, strict=True))]


def _busiest(key: NDArray[np.int64], packets: NDArray[np.int64]) -> list[int]:
    """Interfaces with the most packets, in numeric order; limited, since each place costs time."""
    keys, of = np.unique(key[packets > 0], return_inverse=True)
    weight = np.bincount(of.reshape(-1), packets[packets > 0], len(keys))
    most = np.argsort(-weight, kind="stable")[:_MOST_PLACES]
    return sorted(keys[most].tolist())


def _nic(
    key: NDArray[np.int64],
    tunnel: NDArray[np.bool_],
    packets: NDArray[np.int64],
    identity: NDArray[np.uint64],
) -> NDArray[np.bool_]:
    """Flows at the interfaces that carry the tunnel, each packet once.

    A second interface is another exit if it carries other packets, and a second sighting of the same ones (a
    bond and its member) if not.
    """
    inside = np.flatnonzero(tunnel)
    keys, of = np.unique(key[inside], return_inverse=True)
    weight = np.bincount(of, packets[inside], len(keys))
    _, flow = np.unique(identity[inside], return_inverse=True)
    known = np.zeros(len(inside), np.bool_)
    places, chosen = members(of, len(keys)), []
    for number in np.argsort(-weight, kind="stable").tolist():
        mine = places[number]
        if packets[inside[mine[known[flow[mine]]]]].sum() * 2 <= weight[number]:
            known[flow[mine]] = True
            chosen.append(number)
    return np.isin(key, keys[chosen])


def _crossing(
    key: NDArray[np.int64], packets: NDArray[np.int64], common: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Flows at the interface whose unencapsulated packets other captures show too; nowhere if none does.

    Without any tunnel packet, the NIC is the interface whose packets the other node sees (ARP, ICMP); if
    there is none, nothing left the node.
    """
    seen = common & (packets > 0)
    if not seen.any():
        return np.zeros(len(key), dtype=np.bool_)
    keys, of = np.unique(key[seen], return_inverse=True)
    return key == keys[np.argmax(np.bincount(of, packets[seen]))]


def rows_of(place: Place, decoded: Decoded) -> NDArray[np.int32] | None:
    """Index rows seen at a place; None for all."""
    if place.flows.all():
        return None
    return rows.rows_of(decoded.index.flow, place.flows)


def sides(place: Place, decoded: Decoded, book: AddressBook) -> Sides:
    """The outer ends of a place's tunnel packets, or the ends of its unencapsulated ones."""
    flows = decoded.flows
    here = place.flows & ((flows.tunnel != Tunnel.NONE) == place.encapsulated) & _is_ip(flows)
    group = outer_group(flows) if place.encapsulated else to_a_group(flows)
    if not place.encapsulated:
        here &= ~group
    packets = np.where(here, decoded.usage.packets, 0)
    n = place.capture
    src, dst = (book.outer_src[n], book.outer_dst[n]) if place.encapsulated else (book.src[n], book.dst[n])
    ends = src, np.where(group, np.int32(address_book.NO_ADDRESS), dst)
    unencapsulated = place.flows & (flows.tunnel == Tunnel.NONE) & np.isin(flows.family, (4, 6))
    unencapsulated_packets = np.where(unencapsulated, decoded.usage.packets, 0)
    return Sides(
        *ends, packets, flows.packet_type, book.src[n], book.dst[n], unencapsulated_packets, flows.identity,
        flows.outer_src_mac, flows.outer_dst_mac, flows.outer_family if place.encapsulated else flows.family,
        _answers(flows), *_claims(place, flows, book.src[n]),
    )  # fmt: skip


def _claims(
    place: Place, flows: Flows, src: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.uint64]]:
    """Addresses that a host on this network claims, with its MAC (RFC 826; RFC 4861 section 4.4)."""
    arp = (flows.family == 0) & (src != address_book.NO_ADDRESS)
    advertised = (
        (flows.protocol == ICMPV6) & (flows.sport >> 8 == NEIGHBOR_ADVERTISEMENT) & (flows.family == 6)
    )
    chosen = (arp | advertised) & place.flows & (flows.tunnel == Tunnel.NONE) & (flows.outer_src_mac > 0)
    return src[chosen], flows.outer_src_mac[chosen]


def _answers(flows: Flows) -> NDArray[np.bool_]:
    """Flows that answer others: echo replies, and flows from the smaller port."""
    ported = np.isin(flows.protocol, (TCP, UDP)) & (flows.sport < flows.dport)
    replies = np.isin(flows.protocol, (ICMP, ICMPV6)) & np.isin(flows.sport >> 8, (0, 129))
    answering: NDArray[np.bool_] = ported | replies
    return answering


def to_a_group(flows: Flows) -> NDArray[np.bool_]:
    """Flows to multicast and broadcast addresses (RFC 1112 section 4, RFC 4291 section 2.7)."""
    return _is_group(flows.family, flows.dst)


def outer_group(flows: Flows) -> NDArray[np.bool_]:
    """Tunnel flows whose outer destination is a multicast or broadcast address."""
    return (flows.outer_family > 0) & _is_group(flows.outer_family, flows.outer_dst)


def _is_group(family: NDArray[np.uint8], address: NDArray[np.uint8]) -> NDArray[np.bool_]:
    first = address[:, 0]
    group: NDArray[np.bool_] = np.where(family == 6, first == 0xFF, first >= 0xE0)
    return group
