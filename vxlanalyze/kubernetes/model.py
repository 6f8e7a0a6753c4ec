"""What the cluster says about itself: names, addresses and tables saved with the captures.

Everything here comes from the user's files (`--kube`, `--facts`), never from packets. Addresses are strings
as written by `ipaddress`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address, ip_network
from typing import Generic, TypeVar

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Node:
    """A node, its own addresses, and its pod networks (CIDR strings).

    `tunnel_macs` are the MACs of its tunnel device, as lower-case "aa:bb:cc:dd:ee:ff". `addresses_by` gives
    the evidence for its addresses.
    """

    name: str
    addresses: tuple[str, ...] = ()
    pod_networks: tuple[str, ...] = ()
    tunnel_macs: tuple[str, ...] = ()
    addresses_by: str = "the cluster's list of nodes"


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod; `host_network` pods share the address of their node. `node` may be ""."""

    name: str
    namespace: str
    node: str
    addresses: tuple[str, ...] = ()
    host_network: bool = False

    @property
    def full_name(self) -> str:
        """``namespace/name``, or the name alone if the namespace is unknown."""
        return _full_name(self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class Service:
    """A service: its virtual addresses, (protocol, port) pairs, and backends "address:port" where known.

    Protocols are in lower case. `name` is "" if it is only known from a load balancer's table.
    """

    name: str
    namespace: str
    addresses: tuple[str, ...] = ()
    ports: tuple[tuple[str, int], ...] = ()
    backends: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """``namespace/name``, or the name alone if the namespace is unknown."""
        return _full_name(self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class TunnelRoute:
    """One entry of a node's tunnel map: inner addresses in `network` are sent to `endpoint`.

    `capture` is the capture with which the table was saved. Cilium's map prints no prefix length; then
    `length_known` is False, and `network` has the length suggested by its zeros and neighbours.
    """

    network: str
    endpoint: str
    capture: str
    length_known: bool = True


@dataclass(frozen=True, slots=True)
class Fact:
    """One table saved on the node of a capture.

    `kind` is one of "cilium-service-list", "cilium-tunnel-list", "kubectl-services", "kubectl-pods",
    "bridge-fdb", "ethtool-k", "tcpdump-summary", "unknown", or one of `kubernetes.hosts`;
    `rows` are its lines split (keys by kind).
    """

    capture: str
    kind: str
    path: str
    rows: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True)
class Cluster:
    """All of it together; empty if the user gave nothing."""

    nodes: tuple[Node, ...] = ()
    pods: tuple[Pod, ...] = ()
    services: tuple[Service, ...] = ()
    facts: tuple[Fact, ...] = ()
    sources: tuple[str, ...] = field(default=())  # the files it was read from, for the report
    routes: tuple[TunnelRoute, ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()  # address and name, from name resolution blocks of captures

    def name_of(self, address: str) -> str | None:
        """Name an address: "namespace/pod", a service as "namespace/service", or a node."""
        return self._names.get(address)

    def named(self, address: str) -> str:
        """Format an address with its name in the cluster: ``10.233.65.250 (kube-system/coredns-0)``."""
        name = self.name_of(address)
        return address if name is None else f"{address} ({name})"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all pods, services and nodes, with their namespace, sorted."""
        return tuple(sorted(set(self._names.values())))

    def addresses_of(self, name: str) -> tuple[str, ...]:
        """Addresses of the pods, services and nodes with a name, with or without namespace."""
        return tuple(
            address for address, full in self._names.items() if name in (full, full.rpartition("/")[2])
        )

    def lacks(self, address: str) -> bool:
        """Whether the pods are known, but no pod, service or node has an address."""
        return bool(self.pods) and self.name_of(address) is None

    def addresses_named_in(self, words: str) -> set[str]:
        """Addresses whose names occur in a text, with or without namespace."""
        return {address for address, name in self._names.items() if name.rpartition("/")[2] in words}

    def node_of(self, address: str) -> str | None:
        """Name of the node that has an address or hosts it.

        Its own addresses come first, then pods, then pod networks, the longest prefix winning.
        """
        exact = self._homes.get(address)
        return exact if exact is not None else self._networks.find(address)

    def node(self, name: str) -> Node | None:
        """Find a node by name."""
        return self._nodes.get(name)

    def services_of(self, address: str, port: int | None = None) -> tuple[Service, ...]:
        """Services with an address (and port) as virtual address or backend."""
        if port is None:
            return self._services.get(address, ())
        return self._services.get(endpoint_text(address, port), ())

    def routes_of(self, address: str) -> tuple[TunnelRoute, ...]:
        """Look up an address in the saved tunnel maps: the longest prefix of each capture."""
        found = ((name, table.find(address)) for name, table in self._routes.items())
        return tuple(route for _, route in sorted(found, key=lambda f: f[0]) if route is not None)

    def facts_of(self, kind: str, capture: str | None = None) -> tuple[Fact, ...]:
        """Choose the saved tables of a kind, of one capture or of all."""
        return tuple(f for f in self.facts if f.kind == kind and capture in (None, f.capture))

    @cached_property
    def _nodes(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def _names(self) -> dict[str, str]:
        own_pods = [p for p in self.pods if not p.host_network]
        named: list[tuple[str, Iterable[str]]] = [(p.full_name, p.addresses) for p in own_pods]
        named += [(s.full_name, s.addresses) for s in self.services if s.name]
        named += [(n.name, n.addresses) for n in self.nodes]
        stated = ((address, name) for name, addresses in named for address in addresses)
        return _first_of([*stated, *self.hosts])

    @cached_property
    def _homes(self) -> dict[str, str]:
        own = [(address, node.name) for node in self.nodes for address in node.addresses]
        return _first_of([*own, *((a, p.node) for p in self.pods if p.node for a in p.addresses)])

    @cached_property
    def _networks(self) -> "PrefixTable[str]":
        return PrefixTable((network, node.name) for node in self.nodes for network in node.pod_networks)

    @cached_property
    def _services(self) -> dict[str, tuple[Service, ...]]:
        found: dict[str, dict[Service, None]] = {}
        for service in self.services:
            for key in _service_keys(service):
                found.setdefault(key, {})[service] = None
        return {key: tuple(services) for key, services in found.items()}

    @cached_property
    def _routes(self) -> "dict[str, PrefixTable[TunnelRoute]]":
        captures = {route.capture for route in self.routes}
        return {c: PrefixTable((r.network, r) for r in self.routes if r.capture == c) for c in captures}


class PrefixTable(Generic[_Value]):
    """Values by network; an address gets that of its longest matching prefix.

    Invalid networks are left out.
    """

    def __init__(self, entries: Iterable[tuple[str, _Value]]) -> None:
        self._by_length: dict[tuple[int, int], dict[int, _Value]] = {}
        for text, value in entries:
            try:
                network = ip_network(text, strict=False)
            except ValueError:
                continue
            table = self._by_length.setdefault((network.version, network.prefixlen), {})
            table.setdefault(int(network.network_address), value)
        self._lengths = sorted(self._by_length, reverse=True)

    def find(self, address: str) -> _Value | None:
        """Value of the longest prefix of an address; None if there is none."""
        if not self._lengths:
            return None
        try:
            parsed = ip_address(address)
        except ValueError:
            return None
        for version, length in self._lengths:
            if version == parsed.version:
                host_bits = parsed.max_prefixlen - length
                value = self._by_length[version, length].get(int(parsed) >> host_bits << host_bits)
                if value is not None:
                    return value
        return None


def address_text(text: object) -> str | None:
    """Normalise an address, without zone or prefix length; None if it is not one."""
    if not isinstance(text, str):
        return None
    plain = text.strip().strip("[]").split("/")[0].split("%")[0]
    try:
        parsed = ip_address(plain)
    except ValueError:
        return None
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)


def network_text(text: object) -> str | None:
    """Normalise a network; None if it is not one."""
    if not isinstance(text, str) or "/" not in text:
        return None
    try:
        return str(ip_network(text.strip(), strict=False))
    except ValueError:
        return None


def endpoint_text(address: str, port: int) -> str:
    """``address:port``, an IPv6 address in brackets (RFC 3986 section 3.2.2)."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def parse_endpoint(text: str) -> tuple[str, int] | None:
    """Address and port of ``address:port`` or ``[address]:port``; None if it is neither."""
    host, colon, port = text.strip().rpartition(":")
    address = address_text(host)
    if not colon or address is None or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        return None
    return address, int(port)


def _full_name(namespace: str, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name


def _first_of(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    result: dict[str, str] = {}
    for key, value in pairs:
        result.setdefault(key, value)
    return result


def _service_keys(service: Service) -> Iterator[str]:
    for address in service.addresses:
        yield address
        for _, port in service.ports:
            yield endpoint_text(address, port)
    for backend in service.backends:
        yield backend
        parsed = parse_endpoint(backend)
        if parsed is not None:
            yield parsed[0]
