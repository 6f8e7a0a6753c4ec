"""Kubernetes objects in bundles of a whole cluster, as created by ``cilium sysdump`` and must-gather.

They name pods and nodes as ``--kube`` does, and give the node of a pod whose name is in a path.

Sources: cilium-cli ``sysdump`` (``k8s-pods-TIME.yaml``); oc adm must-gather (``core/nodes/NAME.yaml``).
"""

import re
from pathlib import Path

from vxlanalyze.errors import UsageError
from vxlanalyze.kubernetes.bundles import members
from vxlanalyze.kubernetes.kube import cluster_of
from vxlanalyze.kubernetes.kube_objects import Object
from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.kubernetes.objects import objects
from vxlanalyze.kubernetes.text import decode_text

_OBJECTS = re.compile(
    r"(?:nodes|pods|services|endpoints|endpointslices|cluster)\b[^/]{0,200}\.(?:json|ya?ml)$|"
    r"/(?:nodes|pods)/[^/]{1,200}(?:/[^/]{1,200})?\.ya?ml$"
)
_LARGEST_BYTES = 32 << 20


def cluster_in(path: Path) -> Cluster:
    """Read the nodes, pods and services of a bundle; everything else is skipped.

    Raises
    ------
    UsageError
        As in `bundles.members`.
    """
    found: list[tuple[str, Object]] = []
    for name, data in members(path):
        if _OBJECTS.search(name) is None or len(data) > _LARGEST_BYTES:
            continue
        try:
            found += objects(name, decode_text(data))
        except UsageError:
            continue  # truncated, or not what its name says: reported with the facts
    return cluster_of(found, str(path)) if found else Cluster()
