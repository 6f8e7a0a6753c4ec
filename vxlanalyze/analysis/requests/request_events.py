"""Find request and response packets, and the number that links the two.

Sources: RFC 792 and RFC 4443 section 4 (echo), RFC 1035 section 4.1.1 (identifier, QR bit), RFC 9293
section 3.5 (SYN, reset).
"""

from collections.abc import Iterator
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests import dns_flows
from vxlanalyze.kernels.arrays import I32, I64, U16, U32
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.model import Point
from vxlanalyze.pairing.numbered import NO_TUPLE
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.wire.model import Flows
from vxlanalyze.wire.numbers import (
    ACK,
    DNS_RESPONSE,
    ECHO_REPLY,
    ECHO_REPLY_V6,
    ECHO_REQUEST,
    ECHO_REQUEST_V6,
    FIRST_EPHEMERAL_PORT,
    REQUEST_PORTS,
    RST,
    SYN,
)
from vxlanalyze.wire.protocols import ICMP, ICMPV6, TCP, UDP

# A UDP conversation with more packets is a stream, whose packets do not wait for each other.
_STREAM_PACKETS = 10_000
_LEAST_CONVERSATIONS = 3  # conversations before a port counts as that of an answering service
_SERVED = 0.5  # responses per packet, where a server answers packet by packet


class RequestKind(IntEnum):
    """The kind of request; reports show the names in lower case."""

    NONE = 0
    ICMP = 1
    DNS = 2
    TCP = 3
    UDP = 4


class RequestEvents(NamedTuple):
    """Request and response packets, shape ``(k,)``.

    `tuple_of` is the 5-tuple from client to server, whichever direction the packet goes; `number` is what
    request and answer have in common: echo sequence, DNS identifier, first TCP sequence number.
    """

    row: NDArray[np.int32]
    tuple_of: NDArray[np.int32]
    number: NDArray[np.int64]
    kind: NDArray[np.uint8]
    is_request: NDArray[np.bool_]
    refuses: NDArray[np.bool_]

    @classmethod
    def room(cls, size: int) -> "RequestEvents":
        """Allocate space for some events."""
        dtypes = (np.int32, np.int32, np.int64, np.uint8, np.bool_, np.bool_)
        return cls._make(np.empty(size, dtype) for dtype in dtypes)


class _Roles(NamedTuple):
    """The role of the packets of each flow, shape ``(f,)``.

    Parameters
    ----------
    kind : NDArray[np.uint8]
        `RequestKind`.
    is_request : NDArray[np.bool_]
        Whether they are requests, where this holds for all or none of a flow.
    may_request : NDArray[np.bool_]
        Requests are inside the tunnel (unencapsulated: outside of one); answers may come back either way.
    own, opposite : NDArray[np.int32]
        Their 5-tuple, and that of the opposite direction.
    """

    kind: NDArray[np.uint8]
    is_request: NDArray[np.bool_]
    may_request: NDArray[np.bool_]
    own: NDArray[np.int32]
    opposite: NDArray[np.int32]


class _TupleCounts(NamedTuple):
    """What was sent in each 5-tuple of UDP: the number of packets, and the time of the earliest."""

    packets: NDArray[np.int64]
    first_ns: NDArray[np.int64]


class Numbered(NamedTuple):
    """The 5-tuples of a point's capture, and what is known about them.

    Parameters
    ----------
    of_flow : NDArray[np.int32]
        Shape ``(f,)``: the 5-tuple of each flow of the point's capture.
    answer : NDArray[np.int32]
        Shape ``(t,)``: the tuple of the opposite direction.
    refused : NDArray[np.bool_]
        Shape ``(t,)``: tuples that an ICMP error refuses; every UDP packet of these is a request.
    lost : NDArray[np.bool_]
        Shape ``(t,)``: tuples that the network completely lost.
    streams : NDArray[np.bool_]
        Shape ``(t,)``: tuples of media streams, whose packets are no requests.
    """

    of_flow: NDArray[np.int32]
    answer: NDArray[np.int32]
    refused: NDArray[np.bool_]
    lost: NDArray[np.bool_]
    streams: NDArray[np.bool_]


