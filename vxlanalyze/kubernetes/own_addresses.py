"""A node's addresses, MACs and devices according to its own tables: ``ip addr``, ``ip link``, ``ip route``.

Sources: ip-address(8), ip-link(8); ip-route(8) on routes of type local and on the preferred source.
"""

from collections.abc import Iterator
from ipaddress import ip_address

from vxlanalyze.kubernetes.citing import file_of, place
from vxlanalyze.kubernetes.hosts.model import number_in
from vxlanalyze.kubernetes.model import Cluster, address_text


def addresses(cluster: Cluster, capture: str) -> dict[str, str]:
    """Addresses of the node, each with the file and line that lists it; none of loopback or link."""
    found: dict[str, str] = {}
    for text, where in _listed(cluster, capture):
        address = address_text(text)
        if address is not None and not _is_everywhere(address):
            found.setdefault(address, where)
    return found


def macs(cluster: Cluster, capture: str) -> dict[str, str]:
    """MACs of the node's devices, each with the file and line that lists it."""
    return {row["mac"]: where for row, where in _rows(cluster, capture, "devices") if row.get("mac")}


def devices(cluster: Cluster, capture: str) -> dict[int, str]:
    """Names of the node's devices by their index."""
    rows = (row for row, _ in _rows(cluster, capture, "devices"))
    return {number_in(row, "index"): row["name"] for row in rows if number_in(row, "index")}


def _listed(cluster: Cluster, capture: str) -> Iterator[tuple[str, str]]:
    for row, where in _rows(cluster, capture, "devices"):
        yield from ((text, where) for text in row.get("addresses", "").split())
    for row, where in _rows(cluster, capture, "routes"):
        if row.get("kind") == "local" and "/" not in row["to"]:
            yield row["to"], where
        elif row.get("kind") == "unicast" and row.get("src"):
            yield row["src"], where


def _rows(cluster: Cluster, capture: str, kind: str) -> Iterator[tuple[dict[str, str], str]]:
    for fact in cluster.facts_of(kind, capture):
        yield from ((row, place(file_of(fact), row.get("line", ""))) for row in fact.rows)


def _is_everywhere(address: str) -> bool:
    parsed = ip_address(address)
    return parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified or parsed.is_multicast
