"""Things wrong inside a node or a pod, each a function from a scenario's ``[[fault]]`` to commands.

A packet that a firewall of the lab drops is copied to netfilter log group `LOG_GROUP` first, so that
the drop can be read as a capture (``nflog``) and is known packet by packet.
"""

from __future__ import annotations

import ipaddress
import shlex
import string
import zlib
from collections.abc import Callable

from tests.lab.namespaces import Namespaces
from tests.lab.scenario import NodeFault
from tests.lab.topology import FABRIC, NIC, Topology, host_device, identity_tables

LOG_GROUP = 5


def put_in(faults: tuple[NodeFault, ...], topology: Topology, spaces: Namespaces) -> None:
    """Put faults into the finished topology."""
    for fault in faults:
        for command in FAULTS[fault.do](fault, topology):
            spaces.run(FABRIC if fault.do == "queue-on-the-path" else fault.at, command)


def names(topology: Topology) -> dict[str, str]:
    """Return what stands for ``$name`` in the commands and rules of a fault.

    ``$device`` and ``$nic`` of the nodes; ``$port`` of the tunnel; the addresses ``$POD``, ``$POD_6`` and
    ``$NODE``; ``$veth_POD``, the node's end of a pod's link; ``$pods_NODE``, a node's pod network;
    ``$tunnel_NODE``, the address of its tunnel device; ``$service``; ``$log``, which tells the truth of a
    packet that is about to be dropped.
    """
    cluster = topology.cluster
    known = {
        "device": cluster.device,
        "nic": NIC,
        "port": str(topology.tunnel_ports[0]),
        "service": cluster.service,
        "log": f"log group {LOG_GROUP}",
    }
    for name, node in topology.nodes.items():
        known |= {name: node.address, f"tunnel_{name}": node.tunnel_address}
        known[f"pods_{name}"] = str(ipaddress.ip_network(cluster.pod_networks[name]))
    for name, address in topology.pods.items():
        known |= {name: address, f"veth_{name}": host_device(name)}
    return known | {f"{name}_6": address for name, address in topology.pods6.items()}


def _commands(fault: NodeFault, topology: Topology) -> list[str]:
    """Run whatever commands the scenario gives."""
    return [string.Template(command).substitute(names(topology)) for command in fault.commands]


def _nft(fault: NodeFault, topology: Topology) -> list[str]:
    """Give `rules` of nftables a `chain` of their own, for both address families."""
    known = names(topology)
    own = f"lab{zlib.crc32(' '.join(fault.rules).encode()):08x}"
    rules = [string.Template(rule).substitute(known) for rule in fault.rules]
    return [
        f"nft add table inet {own}",
        f"nft add chain inet {own} own {shlex.quote('{ ' + fault.chain + ' ; }')}",
        *(f"nft add rule inet {own} own {shlex.quote(rule)}" for rule in rules),
    ]


def _iptables(
    fault: NodeFault, chain: str, place: str, target: str = "DROP", table: str = "filter"
) -> list[str]:
    """Return rules that take every nth matching packet, and copy it to the log before."""
    match = f"{place} -p {fault.protocol}" if fault.protocol else place
    if fault.dport:
        match += f" --dport {fault.dport}"
    if fault.every > 1:
        match += f" -m statistic --mode nth --every {fault.every} --packet {fault.every - 1}"
    # One chain for both, so that log and drop meet the same packet when it takes turns.
    own = f"lab{zlib.crc32(match.encode()):08x}"
    return [
        f"iptables -t {table} -N {own}",
        f"iptables -t {table} -A {own} -j NFLOG --nflog-group {LOG_GROUP}",
        f"iptables -t {table} -A {own} -j {target}",
        f"iptables -t {table} -A {chain} {match} -j {own}",
    ]


def _firewall_before_decapsulation(fault: NodeFault, topology: Topology) -> list[str]:
    port = topology.nodes[fault.at].port
    tool = "ip6tables" if ":" in topology.nodes[fault.at].address else "iptables"
    return [f"{tool} -A INPUT -p udp --dport {port} -j DROP"]


