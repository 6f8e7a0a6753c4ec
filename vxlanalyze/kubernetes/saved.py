"""Combine everything that the user saved from the cluster into one Cluster.

Most runs are given nothing: the reader of a kind is imported only when needed.
"""

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from vxlanalyze.errors import UsageError
from vxlanalyze.kubernetes.model import Cluster, Fact
from vxlanalyze.text.nearest import nearest


def read_cluster(kube: str | None, facts: Iterable[tuple[str, str]], captures: Collection[str]) -> Cluster:
    """Read what the cluster says about itself.

    Parameters
    ----------
    kube : str or None
        File of kubectl's JSON.
    facts : iterable of (capture name, directory)
        Files saved with captures.
    captures : collection of str
        Names of the captures.

    Raises
    ------
    UsageError
        A file cannot be read, or a name does not belong to a capture.
    """
    cluster = Cluster()
    if kube is not None:
        from vxlanalyze.kubernetes.kube import read_kube

        cluster = read_kube(kube)
    facts = tuple(facts)
    if kube is None:
        cluster = _collected(path for name, path in facts if not name)
    tables = [t for name, directory in facts for t in _read_facts(name, directory, captures, cluster)]
    if tables:
        from vxlanalyze.kubernetes.gather import with_facts

        cluster = with_facts(cluster, tables)
    return cluster


def _collected(bundles: Iterable[str]) -> Cluster:
    """The cluster from the first bundle that describes it."""
    for path in bundles:
        from vxlanalyze.capture.archives import is_archive
        from vxlanalyze.kubernetes.collected import cluster_in

        found = cluster_in(Path(path)) if os.path.isfile(path) and is_archive(path) else Cluster()
        if found.nodes or found.pods:
            return found
    return Cluster()


def _read_facts(name: str, directory: str, captures: Collection[str], cluster: Cluster) -> tuple[Fact, ...]:
    from vxlanalyze.kubernetes.facts import read_bundle, read_facts

    if not name:
        return read_bundle(directory, captures, cluster.pods)
    if name not in captures:
        raise UsageError(f"--facts {name}={directory}: no capture is called {name}{nearest(name, captures)}")
    return read_facts(name, directory)
