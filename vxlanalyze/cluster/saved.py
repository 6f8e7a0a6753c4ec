"""All that the user saved of the cluster, of whatever kind, as one Cluster."""

from collections.abc import Collection, Iterable

from vxlanalyze.cluster.facts import read_facts
from vxlanalyze.cluster.gather import with_facts
from vxlanalyze.cluster.kube import read_kube
from vxlanalyze.cluster.model import Cluster, Fact
from vxlanalyze.errors import UsageError
from vxlanalyze.nearest import nearest


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
    cluster = Cluster() if kube is None else read_kube(kube)
    tables: list[Fact] = []
    for name, directory in facts:
        if name not in captures:
            raise UsageError(
                f"--facts {name}={directory}: no capture is called {name}{nearest(name, captures)}"
            )
        tables += read_facts(name, directory)
    return with_facts(cluster, tables) if tables else cluster
