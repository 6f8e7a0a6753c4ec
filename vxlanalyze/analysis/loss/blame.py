"""Decide whether an explained loss affected the packets of a symptom.

A blocked service explains the unanswered queries to that service, but no others. So before a finding of the
loss family is named as a cause, the flows of the symptom's frames are compared with the flows that it
affected.
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.finding import Finding
from vxlanalyze.analysis.loss import loss
from vxlanalyze.analysis.loss.picture import LossKind, Picture
from vxlanalyze.analysis.underlay import next_hop
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import NO_FLOW

_KINDS = {
    "path-blocked": LossKind.PATH,
    "protocol-blocked": LossKind.PROTOCOL,
    "ecmp-member-blocked": LossKind.ECMP,
    "flow-blocked": LossKind.FLOW,
    "mtu-blackhole": LossKind.SIZE,
    "mtu-icmp-needed": LossKind.SIZE,
    "burst-outage": LossKind.INTERRUPTION,
    "rate-limited": LossKind.RATE,
    "new-flows-blocked": LossKind.NEW,
    "header-blocked": LossKind.HEADER,
}
_INSIDE = ("new-flows-blocked", "header-blocked")  # about lost packets, or about those that arrived
_OF_LOSS = (*_KINDS, "packet-loss")


def share(pair: Comparison, cause: Finding, symptom: Finding) -> float | None:
    """Give the share of a symptom's flows that a cause took packets from; None where unknown."""
    if cause.code == "duplicate-address" and cause.direction is None and symptom.code in _OF_LOSS:
        return 0.0  # no lost packet went to the other owner
    if cause.code in ("duplicate-address", "flooded-unicast") and symptom.code not in _OF_LOSS:
        return _share_to(pair, cause, symptom)
    inside = [d for hop in pair.inside for d in hop.directions]
    direction = next((d for d in (*pair.directions, *inside) if d.label == cause.direction), None)
    if direction is None or (symptom.direction != cause.direction and direction not in inside):
        return None
    picture = loss.explain(direction) if direction in inside else loss.picture_of(pair, direction)
    concerned = _flows(pair, direction, symptom)
    if cause.code in _INSIDE and not picture.of(_KINDS[cause.code]):
        taken_flows = _flows(pair, direction, cause)  # its packets arrived, and are dropped in the receiver
        return float(np.isin(concerned, taken_flows).mean()) if len(concerned) and len(taken_flows) else None
    taken = _taken(picture, cause.code)
    if taken is None or len(concerned) == 0:
        return None
    return float(np.isin(concerned, direction.flow[taken]).mean())


def _share_to(pair: Comparison, cause: Finding, symptom: Finding) -> float | None:
    """Give the share of a symptom's flows from or to the addresses that a cause is about."""
    about = cause.evidence["address" if cause.code == "duplicate-address" else "addresses"].value
    addresses = set(str(about).split(", "))
    for point in (p for p in pair.points if pair.captures[p.capture].name in symptom.frames):
        numbers = np.asarray(symptom.frames[pair.captures[point.capture].name], np.int64)
        flow = np.unique(point.index.flow[point.decoded.row(numbers)])
        flows, rows = point.flows, flow[flow != NO_FLOW]
        ends = zip(*(text(a[rows], flows.family[rows]) for a in (flows.src, flows.dst)), strict=True)
        concerned = [bool(addresses & set(both)) for both in ends]
        return sum(concerned) / len(concerned) if concerned else None
    return None


def _taken(picture: Picture, code: str) -> NDArray[np.intp] | None:
    """Packets of a finding of the loss family; None for other findings."""
    if code == "packet-loss":
        return picture.unexplained
    if code == "fragments-lost":
        return picture.in_pieces if len(picture.in_pieces) else None  # TCP alone shows it
    if code == "duplicate-address":
        return np.flatnonzero(next_hop.astray(picture.direction))
    kind = _KINDS.get(code)
    if kind is None:
        return None
    return np.flatnonzero(picture.packets_of(picture.of(kind)))


def _flows(pair: Comparison, direction: Direction, symptom: Finding) -> NDArray[np.int32]:
    """Flows of the symptom's frames in the sender's capture that have packets in this direction."""
    sender = direction.sender
    numbers = symptom.frames.get(pair.captures[sender.capture].name)
    if numbers is None:
        return np.empty(0, np.int32)
    flows = np.unique(sender.index.flow[sender.decoded.row(np.asarray(numbers, np.int64))])
    return flows[(flows != NO_FLOW) & np.isin(flows, direction.flow)]
