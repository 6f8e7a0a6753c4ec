"""Find the pod addresses, as far as the tunnel, the cluster's files, and their networks show.

A node's tunnel packets come from its pods, unless it forwards packets of clients outside of the cluster (a
load balancer with direct server return, an `externalTrafficPolicy` of Cluster without masquerade). Such a
client is recognisable: its packets arrive at that node without a tunnel, addressed to the node's MAC.

Sources: RFC 4632 section 3.1 (prefixes); Kubernetes documentation, `--node-cidr-mask-size` (each node has a
/24 of IPv4 and a /64 of IPv6 for its pods by default).
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from ipaddress import ip_address
from socket import AF_INET, AF_INET6, inet_pton

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.kubernetes.model import Cluster, address_text
from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.pairing.sorting import present
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import NO_FLOW, Flows, Tunnel

_PREFIX_BYTES = {4: 3, 6: 8}
_PRIVATE = ("10.", "192.168.")  # the most common; `ipaddress` is slow, and there are thousands


@dataclass(frozen=True, eq=False)
class PodAddresses:
    """Inner addresses by the node that sends them, and the networks that they span.

    Parameters
    ----------
    known : dict
        For each pod address, the outer addresses that it sent from (empty where it was only sent to).
    networks : dict
        For each network of pods, the outer addresses of its node.
    outside : frozenset of str
        Clients outside of the cluster whose packets a node forwarded through the tunnel.
    """

    known: dict[str, frozenset[str]]
    networks: dict[bytes, frozenset[str]]
    nodes: frozenset[str]
    outside: frozenset[str]
    cluster: Cluster

    def is_pod(self, address: str) -> bool:
        """Whether an address is a pod's, or in a network with pods and no node."""
        if address in self.nodes or address in self.outside:
            return False
        if address in self.known or network_of(address) in self.networks:
            return True
        return self.cluster.node_of(address) is not None

    def nodes_of(self, address: str) -> frozenset[str]:
        """Outer addresses of the node that an address is on; empty where unknown."""
        name = self.cluster.node_of(address)
        if name is not None and (stated := _of_node(self.cluster, name)):
            return stated
        return self.known.get(address) or self.networks.get(network_of(address), frozenset())

    def any_end(self, flows: Flows) -> NDArray[np.bool_]:
        """Flows of which one end is a pod, shape ``(f,)``."""
        return among(flows.src, flows.family, self.is_pod) | among(flows.dst, flows.family, self.is_pod)


@once
def of(pair: Comparison) -> PodAddresses:
    """Gather the addresses of a comparison; done once, and kept as long as it."""
    nodes = _node_addresses(pair)
    inside = [(point, _inside_tunnels(point)) for point in _one_a_capture(pair)]
    outside = frozenset(_forwarded_clients(pair, inside, nodes))
    known: dict[str, set[str]] = {}
    for _, ends in inside:
        for address, outer in ends:
            known.setdefault(address, set())
            known[address] |= {outer} if outer else set()
    pods = {a: frozenset(o) for a, o in known.items() if a not in nodes and a not in outside}
    return PodAddresses(pods, _networks(pods, nodes), frozenset(nodes), outside, pair.cluster)


def among(
    addresses: NDArray[np.uint8], family: NDArray[np.uint8], holds: Collection[str] | Callable[[str], bool]
) -> NDArray[np.bool_]:
    """Rows whose address is in a set, or for which a function of it holds, shape ``(f,)``."""
    if not len(family):
        return np.zeros(0, np.bool_)
    names, code = distinct(np.column_stack([family, addresses]))
    test = holds if callable(holds) else holds.__contains__
    found = [
        f != 0 and bool(test(a)) for a, f in zip(text(names[:, 1:], names[:, 0]), names[:, 0], strict=True)
    ]
    result: NDArray[np.bool_] = np.array(found, np.bool_)[code]
    return result


