"""Loss that sets in above a rate: a policer, a cloud allowance, a queue that overflows in bursts.

A rate limiter passes a number of packets at once, and then as many as it refills. So the first losses of each
burst come after about the same number of packets, and slower traffic loses nothing. Load is the number of
packets (or bytes) sent within a time before each packet: by the entire direction, by the packet's flow, or by
its source. The time, the unit and the scope are hypotheses, and the evidence is reduced by their number.

Losses are grouped into episodes, which are the independent events: one outage of a link that happens to
coincide with a burst proves nothing, however many packets it affects.

Sources: RFC 2697 (token bucket); AWS, "Monitor network performance for ENA" (pps_allowance_exceeded).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.statistics import evidence
from vxlanalyze.kernels.arrays import I64
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.model import Direction
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.wire.model import NO_FLOW

_WINDOWS_NS = tuple(int(1e6 * w) for w in (1, 3, 10, 30, 100, 300, 1000))
_SCOPES = ("all packets", "the packets of its flow", "the packets of its source")
_FEWEST_EPISODES = 3
_FEWEST_PACKETS = 8  # within the time: a pair of queries is not a burst
_FEWEST_SLOWER = 20  # packets of the same flows that were sent more slowly, none of which was lost
_SAMPLE = 20_000  # packets whose load represents that of all
_NS_PER_S = 1e9
_LONGEST_NS = np.iinfo(np.int64).max >> 1


@dataclass(frozen=True, eq=False)
class RateLimit:
    """The load above which packets are lost.

    Parameters
    ----------
    scope : str
        Whose packets are counted.
    window_ns : int
        Time window over which they are counted.
    burst : int
        Packets within that time after which loss sets in: the median over the episodes.
    least : int
        The smallest number of packets within that time at which any was lost.
    passing_per_s : float or None
        Packets per second of these flows that still pass between the first and the last loss of an episode.
    episodes : int
        Bursts, or phases, that lose packets.
    slower : int
        Packets of the same flows below that load; none of them is lost.
    same_kind : int
        Judged packets of the flows that lose any.
    nats : float
        Evidence against loss that does not depend on the rate.
    """

    scope: str
    window_ns: int
    burst: int
    least: int
    passing_per_s: float | None
    episodes: int
    slower: int
    same_kind: int
    nats: float

    @property
    def onset_per_s(self) -> float:
        """The rate at which loss sets in, in packets per second over the window."""
        return self.burst / self.window_ns * _NS_PER_S


@dataclass(frozen=True, eq=False)
class _Sent:
    """Judged packets in the order sent, which of them belong to the losing flows, and which are lost.

    `others` counts the packets of the losing flows that are not lost.
    """

    time_ns: NDArray[np.int64]
    flow: NDArray[np.int32]
    kind: NDArray[np.bool_]
    lost: NDArray[np.bool_]
    others: int


class _Counted(NamedTuple):
    """Packets in the order sent, and the group that each counts towards: the load is a group's."""

    time_ns: NDArray[np.int64]
    group: NDArray[np.int32]


def find(direction: Direction, lost: NDArray[np.intp], chance: float) -> RateLimit | None:
    """Find the load above which the given packets are lost, if chance does not explain it."""
    if len(lost) < _FEWEST_EPISODES:
        return None
    sent = _sent(direction, lost)
    if sent.others < _FEWEST_SLOWER or int(sent.time_ns[-1]) - int(sent.time_ns[0]) > _LONGEST_NS:
        return None
    best = max(_tries(direction, sent), key=lambda t: t.nats, default=None)
    return best if best is not None and best.nats >= -log(chance) else None


def _sent(direction: Direction, lost: NDArray[np.intp]) -> _Sent:
    gone = np.zeros(len(direction), np.bool_)
    gone[lost] = True
    used = np.flatnonzero((direction.delivered | gone) & (direction.flow != NO_FLOW))
    losing = np.zeros(len(direction.sender.flows), np.bool_)
    losing[direction.flow[lost]] = True
    time_ns = direction.sent_ns(used)
    if (np.diff(time_ns) < 0).any():
        used = used[np.argsort(time_ns, kind="stable")]
        time_ns = direction.sent_ns(used)
    flow = direction.flow[used]
    kind, gone = losing[flow], gone[used]
    return _Sent(time_ns, flow, kind, gone, int(np.count_nonzero(kind & ~gone)))


def _tries(direction: Direction, sent: _Sent) -> Iterator[RateLimit]:
    """Weigh each way to count the load."""
    chosen = _chosen(sent)
    flows = len(direction.sender.flows)
    sources, source = distinct(np.ascontiguousarray(direction.sender.flows.src))
    scopes = (
        (1, np.zeros(flows, np.int32)),
        (flows, np.arange(flows, dtype=np.int32)),
        (len(sources), source.astype(np.int32)),
    )
    for scope, (groups, group) in zip(_SCOPES, scopes, strict=True):
        if scope != _SCOPES[0] and groups == 1:
            continue  # the same as all packets
        counted = _Counted(sent.time_ns, group[sent.flow])
        loads = partial(_loads_within, counted, chosen, np.zeros(groups, np.int64))
        # A longer time holds no fewer packets: without a burst in the longest there is none in any other.
        if _least(sent, chosen, loads(_WINDOWS_NS[-1])) < _FEWEST_PACKETS:
            continue
        for window_ns in _WINDOWS_NS:
            weighed = _weigh(sent, chosen, loads(window_ns), window_ns, scope)
            if weighed is not None:
                yield weighed


