"""The requests that a node received after its last answer.

A node that stops answering looks healthy if its capture is judged as a whole. So the last packet that answers
anything is determined, in both captures by their own clocks; requests that arrive after it are unanswered
whatever their flow got before. Only endpoints that have answered can stop: one that never did proves nothing
about its node, and services that never did may be filtered. Neither does a client that never got an answer:
the node may have ignored it from the beginning.

Source: RFC 9293 section 3.8.1 (a sender repeats unacknowledged data, so a silent node receives many
requests).
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
from vxlanalyze.wire.protocols import TCP, UDP

# The longest time-out of a first transmission (RFC 6298 section 2.1): a shorter silence may be slowness.
_LEAST_SILENCE_NS = 1_000_000_000


def since(direction: Direction, responses: Answers) -> tuple[int, Answers] | None:
    """Give the time of the last answer, by the receiver's clock, and the requests after it.

    Returns
    -------
    tuple of int and Answers, or None
        In these answers, only packets that arrived after that time between addresses that got and gave
        answers before count as requests, and none was answered. None where nothing was ever answered, none of
        the services contacted after it ever answered, or the requests after it span less than a second.
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
        return None  # no current server ever answered a current client: it did not stop
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
    """Number of services contacted: endpoints by protocol and port, an endpoint's echo as one."""
    return len(present(_services(direction.sender.flows)[responses.flow[responses.request]]))


def _services(flows: Flows, *, by_source: bool = False) -> NDArray[np.intp]:
    """Number the service that each flow contacts, shape ``(f,)``; optionally per source."""
    port = np.where(np.isin(flows.protocol, (TCP, UDP)), flows.dport, 0).astype(">u2")
    ports = port.view(np.uint8).reshape(-1, 2)
    ends = [flows.src] if by_source else []
    return tuples.distinct(np.column_stack([flows.family, flows.dst, flows.protocol, ports, *ends]))[1]


def _last_ns(point: Point, chosen: NDArray[np.bool_]) -> int | None:
    """Time of the last packet of chosen flows of a point's capture, shape ``(f,)``."""
    usage = point.decoded.usage
    chosen = chosen & usage.used
    return int(usage.latest_ns[chosen].max()) if chosen.any() else None
