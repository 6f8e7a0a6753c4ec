"""Packets that claim to come from a direction's sender but are missing from the sender's own capture.

A middlebox that terminates a connection, or answers a name itself, impersonates the far end: a reset, a SYN
ACK, a DNS response or an ICMP error arrives that the alleged node never sent. A capture that merely lost
packets lacks others as well, so its share of other missing packets bounds the probability that it lacks all
of these by accident. A request that is missing there as well counts again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.requests import answers
from vxlanalyze.analysis.requests.request_events import DNS_PORTS
from vxlanalyze.pairing.model import NO_ROW, Direction, Reason
from vxlanalyze.pairing.numbered import NO_TUPLE
from vxlanalyze.wire.model import NO_FLOW, Anomaly

_TCP, _UDP, _ICMP, _ICMPV6 = 6, 17, 1, 58
_SYN, _RST, _ACK = 0x02, 0x04, 0x10
_DNS_RESPONSE = 0x8000

CHANCE = 1e-4
"""Accepted for the claim that a direction holds packets that nobody there sent, when none is forged."""

_CUT = (Anomaly.HEADER_CUT | Anomaly.INNER_FRAGMENT).value


class Sort(IntEnum):
    """The kind of packet that ends or answers something."""

    NONE = 0
    RESET = 1
    SYN_ACK = 2
    DNS = 3
    ICMP_ERROR = 4


@dataclass(frozen=True, eq=False)
class Forged:
    """The `k` packets of a direction that answer or refuse and that the sender's capture lacks.

    Parameters
    ----------
    row : NDArray[np.int32]
        Shape ``(k,)``: rows of the receiver's index.
    sort : NDArray[np.uint8]
        Shape ``(k,)``: `Sort`.
    missing : int
        Other packets of the direction that the sender's capture lacks.
    matched : int
        Packets of the direction that both captures hold.
    requests, requests_missing : int
        Conversations that these packets answer with a packet in the opposite direction, and those of which
        nothing reached the alleged sender.
    chance : float
        Bound on the probability that the sender's capture lacks all of them by accident.
    """

    row: NDArray[np.int32]
    sort: NDArray[np.uint8]
    missing: int
    matched: int
    requests: int
    requests_missing: int
    chance: float

    def __len__(self) -> int:
        return len(self.row)

    def at(self, sort: Sort) -> NDArray[np.int32]:
        """Rows of one sort."""
        chosen: NDArray[np.int32] = self.row[self.sort == sort]
        return chosen


def of(opposite: Direction, direction: Direction) -> Forged:
    """Find answers and refusals in a direction that were not sent there.

    Parameters
    ----------
    opposite : Direction
        The direction of the requests: from the receiver of `direction` to its sender.
    """
    rows = _unsent(direction)
    sort = _sorts(direction, rows)
    flow = direction.receiver.index.flow[rows]
    # A conversation that the capture lacks beyond its end was not captured (a filter, another card).
    others = np.isin(flow, np.unique(flow[sort == Sort.NONE]))
    chosen = (sort != Sort.NONE) & ~others
    matched, missing = int(np.count_nonzero(direction.delivered)), int(np.count_nonzero(~chosen))
    requested, unheard = _requests(opposite, direction, np.unique(flow[chosen]))
    count = int(np.count_nonzero(chosen))
    log_chance = count * _log_ratio(missing, matched) if matched else 0.0
    if requested:
        reached = int(np.count_nonzero(opposite.delivered))
        lacking = int(np.count_nonzero(opposite.received_row == NO_ROW)) - unheard
        log_chance += unheard * _log_ratio(max(lacking, 0), reached)
    return Forged(rows[chosen], sort[chosen], missing, matched, requested, unheard, float(np.exp(log_chance)))


def proved(opposite: Direction, direction: Direction) -> NDArray[np.int32]:
    """Rows of packets that were not sent, where a mere gap in the capture can be excluded."""
    if not len(rows(direction)):
        return np.empty(0, np.int32)
    found = of(opposite, direction)
    return found.row if found.chance < CHANCE else found.row[:0]


@once
def rows(direction: Direction) -> NDArray[np.int32]:
    """Rows of answers and refusals missing from the capture of their direction's sender, for any reason."""
    unsent = _unsent(direction)
    return unsent[_sorts(direction, unsent) != Sort.NONE]