def events(point: Point, numbered: Numbered) -> RequestEvents:
    """Find the request and response packets of a point."""
    tuple_of, answer, refused = numbered.of_flow, numbered.answer, numbered.refused
    index, flows = point.index, point.flows
    rows = np.arange(len(index), dtype=np.int32) if point.rows is None else point.rows
    kind = kinds(point)
    may_request = point.own_flows
    talks, spoke_first = _talks(point, rows, kind == RequestKind.UDP, numbered)
    found = RequestEvents.room(len(rows))
    count = _find(
        rows,
        (index.flow, index.seq, index.ack, index.tcp_flags),
        _Roles(
            np.where((kind == RequestKind.UDP) & ~talks, np.uint8(RequestKind.NONE), kind),
            np.where(
                kind == RequestKind.UDP, spoke_first, np.isin(flows.sport, (ECHO_REQUEST, ECHO_REQUEST_V6))
            ),
            may_request,
            tuple_of,
            answer[tuple_of],
        ),
        found,
    )
    found = RequestEvents._make(column[:count] for column in found)
    if not refused.any():
        return _numbered(found)
    each = np.append(
        (kind == RequestKind.UDP) & may_request & refused[tuple_of], False
    )  # the last for NO_FLOW
    by_itself = _refused(rows[each[index.flow[rows]]], index.flow, tuple_of)
    both: Iterator[tuple[NDArray[Any], NDArray[Any]]] = zip(found, by_itself, strict=True)
    return _numbered(RequestEvents._make(map(np.concatenate, both)))


def _numbered(found: RequestEvents) -> RequestEvents:
    """Leave out responses to a tuple without a number: no request was seen."""
    known = found.tuple_of >= 0
    return found if known.all() else RequestEvents._make(column[known] for column in found)


@compiled(
    "i4[] (i4[] u4[] u4[] u2[]) _Roles(u1[] b1[] b1[] i4[] i4[]) RequestEvents(i4[] i4[] i8[] u1[] b1[] b1[])"
)
def _find(rows: I32, columns: tuple[I32, U32, U32, U16], roles: _Roles, found: RequestEvents) -> int:
    """Record the request and response packets, in row order, and count them."""
    flow_of, seq_of, ack_of, flags_of = columns
    count = 0
    for row in rows:
        flow = flow_of[row]
        kind = roles.kind[flow] if flow >= 0 else RequestKind.NONE.value
        if kind == RequestKind.NONE.value:
            continue
        is_request, refuses, number = roles.is_request[flow], False, np.int64(0)
        if kind == RequestKind.ICMP.value:
            number = np.int64(seq_of[row])
        elif kind == RequestKind.DNS.value:
            if seq_of[row] == 0:  # the snap length left nothing of the message
                continue
            is_request, number = seq_of[row] & DNS_RESPONSE == 0, np.int64(seq_of[row] >> 16)
        elif kind == RequestKind.TCP.value:
            flags = flags_of[row]
            is_request = flags & (SYN | RST | ACK) == SYN
            refuses = flags & RST != 0
            # An answer to a SYN, or its refusal, acknowledges its number.
            if not is_request and (flags & (SYN | RST) == 0 or flags & ACK == 0):
                continue
            number = np.int64(seq_of[row]) if is_request else (np.int64(ack_of[row]) - 1) & 0xFFFFFFFF
        if is_request and not roles.may_request[flow]:
            continue
        found.row[count], found.number[count], found.kind[count] = row, number, kind
        found.tuple_of[count] = roles.own[flow] if is_request else roles.opposite[flow]
        found.is_request[count], found.refuses[count] = is_request, refuses
        count += 1
    return count


