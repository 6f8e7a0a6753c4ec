"""Detect tables of a different cluster: none of their addresses occurs in the captures.

With old captures and today's tables, or the wrong folder, the report would show wrong names and causes. Such
tables are named in the report, but not used. A table with only a few addresses, or with a network that
contains a captured address, counts as belonging to the captures.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_network

import numpy as np

from vxlanalyze.kubernetes.model import Cluster, Fact
from vxlanalyze.wire.model import Decoded

_Network = IPv4Network | IPv6Network
_FEWEST = 3  # addresses needed before their absence is significant
_MOST_ROWS = 5_000  # of a table: a node's routes and neighbours, and enough connections
_FLOWS_AT_ONCE = 20_000
_ADDRESS = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]{1,4}:[0-9a-fA-F:]{2,38})(?:/\d{1,3})?"
)
_EVERYWHERE = frozenset(
    map(
        ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7"),
    )
)
_SHORTEST_PREFIX = {4: 9, 6: 17}  # shorter ones hold half of the world
_OTHER = "other-cluster"


def left_out(cluster: Cluster, decoded: Sequence[Decoded], names: Sequence[str]) -> Cluster:
    """Give a cluster without data of a different one, whose files are only listed among the facts."""
    if not (cluster.nodes or cluster.pods or cluster.services or cluster.facts):
        return cluster
    groups = {name: [f for f in cluster.facts if f.capture == name] for name in names}
    others = [name for name, facts in groups.items() if _occur(_in_facts(facts), decoded) is False]
    facts = tuple(f for f in cluster.facts if f.capture not in others)
    facts += tuple(_named(groups[name]) for name in others)
    unused = {f.path for name in others for f in groups[name]}
    known = replace(cluster, facts=facts, sources=tuple(p for p in cluster.sources if p not in unused))
    if _occur(_in_cluster(cluster), decoded) is not False:
        return known
    whole = [p for p in cluster.sources if p not in {f.path for f in cluster.facts}]
    files = tuple(Fact("", _OTHER, path) for path in whole)
    return replace(known, nodes=(), pods=(), services=(), routes=(), sources=(), facts=facts + files)


def _named(facts: Sequence[Fact]) -> Fact:
    """The name of unused tables: their folder."""
    paths = list(dict.fromkeys(f.path for f in facts))
    path = paths[0] if len(paths) == 1 else os.path.commonpath(paths) or paths[0]
    return Fact(facts[0].capture, _OTHER, path)


def _in_cluster(cluster: Cluster) -> Iterator[str]:
    for node in cluster.nodes:
        yield from (*node.addresses, *node.pod_networks)
    for pod in cluster.pods:
        yield from pod.addresses
    for service in cluster.services:
        yield from service.addresses
    for route in cluster.routes:
        yield from (route.network, route.endpoint)


def _in_facts(facts: Iterable[Fact]) -> Iterator[str]:
    for fact in facts:
        for row in fact.rows[:_MOST_ROWS]:
            words = " ".join(value for key, value in row.items() if key not in ("text", "line", "why"))
            yield from (match[0] for match in _ADDRESS.finditer(words))


def _occur(written: Iterable[str], decoded: Sequence[Decoded]) -> bool | None:
    """Whether one of the addresses or networks occurs in the captures; None if too few are known."""
    networks = {n for n in map(_network, dict.fromkeys(written)) if n is not None}
    single = [n for n in networks if n.prefixlen == n.max_prefixlen]
    if len(single) < _FEWEST:
        return None
    lengths = {(n.version, n.prefixlen) for n in networks}
    known = {
        (n.version, n.prefixlen, _begin(int(n.network_address), n.max_prefixlen, n.prefixlen))
        for n in networks
    }
    seen = False
    for version, number in _captured(decoded):
        seen = True
        bits = 32 if version == 4 else 128
        for of_version, length in lengths:
            if of_version == version and (version, length, _begin(number, bits, length)) in known:
                return True
    return False if seen else None


def _begin(number: int, bits: int, length: int) -> int:
    return number >> (bits - length)


def _network(text: str) -> _Network | None:
    """A distinctive network: neither a common one nor half of the address space."""
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        return None
    own = found.network_address
    if own.is_unspecified or own.is_loopback or own.is_link_local or own.is_multicast:
        return None
    return None if found in _EVERYWHERE or found.prefixlen < _SHORTEST_PREFIX[found.version] else found


def _captured(decoded: Sequence[Decoded]) -> Iterator[tuple[int, int]]:
    """Version and number of each address in the captures, possibly repeated."""
    for capture in decoded:
        flows = capture.flows
        for start in range(0, len(flows.family), _FLOWS_AT_ONCE):
            part = slice(start, start + _FLOWS_AT_ONCE)
            for addresses, family in (
                (flows.outer_src, flows.outer_family),
                (flows.outer_dst, flows.outer_family),
                (flows.src, flows.family),
                (flows.dst, flows.family),
            ):
                rows = np.unique(np.column_stack([addresses[part], family[part]]), axis=0)
                for row in rows[rows[:, 16] > 0]:
                    size = 4 if row[16] == 4 else 16
                    yield (4 if size == 4 else 6), int.from_bytes(row[:size].tobytes(), "big")
