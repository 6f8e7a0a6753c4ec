"""Which nodes and pods a cluster has, and their addresses: the plan that the rest of the lab reads."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TypeVar

from tests.lab.scenario import Cluster

T = TypeVar("T")

FABRIC = "fabric"
NIC, SECOND_NIC = "eth0", "eth1"
GATEWAY, GATEWAY6 = "169.254.1.1", "fe80::1"
FABRIC_MTU = 9200
FLAT_BRIDGE, FLAT_PREFIX = "flat0", 24
# Where the encrypted network lies that a tunnel may run through (RFC 2544's own addresses).
ENCRYPTED_NETWORK = "198.18.0"


@dataclass(frozen=True)
class Node:
    """One node as it was built."""

    name: str
    number: int
    address: str
    mac: str
    tunnel_mac: str
    tunnel_address: str
    port: int
    vni: int
    options: str


@dataclass(frozen=True)
class Topology:
    """A cluster, its nodes and the addresses of its pods."""

    cluster: Cluster
    nodes: dict[str, Node]
    pods: dict[str, str]
    pods6: dict[str, str]

    def others(self, node: Node) -> list[Node]:
        """Return the nodes but one."""
        return [other for other in self.nodes.values() if other is not node]

    def endpoint(self, node: Node) -> str:
        """Address between which the tunnel's outer packets travel."""
        if self.cluster.around:
            return f"{ENCRYPTED_NETWORK}.{node.number}"
        return self.cluster.endpoints.get(node.name, node.address)

    def cards(self, node: Node) -> list[tuple[str, str]]:
        """MAC and the network's device of each card of a node."""
        first = (node.mac, f"tap{node.number}")
        second = (f"{node.mac[:-2]}{node.number + 32:02x}", f"tap{node.number}b")
        return [first, second] if node.name in self.cluster.second_cards else [first]

    def address(self, place: str, ipv6: bool = False) -> str:
        """Address of a pod, a node, ``service``, or of what is an address already."""
        if place == "service":
            return self.cluster.service
        if place in self.cluster.services:
            return self.cluster.services[place].address
        if place in self.nodes:
            return self.nodes[place].address
        return (self.pods6 if ipv6 else self.pods).get(place, place)

    @property
    def tunnel_ports(self) -> list[int]:
        """All UDP ports on which a tunnel of this cluster listens."""
        inside = [NESTED_PORT] if self.cluster.nested else []
        return sorted({node.port for node in self.nodes.values()} | set(inside))


NESTED_PORT = 4789
NESTED_VNI = 77
NESTED_NETWORK = "10.99.0"


def plan(cluster: Cluster) -> Topology:
    """Give every node and pod its addresses; builds nothing."""
    nodes = {}
    for number, (name, address) in enumerate(cluster.nodes.items(), 1):
        nodes[name] = Node(
            name=name,
            number=number,
            address=address,
            mac=f"{cluster.node_macs}:{number + 10:02x}",
            tunnel_mac=cluster.vtep_macs.get(name, f"0e:9c:41:7b:05:{number:02x}"),
            tunnel_address=str(ipaddress.ip_network(cluster.pod_networks[name])[0]),
            port=_of_node(cluster.port, number),
            vni=_of_node(cluster.vni, number),
            options=_of_node(cluster.tunnel_options, number),
        )
    pods, pods6 = {}, {}
    for name, pod in cluster.pods.items():
        pods[name] = str(ipaddress.ip_network(cluster.pod_networks[pod.node])[pod.host])
        if cluster.pod_networks6:
            pods6[name] = str(ipaddress.ip_network(cluster.pod_networks6[pod.node])[pod.host])
    return Topology(cluster, nodes, pods, pods6)


def _of_node(value: T | tuple[T, ...], number: int) -> T:
    return value[number - 1] if isinstance(value, tuple) else value


def host_device(pod: str) -> str:
    """Name of the node's end of a pod's link."""
    return f"veth-{pod}"


def identity_tables(topology: Topology, node: Node) -> dict[str, int]:
    """Number the routing tables of a Cilium node: one for each of its pods, which gives them their VNI."""
    return {
        name: 100 + place
        for place, name in enumerate(topology.pods)
        if topology.cluster.pods[name].node == node.name
    }
