"""The tunnels between the nodes, as flannel and Calico, Cilium, or a Geneve overlay build them."""

from __future__ import annotations

import ipaddress
import sys
from functools import partial

from tests.lab.namespaces import Namespaces
from tests.lab.scenario import Overlay
from tests.lab.topology import (
    FLAT_BRIDGE,
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
    # Without an address of its own, each packet gets that of the route.
    way = f"dev {cluster.around or NIC} local {topology.endpoint(node)}" if cluster.bound else ""
    run(
        f"ip link add {device} address {node.tunnel_mac} mtu {cluster.pod_mtu}"
        f" type vxlan id {node.vni} {way} dstport {node.port} nolearning {node.options}"
    )
    _set_up(topology, node, spaces)
    for other in topology.others(node):
        _route_to(topology, node, other, spaces, "")
        run(f"bridge fdb append {other.tunnel_mac} dev {device} dst {topology.endpoint(other)}")
    for place, overlay in enumerate(cluster.overlays):
        _add_overlay(topology, node, overlay, place, spaces)


def _add_overlay(topology: Topology, node: Node, overlay: Overlay, place: int, spaces: Namespaces) -> None:
    """Add a further tunnel, of either family, and lead pods through it."""
    cluster, run, device = topology.cluster, partial(spaces.run, node.name), overlay.device
    own, ipv6 = overlay.endpoints[node.name], ":" in overlay.endpoints[node.name]
    run(f"sysctl -qw net.ipv6.conf.{NIC}.disable_ipv6=0 net.ipv6.conf.{NIC}.router_solicitations=0")
    run(f"ip addr add {own}/{64 if ipv6 else 16} dev {NIC} {'nodad' if ipv6 else ''}")
    run(
        f"ip link add {device} address {_mac(node, place)} mtu {cluster.pod_mtu} type vxlan id {overlay.vni}"
        f" dev {NIC} local {own} dstport {node.port} nolearning"
    )
    run(f"sysctl -qw net/ipv6/conf/{device}/disable_ipv6={int(not ipv6)}")
    run(f"ip link set {device} up")
    for other in topology.others(node):
        run(f"bridge fdb append {_mac(other, place)} dev {device} dst {overlay.endpoints[other.name]}")
        table, network = (
            (topology.pods6, cluster.pod_networks6) if ipv6 else (topology.pods, cluster.pod_networks)
        )
        via = f"fe80::{place}:{other.number}" if ipv6 else ipaddress.ip_network(network[other.name])[0]
        run(f"ip neigh add {via} lladdr {_mac(other, place)} dev {device} nud permanent")
        theirs = [table[pod] for pod in overlay.pods or table if cluster.pods[pod].node == other.name]
        for address in theirs:
            run(f"ip route replace {address}/{128 if ipv6 else 32} via {via} dev {device} onlink")


def _mac(node: Node, place: int) -> str:
    return f"{node.tunnel_mac[:6]}{0x50 + place:02x}{node.tunnel_mac[8:]}"


def _add_group(topology: Topology, node: Node, spaces: Namespaces) -> None:
    """One flat network: a bridge whose tunnel device learns, and floods to a multicast group."""
    cluster, run = topology.cluster, partial(spaces.run, node.name)
    run(f"ip link add {FLAT_BRIDGE} type bridge mcast_snooping 0")
    run(
        f"ip link add {cluster.device} address {node.tunnel_mac} mtu {cluster.pod_mtu} type vxlan"
        f" id {node.vni} group {cluster.group} dev {NIC} local {topology.endpoint(node)}"
        f" dstport {node.port} {node.options}"
    )
    for device in (FLAT_BRIDGE, cluster.device):
        run(f"ip link set {device} up")
    run(f"ip link set {cluster.device} master {FLAT_BRIDGE}")


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


TUNNELS = {"flannel": _add_flannel, "cilium": _add_cilium, "geneve": _add_geneve, "group": _add_group}


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
