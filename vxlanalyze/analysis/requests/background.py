"""Intended refusals: the probes of traceroute and of port scanners.

Sources: traceroute(8) (UDP probes go to ports from 33434 on, one port per probe); Nmap reference guide, "Port
Scanning Basics" (closed ports answer with a reset or port unreachable).
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

_TRACEROUTE_PORTS = range(33434, 33690)
_FEWEST_SCANNED = 8  # ports of one server, each tried a few times, before it counts as a scan
_MOST_TIMES = 3  # probes per hop, or per port


class RefusedPort(NamedTuple):
    """Requests of one client to one port of a server."""

    protocol: str
    client: str
    server: str
    port: int
    requests: int
    answered: int


def probes(refused: Iterable[RefusedPort]) -> dict[tuple[str, str], str]:
    """Find clients that only probe servers; gives a description by (client, server)."""
    by_ends: dict[tuple[str, str], list[RefusedPort]] = defaultdict(list)
    for entry in refused:
        by_ends[entry.client, entry.server].append(entry)
    found = {}
    for ends, entries in by_ends.items():
        ports = {e.port for e in entries}
        if any(e.answered or e.requests > _MOST_TIMES for e in entries):
            continue
        traced = all(e.protocol == "udp" and e.port in _TRACEROUTE_PORTS for e in entries)
        if traced:  # a pod's interface may show the last probe alone
            found[ends] = "traceroute"
        elif len(ports) >= _FEWEST_SCANNED:
            found[ends] = "port scan"
    return found
