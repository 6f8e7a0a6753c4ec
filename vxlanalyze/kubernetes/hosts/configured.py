"""The overlay's configuration as Kubernetes objects (JSON or YAML): MTU, port, VNI and mode.

Rows as in `overlays`: name ("mtu", "port", "vni", "backend", "mode") and value. Supported are Calico's IPPool
and FelixConfiguration, and the ConfigMaps of flannel (``net-conf.json``) and Cilium (``cilium-config``).

Sources: Calico reference, IPPool and FelixConfiguration (v3); flannel ``Documentation/kube-flannel.yml``;
Cilium Helm chart, ``cilium-configmap.yaml``.
"""

import json
from collections.abc import Iterator
from typing import Any

from vxlanalyze.kubernetes.hosts.document import Document, Locate
from vxlanalyze.kubernetes.hosts.model import Row
from vxlanalyze.kubernetes.kube_objects import Object, at, text_at
from vxlanalyze.kubernetes.objects import members

_FELIX = {"vxlanMTU": "mtu", "vxlanPort": "port", "vxlanVNI": "vni"}
_FLANNEL = {"Type": "backend", "VNI": "vni", "Port": "port", "MTU": "mtu"}
_CILIUM = {"tunnel-port": "port", "tunnel-protocol": "backend", "mtu": "mtu", "routing-mode": "mode"}
_KINDS = frozenset(("IPPool", "FelixConfiguration", "ConfigMap"))


def opens(value: object) -> bool:
    """Whether any object in a document is of a supported kind."""
    return any(kind in _KINDS for kind, _ in members(value))


def read(value: Any, locate: Locate) -> Iterator[Row]:
    """Give the settings."""
    for kind, item in members(value):
        if kind == "IPPool":
            yield from _pool(item, locate)
        elif kind == "FelixConfiguration":
            yield from _named(at(item, "spec"), _FELIX, locate)
        elif kind == "ConfigMap":
            yield from _map(at(item, "data"), locate)


def _pool(item: Object, locate: Locate) -> Iterator[Row]:
    network = text_at(item, "spec", "cidr")
    for key in ("vxlanMode", "ipipMode"):
        mode = text_at(item, "spec", key)
        if mode and mode != "Never":
            line = str(locate(f"{key}: {mode}"))
            yield {
                "line": line,
                "text": f"{network}: {key}: {mode}",
                "name": "mode",
                "value": f"{key} {mode}",
            }


def _named(data: object, names: dict[str, str], locate: Locate) -> Iterator[Row]:
    for key, name in names.items():
        value = at(data, key)
        if isinstance(value, str | int) and str(value) not in ("", "0"):
            text = f"{key}: {value}"
            yield {"line": str(locate(key)), "text": text, "name": name, "value": str(value)}


def _map(data: object, locate: Locate) -> Iterator[Row]:
    yield from _named(data, _CILIUM, locate)
    try:
        flannel = json.loads(text_at(data, "net-conf.json") or "null")
    except (ValueError, RecursionError):
        return
    yield from _named(at(flannel, "Backend"), _FLANNEL, locate)


DOCUMENT = Document("overlay", opens, read)
