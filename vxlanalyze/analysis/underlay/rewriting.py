"""Find outer addresses and ports that changed between two points."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.kernels.arrays import I32, I64, U8, Bools
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.model import NO_ROW, Direction, Point, Reason
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.wire.addresses import text

_AMBIGUOUS = Reason.AMBIGUOUS.value


class Rewritten(NamedTuple):
    """Packets of a direction whose outer header changed on the path, by original and new values.

    `before` and `after` are (source, destination) addresses; `ports` says whether the source port
    changed as well for any of them. `packets` has shape ``(m,)``.
    """

    before: tuple[str, str]
    after: tuple[str, str]
    ports: bool
    packets: NDArray[np.bool_]


@once
def rewritten(direction: Direction) -> list[Rewritten]:
    """Compare the outer addresses of delivered packets at both points; the most common change first.

    Ambiguous packets are skipped: they may be paired crosswise. Done once per direction.
    """
    if not shows_underlay(direction):
        return []
    here, there = (_underlay(point) for point in (direction.sender, direction.receiver))
    differs = np.zeros(len(direction), np.bool_)
    _compare(
        (direction.flow, direction.receiver.index.flow),
        direction.received_row,
        direction.reason,
        _number_ends(here, there),
        differs,
    )
    sure = np.flatnonzero(differs)
    if not len(sure):
        return []
    sent = direction.flow[sure].astype(np.int64)
    received = direction.receiver.index.flow[direction.received_row[sure]].astype(np.int64)
    pairs, code = np.unique(sent << 32 | received, return_inverse=True)
    first, second = pairs >> 32, pairs & 0xFFFFFFFF
    both = (here.outer_family[first] > 0) & (there.outer_family[second] > 0)
    sources = (here.outer_src[first] != there.outer_src[second]).any(axis=1)
    destinations = (here.outer_dst[first] != there.outer_dst[second]).any(axis=1)
    changed = np.flatnonzero(both & (sources | destinations))
    groups: dict[tuple[tuple[str, str], tuple[str, str]], list[int]] = {}
    for i in changed.tolist():
        groups.setdefault((_ends(here, int(first[i])), _ends(there, int(second[i]))), []).append(i)
    result = []
    for (before, after), members in groups.items():
        packets = np.zeros(len(direction), np.bool_)
        packets[sure] = np.isin(code, members)
        ports = bool((here.outer_sport[first[members]] != there.outer_sport[second[members]]).any())
        result.append(Rewritten(before, after, ports, packets))
    return sorted(result, key=lambda r: -int(r.packets.sum()))


def shows_underlay(direction: Direction) -> bool:
    """Whether both points show what goes between nodes: tunnel packets, or encrypted ones."""
    points = direction.sender, direction.receiver
    return all(p.encapsulated for p in points) or all(
        not p.encapsulated and bool((p.flows.encryption[p.decoded.usage.used] > 0).any()) for p in points
    )


class _Ends(NamedTuple):
    """What identifies the nodes of each flow, shapes ``(f,)``."""

    outer_family: NDArray[np.uint8]
    outer_src: NDArray[np.uint8]
    outer_dst: NDArray[np.uint8]
    outer_sport: NDArray[np.uint16]


def _underlay(point: Point) -> _Ends:
    """The outer header of tunnel packets; of encrypted ones, the only one."""
    f = point.flows
    if point.encapsulated:
        return _Ends(f.outer_family, f.outer_src, f.outer_dst, f.outer_sport)
    return _Ends(np.where(f.encryption > 0, f.family, np.uint8(0)), f.src, f.dst, f.sport)


def rewritten_sources(direction: Direction) -> list[tuple[str, str]]:
    """Give the outer source addresses that change on the direction's path, as (before, after)."""
    return [(r.before[0], r.after[0]) for r in rewritten(direction) if r.before[0] != r.after[0]]


def _number_ends(here: _Ends, there: _Ends) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Number the outer addresses of the flows of two captures consistently, shape ``(f,)`` each."""
    rows = [np.column_stack([f.outer_family, f.outer_src, f.outer_dst]) for f in (here, there)]
    _, code = distinct(np.concatenate(rows))
    border = len(here.outer_family)
    return code[:border], code[border:]


@compiled("(i4[] i4[]) i4[] u1[] (i8[] i8[]) b1[]")
def _compare(
    flows: tuple[I32, I32], received_row: I32, reason: U8, ends: tuple[I64, I64], differs: Bools
) -> None:
    """Mark the packets whose outer addresses changed on the path."""
    sent_flow, received_flow = flows
    ends_sent, ends_received = ends
    for i in range(len(sent_flow)):
        row = received_row[i]
        if row != NO_ROW and reason[i] != _AMBIGUOUS:
            differs[i] = ends_sent[sent_flow[i]] != ends_received[received_flow[row]]


def _ends(flows: _Ends, row: int) -> tuple[str, str]:
    family = np.full(2, flows.outer_family[row], np.uint8)
    source, destination = text(np.stack([flows.outer_src[row], flows.outer_dst[row]]), family)
    return source, destination
