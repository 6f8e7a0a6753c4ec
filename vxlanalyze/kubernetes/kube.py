"""Read the output of ``kubectl get nodes,pods,services -A -o json`` (or ``-o yaml``), and of calicoctl.

Supported are lists of objects, several lists in sequence, and single objects, of the kinds Node (of
Kubernetes, and of ``calicoctl get node``), Pod, Service, Endpoints, EndpointSlice, CiliumNode (cilium.io/v2)
and BlockAffinity (Calico's pod networks); other kinds are ignored. Parts of an object that do not match the
Kubernetes API are left out: only text that is neither JSON nor YAML is an error.

Sources: Kubernetes API reference v1 (Node, Pod, Service, Endpoints), discovery.k8s.io/v1
(EndpointSlice); flannel ``pkg/subnet/kube`` and Calico ``libcalico-go`` for the annotations.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

from vxlanalyze.errors import UsageError
from vxlanalyze.kubernetes.kube_objects import Object, at, list_at, pod_addresses, text_at, unique
from vxlanalyze.kubernetes.kube_services import services
from vxlanalyze.kubernetes.model import Cluster, Node, Pod, address_text, network_text
from vxlanalyze.kubernetes.objects import objects
from vxlanalyze.kubernetes.text import decode_text

# Annotations of a node with addresses of its tunnel endpoint.
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


def read_kube(path: str | Path) -> Cluster:
    """Read nodes, pods and services from a file.

    Raises
    ------
    UsageError
        The file cannot be read, is neither JSON nor YAML, or holds no object; with file and position.
    """
    name = str(path)
    try:
        text = decode_text(Path(path).read_bytes())
    except OSError as error:
        why = f"cannot be read ({error.strerror}); give a file of kubectl's JSON or YAML"
        raise UsageError(f"{name}: {why}") from error
    found = list(objects(name, text))
    if not found:
        raise UsageError(
            f"{name}: no object in it; give what kubectl get nodes,pods,services -A -o json prints"
        )
    return cluster_of(found, name)


def cluster_of(found: Iterable[tuple[str, Object]], source: str) -> Cluster:
    """Build a cluster from objects by kind; kinds other than those named above are ignored."""
    by_kind: dict[str, list[Object]] = {}
    for kind, item in found:
        by_kind.setdefault(kind, []).append(item)
    pods = tuple(_pod(p) for p in by_kind.get("Pod", ()))
    return Cluster(nodes=_nodes(by_kind, pods), pods=pods, services=services(by_kind), sources=(source,))


def _nodes(by_kind: Mapping[str, list[Object]], pods: tuple[Pod, ...]) -> tuple[Node, ...]:
    nodes: dict[str, Node] = {}
    found = [_node(n) for n in by_kind.get("Node", ())]
    found += [_cilium_node(n) for n in by_kind.get("CiliumNode", ())]
    found += [_block_affinity(b) for b in by_kind.get("BlockAffinity", ())]
    for node in found:
        if node.name:
            known = nodes.get(node.name, Node(node.name))
            nodes[node.name] = Node(
                node.name,
                unique(iter(known.addresses + node.addresses)),
                unique(iter(known.pod_networks + node.pod_networks)),
                unique(iter(known.tunnel_macs + node.tunnel_macs)),
            )
    return tuple(replace(n, pod_networks=_lived_in(n, pods)) for n in nodes.values())


def _lived_in(node: Node, pods: tuple[Pod, ...]) -> tuple[str, ...]:
    """Leave out pod networks of a node that its pods show to be unused.

    Calico and Cilium may assign addresses from their own pools while ``spec.podCIDR`` is still set.
    """
    own = [ip_address(a) for p in pods if p.node == node.name and not p.host_network for a in p.addresses]
    kept = []
    for text in node.pod_networks:
        network = ip_network(text)
        same_family = [a for a in own if a.version == network.version]
        if not same_family or any(a in network for a in same_family):
            kept.append(text)
    return tuple(kept)


def _node(item: Object) -> Node:
    annotations = at(item, "metadata", "annotations")
    addresses = [at(a, "address") for a in list_at(item, "status", "addresses")]
    addresses += [at(annotations, key) for key in _ADDRESS_ANNOTATIONS]
    addresses += [at(item, "spec", "bgp", key) for key in ("ipv4Address", "ipv6Address")]
    addresses += [at(item, "spec", key) for key in ("ipv4VXLANTunnelAddr", "ipv6VXLANTunnelAddr")]
    networks = [at(item, "spec", "podCIDR"), *list_at(item, "spec", "podCIDRs")]
    networks += [at(annotations, key) for key in _NETWORK_ANNOTATIONS]
    macs = [_flannel_mac(text_at(annotations, key)) for key in _BACKEND_DATA]
    macs += [_mac(at(annotations, key)) for key in _MAC_ANNOTATIONS]
    macs += [_mac(at(item, "spec", key)) for key in ("vxlanTunnelMACAddr", "vxlanTunnelMACAddrV6")]
    return Node(
        name=text_at(item, "metadata", "name"),
        addresses=unique(address_text(a) for a in addresses),
        pod_networks=unique(network_text(n) for n in networks),
        tunnel_macs=unique(iter(macs)),
    )


def _flannel_mac(text: str) -> str | None:
    """``VtepMAC`` of flannel's backend data, which is JSON in a string."""
    try:
        return _mac(at(json.loads(text), "VtepMAC"))
    except (ValueError, RecursionError):
        return None


def _mac(value: object) -> str | None:
    octets = value.lower().replace("-", ":").split(":") if isinstance(value, str) else []
    whole = len(octets) == 6 and all(len(o) == 2 and set(o) <= set("0123456789abcdef") for o in octets)
    return ":".join(octets) if whole else None


def _cilium_node(item: Object) -> Node:
    addresses = [at(a, "ip") for a in list_at(item, "spec", "addresses")]
    return Node(
        name=text_at(item, "metadata", "name"),
        addresses=unique(address_text(a) for a in addresses),
        pod_networks=unique(network_text(n) for n in _cilium_networks(item)),
    )


def _cilium_networks(item: Object) -> Iterator[object]:
    yield from list_at(item, "spec", "ipam", "podCIDRs")
    for pool in list_at(item, "spec", "ipam", "pools", "allocated"):
        for network in list_at(pool, "cidrs"):
            yield network if isinstance(network, str) else at(network, "cidr")


def _block_affinity(item: Object) -> Node:
    return Node(
        name=text_at(item, "spec", "node"),
        pod_networks=unique(iter([network_text(at(item, "spec", "cidr"))])),
    )


def _pod(item: Object) -> Pod:
    return Pod(
        name=text_at(item, "metadata", "name"),
        namespace=text_at(item, "metadata", "namespace"),
        node=text_at(item, "spec", "nodeName"),
        addresses=pod_addresses(item),
        host_network=at(item, "spec", "hostNetwork") is True,
    )
