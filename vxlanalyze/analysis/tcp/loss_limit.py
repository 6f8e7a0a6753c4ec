"""Limit that loss puts on TCP throughput, compared with what connections reached.

Sources: Mathis, Semke, Mahdavi, Ott, "The macroscopic behavior of the TCP congestion avoidance algorithm"
(1997), for Reno; RFC 9438 section 5.1, figure 6, for CUBIC (C = 0.4, beta = 0.7). Both hold for random loss;
where time-outs dominate (above about 5 %), they are upper bounds.
"""

from math import sqrt
from typing import NamedTuple

import numpy as np

from vxlanalyze.analysis.tcp import limits
from vxlanalyze.analysis.tcp import waiting_columns as at
from vxlanalyze.analysis.tcp.connections import connections
from vxlanalyze.analysis.tcp.waiting_columns import Cause
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text.words import bit_rate, span
from vxlanalyze.wire import protocols

_LEAST_NS, _LEAST_SHARE, _LEAST_RESENT = 500_000_000, 0.5, 3
_CUBIC = (0.4 * 3.7 / 1.2) ** 0.25
_MUCH_MORE = 2.0  # the formulas are accurate to about this factor


class LossLimit(NamedTuple):
    """The connection of a direction that loses most time to loss, and what the formulas allow it.

    `share` is the share of its active time spent on recovery and on waiting for acknowledgements,
    `connections` the number of connections limited like this.
    """

    connections: int
    share: float
    rtt_ns: int
    reno_bits_per_s: float
    cubic_bits_per_s: float
    reached_bits_per_s: float

    @property
    def allowed_bits_per_s(self) -> float:
        """What CUBIC can reach: it is never slower than Reno."""
        return max(self.reno_bits_per_s, self.cubic_bits_per_s)

    @property
    def text(self) -> str:
        """Describe it in a sentence."""
        does = (
            "more than that: its congestion control takes no loss for congestion, as BBR does"
            if self.reached_bits_per_s > _MUCH_MORE * self.allowed_bits_per_s
            else f"and spent {100 * self.share:.0f} % of its active time on recovery and on waiting for "
            "acknowledgements"
        )
        reno, cubic, reached = (
            bit_rate(rate) for rate in (self.reno_bits_per_s, self.cubic_bits_per_s, self.reached_bits_per_s)
        )
        faster = f" and {cubic} with CUBIC (RFC 9438)" if self.cubic_bits_per_s > self.reno_bits_per_s else ""
        return (
            f" With this loss and a round trip of {span(self.rtt_ns)}, TCP can reach about {reno} with Reno "
            f"(Mathis){faster}; the connection most slowed reached {reached}, {does}."
        )


def of(pair: Comparison, direction: Direction, loss_ratio: float) -> LossLimit | None:
    """Find the connection that loses most time to a direction's loss; None where none loses much."""
    found = connections(pair)
    if found is None or not 0 < loss_ratio < 1:
        return None
    waited = found.waited_ns[:, Cause.RECOVERY] + found.waited_ns[:, Cause.ACKNOWLEDGEMENT]
    share = limits.shares(found, Cause.RECOVERY) + limits.shares(found, Cause.ACKNOWLEDGEMENT)
    limited = (waited >= _LEAST_NS) & (share >= _LEAST_SHARE)
    limited &= found.figures[:, at.RESENT] >= _LEAST_RESENT
    held = limits.by_label(pair, found, np.flatnonzero(limited)).get(direction.label, [])
    segment = _segment_bytes(direction)
    if not held or segment == 0:
        return None
    worst = max(held, key=lambda stream: int(waited[stream]))
    rtt_ns = limits.samples_of(found, worst).rtt_ns or int(found.figures[worst, at.RTT_MIN_NS])
    if rtt_ns <= 0:
        return None
    rtt_s, bits = rtt_ns / 1e9, 8 * segment
    active_s = float(waited[worst] / share[worst]) / 1e9
    return LossLimit(
        connections=len(held),
        share=float(share[worst]),
        rtt_ns=rtt_ns,
        reno_bits_per_s=bits / rtt_s * sqrt(1.5 / loss_ratio),
        cubic_bits_per_s=bits / rtt_s * _CUBIC * (rtt_s / loss_ratio) ** 0.75,
        reached_bits_per_s=8 * int(found.figures[worst, at.BYTES]) / active_s,
    )


def _segment_bytes(direction: Direction) -> int:
    """Give the largest payload of a TCP packet on the wire."""
    tcp = direction.sender.flows.protocol[direction.flow] == protocols.TCP
    return int(direction.payload_length[tcp].max(initial=0))