def _firewall_after_decapsulation(fault: NodeFault, topology: Topology) -> list[str]:
    return _iptables(fault, "FORWARD", f"-i {topology.cluster.device}")


def _reject_after_decapsulation(fault: NodeFault, topology: Topology) -> list[str]:
    target = "REJECT --reject-with icmp-admin-prohibited"
    return _iptables(fault, "FORWARD", f"-i {topology.cluster.device}", target)


def _firewall_before_encapsulation(fault: NodeFault, topology: Topology) -> list[str]:
    return _iptables(fault, "FORWARD", f"-o {topology.cluster.device}")


def _firewall_to_pod(fault: NodeFault, topology: Topology) -> list[str]:
    return _iptables(fault, "FORWARD", f"-o {host_device(fault.pod)}")


def _firewall_before_translation(fault: NodeFault, topology: Topology) -> list[str]:
    """Drop what a pod sends to an address, a service's for example, before anything translates it."""
    place = f"-i {host_device(fault.pod)} -d {fault.address}"
    return _iptables(fault, "PREROUTING", place, table="raw")


def _replies_untracked(fault: NodeFault, topology: Topology) -> list[str]:
    """Let the answers of a port pass connection tracking by, so that nothing turns them back."""
    match = f"-i {topology.cluster.device} -p {fault.protocol} --sport {fault.dport}"
    return [f"iptables -t raw -A PREROUTING {match} -j CT --notrack"]


def _silent(fault: NodeFault, topology: Topology) -> list[str]:
    """A pod or server that takes packets and says nothing."""
    return _iptables(fault, "INPUT", "-i eth0")


def _reverse_path_filter(fault: NodeFault, topology: Topology) -> list[str]:
    """The way back to the sender's pods leads elsewhere, and the kernel checks (RFC 3704 section 2.2)."""
    network = fault.network
    return [
        f"ip route replace {network} dev {NIC}",
        f"sysctl -qw net.ipv4.conf.all.rp_filter=1 net/ipv4/conf/{topology.cluster.device}/rp_filter=1",
    ]


def _stale_endpoint(fault: NodeFault, topology: Topology) -> list[str]:
    """The forwarding entry for the other node holds an old address; the link layer still reaches `mac`."""
    node = topology.nodes[fault.at]
    device = topology.cluster.device
    commands = []
    for other in topology.others(node)[:1]:
        commands += [
            f"bridge fdb del {other.tunnel_mac} dev {device} dst {topology.endpoint(other)}",
            f"bridge fdb append {other.tunnel_mac} dev {device} dst {fault.address}",
        ]
    if fault.mac:
        commands.append(f"ip neigh replace {fault.address} lladdr {fault.mac} dev {NIC} nud permanent")
    return commands


def _stale_tunnel_map(fault: NodeFault, topology: Topology) -> list[str]:
    """The tunnel map of a Cilium node still holds the address that the other node had."""
    cluster, node = topology.cluster, topology.nodes[fault.at]
    other = topology.others(node)[0]
    commands = [
        f"ip route replace {cluster.pod_networks[other.name]} encap ip id {cluster.pods[pod].identity}"
        f" dst {fault.address} via {other.tunnel_address} dev {cluster.device} onlink table {table}"
        for pod, table in identity_tables(topology, node).items()
    ]
    return [*commands, f"ip neigh replace {fault.address} lladdr {fault.mac} dev {NIC} nud permanent"]


def _stale_tunnel_mac(fault: NodeFault, topology: Topology) -> list[str]:
    """The neighbour entry of the other node's tunnel device holds the MAC it had before its restart."""
    node = topology.nodes[fault.at]
    device = topology.cluster.device
    other = topology.others(node)[0]
    return [
        f"ip neigh replace {other.tunnel_address} lladdr {fault.mac} dev {device} nud permanent",
        f"bridge fdb append {fault.mac} dev {device} dst {topology.endpoint(other)}",
    ]


def _no_forwarding_entry(fault: NodeFault, topology: Topology) -> list[str]:
    """The tunnel device does not know where the other node is, and drops."""
    node = topology.nodes[fault.at]
    other = topology.others(node)[0]
    return [f"bridge fdb del {other.tunnel_mac} dev {topology.cluster.device} dst {topology.endpoint(other)}"]


