"""Traffic between pods that leaves a node without a tunnel and never reaches the other captured node.

Answers count if the other node sent their requests without a tunnel, too, as do requests to pods on the other
node. Working native routing appears in both captures and does not count. Answers to what came through the
tunnel count where the client shows that it gets none: it acknowledges nothing. So it does not matter whether
the other capture would show them.
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
from vxlanalyze.pairing.sorting import present
from vxlanalyze.wire.model import Tunnel
from vxlanalyze.wire.numbers import ACK, RST
from vxlanalyze.wire.protocols import ICMP, ICMPV6, SCTP, TCP, UDP

_OF_PODS = (ICMP, TCP, UDP, ICMPV6, SCTP)


class Unseen(NamedTuple):
    """Flows of `point` that left its node without a tunnel and are missing from `other`, their destination.

    `answers` marks those that answer a request of `other`, and `to_tunnel` those whose requests came through
    the tunnel.
    """

    point: Point
    other: Point
    flows: NDArray[np.int64]
    answers: NDArray[np.bool_]
    to_tunnel: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _View:
    """What one capture shows, by 5-tuple number."""

    point: Point
    native: NDArray[np.int64]  # flows
    tunnelled: NDArray[np.int64]  # all other flows
    tuple_of: NDArray[np.int32]
    shown: NDArray[np.int32]  # tuples, with a tunnel or without

    @property
    def native_tuples(self) -> NDArray[np.int32]:
        return self.tuple_of[self.native]


@once
def unseen(pair: Comparison) -> tuple[Unseen, ...]:
    """Find them for every two captures of different nodes' network cards."""
    cards = list({p.capture: p for p in reversed(pair.points) if p.encapsulated and p.addresses}.values())
    if len(cards) < 2:
        return ()
    numbered = tuples.at(cards)
    views = [_view(p, of_flow) for p, of_flow in zip(cards, numbered.of_flow, strict=True)]
    pods = pod_addresses.of(pair)
    found = [
        _between(here, there, numbered.answer, pods)
        for here in views
        for there in views
        if here is not there and len(here.native)
    ]
    return tuple(f for f in found if len(f.flows))


def _shows_native(point: Point) -> bool:
    """Whether a capture was not filtered for the tunnel: it has other frames, if only ARP."""
    used = np.flatnonzero(point.decoded.usage.used)
    return bool((point.flows.tunnel[used] == Tunnel.NONE).any())


def _view(point: Point, tuple_of: NDArray[np.int32]) -> _View:
    used = np.flatnonzero(point.decoded.usage.used)
    native = native_flows(point)
    return _View(point, native, np.setdiff1d(used, native), tuple_of, present(tuple_of[used]))


def _between(here: _View, there: _View, answer: NDArray[np.int32], pods: PodAddresses) -> Unseen:
    native = _lacking(here, there, pods)
    back = answer[here.tuple_of[native]]
    ignored = _ignored(here, there, native, back, pods)
    both = np.zeros(len(native), np.bool_)
    wanted = ignored
    if _shows_native(there.point):
        both = (back != NO_TUPLE) & np.isin(back, here.native_tuples) & np.isin(back, there.native_tuples)
        answered = (back != NO_TUPLE) & np.isin(back, here.shown)
        wanted = ignored | both | (_to_its_pods(here.point, there.point, native, pods) & ~answered)
    return Unseen(here.point, there.point, native[wanted], (both | ignored)[wanted], ignored[wanted])


def _ignored(
    here: _View, there: _View, native: NDArray[np.int64], back: NDArray[np.int32], pods: PodAddresses
) -> NDArray[np.bool_]:
    """TCP to pods of the other node that opened connections through the tunnel and acknowledge nothing."""
    flows, index, tuple_of = here.point.flows, here.point.index, here.tuple_of
    asked = (back != NO_TUPLE) & (flows.protocol[native] == TCP)
    asked &= np.isin(back, tuple_of[here.tunnelled])
    if not asked.any():
        return asked
    far = set(there.point.addresses)
    asked &= pod_addresses.among(
        flows.dst[native], flows.family[native], lambda a: not far.isdisjoint(pods.nodes_of(a))
    )
    requests = np.zeros(len(flows), np.bool_)
    requests[np.isin(tuple_of, back[asked])] = True
    rows = rows_of(index.flow, requests)
    reacting = tuple_of[index.flow[rows[index.tcp_flags[rows] & (ACK | RST) > 0]]]
    return asked & ~np.isin(back, reacting)


def _lacking(here: _View, there: _View, pods: PodAddresses) -> NDArray[np.int64]:
    """Flows only without a tunnel in one capture, absent from the other, and not to or from a node."""
    flows, tuple_of = here.point.flows, here.tuple_of
    elsewhere = np.union1d(there.shown, tuple_of[here.tunnelled])
    native = here.native[~np.isin(here.native_tuples, elsewhere)]
    native = native[np.isin(flows.protocol[native], _OF_PODS)]
    at_node = np.zeros(len(native), np.bool_)
    for address in (flows.src, flows.dst):
        at_node |= pod_addresses.among(address[native], flows.family[native], pods.nodes)
    return native[~at_node]


def _to_its_pods(
    here: Point, there: Point, native: NDArray[np.int64], pods: PodAddresses
) -> NDArray[np.bool_]:
    """Flows from a pod that is not on the other node to a pod that is."""
    far = set(there.addresses)
    family = here.flows.family[native]

    def on_it(address: str) -> bool:
        return pods.is_pod(address) and not far.isdisjoint(pods.nodes_of(address))

    def not_on_it(address: str) -> bool:
        return pods.is_pod(address) and far.isdisjoint(pods.nodes_of(address))

    to = pod_addresses.among(here.flows.dst[native], family, on_it)
    by = pod_addresses.among(here.flows.src[native], family, not_on_it)
    return to & by
