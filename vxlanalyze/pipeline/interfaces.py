"""Observation points inside one pcapng: interfaces that saw the same packets at different places.

``dumpcap -i eth0 -i eth1`` on one node gives one point with several interfaces. Captures of two nodes merged
into one file (``mergecap``), or a tool that records several nodes at once, give as many points as nodes. They
are distinguished by time, see `distances`.
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
from vxlanalyze.pipeline.distances import SeenPackets, distance_ns, is_near, seen_packets
from vxlanalyze.wire.model import NO_FLOW, Decoded

_SAMPLE_CHUNKS = 4
_MOST_INTERFACES = 64  # compared with each other; more count as one point, unless chosen by name
_SMALL_BYTES = 8 << 20  # a file below this is read completely to find later interfaces


@dataclass(frozen=True, slots=True)
class _Head:
    """The beginning of a capture as a separate source."""

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
    numbers = np.unique(decoded.flows.interface).tolist()
    if len(numbers) > _MOST_INTERFACES:
        return [capture]
    observed = {number: seen_packets(decoded, _of_interface(decoded, number)) for number in numbers}
    nodes = _nodes(observed)
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


def _of_interface(decoded: Decoded, interface: int) -> NDArray[np.bool_]:
    index, flows = decoded.index, decoded.flows
    return (index.flow != NO_FLOW) & (np.append(flows.interface, 0)[index.flow] == interface)


def _nodes(observed: dict[int, SeenPackets]) -> list[list[int]]:
    """Group interfaces by node, in path order; those without tunnel packets join the nearest."""
    cards = [number for number, seen in observed.items() if seen.tunnelled]
    distance = {(i, j): distance_ns(observed[i], observed[j]) for i, j in combinations(cards, 2)}
    nodes: list[list[int]] = []
    for card in cards:
        own = [n for n in nodes if is_near(distance.get((n[0], card)))]
        apart = all(distance.get((n[0], card)) is not None for n in nodes)
        if own or (nodes and not apart):
            (own[0] if own else nodes[0]).append(card)
        else:
            nodes.append([card])
    nodes.sort(key=lambda node: distance.get((cards[0], node[0])) or 0.0)
    for number in observed:
        if number not in cards and len(nodes) > 1:
            _nearest(observed, number, nodes).append(number)
    return nodes


def _nearest(observed: dict[int, SeenPackets], number: int, nodes: Sequence[list[int]]) -> list[int]:
    apart = [distance_ns(observed[node[0]], observed[number]) for node in nodes]
    return nodes[int(np.argmin([np.inf if d is None else abs(d) for d in apart]))]


def _names(capture: LogicalCapture, nodes: Sequence[Sequence[int]]) -> list[str]:
    """Name nodes by their interfaces if these differ in name or description, else by number."""
    first = [capture.interfaces[node[0]] for node in nodes]
    for given in ([entry.description or "" for entry in first], [entry.name or "" for entry in first]):
        if "" not in given and len(set(map(cleaned, given))) == len(given):
            return [cleaned(name) for name in given]
    return [f"{capture.name}-{number}" for number in range(1, len(nodes) + 1)]
