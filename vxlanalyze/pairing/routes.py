"""Decide which flows of two neighbouring points go from one to the other, and which to nodes not captured.

X>Y holds what X sends to an outer address of Y, to an inner destination on Y, or what Y saw. Between a node's
NIC and a place where packets are unencapsulated, inner addresses decide.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.pairing import dead_ends, headless, points, sealed
from vxlanalyze.pairing.address_book import NO_ADDRESS, AddressBook
from vxlanalyze.pairing.dead_ends import InnerAddresses, PodEnd
from vxlanalyze.pairing.home import End
from vxlanalyze.wire import hashing
from vxlanalyze.wire.model import Tunnel


class Route(IntEnum):
    """Where a flow goes, for one hop."""

    NONE = 0  # not of this hop: unencapsulated traffic of a NIC, within one node, or received from elsewhere
    FORWARD = 1
    BACKWARD = 2
    OTHER_PEER = 3  # sent from here to a node that was not captured


@dataclass(frozen=True, slots=True)
class Routes:
    """Route of each flow at the first and at the second point, shapes ``(f,)`` each."""

    first: NDArray[np.uint8]
    second: NDArray[np.uint8]
    not_assessed_why: str = ""


class Elsewhere(NamedTuple):
    """Addresses on the nodes of captures that are not of the hop.

    Parameters
    ----------
    inner : NDArray[np.int32]
        Those of pods: packets from a pod of the hop to one of these must enter the tunnel.
    outer : NDArray[np.int32]
        Those of the nodes themselves.
    """

    inner: NDArray[np.int32]
    outer: NDArray[np.int32]


def between(first: End, second: End, book: AddressBook, cluster: Cluster, elsewhere: Elsewhere) -> Routes:
    """Route the flows of a hop."""
    if first.place.encapsulated and second.place.encapsulated:
        return _tunnel_to_tunnel(first, second, book, cluster, elsewhere.outer)
    if not first.place.encapsulated and not second.place.encapsulated:
        return _pod_to_pod(first, second, book)
    pod, tunnel = (second, first) if first.place.encapsulated else (first, second)
    towards, back = _pod_to_tunnel(pod, tunnel, book, cluster, elsewhere.inner)
    if pod is first:
        return Routes(towards, back)
    # As seen from the tunnel, packets from the pod go in the reverse direction.
    swap = np.arange(len(Route), dtype=np.uint8)
    swap[[Route.FORWARD, Route.BACKWARD]] = Route.BACKWARD, Route.FORWARD
    return Routes(swap[back], swap[towards])


def _tunnelled(end: End) -> NDArray[np.bool_]:
    flows = end.decoded.flows
    tunnelled = end.place.flows & (flows.tunnel != Tunnel.NONE) & np.isin(flows.outer_family, (4, 6))
    return tunnelled & ~headless.flows(end.decoded)


def _tunnel_to_tunnel(
    first: End, second: End, book: AddressBook, cluster: Cluster, beyond: NDArray[np.int32]
) -> Routes:
    i, j = first.place.capture, second.place.capture
    near = np.array(first.home.numbers, dtype=np.int32)
    far = np.array(second.home.numbers, dtype=np.int32)
    at_first, at_second = _tunnelled(first), _tunnelled(second)
    sent = at_first & np.isin(book.outer_src[i], near)
    why = first.home.contradiction or second.home.contradiction or _cut_off(first, second)
    if not second.home.texts:
        peers = np.setdiff1d(book.outer_dst[i][sent & ~points.outer_group(first.decoded.flows)], beyond)
        if len(peers) > 1 and not why:
            why = (
                f"it is not known which of {len(peers)} peers of {first.place.name} is {second.place.name}; "
                "--kube or --facts would"
            )
        far = peers[:1] if len(peers) == 1 else far
    sent_back = at_second & np.isin(book.outer_src[j], far)
    there = _lives_on(second, sent_back, book, cluster)
    here = _lives_on(first, sent, book, cluster)
    foreign_here = _from_third_nodes(first, second, sent_back, book)
    foreign_there = _from_third_nodes(second, first, sent, book)
    seen_there = at_second & ~sent_back & ~foreign_there
    seen_here = at_first & ~sent & ~foreign_here
    forward = sent & (
        np.isin(book.outer_dst[i], far)
        | _flooded_to(first, sent, second, sent_back)
        | np.isin(book.dst[i], there) & ~_to_third_nodes(first, sent, foreign_here, second, book)
        | _same_packets(first, second, seen_there, book.outer_dst[i], book.outer_dst[j])
    )
    backward = sent_back & (
        np.isin(book.outer_dst[j], near)
        | _flooded_to(second, sent_back, first, sent)
        | np.isin(book.dst[j], here) & ~_to_third_nodes(second, sent_back, foreign_there, first, book)
        | _same_packets(second, first, seen_here, book.outer_dst[j], book.outer_dst[i])
    )
    arrived = seen_there & (np.isin(book.outer_src[j], near) | _identity_in(second, first, forward))
    returned = seen_here & (np.isin(book.outer_src[i], far) | _identity_in(first, second, backward))
    for end, away, home in ((first, forward, returned), (second, arrived, backward)):
        away |= sealed.between(end, near, far, book)
        home |= sealed.between(end, far, near, book)
    return Routes(
        _route(forward, returned, sent & ~forward), _route(arrived, backward, sent_back & ~backward), why
    )


def _flooded_to(
    end: End, sent: NDArray[np.bool_], other: End, other_sent: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Flows that an end sends to a group of which the other end's node is a member: both use the same VNI."""
    flows = end.decoded.flows
    group = sent & points.outer_group(flows)
    if not group.any():
        return group
    used = other.decoded.flows.vni[other_sent & (other.decoded.usage.packets > 0)]
    received = flows.vni[np.isin(flows.identity, other.decoded.flows.identity[other_sent]) & ~sent]
    return group & np.isin(flows.vni, np.concatenate([used, received]))


