"""The tunnels between the nodes, as flannel and Calico, Cilium, or a Geneve overlay build them."""

from __future__ import annotations

import ipaddress
import sys
from functools import partial

from tests.lab.namespaces import Namespaces
from tests.lab.topology import (
    NESTED_NETWORK,
    NESTED_PORT,
    NESTED_VNI,
    NIC,
    Node,
    Topology,
    identity_tables,
)

# Identity of a remote node, which the node's own traffic carries (Cilium's reserved identities).
REMOTE_NODE = 6


def add_encryption(topology: Topology, node: Node, spaces: Namespaces) -> None:
    """Add a point-to-point device whose packets leave encrypted; every other node is behind it."""
    device = topology.cluster.around
    spaces.run(node.name, f"ip tuntap add mode tun dev {device}")
    spaces.run(node.name, f"ip addr add {topology.endpoint(node)}/24 dev {device}")
    spaces.run(node.name, f"ip link set {device} mtu {topology.cluster.node_mtu - 80} up")
    peers = [f"{topology.endpoint(other)}={other.address}" for other in topology.others(node)]
    _start_endpoint(spaces, node, [device, device, node.address, *peers])


def _start_endpoint(spaces: Namespaces, node: Node, arguments: list[str]) -> None:
    spaces.start(node.name, [sys.executable, "-m", "tests.lab.endpoint", *arguments])


def _add_flannel(topology: Topology, node: Node, spaces: Namespaces) -> None:
    """One VNI; route, neighbour and forwarding entry of every other node are written, none is learned."""
    cluster, run = topology.cluster, partial(spaces.run, node.name)
    device = cluster.device
    run(
        f"ip link add {device} address {node.tunnel_mac} mtu {cluster.pod_mtu}"
        f" type vxlan id {node.vni} dev {cluster.around or NIC} local {topology.endpoint(node)}"
        f" dstport {node.port} nolearning {node.options}"
    )
    _set_up(topology, node, spaces)
    for other in topology.others(node):
        _route_to(topology, node, other, spaces, "")
        run(f"bridge fdb append {other.tunnel_mac} dev {device} dst {topology.endpoint(other)}")


def _set_up(topology: Topology, node: Node, spaces: Namespaces) -> None:
    device = topology.cluster.device
    if topology.pods6:
        spaces.run(
            node.name, f"sysctl -qw net/ipv6/conf/{device}/disable_ipv6=0 net.ipv6.conf.all.forwarding=1"
        )
        network = ipaddress.ip_network(topology.cluster.pod_networks6[node.name])
        spaces.run(node.name, f"ip -6 addr add {network[0]}/128 dev {device} nodad")
    spaces.run(node.name, f"ip addr add {node.tunnel_address}/32 dev {device}")
    spaces.run(node.name, f"ip link set {device} up")
    if not topology.cluster.offload:
        spaces.run(node.name, f"ethtool -K {device} tx off gso off gro off", check=False)


def _route_to(topology: Topology, node: Node, other: Node, spaces: Namespaces, encapsulation: str) -> None:
    """Send the other node's pods through the tunnel, by way of that node's tunnel device."""
    run, device = partial(spaces.run, node.name), topology.cluster.device
    network = topology.cluster.pod_networks[other.name]
    run(f"ip route add {network} {encapsulation} via {other.tunnel_address} dev {device} onlink")
    if not spaces.run(node.name, f"ip neigh show {other.tunnel_address} dev {device}"):
        run(f"ip neigh add {other.tunnel_address} lladdr {other.tunnel_mac} dev {device} nud permanent")
    if topology.pods6:
        network6 = ipaddress.ip_network(topology.cluster.pod_networks6[other.name])
        run(f"ip -6 route add {network6} via {network6[0]} dev {device} onlink")
        run(f"ip -6 neigh add {network6[0]} lladdr {other.tunnel_mac} dev {device} nud permanent")


def _add_cilium(topology: Topology, node: Node, spaces: Namespaces) -> None:
    """One device for all VNIs; the VNI is the sending pod's identity, told by a table for each pod."""
    cluster, run = topology.cluster, partial(spaces.run, node.name)
    run(
        f"ip link add {cluster.device} address {node.tunnel_mac} mtu {cluster.pod_mtu}"
        f" type vxlan external dstport {node.port} {node.options}"
    )
    _set_up(topology, node, spaces)
    for other in topology.others(node):
        _route_to(topology, node, other, spaces, f"encap ip id {REMOTE_NODE} dst {topology.endpoint(other)}")
        for pod, table in identity_tables(topology, node).items():
            encapsulation = f"encap ip id {cluster.pods[pod].identity} dst {topology.endpoint(other)}"
            way = f"via {other.tunnel_address} dev {cluster.device} onlink table {table}"
            run(f"ip route add {cluster.pod_networks[other.name]} {encapsulation} {way}")
    for pod, table in identity_tables(topology, node).items():
        run(f"ip rule add from {topology.pods[pod]} lookup {table} priority 100")


def _add_geneve(topology: Topology, node: Node, spaces: Namespaces) -> None:
    """A Geneve endpoint in user space behind a TAP device, since not every kernel has one."""
    cluster, device = topology.cluster, topology.cluster.device
    spaces.run(node.name, f"ip tuntap add mode tap dev {device}")
    spaces.run(node.name, f"ip link set {device} address {node.tunnel_mac} mtu {cluster.pod_mtu}")
    _set_up(topology, node, spaces)
    for other in topology.others(node):
        _route_to(topology, node, other, spaces, "")
    peers = [f"{other.tunnel_mac}={topology.endpoint(other)}" for other in topology.others(node)]
    _start_endpoint(spaces, node, ["geneve", device, topology.endpoint(node), *peers, f"vni={node.vni}"])


TUNNELS = {"flannel": _add_flannel, "cilium": _add_cilium, "geneve": _add_geneve}


def add_nested(topology: Topology, spaces: Namespaces) -> None:
    """A tunnel between the pods client and web, inside the nodes' tunnel: a cluster within the cluster."""
    for number, (name, other) in enumerate((("client", "web"), ("web", "client")), 1):
        mtu = topology.cluster.pod_mtu - 50
        spaces.run(
            name,
            f"ip link add nested mtu {mtu} type vxlan id {NESTED_VNI} dev eth0 local {topology.pods[name]}"
            f" remote {topology.pods[other]} dstport {NESTED_PORT}",
        )
        spaces.run(name, f"ip addr add {NESTED_NETWORK}.{number}/24 dev nested")
        spaces.run(name, "ip link set nested up")
