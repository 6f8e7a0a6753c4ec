"""Combine several files: the cluster's JSON, and the tables saved on the nodes.

The JSON takes precedence. Tables add pods with their nodes, services with their backends, the nodes' tunnel
maps, and addresses of nodes that nothing else gives: a tunnel map may itself be wrong, so it never overrides.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from ipaddress import ip_address

from vxlanalyze.kubernetes.model import (
    Cluster,
    Fact,
    Node,
    Pod,
    PrefixTable,
    Service,
    TunnelRoute,
    parse_endpoint,
)

_KUBERNETES_NODE_PREFIX = {4: 24, 6: 64}  # kube-controller-manager, --node-cidr-mask-size-ipv4 and -ipv6


def with_facts(cluster: Cluster, facts: Iterable[Fact]) -> Cluster:
    """Add saved tables to what is known about a cluster."""
    facts = tuple(facts)
    pods = _merge_pods(cluster.pods, _pods(facts))
    services = _with_backends(_merge_services(cluster.services, _services(facts)), facts)
    routes = tuple(_routes(facts, cluster.nodes))
    nodes = _merge_nodes(cluster.nodes, [*_nodes(facts), *(Node(p.node) for p in pods if p.node)])
    nodes = tuple(_placed(nodes, pods, routes))
    return Cluster(
        nodes=nodes,
        pods=pods,
        services=services,
        facts=cluster.facts + facts,
        sources=_unique((*cluster.sources, *(f.path for f in facts if f.kind != "unknown"))),
        routes=cluster.routes + routes,
    )


def _rows(facts: tuple[Fact, ...], kind: str) -> Iterator[dict[str, str]]:
    return (row for fact in facts if fact.kind == kind for row in fact.rows)


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(v for v in values if v))


def _pods(facts: tuple[Fact, ...]) -> list[Pod]:
    rows = [r for r in _rows(facts, "kubectl-pods") if r["status"] not in ("Completed", "Error")]
    addresses: dict[str, set[str]] = {}
    for row in rows:
        addresses.setdefault(row["address"], set()).add(row["name"])
    # Several pods with one address share their node's.
    return [
        Pod(
            r["name"],
            r["namespace"],
            r["node"],
            _unique([r["address"]]),
            bool(r["address"]) and len(addresses[r["address"]]) > 1,
        )
        for r in rows
    ]


def _merge_pods(known: tuple[Pod, ...], further: list[Pod]) -> tuple[Pod, ...]:
    pods = {(p.namespace, p.name): p for p in known}
    names = {p.name: p.namespace for p in known}
    for pod in further:
        namespace = pod.namespace or names.get(pod.name, "")
        pods.setdefault((namespace, pod.name), replace(pod, namespace=namespace))
    return tuple(pods.values())


def _services(facts: tuple[Fact, ...]) -> list[Service]:
    services = []
    for row in _rows(facts, "kubectl-services"):
        parts = (port.partition("/") for port in row["ports"].split(","))
        ports = tuple((protocol, int(port)) for port, _, protocol in parts if port.isdecimal())
        services.append(Service(row["name"], row["namespace"], _unique([row["address"]]), ports))
    return services


def _merge_services(known: tuple[Service, ...], further: list[Service]) -> tuple[Service, ...]:
    services = {(s.namespace, s.name): s for s in known}
    addresses = {a for s in known for a in s.addresses}
    for service in further:
        if not addresses.intersection(service.addresses):
            services.setdefault((service.namespace, service.name), service)
    return tuple(services.values())


def _with_backends(services: tuple[Service, ...], facts: tuple[Fact, ...]) -> tuple[Service, ...]:
    """Services with the backends from a node's load balancer."""
    by_address = {a: i for i, s in enumerate(services) for a in s.addresses}
    result = list(services)
    for row in (*_rows(facts, "cilium-service-list"), *_rows(facts, "virtual-services")):
        frontend = parse_endpoint(row["frontend"])
        if frontend is None or ip_address(frontend[0]).is_unspecified:  # a node port on every address
            continue
        address, port = frontend
        if address not in by_address:
            by_address[address] = len(result)
            result.append(Service("", "", (address,)))
        service = result[by_address[address]]
        listed = any(port == known for _, known in service.ports)
        result[by_address[address]] = replace(
            service,
            ports=service.ports if listed else (*service.ports, (row["protocol"], port)),
            backends=_unique((*service.backends, row["backend"])),
        )
    return tuple(result)


def _nodes(facts: tuple[Fact, ...]) -> list[Node]:
    rows = _rows(facts, "kubectl-nodes")
    return [Node(r["name"], _unique([r["address"], r["external"]])) for r in rows]


def _merge_nodes(known: tuple[Node, ...], further: Iterable[Node]) -> tuple[Node, ...]:
    nodes = {n.name: n for n in known}
    for node in further:
        before = nodes.setdefault(node.name, node)
        nodes[node.name] = replace(before, addresses=_unique((*before.addresses, *node.addresses)))
    return tuple(nodes.values())


def _routes(facts: tuple[Fact, ...], nodes: tuple[Node, ...]) -> Iterator[TunnelRoute]:
    known = {network.split("/")[0]: network for node in nodes for network in node.pod_networks}
    for fact in facts:
        if fact.kind == "cilium-tunnel-list":
            without_length = sorted(_number(r["prefix"]) for r in fact.rows if "/" not in r["prefix"])
            for row in fact.rows:
                prefix = row["prefix"]
                with_length = "/" in prefix
                network = (
                    prefix if with_length else known.get(prefix) or _guess_network(prefix, without_length)
                )
                yield TunnelRoute(network, row["endpoint"], fact.capture, with_length)


def _number(address: str) -> tuple[int, int]:
    parsed = ip_address(address)
    return parsed.version, int(parsed)


def _guess_network(prefix: str, neighbours: list[tuple[int, int]]) -> str:
    """Give a network Kubernetes' prefix length, or a longer one required by its address and the next one."""
    version, number = _number(prefix)
    bits = ip_address(prefix).max_prefixlen
    size_bits = bits - _KUBERNETES_NODE_PREFIX[version]
    if number:
        size_bits = min(size_bits, (number & -number).bit_length() - 1)
    after = bisect_right(neighbours, (version, number))
    if after < len(neighbours) and neighbours[after][0] == version:
        size_bits = min(size_bits, (neighbours[after][1] - number).bit_length() - 1)
    return f"{prefix}/{bits - size_bits}"


def _placed(
    nodes: tuple[Node, ...], pods: tuple[Pod, ...], routes: tuple[TunnelRoute, ...]
) -> Iterator[Node]:
    """Infer nodes' addresses from the tunnel maps, through their pods, where nothing else gives them."""
    table = PrefixTable((route.network, route) for route in routes)
    by_node: dict[str, list[Pod]] = {}
    for pod in pods:
        by_node.setdefault(pod.node, []).append(pod)
    for node in nodes:
        own = by_node.get(node.name, [])
        found = [table.find(a) for p in own if not p.host_network for a in p.addresses]
        mine = [route for route in found if route is not None]
        shared = [a for p in own if p.host_network for a in p.addresses]
        yield replace(
            node,
            addresses=node.addresses or _unique([*shared, *(r.endpoint for r in mine)]),
            pod_networks=node.pod_networks or _unique(r.network for r in mine),
        )
