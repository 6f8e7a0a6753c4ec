"""Reads what ``kubectl get nodes,pods,services -A -o json`` prints.

Understood are a list of objects, several of them behind each other, and single objects, of the kinds
Node, Pod, Service, Endpoints, EndpointSlice, CiliumNode (cilium.io/v2) and BlockAffinity (Calico's
pod networks); other kinds are ignored. Whatever in an object has not the shape that the Kubernetes
API gives it is left out: only text that is no JSON is an error.

Sources: Kubernetes API reference v1 (Node, Pod, Service, Endpoints), discovery.k8s.io/v1
(EndpointSlice); flannel ``pkg/subnet/kube`` and Calico ``libcalico-go`` for the annotations.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from vxlanalyze.cluster.model import (
    Cluster,
    Node,
    Pod,
    Service,
    address_text,
    endpoint_text,
    network_text,
)
from vxlanalyze.cluster.text import decode_text
from vxlanalyze.errors import UsageError

# Annotations of a node that hold addresses of its tunnel end.
_ADDRESS_ANNOTATIONS = (
    "flannel.alpha.coreos.com/public-ip",
    "flannel.alpha.coreos.com/public-ip-overwrite",
    "flannel.alpha.coreos.com/public-ipv6",
    "projectcalico.org/IPv4Address",
    "projectcalico.org/IPv6Address",
    "projectcalico.org/IPv4VXLANTunnelAddr",
    "projectcalico.org/IPv6VXLANTunnelAddr",
    "network.cilium.io/ipv4-cilium-host",
    "network.cilium.io/ipv6-cilium-host",
    "io.cilium.network.ipv4-cilium-host",
    "io.cilium.network.ipv6-cilium-host",
)
_BACKEND_DATA = ("flannel.alpha.coreos.com/backend-data", "flannel.alpha.coreos.com/backend-v6-data")
_MAC_ANNOTATIONS = ("projectcalico.org/VXLANTunnelMACAddr", "projectcalico.org/VXLANTunnelMACAddrV6")
_NETWORK_ANNOTATIONS = (
    "network.cilium.io/ipv4-pod-cidr",
    "network.cilium.io/ipv6-pod-cidr",
    "io.cilium.network.ipv4-pod-cidr",
    "io.cilium.network.ipv6-pod-cidr",
)

_Object = Mapping[str, Any]


def read_kube(path: str | Path) -> Cluster:
    """Read nodes, pods and services from a file.

    Raises
    ------
    UsageError
        The file cannot be read, is no JSON, or holds no object; with file and position.
    """
    name = str(path)
    try:
        text = decode_text(Path(path).read_bytes())
    except OSError as error:
        why = f"cannot be read ({error.strerror}); give a file of kubectl's JSON"
        raise UsageError(f"{name}: {why}") from error
    objects = list(_objects(name, text))
    if not objects:
        raise UsageError(
            f"{name}: no object in it; give what kubectl get nodes,pods,services -A -o json prints"
        )
    by_kind: dict[str, list[_Object]] = {}
    for kind, item in objects:
        by_kind.setdefault(kind, []).append(item)
    pods = tuple(_pod(p) for p in by_kind.get("Pod", ()))
    backends = _listed_backends(by_kind)
    by_namespace: dict[str, list[_Object]] = {}
    for pod in by_kind.get("Pod", ()):
        by_namespace.setdefault(_text(pod, "metadata", "namespace"), []).append(pod)
    services = tuple(_service(s, backends, by_namespace) for s in by_kind.get("Service", ()))
    return Cluster(nodes=_nodes(by_kind, pods), pods=pods, services=services, sources=(name,))


def _objects(name: str, text: str) -> Iterator[tuple[str, _Object]]:
    """Kind and object of everything in the text, lists taken apart."""
    decoder = json.JSONDecoder()
    at = 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if at == len(text):
            return
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            place = f"{name}, line {error.lineno}, column {error.colno}"
            raise UsageError(f"{place}: no JSON ({error.msg}); save it with kubectl's -o json") from error
        except (RecursionError, ValueError) as error:  # nested too deep; a number of too many digits
            raise UsageError(f"{name}, character {at}: no JSON of kubectl ({error})") from error
        yield from _members(value, "")


def _members(value: object, kind_of_list: str) -> Iterator[tuple[str, _Object]]:
    if isinstance(value, list):
        for member in value:
            yield from _members(member, kind_of_list)
    elif isinstance(value, dict):
        kind = value.get("kind")
        kind = kind if isinstance(kind, str) and kind else kind_of_list
        if isinstance(value.get("items"), list):
            # The API leaves the kind out of the members of a NodeList.
            for member in value["items"]:
                if isinstance(member, dict):
                    yield from _members(member, kind.removesuffix("List"))
        elif kind:
            yield kind, value


def _at(value: object, *path: str) -> Any:
    """Follow a path of keys; None where it leads nowhere."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _text(value: object, *path: str) -> str:
    found = _at(value, *path)
    return found if isinstance(found, str) else ""


