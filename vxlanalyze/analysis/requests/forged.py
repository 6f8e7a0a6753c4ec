"""Packets that claim to come from a direction's sender but are missing from the sender's own capture.

A middlebox that terminates a connection, or answers a name itself, impersonates the far end: a reset, a SYN
ACK, a DNS response or an ICMP error arrives that the alleged node never sent. A capture that merely lost
packets lacks others as well: at its share of other missing packets, or the share that it says it dropped, so
many of all packets of that sort would be missing by chance (`capture_gaps`). A request that is missing
there as well counts again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import drop_counts
from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.requests import answers
from vxlanalyze.analysis.requests.capture_gaps import Gaps, close_together
from vxlanalyze.analysis.requests.continued import continued
from vxlanalyze.analysis.statistics import evidence
from vxlanalyze.pairing.model import NO_ROW, Comparison, Direction, Reason
from vxlanalyze.pairing.numbered import NO_TUPLE
from vxlanalyze.wire.model import NO_FLOW, Anomaly
from vxlanalyze.wire.numbers import ACK, DNS_PORTS, DNS_RESPONSE, RST, SYN
from vxlanalyze.wire.protocols import ICMP, ICMPV6, TCP, UDP

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
        Bound on the probability that the sender's capture lacks as many of their sort by chance.
    dropped : int
        Packets that the sender's capture says it dropped.
    """

    row: NDArray[np.int32]
    sort: NDArray[np.uint8]
    missing: int
    matched: int
    requests: int
    requests_missing: int
    chance: float
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.row)

    def at(self, sort: Sort) -> NDArray[np.int32]:
        """Rows of one sort."""
        chosen: NDArray[np.int32] = self.row[self.sort == sort]
        return chosen


def of(pair: Comparison, direction: Direction) -> Forged:
    """Find answers and refusals in a direction that were not sent there."""
    opposite = answers.opposite(pair, direction)
    rows = _unsent(direction)
    sort = _sorts(direction, rows)
    flow = direction.receiver.index.flow[rows]
    # A conversation that the capture lacks beyond its end was not captured (a filter, another card).
    chosen = (sort != Sort.NONE) & ~np.isin(flow, np.unique(flow[sort == Sort.NONE]))
    own = np.flatnonzero(sort == Sort.SYN_ACK)
    chosen[own[continued(direction, rows[own])]] = False
    gaps = _gaps(pair, direction, int(np.count_nonzero(~chosen)))
    others, rows, sort = rows[~chosen], rows[chosen], sort[chosen]
    nats = _evidence(direction, rows, sort, gaps) if gaps.matched else np.zeros(len(Sort))
    sure = nats[sort] >= -np.log(CHANCE)
    if sure.any():
        rows, sort = rows[sure], sort[sure]
    total = float(nats[[Sort.NONE, *sort.tolist()]].max())
    requested, missed = _requests(opposite, direction, np.unique(direction.receiver.index.flow[rows]))
    if requested:
        total += _against_gaps(opposite, direction, others, (missed, requested))
    chance = float(np.exp(-total))
    return Forged(rows, sort, gaps.missing, gaps.matched, requested, missed, chance, gaps.dropped)


def _gaps(pair: Comparison, direction: Direction, missing: int) -> Gaps:
    """What else the capture of a direction's sender lacks, and says that it dropped."""
    sender = direction.sender
    dropped = drop_counts.stated(pair, pair.captures[sender.capture]) or 0
    return Gaps(missing, int(np.count_nonzero(direction.delivered)), dropped, len(sender.index))


def _against_gaps(
    opposite: Direction, direction: Direction, others: NDArray[np.int32], requests: tuple[int, int]
) -> float:
    """Evidence, in nats, against gaps being why the requests are missing as well as what answers them.

    Gaps come in bursts, so a request is missing beside its answer at least as often as other missing packets
    have one beside them.
    """
    missed, requested = requests
    lacking = opposite.sent_row[opposite.received_row == NO_ROW]
    gaps = Gaps(max(len(lacking) - missed, 0), int(np.count_nonzero(opposite.delivered)))
    burst = Gaps(*close_together(direction.receiver.index.time_ns[others]))
    return min(some.against(missed, requested) for some in (gaps, burst))


def _evidence(
    direction: Direction, rows: NDArray[np.int32], sort: NDArray[np.uint8], gaps: Gaps
) -> NDArray[np.float64]:
    """Evidence, in nats, against a gap of each sort, and at NONE of all sorts together; shape ``(sorts,)``.

    All packets of the sort that the direction holds are the trials, and all sorts that occur are tried.
    """
    index = direction.receiver.index
    arrived = _sorts(direction, direction.received_row[direction.delivered])
    held = np.bincount(arrived, minlength=len(Sort))
    held += np.bincount(sort, minlength=len(Sort))
    result = np.zeros(len(Sort))
    for one in Sort:
        some = rows[sort == one] if one else rows
        trials = int(held[one] if one else held[1:].sum())
        if len(some):
            single = evidence.independent(np.sort(index.time_ns[some]))
            result[one] = gaps.against(single, trials - (len(some) - single))
    tried = int((held[1:] > 0).sum())
    looks = tried + (tried > 1)
    return np.maximum(result - np.log(max(looks, 1)), 0.0)


def proved(pair: Comparison, direction: Direction) -> NDArray[np.int32]:
    """Rows of packets that were not sent, where a mere gap in the capture can be excluded."""
    if not len(rows(direction)):
        return np.empty(0, np.int32)
    found = of(pair, direction)
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


def _sorts(direction: Direction, rows: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Classify packets, shape of `rows`."""
    result = np.zeros(len(rows), np.uint8)
    if not len(rows):
        return result
    index, flows = direction.receiver.index, direction.receiver.flows
    flow, flags = index.flow[rows], index.tcp_flags[rows]
    whole = index.anomalies[rows] & np.uint32(_CUT) == 0
    tcp = (flows.protocol == TCP)[flow] & whole
    result[tcp & (flags & RST != 0)] = Sort.RESET
    result[tcp & (flags & (SYN | ACK | RST) == SYN | ACK)] = Sort.SYN_ACK
    dns = ((flows.protocol == UDP) & np.isin(flows.sport, DNS_PORTS))[flow] & whole
    result[dns & (index.seq[rows] & DNS_RESPONSE != 0)] = Sort.DNS
    error = np.isin(flows.protocol, (ICMP, ICMPV6))[flow]
    result[error & (index.anomalies[rows] & np.uint32(Anomaly.ICMP_ERROR.value) != 0)] = Sort.ICMP_ERROR
    return result


def _requests(opposite: Direction, direction: Direction, flows: NDArray[np.int32]) -> tuple[int, int]:
    """Count the conversations answered by flows of the receiver, and those that never reached the sender."""
    if not len(flows) or not len(opposite):
        return 0, 0
    wanted, requested = conversations(opposite, direction, flows)
    mine = np.isin(requested, wanted[wanted != NO_TUPLE])
    sent = np.unique(requested[mine])
    arrived = np.unique(requested[mine & (opposite.received_row != NO_ROW)])
    return len(sent), len(sent) - len(arrived)


def conversations(
    opposite: Direction, direction: Direction, flows: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Number the tuples that some flows at the receiver answer, and those of all opposite packets."""
    numbered = answers.numbered_flows(direction)
    wanted = numbered.answer[numbered.of_flow[1][flows]]
    requested: NDArray[np.int32] = answers.numbered_flows(opposite).of_flow[0][opposite.flow]
    # Both numberings name the tuples of the same two captures; they agree where all captures share one.
    return _same_numbers(direction, opposite, wanted), requested


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
