"""The outer addresses that an inner address is reached through, from the cluster or from its packets."""

from dataclasses import dataclass

import numpy as np

from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.underlay.rewriting import rewritten
from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.wire.addresses import text


@dataclass(frozen=True, slots=True)
class InnerHome:
    """The outer addresses of the node that an inner address lives on.

    `words` is this as a clause: ``10.233.65.20 lives on node2 (172.26.50.201)``.
    """

    addresses: tuple[str, ...]
    words: str
    by_cluster: bool


@once
def homes_of(pair: Comparison) -> "InnerHomes":
    """Find where the inner addresses of a comparison live; done once, and kept as long as it."""
    return InnerHomes(pair)


class InnerHomes:
    """The homes of all inner addresses of a comparison; reads the flows once."""

    def __init__(self, pair: Comparison) -> None:
        self._cluster = pair.cluster
        self._seen: dict[str, set[str]] = {}  # inner address -> outer addresses it sent from
        self._of_node: dict[str, set[str]] = {n.name: set(n.addresses) for n in pair.cluster.nodes}
        for point in {p.capture: p for p in pair.points if p.encapsulated}.values():
            self._look_at(point)
        changes = [change for d in pair.directions for change in rewritten(d)]
        self._rewritten = [{c.before[0], c.after[0]} for c in changes] + [
            {c.before[1], c.after[1]} for c in changes
        ]
        self._captured = [set(p.addresses) for p in pair.points if p.encapsulated]

    def _look_at(self, point: Point) -> None:
        flows = point.flows
        used = point.decoded.usage.used & (flows.outer_family > 0) & (flows.family > 0)
        key = np.column_stack([flows.outer_family, flows.outer_src, flows.family, flows.src])[used]
        names, _ = distinct(key)
        outer_names, inner_names = text(names[:, 1:17], names[:, 0]), text(names[:, 18:], names[:, 17])
        for outer, inner in zip(outer_names, inner_names, strict=True):
            self._seen.setdefault(inner, set()).add(outer)
            node = self._cluster.node_of(inner)
            owner = self._cluster.node_of(outer)
            if node is not None and owner in (None, node):
                self._of_node.setdefault(node, set()).add(outer)

    def of(self, inner: str) -> InnerHome | None:
        """Give the home of an inner address; None where unknown."""
        node = self._cluster.node_of(inner)
        addresses = tuple(sorted(self._of_node.get(node or "", ())))
        if node is not None and addresses:
            return InnerHome(addresses, f"{inner} lives on {node} ({' or '.join(addresses)})", True)
        addresses = tuple(sorted(self._seen.get(inner, ())))
        if addresses:
            return InnerHome(addresses, f"{inner} itself sends from {' or '.join(addresses)}", False)
        return None

    def at_home(self, outer: str, home: InnerHome) -> bool:
        """Whether an outer address is one of a home's, or known to belong to the same node."""
        # The node of a capture is inferred from packets; the cluster's own files take precedence.
        alike = self._rewritten if home.by_cluster else [*self._rewritten, *self._captured]
        own = set(home.addresses)
        return outer in own or any(outer in group and group & own for group in alike)
