"""Nodes, pods, services and the network's devices, out of namespaces.

Each node's NIC is one end of a veth pair whose other end is bridged to a TAP device in the namespace
of the network. So the NIC has the kernel's offloads (super-packets, checksums left to the hardware),
and the bridge's way into the TAP device cuts and fills them as hardware would: the network in user
space sees what a wire carries.
"""

from __future__ import annotations

import ipaddress
import sys
from dataclasses import dataclass

from tests.lab.namespaces import Namespaces
from tests.lab.scenario import Cluster

FABRIC = "fabric"
NIC = "eth0"
GATEWAY, GATEWAY6 = "169.254.1.1", "fe80::1"
FABRIC_MTU = 9200
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
        return f"{ENCRYPTED_NETWORK}.{node.number}" if self.cluster.around else node.address

    def address(self, place: str, ipv6: bool = False) -> str:
        """Address of a pod, a node, ``service``, or of what is an address already."""
        if place == "service":
            return self.cluster.service
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
            options=str(_of_node(cluster.tunnel_options, number)),
        )
    pods, pods6 = {}, {}
    for name, pod in cluster.pods.items():
        pods[name] = str(ipaddress.ip_network(cluster.pod_networks[pod.node])[pod.host])
        if cluster.pod_networks6:
            pods6[name] = str(ipaddress.ip_network(cluster.pod_networks6[pod.node])[pod.host])
    return Topology(cluster, nodes, pods, pods6)


def _of_node(value: object, number: int) -> object:  # type: ignore[misc]
    return value[number - 1] if isinstance(value, tuple) else value


def build(topology: Topology, spaces: Namespaces) -> None:
    """Build everything but the faults: nodes, network devices, tunnels, pods, service."""
    spaces.add(FABRIC)
    for node in topology.nodes.values():
        _add_node(topology, node, spaces)
    for node in topology.nodes.values():
        if topology.cluster.around:
            _add_encryption(topology, node, spaces)
        TUNNELS[topology.cluster.tunnel](topology, node, spaces)
    for name in topology.cluster.pods:
        _add_pod(topology, name, spaces)
    for node in topology.nodes.values():
        _add_service(topology, node, spaces)
    if topology.cluster.nested:
        _add_nested(topology, spaces)


def _add_node(topology: Topology, node: Node, spaces: Namespaces) -> None:
    cluster = topology.cluster
    spaces.add(node.name)
    run = lambda command: spaces.run(node.name, command)  # noqa: E731
    wire, tap, bridge = (f"{kind}{node.number}" for kind in ("wire", "tap", "bridge"))
    spaces.run(FABRIC, f"ip link add {wire} type veth peer name {NIC} netns {spaces.real(node.name)}")
    spaces.run(FABRIC, f"ip tuntap add mode tap dev {tap}")
    spaces.run(FABRIC, f"ip link add {bridge} type bridge mcast_snooping 0")
    # A long queue: the network in user space must see every frame, however late it wakes.
    spaces.run(FABRIC, f"ip link set {tap} txqueuelen 20000")
    for device in (wire, tap):
        spaces.run(FABRIC, f"ip link set {device} mtu {FABRIC_MTU} master {bridge} up")
    spaces.run(FABRIC, f"ip link set {bridge} up")
    spaces.run(FABRIC, "sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0")
    run(f"ip link set {NIC} address {node.mac} mtu {cluster.node_mtu} up")
    run("sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0")
    run("sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0")
    if ":" in node.address:
        run(f"sysctl -qw net.ipv6.conf.{NIC}.disable_ipv6=0 net.ipv6.conf.{NIC}.accept_ra=0")
        run(f"sysctl -qw net.ipv6.conf.{NIC}.router_solicitations=0")
        run(f"ip -6 addr add {node.address}/64 dev {NIC} nodad")
    else:
        run(f"ip addr add {node.address}/16 dev {NIC}")
    if not cluster.offload:
        run(f"ethtool -K {NIC} tx off tso off gso off gro off")
    if cluster.merge:
        run(f"ethtool -K {NIC} gro on")
        for setting, value in (("gro_flush_timeout", 400_000), ("napi_defer_hard_irqs", 2)):
            run(f"sh -c 'echo {value} > /sys/class/net/{NIC}/{setting}'")


def _add_encryption(topology: Topology, node: Node, spaces: Namespaces) -> None:
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
    cluster, run = topology.cluster, lambda command: spaces.run(node.name, command)
    device = cluster.device
    below = cluster.around or NIC
    run(
        f"ip link add {device} address {node.tunnel_mac} mtu {cluster.pod_mtu} type vxlan id {node.vni} dev {below}"
        f" local {topology.endpoint(node)} dstport {node.port} nolearning {node.options}"
    )
    _set_up(topology, node, spaces)
    for other in topology.others(node):
        _route_to(topology, node, other, spaces, "")
        run(f"bridge fdb append {other.tunnel_mac} dev {device} dst {topology.endpoint(other)}")


