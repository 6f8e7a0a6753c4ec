"""Services as kube-proxy's iptables mode builds them: which address and port becomes which, and masquerading.

Source: Kubernetes pkg/proxy/iptables/proxier.go (names and order of the chains; the marks).
"""

from __future__ import annotations

from tests.lab.namespaces import Namespaces
from tests.lab.scenario import Service
from tests.lab.topology import Node, Topology

MARK = "0x4000/0x4000"


def add(topology: Topology, node: Node, spaces: Namespaces) -> None:
    """Add the chains of all services to a node."""
    cluster = topology.cluster
    if not cluster.services:
        return
    for tool, ipv6 in (("iptables", False), ("ip6tables", True)):
        if ipv6 and not topology.pods6:
            continue
        for rule in _frame(cluster.random_fully):
            spaces.run(node.name, f"{tool} -t nat {rule}")
        for number, service in enumerate(cluster.services.values()):
            if (":" in service.address) == ipv6:
                for rule in _service(topology, node, service, number):
                    spaces.run(node.name, f"{tool} -t nat {rule}")


def _frame(random_fully: bool) -> list[str]:
    """Give the chains that all services share."""
    masquerade = "MASQUERADE --random-fully" if random_fully else "MASQUERADE"
    chains = ("SERVICES", "NODEPORTS", "MARK-MASQ", "POSTROUTING")
    return [
        *(f"-N KUBE-{chain}" for chain in chains),
        "-A PREROUTING -j KUBE-SERVICES",
        "-A OUTPUT -j KUBE-SERVICES",
        "-A POSTROUTING -j KUBE-POSTROUTING",
        f"-A KUBE-MARK-MASQ -j MARK --set-xmark {MARK}",
        f"-A KUBE-POSTROUTING -m mark ! --mark {MARK} -j RETURN",
        # Else the tunnel's own packet, which takes the mark over, would be masqueraded too.
        f"-A KUBE-POSTROUTING -j MARK --xor-mark {MARK.partition('/')[0]}",
        f"-A KUBE-POSTROUTING -j {masquerade}",
    ]


def _service(topology: Topology, node: Node, service: Service, number: int) -> list[str]:
    """Give the chains of one service, its node port before everything else."""
    chain, match = f"KUBE-SVC-{number}", f"-p {service.protocol} --dport {service.port}"
    rules = [f"-N {chain}"]
    if service.node_port:
        port = f"-p {service.protocol} --dport {service.node_port}"
        local = "-m addrtype --dst-type LOCAL"
        rules += [f"-A KUBE-SERVICES {local} {port} -j KUBE-NODEPORTS"]
        rules += [f"-A KUBE-NODEPORTS {port} -j KUBE-MARK-MASQ", f"-A KUBE-NODEPORTS {port} -j {chain}"]
    rules.append(f"-A KUBE-SERVICES -d {service.address} {match} -j {chain}")
    if topology.cluster.masquerade_services:
        rules.append(f"-A {chain} -j KUBE-MARK-MASQ")
    table = topology.pods6 if ":" in service.address else topology.pods
    target = service.target or service.port
    for place, pod in enumerate(service.pods):
        own, left = f"KUBE-SEP-{number}-{place}", len(service.pods) - place
        turn = f" -m statistic --mode nth --every {left} --packet 0" if left > 1 else ""
        address = f"[{table[pod]}]" if ":" in table[pod] else table[pod]
        rules += [
            f"-N {own}",
            f"-A {own} -s {table[pod]} -j KUBE-MARK-MASQ",
            f"-A {own} -p {service.protocol} -j DNAT --to-destination {address}:{target}",
            f"-A {chain}{turn} -j {own}",
        ]
    return rules
