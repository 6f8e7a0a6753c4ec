"""Measure the distance of two observation points from the packets seen by both.

A packet is seen at two interfaces of one host within microseconds, and at two nodes a path delay apart. The
distance of two points is half the difference between the lag of one direction's packets and that of the
other's, whatever their clocks say.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing import identity
from vxlanalyze.pairing.identity import Level
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.wire.model import Decoded, Tunnel

_APART_NS = 10_000.0  # a host shows one packet at two of its interfaces within this time
_ENOUGH = 3  # packets that two points must have in common


@dataclass(frozen=True, slots=True)
class SeenPackets:
    """Packets of one point: keys that occur once, their times, and the end of the path that sent each."""

    keys: NDArray[np.uint64]
    time_ns: NDArray[np.int64]
    sender: NDArray[np.int64]
    tunnelled: int


def seen_packets(decoded: Decoded, here: NDArray[np.bool_]) -> SeenPackets:
    """Gather the packets seen at one point; `here`, shape ``(n,)``, marks its rows, all with a flow."""
    index, flows = decoded.index, decoded.flows
    rows = np.flatnonzero(here & np.append(flows.family > 0, False)[index.flow]).astype(np.int32)
    keys, first, times = np.unique(
        identity.frame_keys(Level.INNER, decoded, rows), return_index=True, return_counts=True
    )
    once = rows[first[times == 1]]
    _, sender = distinct(flows.outer_src)
    tunnelled = int((flows.tunnel[index.flow[rows]] != Tunnel.NONE).sum())
    return SeenPackets(keys[times == 1], index.time_ns[once], sender[index.flow[once]], tunnelled)


def distance_ns(a: SeenPackets, b: SeenPackets) -> float | None:
    """How far `b` is after `a` on the path of the first packet; None if they share too few packets."""
    _, at_a, at_b = np.intersect1d(a.keys, b.keys, assume_unique=True, return_indices=True)
    if len(at_a) < _ENOUGH:
        return None
    later = (b.time_ns[at_b] - a.time_ns[at_a]).astype(np.float64)
    return _one_way(later, a.sender[at_a], a.time_ns[at_a])


def is_near(distance: float | None) -> bool:
    """Whether two points at this distance are on one host."""
    return distance is not None and abs(distance) < _APART_NS


def _one_way(later: NDArray[np.float64], talk: NDArray[np.int64], time_ns: NDArray[np.int64]) -> float:
    """Eliminate the clocks: a lag in one direction is a lead in the other."""
    medians = np.array([np.median(later[talk == t]) for t in np.unique(talk)])
    low, high = float(medians.min()), float(medians.max())
    first = float(np.median(later[talk == talk[np.argmin(time_ns)]]))
    half = (high - low) / 2
    if len(medians) == 1 or half < _APART_NS / 4:
        return first  # one direction only: its time is the only evidence
    return half if abs(first - high) <= abs(first - low) else -half