def network_of(address: str) -> bytes:
    """Give the usual network of a node's pods that holds an address."""
    version = 6 if ":" in address else 4
    family = AF_INET6 if version == 6 else AF_INET
    packed = inet_pton(family, address.partition("%")[0])  # `ipaddress` is slow, and there are thousands
    return bytes([version]) + packed[: _PREFIX_BYTES[version]]


def native_flows(point: Point) -> NDArray[np.int64]:
    """Flows of IP packets that a point shows without a tunnel or encryption."""
    flows, index = point.flows, point.index
    shown = index.flow if point.rows is None else index.flow[point.rows]
    used = present(shown[shown != NO_FLOW]).astype(np.int64)
    unencapsulated = (
        (flows.tunnel[used] == Tunnel.NONE) & (flows.family[used] > 0) & (flows.encryption[used] == 0)
    )
    return used[unencapsulated]


def _one_a_capture(pair: Comparison) -> list[Point]:
    return list({p.capture: p for p in reversed(pair.points) if p.encapsulated}.values())


def _node_addresses(pair: Comparison) -> set[str]:
    known = {a for p in pair.points if p.encapsulated for a in p.addresses}
    known |= {address_text(a) or a for node in pair.cluster.nodes for a in node.addresses}
    for point in _one_a_capture(pair):  # every tunnel end is a node
        flows = point.flows
        rows = np.flatnonzero(point.decoded.usage.used & (flows.outer_family > 0))
        for ends in (flows.outer_src, flows.outer_dst):
            names, _ = distinct(np.column_stack([flows.outer_family, ends])[rows])
            known |= set(text(names[:, 1:], names[:, 0]))
    return known


def _inside_tunnels(point: Point) -> list[tuple[str, str]]:
    """Inner addresses and the outer address each was sent from ("" for destinations)."""
    flows = point.flows
    rows = np.flatnonzero(point.decoded.usage.used & (flows.outer_family > 0) & (flows.family > 0))
    sent, _ = distinct(np.column_stack([flows.outer_family, flows.outer_src, flows.family, flows.src])[rows])
    to, _ = distinct(np.column_stack([flows.family, flows.dst])[rows])
    outer = text(sent[:, 1:17], sent[:, 0])
    pairs = list(zip(text(sent[:, 18:], sent[:, 17]), outer, strict=True))
    return pairs + [(address, "") for address in text(to[:, 1:], to[:, 0])]


def _of_node(cluster: Cluster, name: str) -> frozenset[str]:
    node = cluster.node(name)
    return frozenset(() if node is None else node.addresses)


def _forwarded_clients(
    pair: Comparison, inside: list[tuple[Point, list[tuple[str, str]]]], nodes: set[str]
) -> set[str]:
    """Inner sources whose packets arrive without a tunnel at the node that forwards them through it."""
    found: set[str] = set()
    for point, ends in inside:
        if pair.cluster.pods:
            found |= {a for a, o in ends if o and pair.cluster.node_of(a) is None}
        flows = point.flows
        addresses = set(point.addresses)
        own = among(flows.outer_src, flows.outer_family, addresses) & point.decoded.usage.used
        macs = np.unique(flows.outer_src_mac[own])
        native = native_flows(point)
        arriving = native[np.isin(flows.outer_dst_mac[native], macs)]
        came = set(text(flows.src[arriving], flows.family[arriving]))
        sent = {a for a, outer in ends if outer in addresses}
        found |= came & sent
    return found - nodes


def _networks(pods: dict[str, frozenset[str]], nodes: set[str]) -> dict[bytes, frozenset[str]]:
    """Networks of pods with the outer addresses that they sent from, except those that contain nodes."""
    taken = {network_of(a) for a in nodes}
    found: dict[bytes, set[str]] = {}
    for address, outer in pods.items():
        network = network_of(address)
        private = address.startswith(_PRIVATE) or ip_address(address).is_private
        if private and network not in taken:
            found.setdefault(network, set()).update(outer)
    return {network: frozenset(outer) for network, outer in found.items()}