def _route_without_tunnel(fault: NodeFault, topology: Topology) -> list[str]:
    """Packets of pods leave as they are, by the other node's own address."""
    node = topology.nodes[fault.at]
    other = topology.others(node)[0]
    return [f"ip route replace {topology.cluster.pod_networks[other.name]} via {other.address} dev {NIC}"]


def _all_ones_checksum(fault: NodeFault, topology: Topology) -> list[str]:
    """The outer checksum that should stay 0 leaves as 0xFFFF, as kernels before 5.7 did after NAT."""
    port = topology.nodes[fault.at].port
    return [
        "nft add table ip lab",
        "nft 'add chain ip lab out { type filter hook postrouting priority 300 ; }'",
        f"nft add rule ip lab out udp dport {port} @th,48,16 set 0xffff",
    ]


def _translate_tunnel_port(fault: NodeFault, topology: Topology) -> list[str]:
    """The node's own address translation gives the outer flow other source ports."""
    node = topology.nodes[fault.at]
    rule = f"iptables -t nat -A POSTROUTING -o {NIC} -p udp --dport {node.port}"
    return [f"{rule} -j SNAT --to-source {node.address}:7100-7163"]


def _deaf_to_icmp(fault: NodeFault, topology: Topology) -> list[str]:
    """The node's firewall drops the ICMP that would tell it the path's MTU."""
    return ["iptables -A INPUT -p icmp --icmp-type destination-unreachable -j DROP"]


def _mute_about_ports(fault: NodeFault, topology: Topology) -> list[str]:
    """The node's firewall keeps back ICMP port unreachable."""
    return ["iptables -A OUTPUT -p icmp --icmp-type port-unreachable -j DROP"]


def _small_interface(fault: NodeFault, topology: Topology) -> list[str]:
    """The NIC's MTU is smaller than what the tunnel makes: the node cuts its own packets."""
    return [f"ip link set {NIC} mtu {fault.mtu}"]


def _queue_on_the_path(fault: NodeFault, topology: Topology) -> list[str]:
    """What the node sends waits in a queue of the network, behind its capture."""
    return [f"tc qdisc replace dev tap{topology.nodes[fault.at].number} root {fault.setting}"]


def _queue_at_the_nic(fault: NodeFault, topology: Topology) -> list[str]:
    """What the node sends waits in a queue of the node itself, before its capture."""
    return [f"tc qdisc replace dev {NIC} root {fault.setting}"]


def _sysctl(fault: NodeFault, topology: Topology) -> list[str]:
    return [f"sysctl -qw '{fault.setting}'"]


Fault = Callable[[NodeFault, Topology], list[str]]
FAULTS: dict[str, Fault] = {
    "all-ones-checksum": _all_ones_checksum,
    "commands": _commands,
    "deaf-to-icmp": _deaf_to_icmp,
    "firewall-after-decapsulation": _firewall_after_decapsulation,
    "firewall-before-decapsulation": _firewall_before_decapsulation,
    "firewall-before-encapsulation": _firewall_before_encapsulation,
    "firewall-before-translation": _firewall_before_translation,
    "firewall-to-pod": _firewall_to_pod,
    "mute-about-ports": _mute_about_ports,
    "nft": _nft,
    "no-forwarding-entry": _no_forwarding_entry,
    "queue-at-the-nic": _queue_at_the_nic,
    "queue-on-the-path": _queue_on_the_path,
    "reject-after-decapsulation": _reject_after_decapsulation,
    "replies-untracked": _replies_untracked,
    "reverse-path-filter": _reverse_path_filter,
    "route-without-tunnel": _route_without_tunnel,
    "silent": _silent,
    "small-interface": _small_interface,
    "stale-endpoint": _stale_endpoint,
    "stale-tunnel-mac": _stale_tunnel_mac,
    "stale-tunnel-map": _stale_tunnel_map,
    "sysctl": _sysctl,
    "translate-tunnel-port": _translate_tunnel_port,
}
