"""Inner addresses that send from one outer address up to some moment and from another one afterwards.

A virtual machine that migrates, or an address that fails over, is seen at its old place and then at its new
one: by its packets, or only by its ARP messages if what is sent to it still goes to its old place. An
address that alternates between both is reached through several endpoints and has not moved.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import Flows

_LEAST_PACKETS = 3  # from the new place
_TWO = 2


class Move(NamedTuple):
    """The last place an inner address sent from before it moved, and since when and where it sends now."""

    address: str
    before: str
    after: str
    until_ns: int
    from_ns: int
    packets: int  # from the new place
    flows: NDArray[np.intp]  # flows in which it sent, from either place


@once
def moves_of(pair: Comparison) -> dict[int, dict[str, Move]]:
    """Find the inner addresses that moved, as seen by each capture; done once, and kept as long as it.

    An address that moved more than once is given with its last move.
    """
    return {point.capture: _seen_by(point) for point in pair.points if point.encapsulated}


def announcements(flows: Flows) -> NDArray[np.bool_]:
    """ARP messages that name their sender's address (RFC 5227: a probe does not), shape ``(f,)``."""
    named: NDArray[np.bool_] = (flows.family == 0) & (flows.sport > 0) & flows.src[:, :4].any(axis=1)
    return named


def _seen_by(point: Point) -> dict[str, Move]:
    flows, usage = point.flows, point.decoded.usage
    rows = np.flatnonzero(usage.used & (flows.outer_family > 0) & ((flows.family > 0) | announcements(flows)))
    family = np.maximum(flows.family, 4)  # ARP is IPv4's
    inner, inner_of = distinct(np.column_stack([family, flows.src])[rows])
    outer, outer_of = distinct(np.column_stack([flows.outer_family, flows.outer_src])[rows])
    place, at = np.unique(inner_of.astype(np.int64) * len(outer) + outer_of, return_inverse=True)
    whose = place // max(len(outer), 1)
    if len(np.unique(whose)) == len(whose):
        return {}
    times = point.index.time_ns
    first = np.full(len(place), np.iinfo(np.int64).max)
    last = np.full(len(place), np.iinfo(np.int64).min)
    np.minimum.at(first, at, times[usage.first_row[rows]])
    np.maximum.at(last, at, times[usage.last_row[rows]])
    packets = np.bincount(at, usage.packets[rows], minlength=len(place)).astype(np.int64)
    found = {}
    for number in np.flatnonzero(np.bincount(whose) >= _TWO):
        mine = np.flatnonzero(whose == number)
        mine = mine[np.argsort(first[mine], kind="stable")]
        old, new = mine[-2], mine[-1]
        if packets[new] < _LEAST_PACKETS or (last[mine[:-1]] >= first[mine[1:]]).any():
            continue
        names = outer[place[[old, new]] % len(outer)]
        before, after = text(names[:, 1:], names[:, 0])
        address = text(inner[[number], 1:], inner[[number], 0])[0]
        sent = rows[np.isin(at, (old, new))]
        found[address] = Move(
            address, before, after, int(last[old]), int(first[new]), int(packets[new]), sent
        )
    return found
