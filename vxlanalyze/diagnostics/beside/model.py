"""What a fact says of a finding, and the packets that facts are held against."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from vxlanalyze.analysis.finding import Finding
from vxlanalyze.analysis.underlay import underlay
from vxlanalyze.kubernetes.hosts.firewall import Packet
from vxlanalyze.kubernetes.model import Fact
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.pairing.sorting import present
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import Tunnel

_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp", 132: "sctp"}
_MOST_FLOWS = 50


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence that a fact adds to a finding.

    Parameters
    ----------
    cause : bool
        Whether it shows the cause; else it is a note.
    remedy : str
        What mends it, with commands on lines of their own; "" for a note.
    place : str
        File and line.
    """

    sentence: str
    cause: bool
    place: str
    remedy: str = ""


def place(path: str, line: str) -> str:
    """Write file and line as people say them."""
    return f"{PurePath(path).name}, line {line}"


def facts(pair: Comparison, point: Point, kind: str) -> tuple[Fact, ...]:
    """The facts of a kind that were saved beside a point's capture."""
    return pair.cluster.facts_of(kind, pair.captures[point.capture].name)


def outer(pair: Comparison, direction: Direction) -> list[Packet]:
    """The tunnel's packets of a direction, one for each pair of addresses and port."""
    below = underlay.of(direction, pair.cluster)
    if below.tunnel == Tunnel.NONE or not below.ports:
        return []
    ends = [(a, b) for a in below.src[:4] for b in below.dst[:4] if (":" in a) == (":" in b)]
    return [Packet(a, b, "udp", port) for a, b in ends for port in below.ports[:4]]


def inner(pair: Comparison, direction: Direction, finding: Finding) -> list[Packet]:
    """The inner packets that a finding shows, one for each flow."""
    sender = direction.sender
    numbers = finding.frames.get(pair.captures[sender.capture].name)
    rows = present(direction.sent_row)
    if numbers is not None and len(rows):
        rows = rows[np.isin(sender.frame(rows), numbers)]
    flows = sender.flows
    chosen = np.unique(sender.index.flow[rows])[:_MOST_FLOWS]
    chosen = chosen[flows.family[chosen] > 0]
    return _packets(
        text(flows.src[chosen], flows.family[chosen]),
        text(flows.dst[chosen], flows.family[chosen]),
        flows.protocol[chosen].tolist(),
        flows.dport[chosen].tolist(),
    )


def _packets(
    sources: Sequence[str], destinations: Sequence[str], protocols: Sequence[int], ports: Sequence[int]
) -> list[Packet]:
    rows = zip(sources, destinations, protocols, ports, strict=True)
    found = [
        Packet(s, d, _PROTOCOLS.get(p, str(p)), port if p in (6, 17, 132) else 0) for s, d, p, port in rows
    ]
    return list(dict.fromkeys(found))
