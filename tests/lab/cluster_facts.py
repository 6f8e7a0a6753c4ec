"""What the cluster says of itself: ``kube.json`` and the tables that people save beside a capture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.lab.capture import Recorder
from tests.lab.namespaces import Namespaces
from tests.lab.topology import NIC, Node, Topology


def write_kube(topology: Topology, file: Path) -> None:
    """Write what ``kubectl get nodes,pods,services -A -o json`` says."""
    nodes = [_node(topology, node) for node in topology.nodes.values()]
    pods = [_pod(topology, name) for name in topology.pods]
    items = [*nodes, *pods, _service(topology)]
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=1) + "\n")


def _node(topology: Topology, node: Node) -> dict[str, Any]:
    network = topology.cluster.pod_networks[node.name]
    addresses = [{"type": "InternalIP", "address": node.address}, {"type": "Hostname", "address": node.name}]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name},
        "spec": {"podCIDR": network, "podCIDRs": [network]},
        "status": {"addresses": addresses},
    }


def _pod(topology: Topology, name: str) -> dict[str, Any]:
    pod = topology.cluster.pods[name]
    addresses = [{"ip": table[name]} for table in (topology.pods, topology.pods6) if name in table]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod.kube_name, "namespace": pod.namespace, "labels": {"k8s-app": pod.label}},
        "spec": {"nodeName": pod.node},
        "status": {
            "phase": "Running",
            "podIP": topology.pods[name],
            "podIPs": addresses,
            "hostIP": topology.nodes[pod.node].address,
        },
    }


def _service(topology: Topology) -> dict[str, Any]:
    ports = [
        {"name": f"dns-{p.lower()}", "port": 53, "protocol": p, "targetPort": 53} for p in ("UDP", "TCP")
    ]
    address = topology.cluster.service
    spec = {
        "type": "ClusterIP",
        "clusterIP": address,
        "clusterIPs": [address],
        "selector": {"k8s-app": "kube-dns"},
    }
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "coredns", "namespace": "kube-system"},
        "spec": {**spec, "ports": ports},
    }


def write_facts(
    topology: Topology, spaces: Namespaces, recorders: list[Recorder], folder: Path, namespaces: str
) -> None:
    """Write ``facts/NODE/`` as one saves it on each node: the agents' tables and the kernel's own words.

    `namespaces` is the one namespace that kubectl was asked for, or ``all``.
    """
    for node in topology.nodes.values():
        place = folder / "facts" / node.name
        place.mkdir(parents=True, exist_ok=True)
        for name, text in _agent_tables(topology, node, namespaces).items():
            (place / name).write_text(text)
        (place / "ethtool-k.txt").write_text(spaces.run(node.name, f"ethtool -k {NIC}"))
        if topology.cluster.tunnel == "flannel":
            shown = spaces.run(node.name, f"bridge fdb show dev {topology.cluster.device}")
            (place / "bridge-fdb-show.txt").write_text(shown)
        for recorder in recorders:
            if recorder.namespace == node.name and recorder.log.parent == folder:
                (place / "tcpdump.txt").write_text(recorder.log.read_text())


def _agent_tables(topology: Topology, node: Node, namespaces: str) -> dict[str, str]:
    tables = {
        "kubectl-get-services.txt": _services(topology, namespaces),
        "kubectl-get-pods.txt": _pods(topology, namespaces),
    }
    if topology.cluster.tunnel == "cilium":
        tables["cilium-service-list.txt"] = _cilium_services(topology)
        tables["cilium-bpf-tunnel-list.txt"] = _cilium_tunnels(topology, node)
    return tables


def _services(topology: Topology, namespaces: str) -> str:
    service = topology.cluster.service
    first = service.rsplit(".", 1)[0] + ".1"
    rows = [
        ("NAMESPACE", "NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"),
        ("default", "kubernetes", "ClusterIP", first, "<none>", "443/TCP", "3h20m"),
        ("kube-system", "coredns", "ClusterIP", service, "<none>", "53/UDP,53/TCP,9153/TCP", "3h14m"),
    ]
    return _table(rows, namespaces)


def _pods(topology: Topology, namespaces: str) -> str:
    head = "NAMESPACE/NAME/READY/STATUS/RESTARTS/AGE/IP/NODE/NOMINATED NODE/READINESS GATES"
    rows = [tuple(head.split("/"))]
    for name, pod in topology.cluster.pods.items():
        state = ("1/1", "Running", "0", "3h14m", topology.pods[name], pod.node, "<none>", "<none>")
        rows.append((pod.namespace, pod.kube_name, *state))
    return _table(rows, namespaces)


def _table(rows: Sequence[tuple[str, ...]], namespaces: str) -> str:
    """Columns as kubectl sets them; one namespace only (``-n``) has no column for it, all (``-A``) have."""
    if namespaces != "all":
        rows = [row[1:] for row in rows if row[0] in ("NAMESPACE", namespaces)]
    widths = [max(len(cell) for cell in column) + 3 for column in zip(*rows, strict=True)]
    lines = [
        "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join(lines) + "\n"


def _cilium_services(topology: Topology) -> str:
    service, first_node = topology.cluster.service, next(iter(topology.nodes.values()))
    first = service.rsplit(".", 1)[0] + ".1"
    backends = (topology.pods["dns1"], topology.pods["dns2"])
    return (
        "ID   Frontend            Service Type   Backend\n"
        f"1    {first + ':443':<19} ClusterIP      1 => {first_node.address}:6443\n"
        f"2    {service + ':53':<19} ClusterIP      1 => {backends[0]}:53\n"
        f"                                        2 => {backends[1]}:53\n"
        f"3    {service + ':9153':<19} ClusterIP      1 => {backends[0]}:9153\n"
        f"                                        2 => {backends[1]}:9153\n"
    )


def _cilium_tunnels(topology: Topology, node: Node) -> str:
    lines = ["TUNNEL          VALUE"]
    for other in topology.others(node):
        network = topology.cluster.pod_networks[other.name].split("/")[0]
        lines.append(f"{network + ':0':<15} {other.address}:0")
    return "\n".join(lines) + "\n"