def _list(value: object, *path: str) -> list[Any]:
    found = _at(value, *path)
    return found if isinstance(found, list) else []


def _port(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 65535 else None


def _unique(values: Iterator[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(v for v in values if v))


def _nodes(by_kind: Mapping[str, list[_Object]], pods: tuple[Pod, ...]) -> tuple[Node, ...]:
    nodes: dict[str, Node] = {}
    found = [_node(n) for n in by_kind.get("Node", ())]
    found += [_cilium_node(n) for n in by_kind.get("CiliumNode", ())]
    found += [_block_affinity(b) for b in by_kind.get("BlockAffinity", ())]
    for node in found:
        if node.name:
            known = nodes.get(node.name, Node(node.name))
            nodes[node.name] = Node(
                node.name,
                _unique(iter(known.addresses + node.addresses)),
                _unique(iter(known.pod_networks + node.pod_networks)),
                _unique(iter(known.tunnel_macs + node.tunnel_macs)),
            )
    return tuple(replace(n, pod_networks=_lived_in(n, pods)) for n in nodes.values())


def _lived_in(node: Node, pods: tuple[Pod, ...]) -> tuple[str, ...]:
    """Leave out the pod networks of a node that its pods show not to be in use.

    Calico and Cilium may hand out addresses of their own pools while ``spec.podCIDR`` is still set.
    """
    own = [ip_address(a) for p in pods if p.node == node.name and not p.host_network for a in p.addresses]
    kept = []
    for text in node.pod_networks:
        network = ip_network(text)
        same_family = [a for a in own if a.version == network.version]
        if not same_family or any(a in network for a in same_family):
            kept.append(text)
    return tuple(kept)


def _node(item: _Object) -> Node:
    annotations = _at(item, "metadata", "annotations")
    told = [_at(a, "address") for a in _list(item, "status", "addresses")]
    told += [_at(annotations, key) for key in _ADDRESS_ANNOTATIONS]
    networks = [_at(item, "spec", "podCIDR"), *_list(item, "spec", "podCIDRs")]
    networks += [_at(annotations, key) for key in _NETWORK_ANNOTATIONS]
    macs = [_flannel_mac(_text(annotations, key)) for key in _BACKEND_DATA]
    macs += [_mac(_at(annotations, key)) for key in _MAC_ANNOTATIONS]
    return Node(
        name=_text(item, "metadata", "name"),
        addresses=_unique(address_text(a) for a in told),
        pod_networks=_unique(network_text(n) for n in networks),
        tunnel_macs=_unique(iter(macs)),
    )


def _flannel_mac(text: str) -> str | None:
    """``VtepMAC`` of flannel's backend data, which is JSON in a string."""
    try:
        return _mac(_at(json.loads(text), "VtepMAC"))
    except (ValueError, RecursionError):
        return None


def _mac(value: object) -> str | None:
    octets = value.lower().replace("-", ":").split(":") if isinstance(value, str) else []
    whole = len(octets) == 6 and all(len(o) == 2 and set(o) <= set("0123456789abcdef") for o in octets)
    return ":".join(octets) if whole else None


def _cilium_node(item: _Object) -> Node:
    told = [_at(a, "ip") for a in _list(item, "spec", "addresses")]
    return Node(
        name=_text(item, "metadata", "name"),
        addresses=_unique(address_text(a) for a in told),
        pod_networks=_unique(network_text(n) for n in _cilium_networks(item)),
    )


def _cilium_networks(item: _Object) -> Iterator[object]:
    yield from _list(item, "spec", "ipam", "podCIDRs")
    for pool in _list(item, "spec", "ipam", "pools", "allocated"):
        for network in _list(pool, "cidrs"):
            yield network if isinstance(network, str) else _at(network, "cidr")


def _block_affinity(item: _Object) -> Node:
    return Node(
        name=_text(item, "spec", "node"),
        pod_networks=_unique(iter([network_text(_at(item, "spec", "cidr"))])),
    )


def _pod(item: _Object) -> Pod:
    return Pod(
        name=_text(item, "metadata", "name"),
        namespace=_text(item, "metadata", "namespace"),
        node=_text(item, "spec", "nodeName"),
        addresses=_pod_addresses(item),
        host_network=_at(item, "spec", "hostNetwork") is True,
    )


def _pod_addresses(item: _Object) -> tuple[str, ...]:
    if _text(item, "status", "phase") in ("Succeeded", "Failed"):
        return ()  # it ended, and its address may be another pod's by now
    told = [_at(item, "status", "podIP"), *(_at(ip, "ip") for ip in _list(item, "status", "podIPs"))]
    return _unique(address_text(a) for a in told)


_Key = tuple[str, str]  # namespace and name of a service


def _service(item: _Object, listed: Mapping[_Key, list[str]], pods: Mapping[str, list[_Object]]) -> Service:
    namespace, name = _text(item, "metadata", "namespace"), _text(item, "metadata", "name")
    told = [_at(item, "spec", "clusterIP"), *_list(item, "spec", "clusterIPs")]
    told += _list(item, "spec", "externalIPs")
    told += [_at(i, "ip") for i in _list(item, "status", "loadBalancer", "ingress")]
    ports = [(_text(p, "protocol") or "TCP", _port(_at(p, "port"))) for p in _list(item, "spec", "ports")]
    backends = listed.get((namespace, name)) or _selected(item, pods.get(namespace, []))
    return Service(
        name=name,
        namespace=namespace,
        addresses=_unique(address_text(a) for a in told),  # "None" of a headless service is no address
        ports=tuple(dict.fromkeys((protocol.lower(), port) for protocol, port in ports if port)),
        backends=_unique(iter(backends)),
    )


def _selected(service: _Object, pods: list[_Object]) -> Iterator[str]:
    """Find backends among the pods of a namespace by the selector, where no endpoints were saved."""
    selector = _at(service, "spec", "selector")
    if not isinstance(selector, dict) or not selector:
        return
    for pod in pods:
        labels = _at(pod, "metadata", "labels")
        if isinstance(labels, dict) and selector.items() <= labels.items():
            ports = (_target_port(spec, pod) for spec in _list(service, "spec", "ports"))
            for port in filter(None, ports):
                yield from (endpoint_text(address, port) for address in _pod_addresses(pod))


def _target_port(spec: object, pod: _Object) -> int | None:
    target = _at(spec, "targetPort")
    if isinstance(target, str) and target:
        containers = _list(pod, "spec", "containers")
        named = (p for c in containers for p in _list(c, "ports") if _at(p, "name") == target)
        return next((_port(_at(p, "containerPort")) for p in named), None)
    return _port(target) or _port(_at(spec, "port"))


def _listed_backends(by_kind: Mapping[str, list[_Object]]) -> dict[_Key, list[str]]:
    backends: dict[_Key, list[str]] = {}
    for item in by_kind.get("Endpoints", ()):
        key = _text(item, "metadata", "namespace"), _text(item, "metadata", "name")
        for subset in _list(item, "subsets"):
            addresses = [_at(a, "ip") for a in _list(subset, "addresses")]
            backends.setdefault(key, []).extend(_joined(addresses, _list(subset, "ports")))
    for item in by_kind.get("EndpointSlice", ()):
        label = _text(item, "metadata", "labels", "kubernetes.io/service-name")
        ready = [e for e in _list(item, "endpoints") if _at(e, "conditions", "ready") is not False]
        addresses = [a for e in ready for a in _list(e, "addresses")]
        key = _text(item, "metadata", "namespace"), label
        backends.setdefault(key, []).extend(_joined(addresses, _list(item, "ports")))
    return backends


def _joined(addresses: list[Any], ports: list[Any]) -> Iterator[str]:
    for told in addresses:
        address = address_text(told)
        for port in (_port(_at(p, "port")) for p in ports):
            if address and port:
                yield endpoint_text(address, port)
