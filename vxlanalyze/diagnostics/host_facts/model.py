"""Statements of facts about a finding, and the packets that facts are compared with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from vxlanalyze.analysis.finding import Finding
from vxlanalyze.analysis.underlay import underlay
from vxlanalyze.kubernetes.citing import file_of, place
from vxlanalyze.kubernetes.hosts.firewall import FilteredPacket
from vxlanalyze.kubernetes.model import Fact
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.pairing.sorting import present
from vxlanalyze.text.places import node_name
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import Tunnel
from vxlanalyze.wire.protocols import RULE_NAMES, WITH_PORTS

_MOST_FLOWS = 50


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence that a fact adds to a finding.

    Parameters
    ----------
    cause : bool
        Whether it shows the cause; otherwise it is a note.
    remedy : str
        What fixes it, with commands on lines of their own; "" for a note.
    place : str
        File and line.
    """

    sentence: str
    cause: bool
    place: str
    remedy: str = ""


def is_before(path: str) -> bool:
    """Whether a file was saved before the captures, by the last "before" or "after" in its path."""
    words = [w for part in PurePath(path).parts for w in ("before", "after") if w in part.lower()]
    return bool(words) and words[-1] == "before"


def missing(finding: Finding) -> int:
    """Number of packets missing according to a finding; 0 where it does not say."""
    for name in ("wrong", "unanswered_requests", "unanswered_packets", "lost", "unanswered", "dropped"):
        quantity = finding.evidence.get(name)
        if quantity is not None and isinstance(quantity.value, int | float) and quantity.value:
            return int(quantity.value)
    return 0


def accounts_for(counted: int, finding: Finding) -> bool:
    """Whether a counter matches the number of packets missing according to a finding."""
    return missing(finding) > 0 and missing(finding) <= counted <= 1.25 * missing(finding) + 2


def facts(pair: Comparison, point: Point, kind: str) -> tuple[Fact, ...]:
    """The facts of a kind that were saved with a point's capture."""
    return pair.cluster.facts_of(kind, pair.captures[point.capture].name)


def rows(pair: Comparison, point: Point, kind: str) -> Iterator[tuple[dict[str, str], str]]:
    """The rows of these facts, each with its file and line."""
    for fact in facts(pair, point, kind):
        yield from ((row, place(file_of(fact), row.get("line", ""))) for row in fact.rows)


def node_of(point: Point) -> str:
    """Name of the node that a point belongs to: node2 for ``node2/if3``."""
    return node_name(point.name)


def is_inside(direction: Direction) -> bool:
    """Whether both points of a direction are on one node."""
    return node_of(direction.sender) == node_of(direction.receiver)


def outer(pair: Comparison, direction: Direction) -> list[FilteredPacket]:
    """The tunnel packets of a direction, one for each pair of addresses and port."""
    below = underlay.of(direction, pair.cluster)
    if below.tunnel == Tunnel.NONE or not below.ports:
        return []
    ends = [(a, b) for a in below.src[:4] for b in below.dst[:4] if (":" in a) == (":" in b)]
    return [FilteredPacket(a, b, "udp", port) for a, b in ends for port in below.ports[:4]]


def returning(packets: Sequence[FilteredPacket]) -> list[FilteredPacket]:
    """The responses to packets; their own port is unknown."""
    return [FilteredPacket(p.destination, p.source, p.protocol, 0, new=False) for p in packets]


def inner(pair: Comparison, direction: Direction, finding: Finding) -> list[FilteredPacket]:
    """The inner packets that a finding shows, one for each flow."""
    sender = direction.sender
    numbers = finding.frames.get(pair.captures[sender.capture].name)
    sent = present(direction.sent_row)
    if numbers is not None and len(sent):
        sent = sent[np.isin(sender.frame(sent), numbers)]
    flows = sender.flows
    chosen = np.unique(sender.index.flow[sent])[:_MOST_FLOWS]
    chosen = chosen[flows.family[chosen] > 0]
    return _packets(
        text(flows.src[chosen], flows.family[chosen]),
        text(flows.dst[chosen], flows.family[chosen]),
        flows.protocol[chosen].tolist(),
        flows.dport[chosen].tolist(),
    )


def _packets(
    sources: Sequence[str], destinations: Sequence[str], protocols: Sequence[int], ports: Sequence[int]
) -> list[FilteredPacket]:
    flows = zip(sources, destinations, protocols, ports, strict=True)
    found = [
        FilteredPacket(s, d, RULE_NAMES.get(p, str(p)), port if p in WITH_PORTS else 0)
        for s, d, p, port in flows
    ]
    return list(dict.fromkeys(found))