def _unsent(direction: Direction) -> NDArray[np.int32]:
    """Rows that only the receiver saw, while the sender's capture covers the time."""
    if not direction.assessed or not len(direction.unsent_row):
        return np.empty(0, np.int32)
    covered = direction.unsent_reason == Reason.CAPTURE_LOSS
    found = direction.unsent_row[covered]
    return found[direction.receiver.index.flow[found] != NO_FLOW]


def _log_ratio(missing: int, matched: int) -> float:
    """Logarithm of the share that a capture lacks; by Laplace's rule of succession never 0."""
    return float(np.log((missing + 1) / (missing + matched + 2)))


def _sorts(direction: Direction, rows: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Classify packets, shape of `rows`."""
    result = np.zeros(len(rows), np.uint8)
    if not len(rows):
        return result
    index, flows = direction.receiver.index, direction.receiver.flows
    flow, flags = index.flow[rows], index.tcp_flags[rows]
    whole = index.anomalies[rows] & np.uint32(_CUT) == 0
    tcp = (flows.protocol[flow] == _TCP) & whole
    result[tcp & (flags & _RST != 0)] = Sort.RESET
    result[tcp & (flags & (_SYN | _ACK | _RST) == _SYN | _ACK)] = Sort.SYN_ACK
    dns = (flows.protocol[flow] == _UDP) & np.isin(flows.sport[flow], DNS_PORTS) & whole
    result[dns & (index.seq[rows] & _DNS_RESPONSE != 0)] = Sort.DNS
    error = np.isin(flows.protocol[flow], (_ICMP, _ICMPV6))
    result[error & (index.anomalies[rows] & np.uint32(Anomaly.ICMP_ERROR.value) != 0)] = Sort.ICMP_ERROR
    return result


def _requests(opposite: Direction, direction: Direction, flows: NDArray[np.int32]) -> tuple[int, int]:
    """Count the conversations answered by flows of the receiver, and those that never reached the sender."""
    if not len(flows) or not len(opposite):
        return 0, 0
    numbered = answers.numbered_flows(direction)
    wanted = numbered.answer[numbered.of_flow[1][flows]]
    requested = answers.numbered_flows(opposite).of_flow[0][opposite.flow]
    # Both numberings name the tuples of the same two captures; they agree where all captures share one.
    wanted = _same_numbers(direction, opposite, wanted)
    mine = np.isin(requested, wanted[wanted != NO_TUPLE])
    sent = np.unique(requested[mine])
    arrived = np.unique(requested[mine & (opposite.received_row != NO_ROW)])
    return len(sent), len(sent) - len(arrived)


def _same_numbers(direction: Direction, opposite: Direction, wanted: NDArray[np.int32]) -> NDArray[np.int32]:
    """Translate tuple numbers of a direction to those of the opposite direction."""
    here, there = answers.numbered_flows(direction), answers.numbered_flows(opposite)
    if np.array_equal(here.of_flow[1], there.of_flow[0]):
        return wanted
    number = np.full(len(here), NO_TUPLE, np.int32)
    number[here.of_flow[1]] = there.of_flow[0]
    return np.where(wanted == NO_TUPLE, NO_TUPLE, number[wanted])


def sorts(found: Forged) -> Iterator[tuple[Sort, int]]:
    """Count the packets by sort, the most frequent first."""
    counts = np.bincount(found.sort, minlength=len(Sort))
    for sort in sorted(Sort, key=lambda s: -int(counts[s])):
        if sort != Sort.NONE and counts[sort]:
            yield sort, int(counts[sort])
