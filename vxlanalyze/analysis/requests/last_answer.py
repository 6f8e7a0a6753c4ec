"""What a node was asked after it had answered for the last time.

A node that stops answering looks healthy when its capture is taken as a whole. So the last packet that
answers anything is looked for, in both captures by their own clocks; what arrives after it and asks is
unanswered whatever its flow got before. Only who has answered can stop: an endpoint that never did says
nothing of its node, and services that never did may be filtered. Nor does a requester that never got an
answer: the node may ignore it from the beginning.

Source: RFC 9293 section 3.8.1 (a sender repeats what is not acknowledged, so that a silence is asked often).
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests import answers
from vxlanalyze.analysis.requests.answers import Answers
from vxlanalyze.pairing import tuples
from vxlanalyze.pairing.model import Direction, Point
from vxlanalyze.pairing.sorting import present
from vxlanalyze.wire.model import Flows

# The longest time-out of a first transmission (RFC 6298 section 2.1): who is silent for less may be slow.
_LEAST_SILENCE_NS = 1_000_000_000


def since(direction: Direction, responses: Answers) -> tuple[int, Answers] | None:
    """Give the time of the last answer, by the receiver's clock, and what was asked after it.

    Returns
    -------
    tuple of int and Answers, or None
        In these answers only what arrived after that time between addresses that got and gave answers before
        asks, and nothing was answered. None where nothing was ever answered, none of the services asked after
        it ever did, or the requests after it fill less than a second.
    """
    requesting = np.zeros(len(direction.sender.flows), np.bool_)
    requesting[responses.flow[responses.request]] = True
    numbered = answers.numbered_flows(direction)
    wanted = numbered.answer[numbered.of_flow[0][requesting]]
    answering = [np.isin(of_flow, wanted) for of_flow in numbered.of_flow]
    here = _last_ns(direction.sender, answering[0])
    there = _last_ns(direction.receiver, answering[1])
    if there is None:
        return None
    arrived = np.flatnonzero(responses.arrived)
    arrived = arrived[direction.receiver.index.time_ns[direction.received_row[arrived]] > there]
    arrived = arrived[_spoke(direction, responses)[responses.flow[arrived]]]
    if here is not None:
        arrived = arrived[direction.sent_ns(arrived) > here]
    service = _services(direction.sender.flows, by_source=True)
    if not np.isin(service[responses.flow[arrived]], service[responses.answered]).any():
        return None  # nothing that is asked now ever answered whoever asks now: it did not stop
    received_ns = direction.receiver.index.time_ns[direction.received_row[arrived]]
    if not len(arrived) or int(received_ns.max()) - there < _LEAST_SILENCE_NS:
        return None
    late = np.zeros_like(responses.arrived)
    late[arrived] = True
    nothing = np.zeros_like(responses.answered)
    return there, replace(responses, request=late, sent=responses.sent & late, arrived=late, answered=nothing)


def _spoke(direction: Direction, responses: Answers) -> NDArray[np.bool_]:
    """Flows whose destination answered some flow and whose source got some answer, shape ``(f,)``."""
    flows = direction.sender.flows
    spoke = np.ones(len(flows), np.bool_)
    for end in (flows.dst, flows.src):
        _, address = tuples.distinct(np.column_stack([flows.family, end]))
        spoke &= np.isin(address, address[responses.answered])
    return spoke


def services(direction: Direction, responses: Answers) -> int:
    """How many services were asked: endpoints by protocol and port, an endpoint's echo as one."""
    return len(present(_services(direction.sender.flows)[responses.flow[responses.request]]))


def _services(flows: Flows, *, by_source: bool = False) -> NDArray[np.intp]:
    """Number the service that each flow asks, shape ``(f,)``; of each source by itself where wanted."""
    port = np.where(np.isin(flows.protocol, (answers.TCP, answers.UDP)), flows.dport, 0).astype(">u2")
    ports = port.view(np.uint8).reshape(-1, 2)
    ends = [flows.src] if by_source else []
    return tuples.distinct(np.column_stack([flows.family, flows.dst, flows.protocol, ports, *ends]))[1]


def _last_ns(point: Point, chosen: NDArray[np.bool_]) -> int | None:
    """Time of the last packet of chosen flows of a point's capture, shape of these ``(f,)``."""
    usage = point.decoded.usage
    chosen = chosen & usage.used
    return int(usage.latest_ns[chosen].max()) if chosen.any() else None
