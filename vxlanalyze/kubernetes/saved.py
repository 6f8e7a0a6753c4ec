"""All that the user saved of the cluster, of whatever kind, as one Cluster.

Most runs are given nothing: what reads a kind is imported where there is some of it.
"""

from collections.abc import Collection, Iterable

from vxlanalyze.errors import UsageError
from vxlanalyze.kubernetes.model import Cluster, Fact
from vxlanalyze.text.nearest import nearest


def read_cluster(kube: str | None, facts: Iterable[tuple[str, str]], captures: Collection[str]) -> Cluster:
    """Read what the cluster says of itself.

    Parameters
    ----------
    kube : str or None
        File of kubectl's JSON.
    facts : iterable of (capture name, directory)
        What was saved beside captures.
    captures : collection of str
        Names of the captures.

    Raises
    ------
    UsageError
        A file cannot be read, or a name is not that of a capture.
    """
    cluster = Cluster()
    if kube is not None:
        from vxlanalyze.kubernetes.kube import read_kube

        cluster = read_kube(kube)
    tables = [table for name, directory in facts for table in _read_facts(name, directory, captures)]
    if tables:
        from vxlanalyze.kubernetes.gather import with_facts

        cluster = with_facts(cluster, tables)
    return cluster


def _read_facts(name: str, directory: str, captures: Collection[str]) -> tuple[Fact, ...]:
    from vxlanalyze.kubernetes.facts import read_bundle, read_facts

    if not name:
        return read_bundle(directory, captures)
    if name not in captures:
        raise UsageError(f"--facts {name}={directory}: no capture is called {name}{nearest(name, captures)}")
    return read_facts(name, directory)
