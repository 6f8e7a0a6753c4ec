"""Flows from a pod to a service that never appear at the node's network card and are never answered.

A service's address is translated inside the node, so no tunnel packet contains it. Where the pod's interface
shows requests to a service, no answer comes back to the client's socket, and no flow at the card is their
translation, the requests died between the two. They count as lost only where the service is known to have its
backends on other nodes: by `--kube` or `--facts`, by other flows to the same address and port that did enter
the tunnel, or because the address is farther from the pods' own than those of other nodes are.
"""

from ipaddress import ip_address
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kubernetes.model import Cluster, parse_endpoint
from vxlanalyze.pairing import tuples
from vxlanalyze.pairing.address_book import NO_ADDRESS, AddressBook
from vxlanalyze.pairing.home import End
from vxlanalyze.pairing.rows import rows_of
from vxlanalyze.wire.model import Flows, Tunnel
from vxlanalyze.wire.protocols import TCP, WITH_PORTS

_FEWEST_PACKETS = 2  # to an address that only its distance identifies as a service's


class PodEnd(NamedTuple):
    """The interface of pods: the addresses of the pods there, and its flows that entered the tunnel."""

    end: End
    pods: NDArray[np.int32]
    left: NDArray[np.bool_]


class InnerAddresses(NamedTuple):
    """Inner addresses of the node of the captures, and of other nodes."""

    local: NDArray[np.int32]
    remote: NDArray[np.int32]


def between(
    at_pods: PodEnd, tunnel: End, book: AddressBook, cluster: Cluster, inner: InnerAddresses
) -> NDArray[np.bool_]:
    """Mark the flows at the pods' interface that died on the path to a service, shape ``(f,)``."""
    pod, pods, left = at_pods
    i, j = pod.place.capture, tunnel.place.capture
    flows, src, dst = pod.decoded.flows, book.src[i], book.dst[i]
    here = pod.place.flows & (flows.tunnel == Tunnel.NONE) & (pod.decoded.usage.packets > 0)
    lone = here & np.isin(src, pods) & np.isin(flows.protocol, WITH_PORTS) & ~left
    lone &= ~np.isin(dst, np.concatenate(inner)) & (dst != NO_ADDRESS)
    if not lone.any():
        return lone
    lone &= ~np.isin(flows.identity, tunnel.decoded.flows.identity)
    lone &= ~_receives(flows, src, dst, here) & _recognisable(pod, lone)
    chosen = np.flatnonzero(lone)
    others = np.setdiff1d(inner.remote, np.concatenate([book.outer_src[j], book.outer_dst[j]]))
    result = np.zeros(len(flows), np.bool_)
    services, of = np.unique(np.column_stack([dst, flows.dport])[chosen], axis=0, return_inverse=True)
    shown = {(int(a), int(p)) for a, p in zip(dst[left], flows.dport[left], strict=True)}
    packets = np.bincount(of.reshape(-1), pod.decoded.usage.packets[chosen])
    dead = np.zeros(len(services), np.bool_)
    for number, (address, port) in enumerate(services.tolist()):
        known = _by_cluster(book.texts[address], port, tunnel, cluster)
        if known is None and i != j:
            known = (address, port) in shown or (
                packets[number] >= _FEWEST_PACKETS
                and not cluster.services
                and _is_far(book, address, pods, others)
                and _is_unfiltered(tunnel)
            )
        dead[number] = bool(known)
    result[chosen] = dead[of.reshape(-1)]
    return result


def _receives(
    flows: Flows, src: NDArray[np.int32], dst: NDArray[np.int32], here: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Flows whose sending socket receives anything, from whatever address."""
    sending, hearing = (
        np.column_stack([address, port, flows.protocol]).astype(np.uint64)
        for address, port in ((src, flows.sport), (dst, flows.dport))
    )
    code, _ = tuples.number_rows(np.concatenate([sending, hearing]))
    return np.isin(code[: len(flows)], code[len(flows) :][here])


def _recognisable(pod: End, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Flows whose translation at the card could not have been overlooked: TCP, and packets with an IP ID."""
    flows, index = pod.decoded.flows, pod.decoded.index
    rows = rows_of(index.flow, chosen)
    numbered = np.zeros(len(flows), np.bool_)
    numbered[index.flow[rows[index.ip_id[rows] != 0]]] = True
    return numbered | (flows.protocol == TCP)


def _by_cluster(address: str, port: int, tunnel: End, cluster: Cluster) -> bool | None:
    """Whether all backends of a service are on other nodes, according to the cluster; None: not known."""
    services = [s for s in cluster.services_of(address, port) if address in s.addresses]
    parsed = [parse_endpoint(b) for s in services for b in s.backends]
    homes = {cluster.node_of(backend[0]) for backend in parsed if backend is not None}
    own = {cluster.node_of(a) for a in tunnel.home.texts} - {None}
    if not homes or None in homes or not own:
        return None
    return not homes & own


def _is_far(book: AddressBook, address: int, pods: NDArray[np.int32], remote: NDArray[np.int32]) -> bool:
    """Whether a private address is farther from a node's pods than the pods of other nodes are."""
    target = ip_address(book.texts[address])
    near = [ip_address(book.texts[n]) for n in pods.tolist()]
    others = [ip_address(book.texts[n]) for n in remote.tolist()]
    near, others = ([a for a in some if a.version == target.version] for some in (near, others))
    if not near or not others or not target.is_private:
        return False
    distance = min(int(target) ^ int(a) for a in near)
    return all(distance.bit_length() > min(int(o) ^ int(a) for a in near).bit_length() for o in others)


def _is_unfiltered(tunnel: End) -> bool:
    """Whether the card's capture holds more than tunnel packets, so others would appear there too."""
    flows = tunnel.decoded.flows
    others = tunnel.place.flows & (flows.tunnel == Tunnel.NONE) & (tunnel.decoded.usage.packets > 0)
    return bool(others.any())