def _set_up(topology: Topology, node: Node, spaces: Namespaces) -> None:
    device = topology.cluster.device
    if topology.pods6:
        spaces.run(node.name, f"sysctl -qw net/ipv6/conf/{device}/disable_ipv6=0 net.ipv6.conf.all.forwarding=1")
        network = ipaddress.ip_network(topology.cluster.pod_networks6[node.name])
        spaces.run(node.name, f"ip -6 addr add {network[0]}/128 dev {device} nodad")
    spaces.run(node.name, f"ip addr add {node.tunnel_address}/32 dev {device}")
    spaces.run(node.name, f"ip link set {device} up")
    if not topology.cluster.offload:
        spaces.run(node.name, f"ethtool -K {device} tx off gso off gro off", check=False)


def _route_to(topology: Topology, node: Node, other: Node, spaces: Namespaces, encapsulation: str) -> None:
    """Send the other node's pods through the tunnel, by way of that node's tunnel device."""
    run, device = lambda command: spaces.run(node.name, command), topology.cluster.device
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
    cluster, run = topology.cluster, lambda command: spaces.run(node.name, command)
    run(
        f"ip link add {cluster.device} address {node.tunnel_mac} mtu {cluster.pod_mtu}"
        f" type vxlan external dstport {node.port} {node.options}"
    )
    _set_up(topology, node, spaces)
    for other in topology.others(node):
        # 6 is the identity of a remote node, which the node's own traffic carries.
        _route_to(topology, node, other, spaces, f"encap ip id 6 dst {topology.endpoint(other)}")
        for table, (name, pod) in enumerate(cluster.pods.items(), 100):
            if pod.node != node.name:
                continue
            run(
                f"ip route add {cluster.pod_networks[other.name]} encap ip id {pod.identity}"
                f" dst {topology.endpoint(other)} via {other.tunnel_address} dev {cluster.device} onlink table {table}"
            )
            if other is topology.others(node)[0]:
                run(f"ip rule add from {topology.pods[name]} lookup {table} priority 100")


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


def host_device(pod: str) -> str:
    """Name of the node's end of a pod's link."""
    return f"veth-{pod}"


def _add_pod(topology: Topology, name: str, spaces: Namespaces) -> None:
    """A pod behind a veth pair, with a gateway that is the node itself."""
    cluster, pod, device = topology.cluster, topology.cluster.pods[name], host_device(name)
    spaces.add(name)
    on_node, in_pod = (lambda c: spaces.run(pod.node, c)), (lambda c: spaces.run(name, c))
    on_node(
        f"ip link add {device} mtu {cluster.pod_mtu} type veth"
        f" peer name eth0 netns {spaces.real(name)} mtu {cluster.pod_mtu}"
    )
    in_pod(f"ip addr add {topology.pods[name]}/32 dev eth0")
    in_pod("ip link set eth0 up")
    on_node(f"ip addr add {GATEWAY}/32 dev {device}")
    on_node(f"ip link set {device} up")
    on_node(f"ip route add {topology.pods[name]}/32 dev {device}")
    in_pod(f"ip route add {GATEWAY} dev eth0")
    in_pod(f"ip route add default via {GATEWAY} dev eth0")
    if not cluster.offload:
        in_pod("ethtool -K eth0 tx off tso off gso off gro off")
    if topology.pods6:
        on_node(f"sysctl -qw net.ipv6.conf.{device}.disable_ipv6=0")
        in_pod("sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0 net.ipv6.conf.eth0.router_solicitations=0")
        on_node(f"ip -6 addr add {GATEWAY6}/64 dev {device} nodad")
        in_pod(f"ip -6 addr add {topology.pods6[name]}/128 dev eth0 nodad")
        on_node(f"ip -6 route add {topology.pods6[name]}/128 dev {device}")
        in_pod(f"ip -6 route add default via {GATEWAY6} dev eth0")


def _add_service(topology: Topology, node: Node, spaces: Namespaces) -> None:
    """The DNS service as kube-proxy builds it: address translation to the two pods, by turns."""
    first, second = topology.pods["dns1"], topology.pods["dns2"]
    for chain in ("PREROUTING", "OUTPUT"):
        for protocol in ("udp", "tcp"):
            rule = f"iptables -t nat -A {chain} -d {topology.cluster.service} -p {protocol} --dport 53"
            turns = "-m statistic --mode nth --every 2 --packet 0"
            spaces.run(node.name, f"{rule} {turns} -j DNAT --to {first}:53")
            spaces.run(node.name, f"{rule} -j DNAT --to {second}:53")
    if topology.cluster.masquerade:
        device = topology.cluster.device
        spaces.run(node.name, f"iptables -t nat -A POSTROUTING -o {device} -j MASQUERADE --random-fully")


def _add_nested(topology: Topology, spaces: Namespaces) -> None:
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
