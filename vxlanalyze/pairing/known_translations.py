"""What the cluster's own tables say about translation: tracked connections, and the services' backends.

A connection tracking entry names both 5-tuples of a conversation, which settles which flow is which. A
service's backends limit where a flow to its address may go; a match by content that contradicts them must be
certain, since a table may have been saved after it changed.

Sources: conntrack(8); `cilium-dbg bpf nat list`; ipvsadm(8); Kubernetes API, EndpointSlice.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vxlanalyze.kubernetes.model import Cluster, address_text, parse_endpoint
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import Flows
from vxlanalyze.wire.protocols import SCTP, TCP, UDP

_WAYS = ("dst", "src")
_PROTOCOLS = {"tcp": TCP, "udp": UDP, "sctp": SCTP}


class Endpoint(NamedTuple):
    """An address and a port."""

    address: str
    port: int


class FiveTuple(NamedTuple):
    """A 5-tuple."""

    protocol: int
    src: Endpoint
    dst: Endpoint

    def reverse(self) -> "FiveTuple":
        """Give the 5-tuple of the answers."""
        return FiveTuple(self.protocol, self.dst, self.src)


@dataclass(frozen=True)
class KnownTranslations:
    """Tracked connections, either tuple by the other, and backends by service."""

    connections: Mapping[FiveTuple, FiveTuple]
    backends: Mapping[Endpoint, frozenset[Endpoint]]

    def __bool__(self) -> bool:
        return bool(self.connections or self.backends)


NOTHING_KNOWN = KnownTranslations({}, {})


def of(cluster: Cluster) -> KnownTranslations:
    """Gather what a cluster's files say; empty where none were given."""
    if not cluster.facts and not cluster.services:
        return NOTHING_KNOWN
    connections: dict[FiveTuple, FiveTuple] = {}
    for fact in cluster.facts_of("connections"):
        for row in fact.rows:
            for original, translated in _tuples(row):
                connections.setdefault(original, translated)
                connections.setdefault(translated, original)
    backends = {
        Endpoint(address, port): frozenset(Endpoint(*b) for b in map(parse_endpoint, service.backends) if b)
        for service in cluster.services
        for address in service.addresses
        for _, port in service.ports
    }
    return KnownTranslations(connections, backends)


def _tuples(row: Mapping[str, str]) -> Iterator[tuple[FiveTuple, FiveTuple]]:
    """Give both tuples of a tracked connection, and those of its answers, where they differ."""
    protocol = _PROTOCOLS.get(row.get("protocol", ""))
    parts = [_endpoint(row, prefix + end) for prefix in ("", "reply_") for end in ("src", "dst")]
    if protocol is None or None in parts:
        return
    src, dst, reply_src, reply_dst = (part for part in parts if part is not None)
    original, translated = FiveTuple(protocol, src, dst), FiveTuple(protocol, reply_dst, reply_src)
    if original != translated:
        yield original, translated
        yield original.reverse(), translated.reverse()


def _endpoint(row: Mapping[str, str], end: str) -> Endpoint | None:
    port = row.get(end.replace("src", "sport").replace("dst", "dport"), "")
    address = address_text(row.get(end))
    return Endpoint(address, int(port)) if address is not None and port.isdecimal() else None


@dataclass(frozen=True)
class Between:
    """What is known about the flows of two observation points, which are given by number.

    `at` counts the far ones by their source and by their destination.
    """

    known: KnownTranslations
    near: Mapping[int, FiveTuple]
    far: Mapping[int, FiveTuple]
    at: Mapping[tuple[str, Endpoint], int]

    @classmethod
    def of(cls, known: KnownTranslations, *sites: tuple[Flows, Mapping[int, int]]) -> "Between":
        """Take the 5-tuples of flows, given as rows by number."""
        if not known:
            return cls(known, {}, {}, {})
        near, far = (dict(zip(rows, _ends(flows, rows), strict=True)) for flows, rows in sites)
        return cls.named(known, near, far)

    @classmethod
    def named(
        cls, known: KnownTranslations, near: Mapping[int, FiveTuple], far: Mapping[int, FiveTuple]
    ) -> "Between":
        """Take 5-tuples by number."""
        return cls(known, near, far, Counter((end, getattr(e, end)) for e in far.values() for end in _WAYS))

    def tracked(self) -> dict[int, int]:
        """Give the pairs that connection tracking names."""
        by_ends = {ends: number for number, ends in self.far.items()} if self.known.connections else {}
        other = ((n, self.known.connections.get(ends)) for n, ends in self.near.items())
        return {n: by_ends[ends] for n, ends in other if ends is not None and ends in by_ends}

    def bits(self, mine: int, theirs: int, against: float) -> float:
        """Weigh what services say about a pair: more if few backends fit; `against` if it does not fit."""
        if not self.known.backends:
            return 0.0
        near, far = self.near[mine], self.far[theirs]
        for end in _WAYS:
            backends = self.known.backends.get(getattr(near, end))
            if backends and getattr(far, end) in backends:
                fitting = sum(self.at.get((end, backend), 0) for backend in backends)
                return float(np.log2(len(self.far) / max(fitting, 1)))
            if backends:
                return against
        return 0.0


def _ends(flows: Flows, numbered: Mapping[int, int]) -> list[FiveTuple]:
    """Give the 5-tuples of some flows."""
    rows = np.fromiter(numbered.values(), np.int64, len(numbered))
    src, dst = (text(a[rows], flows.family[rows]) for a in (flows.src, flows.dst))
    ports = zip(flows.sport[rows].tolist(), flows.dport[rows].tolist(), strict=True)
    return [
        FiveTuple(protocol, Endpoint(a, sport), Endpoint(b, dport))
        for protocol, a, b, (sport, dport) in zip(flows.protocol[rows].tolist(), src, dst, ports, strict=True)
    ]
