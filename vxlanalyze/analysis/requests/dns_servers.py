"""The DNS servers behind one service: which of them answer, and which are not seen.

One service address stands for several DNS pods, so when one of them is cut off, names resolve intermittently.
"""

from collections.abc import Iterable, Sequence

from vxlanalyze.analysis.requests.services import ServiceFigures
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.text.words import listed

LEAST_QUERIES = 3
"""Before "always" or "never" is said of a server."""


def always_answers(silent: ServiceFigures, queried: Iterable[ServiceFigures]) -> ServiceFigures | None:
    """A server that answered everything: of the same service and client where there is one."""
    good = [
        f
        for f in queried
        if f.server != silent.server and f.requests >= LEAST_QUERIES and f.answered == f.requests
    ]
    good.sort(key=lambda f: (f.service != silent.service, f.client != silent.client, -f.requests, f.server))
    return good[0] if good else None


def others(pair: Comparison, silent: ServiceFigures, queried: Sequence[ServiceFigures]) -> str:
    """Describe the service's other pods: what they answered, or why they are not visible."""
    if always_answers(silent, queried) is not None:
        return " So names resolve intermittently, depending on which pod receives the query."
    unseen = [a for a in _backends(pair, silent.server) if a not in {f.server for f in queried}]
    if not unseen:
        return ""
    home = pair.cluster.node_of(silent.client) or _node_at(pair, silent.point)
    local = [a for a in unseen if home is not None and pair.cluster.node_of(a) == home]
    pods = listed([pair.cluster.named(a) for a in local or unseen])
    if not local:
        return f" The same service is also backed by {pods}, which received no query here."
    return (
        f" The same service is also backed by {pods}, on the client's own node: queries to it do not enter "
        "the tunnel, so these captures do not show them. If it answers, names resolve intermittently."
    )


def _node_at(pair: Comparison, place: int) -> str | None:
    """Name of the node of a point, recognised by its addresses or by the capture's name."""
    point = pair.points[place]
    owners = [pair.cluster.node_of(a) for a in point.addresses]
    name = pair.captures[point.capture].name
    return next(filter(None, owners), name if pair.cluster.node(name) else None)


def _backends(pair: Comparison, server: str) -> list[str]:
    found = (b.rpartition(":")[0].strip("[]") for s in pair.cluster.services_of(server) for b in s.backends)
    return list(dict.fromkeys(a for a in found if a != server and (":" in a) == (":" in server)))
