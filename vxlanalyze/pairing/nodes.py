"""Many captures of one cluster: find the node of each, and which nodes talk to each other.

A node takes part in all tunnel packets that its card carries, so the address that is an end of all of them is
its own. If it has only one peer, there are two such addresses, and one known to be another node's is ruled
out. Finally, if one address is left over and one node has none, they belong together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from vxlanalyze.capture.model import Source
from vxlanalyze.kubernetes.model import Cluster, Node
from vxlanalyze.pairing import address_book, addresses, points
from vxlanalyze.pairing.capture_facts import capture_facts
from vxlanalyze.wire.model import Decoded

_BY_HUB = "being an end of every packet of the capture"
_BY_EXCLUSION = "the other addresses being those of other nodes"


@dataclass(frozen=True, slots=True)
class NodeEvidence:
    """What one capture shows of the nodes.

    Parameters
    ----------
    name : str
        The capture's.
    ends : frozenset of str
        Addresses that take part in all its tunnel packets; empty if it holds none.
    talks : frozenset
        The two ends of each of its tunnel packets, as a frozenset of addresses.
    """

    name: str
    ends: frozenset[str]
    talks: frozenset[frozenset[str]]


def sight(source: Source, decoded: Decoded) -> NodeEvidence:
    """Examine one capture alone."""
    facts = capture_facts(source, decoded)
    place = points.places([(facts, decoded)])[0]
    if not place.encapsulated:
        return NodeEvidence(facts.name, frozenset(), frozenset())
    book = address_book.number([decoded])
    sides = points.sides(place, decoded, book)
    ends = addresses.marked(sides) or addresses.hubs(sides)
    seen = (
        (sides.packets > 0) & (sides.src != address_book.NO_ADDRESS) & (sides.dst != address_book.NO_ADDRESS)
    )
    both = np.unique(np.column_stack([sides.src[seen], sides.dst[seen]]), axis=0)
    talks = frozenset(frozenset(book.texts[end] for end in ends_) for ends_ in both.tolist())
    return NodeEvidence(facts.name, frozenset(book.texts[end] for end in ends), talks)


def homes(observed: Sequence[NodeEvidence], cluster: Cluster) -> dict[str, frozenset[str]]:
    """Give the addresses of each node, by capture; without those that cannot be determined."""
    named = {node.name: frozenset(node.addresses) for node in cluster.nodes if node.addresses}
    found = {s.name: named.get(s.name) or s.ends for s in observed if s.name in named or len(s.ends) == 1}
    while True:
        taken = frozenset[str]().union(*found.values())
        rest = {s.name: s.ends - taken for s in observed if s.name not in found}
        sure = {name: ends for name, ends in rest.items() if len(ends) == 1}
        if not sure:
            break
        found.update(list(sure.items())[:1])
    nobodys = frozenset[str]().union(*(pair for s in observed for pair in s.talks)) - taken
    if len(rest) == len(nobodys) == 1:
        found.update(dict.fromkeys(rest, nobodys))
    return found


def concerned(
    observed: Sequence[NodeEvidence], homes_: Mapping[str, frozenset[str]]
) -> list[tuple[int, int]]:
    """Give the pairs of captures, by number, whose nodes sent each other anything, or may have."""
    seen = frozenset[frozenset[str]]().union(*(s.talks for s in observed))

    def talk(a: NodeEvidence, b: NodeEvidence) -> bool:
        if a.name not in homes_ or b.name not in homes_:
            return True
        return any(frozenset((x, y)) in seen for x in homes_[a.name] for y in homes_[b.name])

    return [(i, j) for (i, a), (j, b) in combinations(enumerate(observed), 2) if talk(a, b)]


def with_homes(
    cluster: Cluster, observed: Sequence[NodeEvidence], homes_: Mapping[str, frozenset[str]]
) -> Cluster:
    """Give the cluster with the addresses of its nodes, where the captures reveal them."""
    known = {node.name: node for node in cluster.nodes}
    for s in observed:
        node = known.get(s.name, Node(s.name))
        if s.name in homes_ and not node.addresses:
            by = _BY_HUB if s.ends == homes_[s.name] else _BY_EXCLUSION
            known[s.name] = replace(node, addresses=tuple(sorted(homes_[s.name])), addresses_by=by)
    return replace(cluster, nodes=tuple(known.values()))
