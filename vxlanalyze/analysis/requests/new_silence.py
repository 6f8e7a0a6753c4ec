"""Conversations that begin after some moment and are never answered, while earlier ones go on.

A full connection table or a policy inside the receiving node causes this: the openings arrive at its network
card and are dropped inside. The moment is the beginning of the last conversation that was answered. A
conversation is an inner 5-tuple; only those count that the direction opens itself, to addresses that answered
before.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.requests import answers
from vxlanalyze.analysis.requests.answers import Answers
from vxlanalyze.pairing import tuples
from vxlanalyze.pairing.model import Direction
from vxlanalyze.pairing.numbered import NO_TUPLE
from vxlanalyze.pairing.tuples import number_rows
from vxlanalyze.wire.model import NO_FLOW
from vxlanalyze.wire.numbers import ACK, SYN
from vxlanalyze.wire.protocols import TCP

_CHANCE = 1e-6
_FEWEST_NEW, _FEWEST_ESTABLISHED = 4, 2
_FEWEST_PROTOCOLS, _FEWEST_ENDPOINTS = 2, 2


@dataclass(frozen=True, eq=False)
class NewSilence:
    """Conversations that began after some moment and got no answer.

    Parameters
    ----------
    requests : NDArray[np.bool_]
        Arrived requests of these conversations, shape ``(m,)``.
    since_ns : int
        When the first of them was sent, by the sender's clock.
    conversations, protocols, endpoints : int
        Their number, and the numbers of protocols and destination addresses.
    established : int
        Earlier conversations that are still answered after it.
    """

    requests: NDArray[np.bool_]
    since_ns: int
    conversations: int
    protocols: int
    endpoints: int
    established: int


@once
def of(direction: Direction) -> NewSilence | None:
    """Find them; None where there are none, or too few to exclude chance."""
    responses = answers.of(direction)
    flow = direction.flow
    if (
        not len(flow)
        or not responses.answered.any()
        or not responses.unanswered().any()
        or (flow == NO_FLOW).any()
    ):
        return None
    flows = direction.sender.flows
    talk, names = number_rows(flows.identity[:, np.newaxis])
    first = np.full(len(names), len(flow), np.intp)
    np.minimum.at(first, talk[flow], np.arange(len(flow)))
    opened = _opened(direction, responses, talk, first)
    answered = np.zeros(len(names), np.bool_)
    answered[talk[responses.answered]] = True
    if not (opened & answered).any():
        return None
    new = opened & ~answered & (first > first[opened & answered].max())
    requests = responses.arrived & new[talk[flow]]
    requests &= _spoke(direction, responses)[flow]
    return _result(direction, requests, talk, answered)


def _opened(
    direction: Direction, responses: Answers, talk: NDArray[np.int32], first: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Which conversations the direction opens: by a SYN, a query or an echo request, shape ``(t,)``."""
    seen = first < len(direction)
    at = first[seen]
    flags = direction.sender.index.tcp_flags[direction.sent_row[at]]
    tcp = direction.sender.flows.protocol[direction.flow[at]] == TCP
    opened = np.zeros(len(first), np.bool_)
    opened[seen] = np.where(tcp, flags & (SYN | ACK) == SYN, responses.request[at])
    return opened


def _spoke(direction: Direction, responses: Answers) -> NDArray[np.bool_]:
    """Flows to addresses that answered some flow, shape ``(f,)``."""
    flows = direction.sender.flows
    _, address = tuples.distinct(np.column_stack([flows.family, flows.dst]))
    spoke: NDArray[np.bool_] = np.isin(address, address[responses.answered])
    return spoke


def _result(
    direction: Direction,
    requests: NDArray[np.bool_],
    talk: NDArray[np.int32],
    answered: NDArray[np.bool_],
) -> NewSilence | None:
    flows, rows = direction.sender.flows, np.unique(direction.flow[requests])
    found = NewSilence(
        requests=requests,
        since_ns=int(direction.sent_ns(np.flatnonzero(requests)[:1])[0]) if requests.any() else 0,
        conversations=len(np.unique(talk[rows])),
        protocols=len(np.unique(flows.protocol[rows])),
        endpoints=len(np.unique(flows.dst[rows], axis=0)),
        established=_going_on(direction, requests, talk, answered) if requests.any() else 0,
    )
    enough = found.conversations >= _FEWEST_NEW and found.established >= _FEWEST_ESTABLISHED
    enough &= found.protocols >= _FEWEST_PROTOCOLS and found.endpoints >= _FEWEST_ENDPOINTS
    return found if enough and answers.conclusive(found.conversations, _CHANCE) else None


def _going_on(
    direction: Direction,
    requests: NDArray[np.bool_],
    talk: NDArray[np.int32],
    answered: NDArray[np.bool_],
) -> int:
    """Count the conversations in which the receiver sends something after the first new one arrived."""
    receiver, numbered = direction.receiver, answers.numbered_flows(direction)
    arrived_ns = int(receiver.index.time_ns[direction.received_row[np.flatnonzero(requests)]].min())
    usage = receiver.decoded.usage
    last = np.full(len(numbered), np.iinfo(np.int64).min)
    used = np.flatnonzero(usage.used)
    np.maximum.at(last, numbered.of_flow[1][used], usage.latest_ns[used])
    back = numbered.answer[numbered.of_flow[0]]
    going = (back != NO_TUPLE) & (last[np.maximum(back, 0)] > arrived_ns) & answered[talk]
    return len(np.unique(talk[going]))