def _from_third_nodes(
    end: End, other: End, other_sent: NDArray[np.bool_], book: AddressBook
) -> NDArray[np.bool_]:
    """Flows at an end that were sent by a third node.

    It is recognised by its inner packets, since an address may be rewritten between the nodes: in that case,
    the other end's capture shows the same packets, and this one does not show them from the other node's own
    address.
    """
    flows, source = end.decoded.flows, book.outer_src[end.place.capture]
    own = np.array([*end.home.numbers, *other.home.numbers], np.int32)
    foreign = _tunnelled(end) & ~np.isin(source, own) & (end.decoded.usage.packets > 0)
    if not foreign.any() or not len(own):
        return np.zeros(len(flows), np.bool_)
    from_other = flows.identity[_tunnelled(end) & np.isin(source, other.home.numbers)]
    rewritten = np.isin(flows.identity, other.decoded.flows.identity[other_sent])
    return foreign & (~rewritten | np.isin(flows.identity, from_other))


def _to_third_nodes(
    end: End, sent: NDArray[np.bool_], foreign: NDArray[np.bool_], other: End, book: AddressBook
) -> NDArray[np.bool_]:
    """Flows that an end sends to a third node that also sends, and flooded copies."""
    i = end.place.capture
    to_sender = sent & np.isin(book.outer_dst[i], np.unique(book.outer_src[i][foreign]))
    return to_sender | _copies(end, sent, other, book)


def _copies(end: End, sent: NDArray[np.bool_], other: End, book: AddressBook) -> NDArray[np.bool_]:
    """Flooded flows, which an end sends elsewhere at the same time as to the other end."""
    flows, usage = end.decoded.flows, end.decoded.usage
    to_other = sent & np.isin(book.outer_dst[end.place.capture], other.home.numbers)
    elsewhere = np.flatnonzero(sent & ~to_other & np.isin(flows.identity, flows.identity[to_other]))
    result = np.zeros(len(flows), np.bool_)
    if not len(elsewhere):
        return result
    first, last = usage.first_row, usage.last_row
    order = np.argsort(flows.identity[to_other], kind="stable")
    there = np.flatnonzero(to_other)[order]
    at = there[np.searchsorted(flows.identity[there], flows.identity[elsewhere])]
    result[elsewhere] = (first[elsewhere] < last[at]) & (first[at] < last[elsewhere])
    return result


def _cut_off(*ends: End) -> str:
    """Say that the snap length leaves too little to distinguish packets; "" where it does not."""
    cut = [e.place.name for e in ends if headless.most(e.decoded, e.place.flows)]
    if not cut:
        return ""
    names = " and ".join(cut)
    return f"the snap length cut the inner headers in {names}: packets cannot be distinguished"


def _route(
    forward: NDArray[np.bool_], backward: NDArray[np.bool_], other_peer: NDArray[np.bool_] | None = None
) -> NDArray[np.uint8]:
    result = np.full(len(forward), Route.NONE, dtype=np.uint8)
    if other_peer is not None:
        result[other_peer] = Route.OTHER_PEER
    result[backward] = Route.BACKWARD
    result[forward] = Route.FORWARD
    return result


def _lives_on(end: End, sent: NDArray[np.bool_], book: AddressBook, cluster: Cluster) -> NDArray[np.int32]:
    """Inner addresses on an end's node: the sources of its packets, and those known from the cluster."""
    inner = np.unique(book.src[end.place.capture][sent])
    return np.union1d(inner[inner != NO_ADDRESS], _by_cluster(end.home.texts, book, cluster)).astype(np.int32)


def _by_cluster(node_addresses: tuple[str, ...], book: AddressBook, cluster: Cluster) -> NDArray[np.int32]:
    names = {cluster.node_of(address) for address in node_addresses} - {None}
    if not names:
        return np.zeros(0, dtype=np.int32)
    return np.array(
        [n for n, a in enumerate(book.texts) if a and cluster.node_of(a) in names], dtype=np.int32
    )


