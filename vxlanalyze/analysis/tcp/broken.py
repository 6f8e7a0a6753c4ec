"""Connections reset in the middle, by service and by the end that sent the reset."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.requests import forged
from vxlanalyze.analysis.requests.requests import measure
from vxlanalyze.analysis.statistics import fisher
from vxlanalyze.analysis.tcp.tcp_packets import tcp_packets
from vxlanalyze.analysis.tcp.tcp_resets import Resets, resets
from vxlanalyze.pairing import grouping
from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.pairing.numbered import NO_TUPLE
from vxlanalyze.pairing.tuples import distinct

CHANCE = 1e-3
_IDLE_NS = 10_000_000_000  # longer than usual pauses of applications, shorter than usual time-outs


@dataclass(frozen=True, eq=False)
class BrokenConnections:
    """Connections to one service that one end resets; arrays of shape ``(k,)``.

    Parameters
    ----------
    point : Point
        Where they were seen.
    flow : int
        A flow of the point from client to server.
    by_client : bool
        Whether the client sends the resets, not the server.
    connections : int
        Connections to the service that were open, reset or not.
    reset_row, before_row : NDArray[np.int64]
        Rows of the resets, and of the other end's last packet before each.
    old : NDArray[np.bool_]
        Whether that packet was below the window.
    idle_ns : NDArray[np.int64]
        How long each connection had been idle before that packet.
    survived_idle_ns : int
        The longest idle time after which any of the service's connections went on.
    long_first, long_first_spared : int
        Connections whose first message took two segments or more: reset, and not reset.
    """

    point: Point
    flow: int
    by_client: bool
    connections: int
    reset_row: NDArray[np.int64]
    before_row: NDArray[np.int64]
    old: NDArray[np.bool_]
    idle_ns: NDArray[np.int64]
    survived_idle_ns: int
    long_first: int
    long_first_spared: int

    def __len__(self) -> int:
        return len(self.reset_row)

    @property
    def below_window(self) -> bool:
        """Whether nearly all resets answer a packet below the window."""
        return bool(self.old.mean() > 0.9)

    @property
    def after_idling(self) -> bool:
        """Whether all resets came after an idle time that no other connection survived."""
        shortest_ns = int(self.idle_ns.min())
        return shortest_ns >= _IDLE_NS and shortest_ns > self.survived_idle_ns

    @property
    def long_first_chance(self) -> float:
        """Probability that resets hit this many of those with a long first message at random."""
        spared = self.connections - len(self) - self.long_first_spared
        short = len(self) - self.long_first
        return fisher.chance(self.long_first, self.long_first_spared, short, spared)

    @property
    def long_first_decides(self) -> bool:
        """Whether resets only hit connections whose first message takes several segments."""
        return self.long_first == len(self) and self.long_first_chance < CHANCE


@once
def broken(comparison: Comparison) -> tuple[BrokenConnections, ...]:
    """Find the connections that were reset, at the first node's capture or, if it saw none, at the last's."""
    numbered = measure(comparison).tuples
    captures = sorted({p.capture for p in comparison.points})
    ends = [p for p in comparison.points if p.name == comparison.captures[p.capture].name]
    for point in (ends[:1] + ends[-1:]) if len(ends) > 1 else ends:
        tuple_of = numbered.of_flow[captures.index(point.capture)]
        found = resets(tcp_packets(comparison)[point.name])
        sent = np.flatnonzero(found.reset_row >= 0)
        sent = sent[~np.isin(found.reset_row[sent], _forged(comparison, point))]
        if len(sent):
            return tuple(_by_service(point, tuple_of, numbered.answer, found, sent))
    return ()


def _forged(comparison: Comparison, point: Point) -> NDArray[np.int32]:
    rows = [forged.rows(d) for d in comparison.directions if d.receiver is point]
    return np.concatenate(rows) if rows else np.empty(0, np.int32)


def _by_service(
    point: Point,
    tuple_of: NDArray[np.int32],
    answer: NDArray[np.int32],
    found: Resets,
    sent: NDArray[np.intp],
) -> list[BrokenConnections]:
    """Group the resets by service and sender; `sent` are the streams that sent them."""
    flow_of = np.full(len(answer), -1, np.int64)
    flow_of[tuple_of] = np.arange(len(tuple_of))
    client_of = np.where(found.is_client, np.arange(len(answer)), answer)
    clients = np.flatnonzero(found.opened & found.is_client & (flow_of >= 0))
    flows = point.flows
    rows = flow_of[clients]
    ports = flows.dport[rows].astype(">u2").view(np.uint8).reshape(-1, 2)
    names, service = distinct(np.column_stack([flows.family[rows], flows.dst[rows], ports]))
    service_of = np.full(len(answer) + 1, NO_TUPLE, np.int64)
    service_of[clients], services = service, len(names)
    client = client_of[sent]
    known = service_of[client] != NO_TUPLE
    groups = np.where(known, service_of[client] * 2 + (client == sent), -1)
    resets_of, clients_of = grouping.members(groups, 2 * services), grouping.members(service, services)
    result = []
    for group in np.unique(groups[known]).tolist():
        mine, members = sent[resets_of[group]], clients[clients_of[group // 2]]
        reset = client_of[mine]
        long_first = found.first_segments[members] >= 2
        hit = np.isin(members, reset)
        result.append(
            BrokenConnections(
                point=point,
                flow=int(flow_of[reset[0]]),
                by_client=bool(group % 2),
                connections=len(members),
                reset_row=found.reset_row[mine],
                before_row=found.before_row[mine],
                old=found.old[mine],
                idle_ns=found.idle_ns[mine],
                survived_idle_ns=int(found.longest_idle_ns[members].max(initial=0)),
                long_first=int((long_first & hit).sum()),
                long_first_spared=int((long_first & ~hit).sum()),
            )
        )
    return result
