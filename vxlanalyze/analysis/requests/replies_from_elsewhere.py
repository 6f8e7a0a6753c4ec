"""Replies that reach a client from an address to which it never sent anything.

A socket accepts a reply only from the address and port it sent to. Where requests go to one address and
replies carry another, the translation that redirected the requests to a backend did not translate the replies
back.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.pairing.numbered import Tuples
from vxlanalyze.pairing.rows import rows_of
from vxlanalyze.pairing.sorting import stable_order
from vxlanalyze.pairing.tuples import number_rows
from vxlanalyze.wire.model import Flows
from vxlanalyze.wire.numbers import ACK, DNS_PORT, DNS_RESPONSE, RST, SYN
from vxlanalyze.wire.protocols import TCP, UDP

_MOST_PEERS = 16  # peers of one socket without replies: a scanner has more
_NO_ROWS = np.zeros(0, np.int32)


@dataclass(frozen=True, slots=True)
class RepliesFromElsewhere:
    """A conversation whose replies come from another address; flows and rows of one point.

    `requests` and `replies` are rows of the index; `resets` counts the client's refusals.
    """

    request_flow: int
    reply_flow: int
    requests: NDArray[np.int32]
    replies: NDArray[np.int32]
    resets: int


@once
def find(pair: Comparison) -> tuple[tuple[RepliesFromElsewhere, ...], ...]:
    """Find, at each point, the conversations whose replies come from another address than requests go to."""
    return tuple(tuple(_find_at(point)) for point in pair.points)


def _find_at(point: Point) -> list[RepliesFromElsewhere]:
    pairs = _candidates(point)
    if not pairs:
        return []
    rows = _rows_by_flow(
        point, {flow for requested, replied, back in pairs for flow in (requested, replied, *back)}
    )
    found = []
    for requested, replied, back in pairs:
        requests, replies = rows[requested], rows[replied]
        if not len(requests) or not len(replies):
            continue
        if not _same_conversation(point, requested, replied) and not _answers(point, requests, replies):
            continue
        refused = np.concatenate([_NO_ROWS, *(rows[flow] for flow in back)])
        if (point.index.tcp_flags[refused] & RST != 0).all():  # else the client talks to that address itself
            found.append(RepliesFromElsewhere(requested, replied, requests, replies, len(refused)))
    return found


def _rows_by_flow(point: Point, chosen: set[int]) -> dict[int, NDArray[np.int32]]:
    """Rows of each chosen flow at a point."""
    marked = np.zeros(len(point.flows), np.bool_)
    marked[list(chosen)] = True
    rows = rows_of(point.index.flow, marked)
    if point.rows is not None:
        rows = np.intersect1d(rows, point.rows).astype(np.int32)
    flow = point.index.flow[rows]
    order = stable_order(flow)
    rows, flow = rows[order], flow[order]
    ends = ((f, *np.searchsorted(flow, (f, f + 1)).tolist()) for f in sorted(chosen))
    return {f: rows[begin:end] for f, begin, end in ends}


def _candidates(point: Point) -> list[tuple[int, int, list[int]]]:
    """Pairs of a flow without replies and a flow to the same socket without requests, by the flows alone.

    With the flows that go back to the source of the unsolicited replies.
    """
    flows = point.flows
    chosen = np.flatnonzero(_conversing(flows) & point.own_flows)
    if not len(chosen):
        return []
    forward, backward, source, target = _numbers(flows, chosen)
    unanswered = ~np.isin(backward, forward)
    requesting: dict[int, list[int]] = {}
    for at in np.flatnonzero(unanswered & np.isin(source, target)).tolist():
        requesting.setdefault(int(source[at]), []).append(int(chosen[at]))
    candidates = [
        (requested, at)
        for at in np.flatnonzero(np.isin(target, list(requesting))).tolist()
        for requested in requesting[int(target[at])][:_MOST_PEERS]
        if _is_elsewhere(flows, requested, int(chosen[at]))
    ]
    if not candidates:
        return []
    order = stable_order(backward)
    ordered = backward[order]
    numbers = forward[[at for _, at in candidates]]
    begins, ends = (np.searchsorted(ordered, numbers, side) for side in ("left", "right"))
    return [
        (requested, int(chosen[at]), chosen[order[begin:end]].tolist())
        for (requested, at), begin, end in zip(candidates, begins.tolist(), ends.tolist(), strict=True)
    ]


def _is_elsewhere(flows: Flows, requested: int, replied: int) -> bool:
    """Whether a reply comes from an address other than the one contacted, in the same overlay."""
    return bool(
        (flows.src[replied] != flows.dst[requested]).any() and flows.vni[replied] == flows.vni[requested]
    )


def _conversing(flows: Flows) -> NDArray[np.bool_]:
    """TCP and UDP flows between hosts; requests to a group are answered from other addresses."""
    group = np.where(flows.family == 6, flows.dst[:, 0] == 0xFF, flows.dst[:, 0] >= 0xE0)
    result: NDArray[np.bool_] = np.isin(flows.family, (4, 6)) & np.isin(flows.protocol, (TCP, UDP)) & ~group
    return result


def _numbers(
    flows: Flows, chosen: NDArray[np.intp]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Number 5-tuples, their opposites, and both ends consistently."""
    kind = flows.protocol[chosen].astype(np.uint64) << np.uint64(16)
    ends = [
        np.column_stack([address[chosen].view(np.uint64), kind | port[chosen]])
        for address, port in ((flows.src, flows.sport), (flows.dst, flows.dport))
    ]
    end, _ = number_rows(np.ascontiguousarray(np.concatenate(ends)))
    source, target = end[: len(chosen)], end[len(chosen) :]
    both = [np.column_stack(pair).astype(np.uint64) for pair in ((source, target), (target, source))]
    whole, _ = number_rows(np.ascontiguousarray(np.concatenate(both)))
    return whole[: len(chosen)], whole[len(chosen) :], source, target


def _same_conversation(point: Point, requested: int, replied: int) -> bool:
    """Whether another point shows both as the two directions of one conversation (see `Tuples`)."""
    tuples: Tuples | None = point.tuples
    if tuples is None:
        return False
    of_flow = tuples.of_flow[point.capture]
    return bool(tuples.answer[of_flow[requested]] == of_flow[replied])


def _answers(point: Point, requests: NDArray[np.int32], replies: NDArray[np.int32]) -> bool:
    """Whether the content of replies answers the requests: a SYN's number, a DNS ID."""
    index, flows = point.index, point.flows
    protocol, port = (c[index.flow[requests[0]]] for c in (flows.protocol, flows.dport))
    if protocol == TCP:
        flags, answering = index.tcp_flags[requests], index.tcp_flags[replies]
        syn = requests[flags & (SYN | ACK) == SYN]
        accepted = replies[answering & (SYN | ACK) == SYN | ACK]
        return bool(np.isin(index.ack[accepted], index.seq[syn] + np.uint32(1)).any())
    if port != DNS_PORT:
        return False
    requested = index.seq[requests[index.seq[requests] & DNS_RESPONSE == 0]] >> 16
    answered = index.seq[replies[index.seq[replies] & DNS_RESPONSE != 0]] >> 16
    return bool(np.isin(answered, requested).any())
