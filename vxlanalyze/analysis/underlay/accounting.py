"""Account for every frame of every capture: in a judged direction, or in a named class.

The counts of a capture's classes add up to its frames. Unclassified frames would undermine every statement of
the report, so there are none.

Sources: RFC 826 and RFC 4861 (ARP, neighbour discovery); RFC 2236, RFC 3810 (group membership); RFC 2328
(OSPF), RFC 5798 (VRRP), RFC 7761 (PIM); RFC 4271 (BGP), RFC 5880 and RFC 5881 (BFD); RFC 2131 (DHCP);
RFC 1112 section 4 and RFC 4291 section 2.7 (group addresses).
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.underlay import native, native_unanswered, pod_addresses
from vxlanalyze.pairing.model import NO_ROW, Comparison, Outcome, Point, Reason
from vxlanalyze.wire.model import NO_FLOW, Anomaly, Encryption, Flows, Tunnel
from vxlanalyze.wire.protocols import ICMP, ICMPV6, IGMP, OSPF, PIM, TCP, UDP, VRRP


class FrameClass(IntEnum):
    """Classes of frames, in the order in which they are reported."""

    JUDGED = 0
    UNKNOWN = 1
    TUNNEL = 2
    OTHER_PEER = 3
    OTHER_FAMILY = 4
    OTHER_VNI = 5
    GROUP = 6
    ENCRYPTED = 7
    UNENCAPSULATED = 8
    NOT_ARRIVED = 9
    INSIDE = 10
    CONTROL = 11
    NODE = 12
    FRAGMENT = 13
    SEEN_AGAIN = 14
    UNDECODED = 15

    @property
    def code(self) -> str:
        """Its name in JSON: ``other-peer``."""
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class Account:
    """Frames of a capture by class; classes without frames are left out."""

    capture: str
    frames: dict[FrameClass, int]


_ROUTING = (IGMP, OSPF, PIM, VRRP)
# BGP, BFD (3784, 3785, 4784), DHCP and DHCPv6, NTP, SSH to a node.
_CONTROL_PORTS = (179, 3784, 3785, 4784, 67, 68, 546, 547, 123, 22)
_NOT_YET = 255


@once
def accounts(pair: Comparison) -> tuple[Account, ...]:
    """Account for all frames of all captures, in their order."""
    return tuple(_account(pair, number) for number in range(len(pair.captures)))


def _account(pair: Comparison, capture: int) -> Account:
    facts = pair.captures[capture]
    points = [p for p in pair.points if p.capture == capture]
    point = points[0]
    place = _of_directions(pair, capture, len(point.index))
    _complete(pair, points, place)
    counts = np.bincount(place[point.index.is_frame], minlength=len(FrameClass))
    counts[FrameClass.SEEN_AGAIN] += facts.packets - int(counts.sum())
    return Account(facts.name, {kind: int(counts[kind]) for kind in FrameClass if counts[kind]})


def _of_directions(pair: Comparison, capture: int, rows: int) -> NDArray[np.uint8]:
    """Class of each row in a direction, `_NOT_YET` elsewhere; the most certain one counts."""
    place = np.full(rows, _NOT_YET, np.uint8)
    for direction in (d for hop in (*pair.hops, *pair.inside) for d in hop.directions):
        kinds = np.full(len(direction), int(FrameClass.UNKNOWN), np.uint8)
        if direction.assessed:
            kinds[direction.outcome != Outcome.UNKNOWN] = int(FrameClass.JUDGED)
        kinds[direction.reason == Reason.OTHER_PEER] = int(FrameClass.OTHER_PEER)
        if direction.sender.capture == capture:
            np.minimum.at(place, direction.sent_row, kinds)
        if direction.receiver.capture == capture:
            arrived = direction.received_row != NO_ROW
            np.minimum.at(place, direction.received_row[arrived], kinds[arrived])
            unsent = np.uint8(FrameClass.JUDGED if direction.assessed else FrameClass.UNKNOWN)
            place[direction.unsent_row] = np.minimum(place[direction.unsent_row], unsent)
    return place


def _complete(pair: Comparison, points: list[Point], place: NDArray[np.uint8]) -> None:
    """Classify the rows of no direction: by flow, or by frame if they have none."""
    point = points[0]
    index, flows = point.index, point.flows
    open_ = np.flatnonzero(place == _NOT_YET)
    if not len(open_):
        return
    flow = index.flow[open_]
    best = np.full(len(flows) + 1, _NOT_YET, np.uint8)  # the last for NO_FLOW
    np.minimum.at(best, index.flow[place != _NOT_YET], place[place != _NOT_YET])
    best[-1] = _NOT_YET
    kinds = np.append(_kinds(pair, points, best[:-1]), np.uint8(FrameClass.UNDECODED))
    copies = (best[flow] <= FrameClass.UNKNOWN) & (flow != NO_FLOW)
    place[open_] = np.where(copies, best[flow], kinds[flow])
    place[open_[(index.anomalies[open_] & np.uint32(Anomaly.LATER_FRAGMENT)) != 0]] = FrameClass.FRAGMENT
    _with_their_first(point, place)


def _with_their_first(point: Point, place: NDArray[np.uint8]) -> None:
    """Give later fragments the class of their datagram, where its first fragment is present."""
    fragments = point.decoded.fragments
    if not len(fragments):
        return
    rows = fragments.row if point.decoded.frame is None else point.decoded.row(fragments.row + 1)
    heads = np.flatnonzero(fragments.offset_bytes == 0)
    of_group = np.full(int(fragments.group.max()) + 1, np.uint8(FrameClass.FRAGMENT))
    inside = rows < len(place)
    heads = heads[inside[heads]]
    of_group[fragments.group[heads]] = place[rows[heads]]
    later = np.flatnonzero((fragments.offset_bytes != 0) & inside)
    place[rows[later]] = of_group[fragments.group[later]]


def _kinds(pair: Comparison, points: list[Point], best: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Class of each flow on its own; if several fit, the later one counts."""
    point = points[0]
    flows = point.flows
    judged = best == FrameClass.JUDGED
    kind = np.full(len(flows), int(FrameClass.NODE), np.uint8)
    tunnel = (flows.tunnel != Tunnel.NONE) & (flows.outer_family > 0)
    pods = pod_addresses.of(pair)
    of_pod = ~tunnel & (flows.family > 0) & pods.any_end(flows)
    kind[of_pod] = FrameClass.INSIDE if _shows_inside(pair, points) else FrameClass.UNENCAPSULATED
    kind[_is_control(flows) & ~tunnel & (~of_pod | np.isin(flows.protocol, _ROUTING))] = FrameClass.CONTROL
    kind[(flows.encryption != Encryption.NONE) & ~tunnel] = FrameClass.ENCRYPTED
    for found in native.unseen(pair):
        if found.point.capture == point.capture:
            kind[found.flows] = FrameClass.NOT_ARRIVED
    for unanswered in native_unanswered.find(pair):
        identities = unanswered.point.flows.identity[unanswered.flows]
        kind[np.isin(flows.identity, identities) & ~tunnel] = FrameClass.UNENCAPSULATED
    kind[(flows.family == 0) & ~tunnel] = FrameClass.CONTROL  # ARP and other non-IP traffic
    kind[tunnel] = _tunnelled(pair, flows, tunnel, judged)[tunnel]
    return kind


