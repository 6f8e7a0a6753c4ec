"""Requests of a node's pods that leave its network card without a tunnel and that nothing answers.

One capture suffices: what is never answered there has either gone to a device that does not deliver it, or
the answers are lost. Whether a destination should have been encapsulated is known where it is a pod's
address, and no other address of its network is reached without a tunnel.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.underlay import native_unanswered, pod_addresses
from vxlanalyze.analysis.underlay.pod_addresses import PodAddresses, native_flows
from vxlanalyze.pairing import tuples
from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.pairing.numbered import NO_TUPLE
from vxlanalyze.pairing.rows import rows_of
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.protocols import ICMP, ICMPV6, TCP, UDP

_KINDS = {ICMP: "icmp", ICMPV6: "icmp", TCP: "tcp", UDP: "dns"}


class Left(NamedTuple):
    """Flows of unanswered requests that leave the node of `point`.

    `to_pods` marks those to pods elsewhere that no other capture shows arriving.
    """

    point: Point
    flows: NDArray[np.int64]
    to_pods: NDArray[np.bool_]


@once
def find(pair: Comparison) -> tuple[Left, ...]:
    """Find them in every capture of a node's network card."""
    points = list({p.capture: p for p in reversed(pair.points) if p.encapsulated and p.addresses}.values())
    if not any(len(native_flows(p)) for p in points):
        return ()
    numbered = tuples.at(points)
    used = [of[p.decoded.usage.used] for p, of in zip(points, numbered.of_flow, strict=True)]
    answered = (numbered.answer != NO_TUPLE) & np.isin(numbered.answer, np.concatenate(used))
    pods = pod_addresses.of(pair)
    found = []
    for number, point in enumerate(points):
        of = numbered.of_flow[number]
        others = np.concatenate([of[:0], *(shown for n, shown in enumerate(used) if n != number)])
        left = _of_card(point, answered[of], pods)
        found.append(left._replace(to_pods=left.to_pods & ~np.isin(of[left.flows], others)))
    return tuple(f for f in found if len(f.flows))


class Silent(NamedTuple):
    """Unanswered requests of one client to one server (with its port, 0 for echo) that left so."""

    protocol: str
    client: str
    server: str
    port: int
    requests: int


def silent(pair: Comparison) -> list[Silent]:
    """Count the requests by client and server, each transmission for itself."""
    found = []
    for left in find(pair):
        flows, index = left.point.flows, left.point.index
        mask = np.zeros(len(flows), np.bool_)
        mask[left.flows] = True
        packets = np.bincount(index.flow[rows_of(index.flow, mask)], minlength=len(flows))[left.flows]
        ported = np.isin(flows.protocol[left.flows], (TCP, UDP))
        ports = np.where(ported, flows.dport[left.flows], 0).astype(np.uint16)
        ends = (flows.family, flows.src, flows.dst, flows.protocol)
        columns = [column[left.flows] for column in ends]
        names, of = distinct(np.column_stack([*columns, ports[:, None].view(np.uint8)]))
        counts = np.bincount(of, packets, len(names)).astype(int).tolist()
        clients, servers = (text(names[:, a : a + 16], names[:, 0]) for a in (1, 17))
        last = np.ascontiguousarray(names[:, 34:36]).view(np.uint16)[:, 0].tolist()
        kinds = [_KINDS[protocol] for protocol in names[:, 33].tolist()]
        found += [Silent(*row) for row in zip(kinds, clients, servers, last, counts, strict=True)]
    return sorted(found)


def _of_card(point: Point, answered: NDArray[np.bool_], pods: PodAddresses) -> Left:
    flows, native = point.flows, native_flows(point)
    leaving = native[np.isin(flows.outer_src_mac[native], native_unanswered.macs_of(point))]
    leaving = leaving[native_unanswered.requests_of(point, leaving)]
    open_ = leaving[~answered[leaving]]
    family = flows.family[open_]
    open_ = open_[
        pod_addresses.among(flows.src[open_], family, pods.is_pod)
        & ~pod_addresses.among(flows.dst[open_], family, pods.nodes)
    ]
    reached = _networks_of(point, native[answered[native]])
    own = set(point.addresses)

    def elsewhere(address: str) -> bool:
        known = pods.is_pod(address) and own.isdisjoint(pods.nodes_of(address))
        return known and pod_addresses.network_of(address) not in reached

    return Left(point, open_, pod_addresses.among(flows.dst[open_], flows.family[open_], elsewhere))


def _networks_of(point: Point, chosen: NDArray[np.int64]) -> set[bytes]:
    """Networks that answer without a tunnel: traffic to them is routed natively."""
    flows = point.flows
    names, _ = distinct(np.column_stack([flows.family, flows.dst])[chosen])
    return {pod_addresses.network_of(a) for a in text(names[:, 1:], names[:, 0])}
