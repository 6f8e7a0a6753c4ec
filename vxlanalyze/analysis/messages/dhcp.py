"""Answers of DHCP that arrive with an unfilled checksum, and that their client ignores.

A client without an address reads frames from a raw socket, and verifies checksums itself. It sends the same
message with the same identifier again where it got no answer that it accepts.

Sources: RFC 2131 sections 2 (message format), 4.1 (retransmission; the identifier) and 3.1 (order of
messages); RFC 2132 section 9.6 (message type).
"""

from collections import defaultdict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.integrity import checksums
from vxlanalyze.analysis.messages.reading import read_payloads
from vxlanalyze.analysis.requests import answers
from vxlanalyze.pairing.model import NO_ROW, Comparison, Direction, Point
from vxlanalyze.wire.model import INNER_L4_SHIFT, NO_FLOW
from vxlanalyze.wire.protocols import UDP

_SERVER_PORT, _CLIENT_PORT = 67, 68
_DISCOVER, _OFFER, _REQUEST, _ACK = 1, 2, 3, 5
_AGAIN = {_OFFER: _DISCOVER, _ACK: _REQUEST}  # what the client repeats if it ignores the answer
_COOKIE, _OPTIONS, _TYPE, _PAD, _END = bytes.fromhex("63825363"), 240, 53, 0, 255
_XID, _CLIENT_MAC = slice(4, 8), slice(28, 34)
_IPV4 = 4
_SOON_NS, _LONGEST_NS = 200_000_000, 70_000_000_000  # copies under way, and the longest retry
_LEAST, _MOST_MESSAGES = 3, 1_000


class _Message(NamedTuple):
    """A message: number of its packet, time, type, and identifier with the client's MAC."""

    packet: int
    time_ns: int
    kind: int
    key: bytes


def ignored_unfilled(comparison: Comparison, direction: Direction) -> NDArray[np.bool_]:
    """Choose the answers of a direction that arrived with an unfilled checksum and were ignored.

    Returns
    -------
    NDArray[np.bool_]
        Shape ``(m,)``, of the direction's packets. Conversations in which another answer arrived with a valid
        checksum, or which the client continued, are not among them.
    """
    result = np.zeros(len(direction), np.bool_)
    rows = _rows(direction, _SERVER_PORT, _CLIENT_PORT)
    if not len(rows):
        return result
    unfilled = checksums.of(direction, INNER_L4_SHIFT).unfilled
    if np.count_nonzero(unfilled[rows]) < _LEAST:
        return result
    back = answers.opposite(comparison, direction)
    back_rows = _rows(back, _CLIENT_PORT, _SERVER_PORT)
    received = _by_key(_read(comparison, direction.receiver, rows, direction.received_row[rows]))
    requests = _by_key(_read(comparison, back.sender, back_rows, back.sent_row[back_rows]))
    chosen, ignored = [], 0
    for key, messages in received.items():
        if all(unfilled[each.packet] for each in messages):
            number = sum(_ignored(each, requests.get(key, [])) for each in messages)
            ignored += number
            chosen += [each.packet for each in messages] if number else []
    if ignored >= _LEAST:
        result[chosen] = True
    return result


def _by_key(messages: list[_Message]) -> dict[bytes, list[_Message]]:
    """Group messages by conversation."""
    result: dict[bytes, list[_Message]] = defaultdict(list)
    for message in messages:
        result[message.key].append(message)
    return result


def _ignored(answer: _Message, requests: list[_Message]) -> bool:
    """Whether the client repeated what it had sent, and did not go on before."""
    again = _AGAIN.get(answer.kind)
    later = [r for r in requests if _SOON_NS < r.time_ns - answer.time_ns < _LONGEST_NS]
    went_on = answer.kind == _OFFER and any(
        r.kind == _REQUEST and r.time_ns >= answer.time_ns for r in requests
    )
    return not went_on and any(r.kind == again for r in later)


def _rows(direction: Direction, sport: int, dport: int) -> NDArray[np.intp]:
    """Positions of the packets between these ports that arrived, the first ones where there are many."""
    flows = direction.sender.flows
    ours = (flows.protocol == UDP) & (flows.family == _IPV4) & (flows.sport == sport) & (flows.dport == dport)
    if not (ours & direction.sender.decoded.usage.used).any():
        return np.empty(0, np.intp)
    known = (direction.flow != NO_FLOW) & (direction.received_row != NO_ROW)
    known[known] = ours[direction.flow[known]]
    return np.flatnonzero(known)[:_MOST_MESSAGES]


def _read(
    comparison: Comparison, point: Point, packets: NDArray[np.intp], rows: NDArray[np.int32]
) -> list[_Message]:
    """Read messages from a point's capture; those that are cut are left out."""
    if not len(rows):
        return []
    found = read_payloads(comparison, point, rows.astype(np.int64), np.zeros(len(rows), np.int64))
    times_ns = point.index.time_ns[rows].tolist()
    places = zip(found.start.tolist(), found.captured.tolist(), strict=True)
    messages = []
    for packet, time_ns, (start, length) in zip(packets.tolist(), times_ns, places, strict=True):
        octets = found.data[start : start + length].tobytes()
        if (kind := _kind(octets)) is not None:
            messages.append(_Message(packet, time_ns, kind, octets[_XID] + octets[_CLIENT_MAC]))
    return messages


def _kind(octets: bytes) -> int | None:
    """Read the type of a message; None where it is cut or none of DHCP."""
    if octets[_OPTIONS - 4 : _OPTIONS] != _COOKIE:
        return None
    at = _OPTIONS
    while at + 2 < len(octets) and octets[at] != _END:
        if octets[at] == _TYPE:
            return octets[at + 2]
        at += 1 if octets[at] == _PAD else 2 + octets[at + 1]
    return None
