"""Resolve names to nodes: what the command line and kubectl's output say about the two ends of a plan."""

from collections.abc import Sequence
from dataclasses import replace

from vxlanalyze.errors import UsageError
from vxlanalyze.kubernetes.model import Cluster, Pod, address_text
from vxlanalyze.planning.model import Plan, Station, require_name
from vxlanalyze.planning.networks import network_of
from vxlanalyze.text.nearest import nearest

_MOST_ADDRESSES = 6


def make(
    names: Sequence[str], cluster: Cluster, *, cni: str | None, seconds: int, between: Sequence[str] = ()
) -> Plan:
    """Create a plan for two nodes.

    Parameters
    ----------
    names : sequence of str
        Two of: a node's name, NAME=ADDRESS, or, if the cluster is known, the name of a pod, which means its
        node. None if `between` names two pods and the cluster says where they run.
    cni : str or None
        The overlay; None to infer it from the names of the pods.

    Raises
    ------
    UsageError
        There are not two distinct nodes, or a name is unknown.
    """
    pods = tuple(_pod(cluster, name) for name in between)
    if not names and len(pods) == 2 and all(pod is not None and pod.node for pod in pods):
        names = [pod.node for pod in pods if pod is not None]
    if len(names) != 2:
        raise UsageError("--plan takes the names of two nodes, as in: vxlanalyze --plan node1 node2")
    first, second = (_station(name, cluster) for name in names)
    if first.name == second.name:
        raise UsageError(f"--plan: both ends are {first.name}; traffic within a node uses no tunnel")
    stations = (_with_pod(first, between, pods, 0), _with_pod(second, between, pods, 1))
    return Plan(stations, network_of(cni, (pod.name for pod in cluster.pods)), seconds, bool(cluster.nodes))


def _station(text: str, cluster: Cluster) -> Station:
    name, given, address = text.partition("=")
    require_name(name.rpartition("/")[2])
    parsed = address_text(address)
    if given and parsed is None:
        raise UsageError(f"--plan: {address[:60]} is not an address; give NAME=ADDRESS")
    node = cluster.node(name)
    if node is None and cluster.nodes:
        pod = _pod(cluster, name) if parsed is None else None
        node = cluster.node(pod.node) if pod is not None else None
        if node is None and parsed is None:
            known = [n.name for n in cluster.nodes]
            raise UsageError(f"--plan: no node or pod is called {name}{nearest(name, known)}")
    if parsed is None and node is None:
        parsed = address_text(name)
    addresses = (parsed,) if parsed else node.addresses[:_MOST_ADDRESSES] if node else ()
    networks = node.pod_networks if node else ()
    return Station(require_name(node.name if node else name), addresses, pod_networks=networks)


def _pod(cluster: Cluster, name: str) -> Pod | None:
    found = [p for p in cluster.pods if name in (p.full_name, p.name)]
    if not found and cluster.pods and address_text(name) is None:
        known = [*(n.name for n in cluster.nodes), *(p.full_name for p in cluster.pods)]
        raise UsageError(f"--plan: no node or pod is called {name[:80]}{nearest(name, known)}")
    return found[0] if found else None


def _with_pod(station: Station, between: Sequence[str], pods: Sequence[Pod | None], place: int) -> Station:
    """Add the pod that runs on a node; among pods with an unknown node, the one at the same position."""
    if not between:
        return station
    here = next((i for i, pod in enumerate(pods) if pod is not None and pod.node == station.name), place)
    pod = pods[here]
    addresses = pod.addresses if pod is not None else tuple(filter(None, [address_text(between[here])]))
    if not addresses:
        raise UsageError(
            f"--between: the address of {between[here][:80]} is not known; give it, or --kube FILE"
        )
    return replace(station, pod=between[here], pod_addresses=addresses)