def kinds(point: Point) -> NDArray[np.uint8]:
    """The `RequestKind` of each flow's requests or responses, shape ``(f,)``; NONE if to many receivers."""
    flows = point.flows
    result = np.zeros(len(flows), np.uint8)
    echo = (flows.protocol == ICMP) & np.isin(flows.sport, (ECHO_REQUEST, ECHO_REPLY))
    echo |= (flows.protocol == ICMPV6) & np.isin(flows.sport, (ECHO_REQUEST_V6, ECHO_REPLY_V6))
    udp = (flows.protocol == UDP) & (flows.encryption == 0)
    tcp = flows.protocol == TCP
    dns = dns_flows.of(point)
    for chosen, kind in (
        (echo, RequestKind.ICMP),
        (tcp, RequestKind.TCP),
        (udp, RequestKind.UDP),
        (dns, RequestKind.DNS),
    ):
        result[chosen] = kind
    first, last = flows.dst[:, 0], flows.dst[:, 3]
    to_many = np.where(flows.family == 6, first == 0xFF, (first >= 224) | (last == 255))
    result[to_many | (flows.family == 0)] = RequestKind.NONE
    return result


def _talks(
    point: Point, rows: NDArray[np.int32], udp: NDArray[np.bool_], numbered: Numbered
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Flows of UDP conversations, and those of the client, which sent first; shape ``(f,)``."""
    tuple_of, answer = numbered.of_flow, numbered.answer
    every = np.zeros(len(answer) + 1, np.int64), np.full(len(answer) + 1, np.iinfo(np.int64).max)
    found = _TupleCounts(*every)  # the last for NO_TUPLE
    _count(rows, point.index.flow, point.index.time_ns, np.where(udp, tuple_of, NO_TUPLE), found)
    back = answer[tuple_of]
    sent, came = found.packets[tuple_of], found.packets[back]
    few = (sent > 0) & (sent + came <= _STREAM_PACKETS) & ~numbered.streams[tuple_of]
    talks = few & (came > 0)
    mine_ns, theirs_ns = found.first_ns[tuple_of], found.first_ns[back]
    first = (mine_ns < theirs_ns) | (mine_ns == theirs_ns) & (tuple_of < back)
    alone = udp & few & (came == 0)
    alone &= (
        numbered.lost[tuple_of]
        | np.isin(point.flows.dport, REQUEST_PORTS)
        | _served(point.flows, talks & first, came >= _SERVED * sent)
    )
    return talks | alone, first | alone


def _served(flows: Flows, requesting: NDArray[np.bool_], paid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Flows to endpoints that answer others, at least every second packet; shape ``(f,)``.

    A service's port at another address of the same network also counts, such as a pod of the same service.
    """
    if not requesting.any():
        return np.zeros(len(flows), np.bool_)
    ports = flows.dport.astype(">u2").view(np.uint8).reshape(-1, 2)
    _, endpoint = distinct(np.column_stack([flows.family, flows.dst, ports]))
    result: NDArray[np.bool_] = np.isin(endpoint, endpoint[requesting & paid])
    result &= ~np.isin(endpoint, endpoint[requesting & ~paid])
    elsewhere = _same_service(flows, requesting & paid) & ~np.isin(
        flows.dport, flows.dport[requesting & ~paid]
    )
    return result | elsewhere


def _same_service(flows: Flows, served: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Flows to a low port that answered several conversations at any address; shape ``(f,)``."""
    ports, conversations = np.unique(flows.dport[served], return_counts=True)
    known = ports[(conversations >= _LEAST_CONVERSATIONS) & (ports < FIRST_EPHEMERAL_PORT)]
    result: NDArray[np.bool_] = np.isin(flows.dport, known)
    return result


@compiled("i4[] i4[] i8[] i4[] _TupleCounts(i8[] i8[])")
def _count(rows: I32, flow_of: I32, time_ns: I64, tuple_of: I32, sent: _TupleCounts) -> None:
    """Count the packets in each tuple, and record the earliest time; those without a tuple are skipped."""
    for row in rows:
        this = tuple_of[flow_of[row]] if flow_of[row] >= 0 else NO_TUPLE
        if this != NO_TUPLE:
            sent.packets[this] += 1
            sent.first_ns[this] = min(sent.first_ns[this], time_ns[row])


def _refused(
    rows: NDArray[np.int32], flow_of: NDArray[np.int32], tuple_of: NDArray[np.int32]
) -> RequestEvents:
    """Each packet on its own, with its row as the number."""
    size = len(rows)
    yes, kind = np.ones(size, np.bool_), np.full(size, RequestKind.UDP, np.uint8)
    return RequestEvents(rows, tuple_of[flow_of[rows]], rows.astype(np.int64), kind, yes, ~yes)
