"""What the cluster says of itself: names, addresses and tables saved beside the captures.

Everything here comes from files that the user gave (`--kube`, `--facts`), never from packets. Addresses
are the strings that `ipaddress` makes of them.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Node:
    """A node, its own addresses, and the pod networks that live on it (CIDR strings)."""

    name: str
    addresses: tuple[str, ...] = ()
    pod_networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod; `host_network` pods share the address of their node. `node` may be ""."""

    name: str
    namespace: str
    node: str
    addresses: tuple[str, ...] = ()
    host_network: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """A service: its virtual addresses, (protocol, port) pairs, and backends "address:port" where known."""

    name: str
    namespace: str
    addresses: tuple[str, ...] = ()
    ports: tuple[tuple[str, int], ...] = ()
    backends: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """One table saved on the node of a capture.

    `kind` is one of "cilium-service-list", "cilium-tunnel-list", "kubectl-services", "kubectl-pods",
    "bridge-fdb", "ethtool-k", "tcpdump-summary", "unknown"; `rows` are its lines taken apart (keys by kind).
    """

    capture: str
    kind: str
    path: str
    rows: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True)
class Cluster:
    """All of it together; empty where the user gave nothing."""

    nodes: tuple[Node, ...] = ()
    pods: tuple[Pod, ...] = ()
    services: tuple[Service, ...] = ()
    facts: tuple[Fact, ...] = ()
    sources: tuple[str, ...] = field(default=())  # files it was read from, for the report