def _identity_in(end: End, other: End, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Flows of `end` whose inner packets are those of chosen flows of `other`."""
    return np.isin(end.decoded.flows.identity, other.decoded.flows.identity[chosen])


def _same_packets(
    end: End, other: End, seen: NDArray[np.bool_], dst: NDArray[np.int32], other_dst: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """Flows of `end` that `other` saw going to the same outer address, to whichever node it belongs."""
    salt = hashing.GOLDEN
    mine = end.decoded.flows.identity ^ (dst.astype(np.uint64) * salt)
    theirs = other.decoded.flows.identity[seen] ^ (other_dst[seen].astype(np.uint64) * salt)
    return np.isin(mine, theirs)


def _unencapsulated(end: End) -> NDArray[np.bool_]:
    flows = end.decoded.flows
    return end.place.flows & (flows.tunnel == Tunnel.NONE) & np.isin(flows.family, (4, 6))


def _pod_to_pod(first: End, second: End, book: AddressBook) -> Routes:
    i, j = first.place.capture, second.place.capture
    near, far = np.array(first.home.numbers, np.int32), np.array(second.home.numbers, np.int32)
    at_first, at_second = _unencapsulated(first), _unencapsulated(second)
    src_first, src_second = np.isin(book.src[i], near), np.isin(book.src[j], near)
    dst_first, dst_second = np.isin(book.dst[i], near), np.isin(book.dst[j], near)
    common_first = (
        _identity_in(first, second, at_second) | np.isin(book.dst[i], far) | np.isin(book.src[i], far)
    )
    common_second = (
        _identity_in(second, first, at_first) | np.isin(book.dst[j], near) | np.isin(book.src[j], near)
    )
    forward, returned = at_first & src_first & common_first, at_first & dst_first & common_first
    # The second may show the first's node under a translated address.
    arrived = src_second & common_second | _identity_in(second, first, forward)
    backward = dst_second & common_second | _identity_in(second, first, returned)
    return Routes(_route(forward, returned), _route(at_second & arrived, at_second & backward))


def _node_of(pod: End, at_tunnel: NDArray[np.bool_], tunnel: End, book: AddressBook) -> NDArray[np.int32]:
    """Outer addresses of a pod's node: of the card's own node, or of the far one if the card is there."""
    j = tunnel.place.capture
    sent = at_tunnel & np.isin(book.src[j], pod.home.numbers) & (tunnel.decoded.usage.packets > 0)
    sources = np.unique(book.outer_src[j][sent])
    return sources if len(sources) else np.array(tunnel.home.numbers, dtype=np.int32)


def _pod_to_tunnel(
    pod: End, tunnel: End, book: AddressBook, cluster: Cluster, beyond: NDArray[np.int32]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Routes at the unencapsulated and at the tunnel point; FORWARD goes into the tunnel."""
    i, j = pod.place.capture, tunnel.place.capture
    at_pod, at_tunnel = _unencapsulated(pod), _tunnelled(tunnel)
    own = _node_of(pod, at_tunnel, tunnel, book)
    sent = at_tunnel & np.isin(book.outer_src[j], own)
    received = at_tunnel & ~sent
    local = _lives_on(tunnel, sent, book, cluster)
    remote = np.unique(np.concatenate([book.dst[j][sent], book.src[j][received], beyond]))
    remote = np.setdiff1d(remote, np.append(local, NO_ADDRESS))
    # A flow at both points goes from one to the other, whatever its addresses: a pod may send to a service,
    # and the tunnel may carry it with the node's own address.
    left, came = _identity_in(pod, tunnel, sent), _identity_in(pod, tunnel, received)
    leaving, entering = at_pod & left & ~came, at_pod & came & ~left
    pods = np.array(pod.home.numbers, dtype=np.int32)
    if not len(pods):
        # Destinations that only receive from the tunnel are here as well: a pod may take datagrams without
        # answering.
        arriving = book.dst[j][received & np.isin(book.outer_dst[j], own)]
        local = np.setdiff1d(np.union1d(local, arriving), remote)
        # The node's own address, which only talks to pods of this node here, is not one of them.
        from_here = at_pod & ~np.isin(book.dst[i], local)
        to_here = at_pod & ~np.isin(book.src[i], local)
        pods = np.intersect1d(np.concatenate([book.src[i][from_here], book.dst[i][to_here]]), local)
    translated = np.concatenate([book.src[i][leaving], book.dst[i][entering]])
    pods = np.union1d(pods, translated[translated != NO_ADDRESS])
    leaves = leaving | at_pod & np.isin(book.src[i], pods) & np.isin(book.dst[i], remote)
    at_pods, inner = PodEnd(pod, pods, leaving), InnerAddresses(local, remote)
    leaves |= dead_ends.between(at_pods, tunnel, book, cluster, inner)
    enters = entering | at_pod & np.isin(book.dst[i], pods) & np.isin(book.src[i], remote)
    out = sent & (np.isin(book.src[j], pods) | _identity_in(tunnel, pod, leaving))
    in_ = received & (np.isin(book.dst[j], pods) | _identity_in(tunnel, pod, entering))
    return _route(leaves & ~entering, enters & ~leaving), _route(out, in_)
