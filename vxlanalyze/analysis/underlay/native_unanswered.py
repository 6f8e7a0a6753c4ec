"""Requests that pass both nodes' network cards without a tunnel and are never answered.

Their ends are not the nodes themselves: they are pods according to the tunnel or the cluster's files, or are
in networks of which neither card is a member, although each frame goes directly from one card to the other.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.underlay import pod_addresses
from vxlanalyze.analysis.underlay.pod_addresses import PodAddresses, native_flows
from vxlanalyze.pairing import tuples
from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.pairing.numbered import NO_TUPLE
from vxlanalyze.pairing.rows import rows_of
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import Flows
from vxlanalyze.wire.numbers import ACK, DNS_PORT, ECHO_REQUESTS
from vxlanalyze.wire.protocols import TCP, UDP


class Unanswered(NamedTuple):
    """Flows of `point` that its node sends to `other` without a tunnel and that arrive but get no answer."""

    point: Point
    other: Point
    flows: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Card:
    point: Point
    native: NDArray[np.int64]
    tuple_of: NDArray[np.int32]
    shown: NDArray[np.int32]  # tuples, with a tunnel or without
    macs: NDArray[np.uint64]  # the node's own


@once
def find(pair: Comparison) -> tuple[Unanswered, ...]:
    """Find them for every two captures of different nodes' network cards."""
    points = list({p.capture: p for p in reversed(pair.points) if p.encapsulated and p.addresses}.values())
    if len(points) < 2 or not all(len(native_flows(p)) for p in points):
        return ()
    numbered = tuples.at(points)
    cards = [_card(p, of_flow) for p, of_flow in zip(points, numbered.of_flow, strict=True)]
    shown = np.concatenate([card.shown for card in cards])
    answered = (numbered.answer != NO_TUPLE) & np.isin(numbered.answer, shown)
    pods = pod_addresses.of(pair)
    found = [_between(here, there, answered, pods) for here in cards for there in cards if here is not there]
    return tuple(f for f in found if len(f.flows))


def _card(point: Point, tuple_of: NDArray[np.int32]) -> _Card:
    shown = np.unique(tuple_of[np.flatnonzero(point.decoded.usage.used)])
    return _Card(point, native_flows(point), tuple_of, shown, macs_of(point))


def macs_of(point: Point) -> NDArray[np.uint64]:
    """MACs from which a card's node sends its tunnel packets."""
    flows, used = point.flows, point.decoded.usage.used
    own = pod_addresses.among(flows.outer_src, flows.outer_family, set(point.addresses)) & used
    return np.setdiff1d(flows.outer_src_mac[own], [0])


def _between(here: _Card, there: _Card, answered: NDArray[np.bool_], pods: PodAddresses) -> Unanswered:
    flows, native = here.point.flows, here.native
    direct = np.isin(flows.outer_src_mac[native], here.macs)
    direct &= np.isin(flows.outer_dst_mac[native], there.macs)
    arrived = np.isin(here.tuple_of[native], there.tuple_of[there.native])
    native = native[direct & arrived & ~answered[here.tuple_of[native]]]
    native = native[requests_of(here.point, native)]
    if len(native):
        native = native[_beyond(flows, native, pods)]
    return Unanswered(here.point, there.point, native)


def requests_of(point: Point, native: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Flows of requests that show that no answer came: TCP that acknowledges nothing, DNS, echoes."""
    flows, index = point.flows, point.index
    mask = np.zeros(len(flows), np.bool_)
    mask[native] = True
    rows = rows_of(index.flow, mask)
    answering = np.zeros(len(flows), np.bool_)
    answering[index.flow[rows[index.tcp_flags[rows] & ACK > 0]]] = True
    protocol, sport, dport = flows.protocol[native], flows.sport[native], flows.dport[native]
    is_request = (protocol == TCP) & ~answering[native] | (protocol == UDP) & (dport == DNS_PORT)
    for kind, echo in ECHO_REQUESTS.items():
        is_request |= (protocol == kind) & (sport == echo)
    return is_request


def _beyond(flows: Flows, native: NDArray[np.int64], pods: PodAddresses) -> NDArray[np.bool_]:
    """Flows with no node as an end, where one end is a pod or both are in different networks."""
    names, code = distinct(np.column_stack([flows.family, flows.src, flows.dst])[native])
    ends = zip(text(names[:, 1:17], names[:, 0]), text(names[:, 17:], names[:, 0]), strict=True)
    return np.array([_are_beyond(src, dst, pods) for src, dst in ends], np.bool_)[code]


def _are_beyond(src: str, dst: str, pods: PodAddresses) -> bool:
    if pods.nodes & {src, dst} or pods.outside & {src, dst}:
        return False
    networks = pod_addresses.network_of(src), pod_addresses.network_of(dst)
    return pods.is_pod(src) or pods.is_pod(dst) or networks[0] != networks[1]
