"""Check that files given as one rotated set come from one node.

The files of one ``tcpdump -C`` are consecutive in time. Files that overlap in time were written by several
processes; if the tunnel addresses that take part in all their packets differ, or if both saw the same packets
a path delay apart, these ran on different nodes.
"""

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.logical import LogicalCapture
from vxlanalyze.capture.model import PLACE_FILE_SHIFT
from vxlanalyze.capture.rotation import argument, beginning
from vxlanalyze.errors import UsageError
from vxlanalyze.pairing.address_book import number
from vxlanalyze.pipeline.distances import SeenPackets, distance_ns, is_near, seen_packets
from vxlanalyze.wire.model import NO_FLOW, Decoded

_ENOUGH = 3  # tunnel packets needed to identify a file's node
_TWO = 2
_MOST_NODES = 8  # number distinguished; more give the same message


@dataclass(frozen=True)
class _Piece:
    """One file of a set: its rows are those from `begin` up to `end`."""

    path: str
    decoded: Decoded
    begin: int
    end: int

    @cached_property
    def times_ns(self) -> tuple[int, int]:
        """Times of its first and last frame."""
        time_ns = self.decoded.index.time_ns[self.begin : self.end]
        return int(time_ns.min()), int(time_ns.max())

    @cached_property
    def seen(self) -> SeenPackets:
        here = np.zeros(len(self.decoded.index), np.bool_)
        here[self.begin : self.end] = True
        return seen_packets(self.decoded, here & (self.decoded.index.flow != NO_FLOW))

    @cached_property
    def own(self) -> frozenset[str]:
        """Outer addresses that take part in every tunnel packet."""
        flow = self.decoded.index.flow[self.begin : self.end]
        packets = np.bincount(flow[flow != NO_FLOW], minlength=len(self.decoded.flows))
        packets[self.decoded.flows.outer_family == 0] = 0
        if packets.sum() < _ENOUGH:
            return frozenset()
        book = number([self.decoded])
        src, dst = book.outer_src[0][packets > 0], book.outer_dst[0][packets > 0]
        return frozenset(book.texts[a] for a in {int(src[0]), int(dst[0])} if ((src == a) | (dst == a)).all())

    def overlaps(self, other: "_Piece") -> bool:
        return self.times_ns[0] < other.times_ns[1] and other.times_ns[0] < self.times_ns[1]

    def is_elsewhere(self, other: "_Piece") -> bool:
        """Whether another file from the same time was written on another node."""
        if not self.overlaps(other):
            return False
        apart = distance_ns(self.seen, other.seen)
        if apart is not None:
            return not is_near(apart)
        return bool(self.own and other.own) and not self.own & other.own


@dataclass(slots=True)
class _Node:
    """The files of one node, the last of which ended last."""

    pieces: list[_Piece] = field(default_factory=list)

    def may_hold(self, piece: _Piece) -> bool:
        return not any(known.is_elsewhere(piece) for known in (self.pieces[0], self.pieces[-1]))

    def likeness(self, piece: _Piece) -> int:
        return len(beginning([self.pieces[0].path, piece.path]))


def require_one_node(source: LogicalCapture, decoded: Decoded) -> None:
    """Check that the files of one capture were not taken on several nodes.

    Raises
    ------
    UsageError
        They were; with the command that was probably meant.
    """
    pieces = _pieces(source, decoded) if len(source.files) > 1 else []
    if not _any_overlap(pieces):
        return
    nodes: list[_Node] = []
    for piece in pieces:
        homes = [node for node in nodes if node.may_hold(piece)]
        if not homes and len(nodes) < _MOST_NODES:
            nodes.append(_Node([piece]))
            continue
        home = max(homes or nodes, key=lambda node: node.likeness(piece))
        home.pieces.append(piece)
    if len(nodes) > 1:
        raise UsageError(_refusal(_in_path_order(nodes)))


def _pieces(source: LogicalCapture, decoded: Decoded) -> list[_Piece]:
    begins = _begins(decoded.index.place, len(source.files))
    return [
        _Piece(file.path, decoded, begin, end)
        for file, begin, end in zip(source.files, begins[:-1], begins[1:], strict=True)
        if end > begin
    ]


def _begins(place: NDArray[np.int64], files: int) -> list[int]:
    """First row of each file, and their number: rows are in the order of the files."""
    firsts = np.arange(files + 1, dtype=np.int64) << PLACE_FILE_SHIFT
    return np.searchsorted(place, firsts).tolist()


def _any_overlap(pieces: list[_Piece]) -> bool:
    return any(a.times_ns[1] > b.times_ns[0] for a, b in pairwise(pieces))


def _in_path_order(nodes: list[_Node]) -> list[_Node]:
    """Order two nodes by which of them the first common packet passed first."""
    if len(nodes) == _TWO:
        apart = distance_ns(nodes[0].pieces[0].seen, nodes[1].pieces[0].seen)
        if apart is not None and apart < 0:
            return nodes[::-1]
    return nodes


def _refusal(nodes: list[_Node]) -> str:
    first, second = (node.pieces[0] for node in nodes[:2])
    whose = ""
    if len(first.own) == len(second.own) == 1 and first.own != second.own:
        whose = f" ({', '.join(first.own)} and {', '.join(second.own)})"
    option = "" if len(nodes) == _TWO else "--matrix "
    captures = " ".join(argument([piece.path for piece in node.pieces]) for node in nodes)
    return (
        f"{first.path} and {second.path} were written at the same time on different nodes{whose}, so they "
        f"are not one rotated set; to compare the nodes: vxlanalyze {option}{captures}"
    )
