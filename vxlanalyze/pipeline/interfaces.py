"""Observation points inside one pcapng: interfaces that saw the same packets at different places.

``dumpcap -i eth0 -i eth1`` on one node gives one point with several interfaces. Captures of two nodes that
were merged into one file (``mergecap``), or a tool that records several nodes at once, give as many points as
nodes. What tells them apart is time: a packet is seen at two interfaces of one host within microseconds, and
at two nodes a path's delay apart. The distance of two interfaces on the path is half of what packets of one
direction come later minus what those of the other come later, whatever their clocks say.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from vxlanalyze import wire
from vxlanalyze.capture.logical import LogicalCapture
from vxlanalyze.capture.model import Frames, Interface
from vxlanalyze.capture.sources import cleaned
from vxlanalyze.capture.view import InterfaceView
from vxlanalyze.pairing import identity
from vxlanalyze.pairing.identity import Level
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.wire.model import NO_FLOW, Decoded, Tunnel

_SAMPLE_CHUNKS = 4
_SMALL_BYTES = 8 << 20  # a file that is read whole to see whether interfaces come later
_APART_NS = 10_000.0  # a host shows one packet at two of its interfaces within this time
_ENOUGH = 3  # packets that two interfaces must have in common


@dataclass(frozen=True, slots=True)
class _Sights:
    """Packets of one interface: keys that occur once, their times, and the end of the path that sent each."""

    keys: NDArray[np.uint64]
    time_ns: NDArray[np.int64]
    sender: NDArray[np.int64]
    tunnelled: int


@dataclass(frozen=True, slots=True)
class _Head:
    """The beginning of a capture, as a source of its own."""

    capture: LogicalCapture
    chunk_count: int

    @property
    def interfaces(self) -> list[Interface]:
        return self.capture.interfaces

    def chunks(self) -> Iterator[Frames]:
        for number, frames in enumerate(self.capture.chunks(), 1):
            yield frames
            if number == self.chunk_count:
                return

    def __getattr__(self, name: str) -> object:
        return getattr(self.capture, name)


def points(capture: LogicalCapture) -> list[LogicalCapture]:
    """Give the observation points of a capture: one for each node whose interfaces it holds, in path order.

    Raises
    ------
    CaptureError
        The file cannot be read.
    """
    if len(capture.files) > 1 or capture.files[0].format != "pcapng" or not _has_several(capture):
        return [capture]
    decoded = wire.decode(_Head(capture, _SAMPLE_CHUNKS))  # type: ignore[arg-type]
    sights = {number: _sights(decoded, number) for number in np.unique(decoded.flows.interface).tolist()}
    nodes = _nodes(sights)
    if len(nodes) < 2:
        return [capture]
    names = _names(capture, nodes)
    return [
        capture.seen_through(InterfaceView(frozenset(node)), name)
        for node, name in zip(nodes, names, strict=True)
    ]


def _has_several(capture: LogicalCapture) -> bool:
    whole = capture.files[0].bytes <= _SMALL_BYTES
    for _ in capture.chunks():
        if len(capture.interfaces) > 1:
            return True
        if not whole:
            return False
    return len(capture.interfaces) > 1


def _sights(decoded: Decoded, interface: int) -> _Sights:
    index, flows = decoded.index, decoded.flows
    known = index.flow != NO_FLOW
    here = known & (np.append(flows.interface, 0)[index.flow] == interface)
    rows = np.flatnonzero(here & np.append(flows.family > 0, False)[index.flow]).astype(np.int32)
    keys, first, times = np.unique(
        identity.frame_keys(Level.INNER, decoded, rows), return_index=True, return_counts=True
    )
    once = rows[first[times == 1]]
    _, sender = distinct(flows.outer_src)
    tunnelled = int((flows.tunnel[index.flow[rows]] != Tunnel.NONE).sum())
    return _Sights(keys[times == 1], index.time_ns[once], sender[index.flow[once]], tunnelled)


def _distance_ns(a: _Sights, b: _Sights) -> float | None:
    """How far behind `a` on the path of its first packet `b` stands; None where they share too little."""
    _, at_a, at_b = np.intersect1d(a.keys, b.keys, assume_unique=True, return_indices=True)
    if len(at_a) < _ENOUGH:
        return None
    later = (b.time_ns[at_b] - a.time_ns[at_a]).astype(np.float64)
    return _one_way(later, a.sender[at_a], a.time_ns[at_a])


def _one_way(later: NDArray[np.float64], talk: NDArray[np.int64], time_ns: NDArray[np.int64]) -> float:
    """Take the clocks out: what is later in one direction is earlier in the other."""
    medians = np.array([np.median(later[talk == t]) for t in np.unique(talk)])
    low, high = float(medians.min()), float(medians.max())
    first = float(np.median(later[talk == talk[np.argmin(time_ns)]]))
    half = (high - low) / 2
    if len(medians) == 1 or half < _APART_NS / 4:
        return first  # one direction only: its time is all that tells
    return half if abs(first - high) <= abs(first - low) else -half


def _nodes(sights: dict[int, _Sights]) -> list[list[int]]:
    """Put interfaces of one node together, in path order; those without tunnel packets with the nearest."""
    cards = [number for number, seen in sights.items() if seen.tunnelled]
    distance = {(i, j): _distance_ns(sights[i], sights[j]) for i, j in combinations(cards, 2)}
    nodes: list[list[int]] = []
    for card in cards:
        own = [n for n in nodes if _is_near(distance.get((n[0], card)))]
        apart = all(distance.get((n[0], card)) is not None for n in nodes)
        if own or (nodes and not apart):
            (own[0] if own else nodes[0]).append(card)
        else:
            nodes.append([card])
    nodes.sort(key=lambda node: distance.get((cards[0], node[0])) or 0.0)
    for number in sights:
        if number not in cards and len(nodes) > 1:
            _nearest(sights, number, nodes).append(number)
    return nodes


def _is_near(distance_ns: float | None) -> bool:
    return distance_ns is not None and abs(distance_ns) < _APART_NS


def _nearest(sights: dict[int, _Sights], number: int, nodes: Sequence[list[int]]) -> list[int]:
    apart = [_distance_ns(sights[node[0]], sights[number]) for node in nodes]
    return nodes[int(np.argmin([np.inf if d is None else abs(d) for d in apart]))]


def _names(capture: LogicalCapture, nodes: Sequence[Sequence[int]]) -> list[str]:
    """Name nodes by their interfaces where that tells them apart, by number where it does not."""
    names = [capture.interfaces[node[0]].name or "" for node in nodes]
    if "" in names or len(set(map(cleaned, names))) < len(names):
        return [f"{capture.name}-{number}" for number in range(1, len(nodes) + 1)]
    return [cleaned(name) for name in names]