def _tunnelled(
    pair: Comparison, flows: Flows, tunnel: NDArray[np.bool_], judged: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Class of tunnel flows that are in no direction."""
    kind = np.full(len(flows), int(FrameClass.TUNNEL), np.uint8)
    nodes = {a for p in pair.points if p.encapsulated for a in p.addresses}
    if pair.hops and nodes:
        between = pod_addresses.among(flows.outer_src, flows.outer_family, nodes)
        between &= pod_addresses.among(flows.outer_dst, flows.outer_family, nodes)
        kind[~between] = FrameClass.OTHER_PEER
    elif any(p.routed for p in pair.points):  # these have no tunnel to each other
        kind[:] = FrameClass.OTHER_PEER
    if (mine := tunnel & judged).any():
        junk = (kind == FrameClass.OTHER_PEER) & (flows.family == 0)  # of a scanner: no packet in the tunnel
        kind[~np.isin(flows.vni, flows.vni[mine]) & ~junk] = FrameClass.OTHER_VNI
        kind[~np.isin(flows.outer_family, flows.outer_family[mine])] = FrameClass.OTHER_FAMILY
    kind[_to_a_group(flows)] = FrameClass.GROUP
    return kind


def _to_a_group(flows: Flows) -> NDArray[np.bool_]:
    """Whether the outer destination is a multicast group or broadcast."""
    first = flows.outer_dst[:, 0]
    ipv4 = (flows.outer_family == 4) & ((first & 0xF0 == 0xE0) | (flows.outer_dst[:, :4] == 255).all(axis=1))
    return ipv4 | ((flows.outer_family == 6) & (first == 0xFF))


def _is_control(flows: Flows) -> NDArray[np.bool_]:
    """ICMP except for that of pods, neighbour discovery, routing, addresses, time, and SSH."""
    ports = np.isin(flows.protocol, (TCP, UDP)) & (
        np.isin(flows.dport, _CONTROL_PORTS) | np.isin(flows.sport, _CONTROL_PORTS)
    )
    return ports | np.isin(flows.protocol, (ICMP, ICMPV6, *_ROUTING))


def _shows_inside(pair: Comparison, points: list[Point]) -> bool:
    """Whether a capture shows places inside the node, where packets without a tunnel belong."""
    names = {pair.captures[p.capture].name for p in points}
    return any(p.name not in names or not p.encapsulated for p in points)
