"""Builds a planned cluster out of namespaces: nodes, the network's devices, tunnels, pods, service.

Each node's NIC is one end of a veth pair whose other end is bridged to a TAP device in the namespace
of the network. So the NIC has the kernel's offloads (super-packets, checksums left to the hardware),
and the bridge's way into the TAP device cuts and fills them as hardware would: the network in user
space sees what a wire carries.
"""

from __future__ import annotations

from functools import partial

from tests.lab import services, tunnels
from tests.lab.namespaces import Namespaces
from tests.lab.topology import (
    FABRIC,
    FABRIC_MTU,
    FLAT_BRIDGE,
    FLAT_PREFIX,
    GATEWAY,
    GATEWAY6,
    NIC,
    SECOND_NIC,
    Node,
    Topology,
    host_device,
)

# Hundredths of a second: IGMP queries come often enough for a short recording.
QUERY_INTERVAL, QUERY_RESPONSE = 60, 20


def build(topology: Topology, spaces: Namespaces) -> None:
    """Build everything but the faults: nodes, network devices, tunnels, pods, service."""
    spaces.add(FABRIC)
    for node in topology.nodes.values():
        _add_node(topology, node, spaces)
    for node in topology.nodes.values():
        if topology.cluster.around:
            tunnels.add_encryption(topology, node, spaces)
        tunnels.TUNNELS[topology.cluster.tunnel](topology, node, spaces)
    for name in topology.cluster.pods:
        _add_pod(topology, name, spaces)
    for node in topology.nodes.values():
        _add_service(topology, node, spaces)
        services.add(topology, node, spaces)
    if topology.cluster.nested:
        tunnels.add_nested(topology, spaces)


def _add_node(topology: Topology, node: Node, spaces: Namespaces) -> None:
    """A node with its NIC, forwarding on and nothing of its own in the way."""
    spaces.add(node.name)
    _attach(node, spaces, NIC, "")
    run = partial(spaces.run, node.name)
    run(f"ip link set {NIC} address {node.mac} mtu {topology.cluster.node_mtu} up")
    run("sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0")
    run("sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0")
    if ":" in node.address:
        run(f"sysctl -qw net.ipv6.conf.{NIC}.disable_ipv6=0 net.ipv6.conf.{NIC}.accept_ra=0")
        run(f"sysctl -qw net.ipv6.conf.{NIC}.router_solicitations=0")
        run(f"ip -6 addr add {node.address}/64 dev {NIC} nodad")
    else:
        run(f"ip addr add {node.address}/16 dev {NIC}")
    _add_further_addresses(topology, node, spaces)
    _set_offloads(topology, node, spaces)
    if topology.cluster.querier:
        _query_groups(node, spaces)


def _add_further_addresses(topology: Topology, node: Node, spaces: Namespaces) -> None:
    """Add the node's loopback endpoint with the others' routes, and its second card, where it has them."""
    cluster, run = topology.cluster, partial(spaces.run, node.name)
    if node.name in cluster.endpoints:
        run(f"ip addr add {cluster.endpoints[node.name]}/32 dev lo")
    for other in topology.others(node):
        if other.name in cluster.endpoints:
            run(f"ip route add {cluster.endpoints[other.name]}/32 via {other.address} dev {NIC}")
    if node.name in cluster.second_cards:
        _attach(node, spaces, SECOND_NIC, "b")
        # Each card answers for its own address only.
        run("sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2")
        run(f"ip link set {SECOND_NIC} address {topology.cards(node)[1][0]} up")
        run(f"ip addr add {cluster.second_cards[node.name]}/32 dev {SECOND_NIC}")
        for other in topology.others(node):
            run(f"ip route add {other.address} dev {SECOND_NIC} src {cluster.second_cards[node.name]}")


def _query_groups(node: Node, spaces: Namespaces) -> None:
    """Let the node's port of the network send IGMP queries, and pass the reports on to the network."""
    run = partial(spaces.run, FABRIC)
    interval = f"mcast_query_interval {QUERY_INTERVAL} mcast_query_response_interval {QUERY_RESPONSE}"
    startup = f"mcast_startup_query_interval {QUERY_INTERVAL}"
    run(f"ip link set bridge{node.number} type bridge mcast_snooping 1 mcast_querier 1 {interval} {startup}")
    run(f"bridge link set dev tap{node.number} mcast_router 2")


def _attach(node: Node, spaces: Namespaces, card: str, suffix: str) -> None:
    """Lead a card of the node to the TAP device that the network in user space reads."""
    run = partial(spaces.run, FABRIC)
    wire, tap, bridge = (f"{kind}{node.number}{suffix}" for kind in ("wire", "tap", "bridge"))
    run(f"ip link add {wire} type veth peer name {card} netns {spaces.real(node.name)}")
    run(f"ip tuntap add mode tap dev {tap}")
    run(f"ip link add {bridge} type bridge mcast_snooping 0")
    # A long queue: the network in user space must see every frame, however late it wakes.
    run(f"ip link set {tap} txqueuelen 20000")
    for device in (wire, tap):
        run(f"ip link set {device} mtu {FABRIC_MTU} master {bridge} up")
    run(f"ip link set {bridge} up")
    # A bridge that looks into IP would drop what is damaged on purpose.
    run("sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0")


def _set_offloads(topology: Topology, node: Node, spaces: Namespaces) -> None:
    """Leave the NIC as it is, make it do all in software, or let it merge what it receives."""
    run = partial(spaces.run, node.name)
    if not topology.cluster.offload:
        run(f"ethtool -K {NIC} tx off tso off gso off gro off")
    if topology.cluster.merge:
        run(f"ethtool -K {NIC} gro on")
        # Packets come one by one out of the network; a real NIC hands over several at once.
        for setting, value in (("gro_flush_timeout", 400_000), ("napi_defer_hard_irqs", 2)):
            run(f"sh -c 'echo {value} > /sys/class/net/{NIC}/{setting}'")


def _add_pod(topology: Topology, name: str, spaces: Namespaces) -> None:
    """A pod behind a veth pair, with a gateway that is the node itself; a flat network has no gateway."""
    cluster, pod, device = topology.cluster, topology.cluster.pods[name], host_device(name)
    spaces.add(name)
    on_node, in_pod = partial(spaces.run, pod.node), partial(spaces.run, name)
    on_node(
        f"ip link add {device} mtu {cluster.pod_mtu} type veth"
        f" peer name eth0 netns {spaces.real(name)} mtu {cluster.pod_mtu}"
    )
    if cluster.group:
        on_node(f"ip link set {device} master {FLAT_BRIDGE} up")
        in_pod(f"ip addr add {topology.pods[name]}/{FLAT_PREFIX} dev eth0")
        in_pod("ip link set eth0 up")
        return
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


def silence(topology: Topology, spaces: Namespaces) -> None:
    """Take down the pods' links, so that no retransmission crosses the end of the captures."""
    for name in topology.pods:
        spaces.run(name, "ip link set eth0 down")


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
        how = " --random-fully" if topology.cluster.random_fully else ""
        spaces.run(node.name, f"iptables -t nat -A POSTROUTING -o {device} -j MASQUERADE{how}")
