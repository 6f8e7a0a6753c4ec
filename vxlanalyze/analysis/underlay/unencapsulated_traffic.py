"""Unencapsulated packets that should be in a tunnel, in captures of cards or of a pod.

Sources: RFC 7348 section 4.1 (what a tunnel end encapsulates); RFC 4291 sections 2.5.6 and 2.7, RFC 3927
section 2.1, RFC 1112 section 4 (addresses that never leave a link or do not identify a host).
"""

import ipaddress
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests import silence
from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.pairing.sorting import present
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import Tunnel


class Stuck(NamedTuple):
    """Packets to one destination that stay on this side of the tunnel."""

    address: str
    lives: str
    rows: NDArray[np.int32]


def out_of_a_pod(pair: Comparison, pod: Point, chance: float) -> Iterator[Stuck]:
    """Packets of a pod to destinations that never send, where no capture shows any tunnel packet.

    The captures are in the order of the packets' path: out of the pod, through its node's card, to the other
    node. Unencapsulated packets in the other captures have left the node and do not count.
    """
    own = {a for p in pair.points if p.capture == pod.capture for a in p.addresses}
    elsewhere = [p.flows.identity for p in pair.points if p.capture != pod.capture]
    arrived = np.isin(pod.flows.identity, elsewhere[-1])  # at the last point of the path
    rows, flow = _unencapsulated(pod)
    names, of = ends(pod.flows.family[flow], pod.flows.dst[flow])
    sources = _sources_by_destination(pod, present(flow))
    answering = set().union(*sources.values())
    for i, address in enumerate(names):
        mine = of == i
        packets = int(mine.sum())
        if silence.chance(packets, packets) >= chance or arrived[flow[mine]].any():
            continue
        if (
            address not in answering
            and (sources[address] <= own or not own)
            and _may_be_a_pod(pair, address, own)
        ):
            yield Stuck(address, f"{address} was to be reached through the nodes captured", rows[mine])


def ends(family: NDArray[np.uint8], address: NDArray[np.uint8]) -> tuple[list[str], NDArray[np.intp]]:
    """Distinct addresses, and which of them each row holds."""
    names, of = distinct(np.column_stack([family, address]))
    return text(names[:, 1:], names[:, 0]), of


def _unencapsulated(point: Point) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Rows of a point that hold unencapsulated IP packets, and their flows."""
    index, flows = point.index, point.flows
    unencapsulated = (flows.tunnel == Tunnel.NONE) & (flows.family > 0) & (flows.encryption == 0)
    rows = np.arange(len(index), dtype=np.int32) if point.rows is None else point.rows
    rows = rows[np.append(unencapsulated, False)[index.flow[rows]]]  # the last for NO_FLOW
    return rows, index.flow[rows]


def _sources_by_destination(point: Point, used: NDArray[np.int32]) -> dict[str, set[str]]:
    """The sources of each inner destination, among the flows in use."""
    flows = point.flows
    pairs, _ = distinct(np.column_stack([flows.family, flows.src, flows.dst])[used])
    found: dict[str, set[str]] = {}
    to, by = text(pairs[:, 17:], pairs[:, 0]), text(pairs[:, 1:17], pairs[:, 0])
    for destination, source in zip(to, by, strict=True):
        found.setdefault(destination, set()).add(source)
    return found


def _may_be_a_pod(pair: Comparison, address: str, pods: set[str]) -> bool:
    """Whether an address can belong to a pod on another node, as far as known."""
    ip = ipaddress.ip_address(address)
    if ip.is_multicast or ip.is_link_local or ip.is_unspecified or ip == _BROADCAST:
        return False
    node = pair.cluster.node_of(address)
    if pair.cluster.nodes:
        return node is not None and node not in {pair.cluster.node_of(p) for p in pods}
    return ip.is_private or ip in _SHARED


_BROADCAST = ipaddress.ip_address("255.255.255.255")
_SHARED = ipaddress.ip_network("100.64.0.0/10")  # RFC 6598; some clusters number their pods from it
