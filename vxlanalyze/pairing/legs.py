"""The packets of each direction of a hop, matched and timed by a clock, before it is built."""

from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.memory import heap
from vxlanalyze.memory import threads as pools
from vxlanalyze.pairing import fate, one_way, positions
from vxlanalyze.pairing.altered_bytes import Rereading
from vxlanalyze.pairing.ends import HopEnds
from vxlanalyze.pairing.fate import Matched, Units
from vxlanalyze.pairing.model import NO_DELAY, NO_ROW, CaptureFacts, Clock, Point
from vxlanalyze.pairing.routes import Route
from vxlanalyze.wire.model import Anomaly

_FAR_NS = 1 << 62  # 146 years; damaged times may differ by more
_APART_NS = 1_000_000_000  # two captures stopped by one command, or by one person in two terminals
_APART_SHARE = 0.05  # of a capture's duration: a short one may lack much within a second
_USUAL_RUNS = 3  # fewer runs of losses are an outage, not what may be expected at the end
_TOO_MANY_FRAMES = 15_000_000  # above this, both directions at once would need too much memory


@dataclass(frozen=True)
class Leg:
    """One direction while it is being built."""

    sent: Units
    received: Units
    sent_at_receiver_ns: NDArray[np.int64]
    matched: Matched
    delay_ns: NDArray[np.int64]
    forward: bool

    @cached_property
    def span_ns(self) -> tuple[int, int]:
        """Shortest and longest measured delay; 0 where there is none."""
        known = self.delay_ns[self.delay_ns != NO_DELAY]
        return (int(known.min()), int(known.max())) if len(known) else (0, 0)

    def edges_ns(self, facts: CaptureFacts) -> tuple[int, int]:
        """Time before the first and after the last frame of the receiver's capture that it may not cover.

        Two captures started and stopped together do not begin and end at exactly the same time. Packets
        missing there are not lost, unless as many in a row are lost elsewhere. 0 where none are missing
        there, or over a longer time.
        """
        if facts.first_ns is None or facts.last_ns is None:
            return 0, 0
        most_ns = min(_APART_NS, int((facts.last_ns - facts.first_ns) * _APART_SHARE))
        shortest_ns, longest_ns = self.span_ns
        missing = self.matched.partner < 0
        early_ns = np.where(missing, facts.first_ns - (self.sent_at_receiver_ns + shortest_ns), 0)
        late_ns = np.where(missing, self.sent_at_receiver_ns + longest_ns - facts.last_ns, 0)
        runs = _runs(missing & (early_ns <= 0) & (late_ns <= 0))
        before_ns, after_ns = (
            _edge(b[b > 0], most_ns, int(runs.max(initial=0))) for b in (early_ns, late_ns)
        )
        late_ns = late_ns[late_ns > 0]
        apart = len(missing) > len(late_ns) and not missing[-len(late_ns) - 1]
        if apart and not after_ns and len(runs) < _USUAL_RUNS:
            after_ns = _edge(late_ns, min(most_ns, 2 * longest_ns), 0)  # under way at the end of both
        return before_ns, after_ns

    @cached_property
    def typical_shift(self) -> int:
        """Receiver's clock minus sender's around the direction's packets; within `_FAR_NS`."""
        if not len(self.sent.time_ns):
            return 0
        return int(np.clip(np.median(self.sent_at_receiver_ns - self.sent.time_ns), -_FAR_NS, _FAR_NS))


def _edge(beyond_ns: NDArray[np.int64], most_ns: int, in_a_row: int) -> int:
    if len(beyond_ns) <= in_a_row or beyond_ns.max() > most_ns:
        return 0
    return int(beyond_ns.max())


def _runs(marked: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Lengths of the runs of marked packets."""
    borders = np.flatnonzero(np.diff(np.concatenate(([0], marked.view(np.int8), [0]))))
    return borders[1::2] - borders[::2]


def threads(ends: HopEnds) -> Executor:
    """Threads for both directions: nearly all of the work is numpy and kernels, which release the lock."""
    frames = len(ends.first.index) + len(ends.second.index)
    return pools.threads(1 if frames > _TOO_MANY_FRAMES else 2)


def rows_of(point: Point, route: NDArray[np.uint8], *wanted: Route) -> NDArray[np.int32]:
    """Rows of a point on some routes, without later fragments."""
    rows = fate.rows_where(point, np.isin(route, wanted))
    later = point.index.anomalies[rows] & np.uint32(Anomaly.LATER_FRAGMENT)
    return rows[later == 0] if later.any() else rows


def legs(ends: HopEnds, clock_: Clock | None) -> tuple[Leg, Leg]:
    """Both directions, given a clock."""
    heap.trim()  # memory freed by fitting the clock
    with threads(ends) as pool:
        forward, backward = pool.map(lambda forward_: _leg(ends, clock_, forward_), (True, False))
    heap.trim()
    return forward, backward


def _leg(ends: HopEnds, clock_: Clock | None, forward: bool) -> Leg:
    wanted = Route.FORWARD if forward else Route.BACKWARD
    at_first = Units.of(ends.first, rows_of(ends.first, ends.routes.first, wanted))
    at_second = Units.of(ends.second, rows_of(ends.second, ends.routes.second, wanted))
    sent, received = (at_first, at_second) if forward else (at_second, at_first)
    known = positions.paired(ends.partner, at_first, at_second)
    if not forward:
        known = positions.inverse(known, len(at_second.row))
    sent_ns = _at_receiver(sent, received, known, clock_, forward)
    near, far = (facts.source for facts in (ends.facts if forward else ends.facts[::-1]))
    reread = Rereading(near, far, ends.ports)
    by_receiver = replace(sent, time_ns=sent_ns)
    matched = fate.match_units(by_receiver, received, known, timed=clock_ is not None, reread=reread)
    received_ns = positions.of_partners(received.time_ns, matched.partner, 0)
    delay = one_way.delays(sent.time_ns, received_ns, matched.partner >= 0, clock_, forward)
    return Leg(sent, received, sent_ns, matched, delay, forward)


def _at_receiver(
    sent: Units, received: Units, known: NDArray[np.int32], clock_: Clock | None, forward: bool
) -> NDArray[np.int64]:
    """When packets were sent by the receiver's clock, also those under way while a clock was set."""
    sent_ns = one_way.sent_by_receivers_clock(sent.time_ns, clock_, forward)
    if clock_ is None or len(clock_.pieces) < 2:
        return sent_ns
    paired = np.flatnonzero(known != NO_ROW)
    own_ns, there_ns = sent.time_ns[paired], received.time_ns[known[paired]]
    if forward:
        sent_ns[paired] = own_ns + one_way.pair_offsets(own_ns, there_ns, clock_)
    else:
        sent_ns[paired] = own_ns - one_way.pair_offsets(there_ns, own_ns, clock_)
    return sent_ns
