"""Combine everything that the user saved from the cluster into one Cluster.

Most runs are given nothing: the reader of a kind is imported only when needed.
"""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vxlanalyze.errors import UsageError
from vxlanalyze.kubernetes.model import Cluster, Fact
from vxlanalyze.text.nearest import nearest

if TYPE_CHECKING:
    from vxlanalyze.kubernetes.homes import Bundle


def read_cluster(
    kube: str | None,
    facts: Iterable[tuple[str, str]],
    captures: Collection[str],
    bundles: Sequence["Bundle"] = (),
) -> Cluster:
    """Read what the cluster says about itself.

    Parameters
    ----------
    kube : str or None
        File of kubectl's JSON.
    facts : iterable of (capture name, directory)
        Files saved with captures.
    captures : collection of str
        Names of the captures.
    bundles : sequence of Bundle
        The archives that captures came from; `facts` for a capture replaces what they hold for it, and
        `facts` without a name all of it.

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
    given = {name for name, _ in facts}
    bundles = () if "" in given else bundles
    if kube is None:
        cluster = _collected([*(path for name, path in facts if not name), *(b.path for b in bundles)])
    tables = [t for name, directory in facts for t in _read_facts(name, directory, captures, cluster)]
    tables += [
        t for bundle in bundles for t in _read_bundle(bundle, captures, cluster) if t.capture not in given
    ]
    if tables:
        from vxlanalyze.kubernetes.gather import with_facts

        cluster = with_facts(cluster, tables)
    return cluster


def _collected(bundles: Iterable[str | Path]) -> Cluster:
    """The cluster from the first bundle that describes it."""
    for path in bundles:
        from vxlanalyze.capture.archives import inside
        from vxlanalyze.kubernetes.collected import cluster_in

        archive = inside(path)
        found = cluster_in(archive[0]) if archive is not None else Cluster()
        if found.nodes or found.pods:
            return found
    return Cluster()


def _read_facts(name: str, directory: str, captures: Collection[str], cluster: Cluster) -> tuple[Fact, ...]:
    from vxlanalyze.kubernetes.facts import read_bundle, read_facts
    from vxlanalyze.kubernetes.homes import Belonging

    if not name:
        return read_bundle(directory, Belonging(captures, cluster))
    if name not in captures:
        raise UsageError(f"--facts {name}={directory}: no capture is called {name}{nearest(name, captures)}")
    return read_facts(name, directory)


def _read_bundle(bundle: "Bundle", captures: Collection[str], cluster: Cluster) -> tuple[Fact, ...]:
    from vxlanalyze.kubernetes.facts import read_members
    from vxlanalyze.kubernetes.homes import Belonging

    return read_members(bundle, Belonging(captures, cluster, bundle.homes))
