"""Services of the Kubernetes API, and their endpoints.

Saved endpoints give the backends; without any, the pods matched by the selector do.

Sources: Kubernetes API reference v1 (Service, Endpoints), discovery.k8s.io/v1 (EndpointSlice).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from vxlanalyze.kubernetes.kube_objects import (
    Object,
    at,
    list_at,
    pod_addresses,
    port_number,
    text_at,
    unique,
)
from vxlanalyze.kubernetes.model import Service, address_text, endpoint_text

_Key = tuple[str, str]  # namespace and name of a service


def services(by_kind: Mapping[str, list[Object]]) -> tuple[Service, ...]:
    """Read the services among objects sorted by kind, with their known backends."""
    listed = _listed_backends(by_kind)
    pods: dict[str, list[Object]] = {}
    for pod in by_kind.get("Pod", ()):
        pods.setdefault(text_at(pod, "metadata", "namespace"), []).append(pod)
    return tuple(_service(item, listed, pods) for item in by_kind.get("Service", ()))


def _service(item: Object, listed: Mapping[_Key, list[str]], pods: Mapping[str, list[Object]]) -> Service:
    namespace, name = text_at(item, "metadata", "namespace"), text_at(item, "metadata", "name")
    addresses = [at(item, "spec", "clusterIP"), *list_at(item, "spec", "clusterIPs")]
    addresses += list_at(item, "spec", "externalIPs")
    addresses += [at(i, "ip") for i in list_at(item, "status", "loadBalancer", "ingress")]
    ports = [
        (text_at(p, "protocol") or "TCP", port_number(at(p, "port"))) for p in list_at(item, "spec", "ports")
    ]
    backends = listed.get((namespace, name)) or _selected(item, pods.get(namespace, []))
    return Service(
        name=name,
        namespace=namespace,
        addresses=unique(address_text(a) for a in addresses),  # drops "None" of a headless service
        ports=tuple(dict.fromkeys((protocol.lower(), port) for protocol, port in ports if port)),
        backends=unique(iter(backends)),
    )


def _selected(item: Object, pods: list[Object]) -> Iterator[str]:
    """Find backends among the pods of a namespace by the selector, if no endpoints were saved."""
    selector = at(item, "spec", "selector")
    if not isinstance(selector, dict) or not selector:
        return
    for pod in pods:
        labels = at(pod, "metadata", "labels")
        if isinstance(labels, dict) and selector.items() <= labels.items():
            ports = (_target_port(spec, pod) for spec in list_at(item, "spec", "ports"))
            for port in filter(None, ports):
                yield from (endpoint_text(address, port) for address in pod_addresses(pod))


def _target_port(spec: object, pod: Object) -> int | None:
    target = at(spec, "targetPort")
    if isinstance(target, str) and target:
        containers = list_at(pod, "spec", "containers")
        named = (p for c in containers for p in list_at(c, "ports") if at(p, "name") == target)
        return next((port_number(at(p, "containerPort")) for p in named), None)
    return port_number(target) or port_number(at(spec, "port"))


def _listed_backends(by_kind: Mapping[str, list[Object]]) -> dict[_Key, list[str]]:
    backends: dict[_Key, list[str]] = {}
    for item in by_kind.get("Endpoints", ()):
        key = text_at(item, "metadata", "namespace"), text_at(item, "metadata", "name")
        for subset in list_at(item, "subsets"):
            addresses = [at(a, "ip") for a in list_at(subset, "addresses")]
            backends.setdefault(key, []).extend(_joined(addresses, list_at(subset, "ports")))
    for item in by_kind.get("EndpointSlice", ()):
        label = text_at(item, "metadata", "labels", "kubernetes.io/service-name")
        ready = [e for e in list_at(item, "endpoints") if at(e, "conditions", "ready") is not False]
        addresses = [a for e in ready for a in list_at(e, "addresses")]
        key = text_at(item, "metadata", "namespace"), label
        backends.setdefault(key, []).extend(_joined(addresses, list_at(item, "ports")))
    return backends


def _joined(addresses: list[Any], ports: list[Any]) -> Iterator[str]:
    for part in addresses:
        address = address_text(part)
        for port in (port_number(at(p, "port")) for p in ports):
            if address and port:
                yield endpoint_text(address, port)