def _loads_within(
    counted: _Counted, chosen: NDArray[np.intp], counts: NDArray[np.int64], window_ns: int
) -> NDArray[np.int64]:
    """Count for each chosen packet those of its group sent within a time before it.

    `counts` is room for a number for each group.
    """
    load = np.empty(len(chosen), np.int64)
    counts[:] = 0
    _count_loads(counted, chosen, window_ns, counts, load)
    return load


@compiled("_Counted(i8[] i4[]) i8[] i8 i8[] i8[]")
def _count_loads(counted: _Counted, chosen: I64, window_ns: int, counts: I64, load: I64) -> None:
    """Slide a window over packets in time order; `counts` holds the packets in it by group."""
    time_ns, group = counted
    first = end = 0  # the packets within the window, as positions
    for k in range(len(chosen)):
        now_ns = time_ns[chosen[k]]
        while end < len(time_ns) and time_ns[end] <= now_ns:
            counts[group[end]] += 1
            end += 1
        while now_ns - time_ns[first] > window_ns:
            counts[group[first]] -= 1
            first += 1
        load[k] = counts[group[chosen[k]]]


def _least(sent: _Sent, chosen: NDArray[np.intp], load: NDArray[np.int64]) -> int:
    """Give the smallest load at which a packet is lost."""
    return int(load[sent.lost[chosen]].min())


def _chosen(sent: _Sent) -> NDArray[np.intp]:
    """Positions of all lost packets and a sample of the others of their flows, in order."""
    others = np.flatnonzero(sent.kind & ~sent.lost)
    step = max(1, len(others) // _SAMPLE)
    gone = np.flatnonzero(sent.lost)
    return np.sort(np.concatenate([gone, others[::step]]))


def _weigh(
    sent: _Sent, chosen: NDArray[np.intp], load: NDArray[np.int64], window_ns: int, scope: str
) -> RateLimit | None:
    """Weigh the evidence of one way to count."""
    lost, time_ns = sent.lost[chosen], sent.time_ns[chosen]
    gone = np.flatnonzero(lost)
    least = _least(sent, chosen, load)
    slower = sent.others * float(np.mean(load[~lost] < least))
    starts = _starts(time_ns, gone, load < least, window_ns)
    if least < _FEWEST_PACKETS or slower < _FEWEST_SLOWER or len(starts) < _FEWEST_EPISODES:
        return None
    first = load[starts]
    nats = max(_same_onset(first, load), _nothing_slower(time_ns[gone], lost, load >= least))
    nats -= log(len(_WINDOWS_NS) * len(_SCOPES) * 2)
    return RateLimit(
        scope=scope,
        window_ns=window_ns,
        burst=int(np.median(first)),
        least=least,
        passing_per_s=_passing(sent, window_ns),
        episodes=len(starts),
        slower=round(slower),
        same_kind=int(np.count_nonzero(sent.kind)),
        nats=nats,
    )


def _starts(
    time_ns: NDArray[np.int64], gone: NDArray[np.intp], below: NDArray[np.bool_], window_ns: int
) -> NDArray[np.intp]:
    """Losses that begin an episode: long after the previous one, or after the load had fallen."""
    since_ns = np.diff(time_ns[gone], prepend=np.iinfo(np.int64).min >> 1)
    fallen = np.diff(np.cumsum(below)[gone], prepend=0) > 0
    return gone[(since_ns > _gap(window_ns)) | (fallen & (since_ns > evidence.BURST_NS))]


def _gap(window_ns: int) -> int:
    return max(window_ns, evidence.BURST_NS)


def _same_onset(first: NDArray[np.int64], load: NDArray[np.int64]) -> float:
    """Evidence that episodes begin at about the same load, and not at any packet's.

    A range of `width` distinct loads may begin at each of them; the narrower it is, the more it counts.
    """
    loads = np.unique(load)
    width = int(np.count_nonzero((loads >= first.min()) & (loads <= first.max())))
    within = float(np.mean((load >= first.min()) & (load <= first.max())))
    return -len(first) * log(within) - log(len(loads)) - log(width * (width + 1))


def _nothing_slower(time_ns: NDArray[np.int64], lost: NDArray[np.bool_], above: NDArray[np.bool_]) -> float:
    """Evidence that packets below the smallest load of a loss are lost less often than the others."""
    gone, sent = int(lost.sum()), len(lost)
    scale = evidence.independent(time_ns) / gone
    different = max(2, gone)
    return evidence.uneven(scale * gone, scale * int(above.sum()), scale * gone, scale * sent) - log(
        different
    )


def _passing(sent: _Sent, window_ns: int) -> float | None:
    """Packets per second of the losing flows that pass between first and last loss of an episode."""
    kind = np.flatnonzero(sent.kind)
    time_ns, lost = sent.time_ns[kind], sent.lost[kind]
    gone = np.flatnonzero(lost)
    new = np.diff(time_ns[gone], prepend=np.iinfo(np.int64).min >> 1) > _gap(window_ns)
    first, last = gone[new], gone[np.append(new[1:], True)]
    lasted = int((time_ns[last] - time_ns[first]).sum())
    passed = int((last - first + 1).sum()) - len(gone)
    return passed / lasted * _NS_PER_S if lasted else None
