"""Figures of a direction: counts, the loss ratio with its interval, one-way delays.

Source: RFC 7679 section 5.1 for percentiles of one-way delay.
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.statistics import evidence
from vxlanalyze.analysis.timing import order
from vxlanalyze.analysis.underlay import fragmented
from vxlanalyze.pairing.model import NO_DELAY, Clock, Direction, Outcome, Reason
from vxlanalyze.report.model import DelayRecord, HopRecord, WindowRecord
from vxlanalyze.text.times import rfc3339

_SHARES = (0.5, 0.9, 0.99)


def hop_record(direction: Direction, clock: Clock, not_captured: str = "") -> HopRecord:
    """Measure one direction of a hop; `not_captured` says why no capture holds what was sent."""
    counts = np.bincount(direction.outcome, minlength=len(Outcome))
    delivered, lost = int(counts[Outcome.DELIVERED]), int(counts[Outcome.LOST])
    low, high = loss_interval(direction)
    return {
        "from": direction.sender.name,
        "to": direction.receiver.name,
        "direction": direction.label,
        "sent": len(direction),
        "delivered": delivered,
        "lost": lost,
        "unknown": int(counts[Outcome.UNKNOWN]),
        "unknown_reasons": _unknown_reasons(direction),
        "loss_ratio": lost / (lost + delivered) if lost + delivered else None,
        "low": low,
        "high": high,
        "bytes_lost": int(direction.wire_length[direction.lost].sum(dtype=np.int64)) if lost else 0,
        "delay_ns": delay_record(direction.delay_ns, clock.uncertainty_ns),
        "reordered": len(order.late(direction).packets),
        "duplicated": int(np.count_nonzero(direction.copies > 1)),
        "corrupted": int(np.count_nonzero(direction.corrupted)),
        "largest_delivered": direction.largest_delivered,
        "smallest_lost": direction.smallest_lost,
        "window": _window(direction),
        "not_assessed": (not_captured or None) if direction.assessed else direction.not_assessed_why,
        "in_part": fragmented.in_part(direction),
    }


def loss_interval(direction: Direction) -> tuple[float | None, float | None]:
    """Bound the loss ratio with 95 % confidence, wider if losses come in runs; None without packets."""
    lost = direction.lost[direction.judged]
    if not len(lost):
        return None, None
    runs = int(lost[0]) + int(np.count_nonzero(lost[1:] & ~lost[:-1]))
    return evidence.loss_interval(int(np.count_nonzero(lost)), len(lost), runs, direction.maybe_lost)


def delay_record(delay_ns: NDArray[np.int64], uncertainty_ns: int | None) -> DelayRecord:
    """Quantiles of delays, shape ``(m,)``; NO_DELAY is skipped."""
    known = delay_ns[delay_ns != NO_DELAY]
    if not len(known):
        return {"min": None, "p50": None, "p90": None, "p99": None, "max": None, "uncertainty": None}
    known.partition([_rank(known, share) for share in (0, *_SHARES, 1)])  # sorting takes five times as long
    middle, most, nearly_all = (quantile(known, share) for share in _SHARES)
    return {
        "min": int(known[0]),
        "p50": middle,
        "p90": most,
        "p99": nearly_all,
        "max": int(known[-1]),
        "uncertainty": uncertainty_ns,
    }


def quantile(ordered: NDArray[np.int64], share: float) -> int:
    """Smallest value not exceeded by at least `share` of the sorted values, shape ``(k,)``."""
    return int(ordered[_rank(ordered, share)])


def _rank(values: NDArray[np.int64], share: float) -> int:
    return max(int(np.ceil(share * len(values))) - 1, 0)


def _unknown_reasons(direction: Direction) -> dict[str, int]:
    counts = np.bincount(direction.reason[direction.outcome == Outcome.UNKNOWN], minlength=len(Reason))
    counts[Reason.NONE] = 0  # unassessed directions give the reason instead
    return {reason.name.lower().replace("_", "-"): int(counts[reason]) for reason in Reason if counts[reason]}


def _window(direction: Direction) -> WindowRecord | None:
    if direction.window_ns is None:
        return None
    first, last = direction.window_ns
    return {"first": rfc3339(first), "last": rfc3339(last), "by": direction.window_by}
