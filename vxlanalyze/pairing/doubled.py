"""Packets that one capture shows once and the other several times: the network duplicated them.

The strict key pairs packets that occur once on each side, so it pairs nothing of a sender whose packets are
all duplicated. Then neither the order of sightings nor the clock could show the node of each capture, so here
the first copies are paired, too. A packet that one side shows once was sent once, so all sightings on the
other side belong to it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing import identity, rows, strict
from vxlanalyze.pairing.identity import Level
from vxlanalyze.pairing.model import NO_ROW
from vxlanalyze.pairing.points import Place
from vxlanalyze.pairing.strict import KeyedRows
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.wire.model import Decoded, Tunnel

_FEW = 0.01  # share of all pairs below which a sender's pairs are not significant


def completed(captures: Sequence[tuple[Decoded, Place]], partner: NDArray[np.int32]) -> NDArray[np.int32]:
    """Pair the first copies, too, if the pairs belong to at most one sender.

    Parameters
    ----------
    captures : sequence of (Decoded, Place)
        The two captures.
    partner : NDArray[np.int32]
        Shape ``(n,)``: result of `strict.partners` for each row of the first; not changed.
    """
    (here, _), (there, _) = captures
    if _senders(here, partner) > 1 or not len(here.index) or not len(there.index):
        return partner
    taken = np.zeros(len(there.index), np.bool_)
    taken[partner[partner != NO_ROW]] = True
    seen = [KeyedRows.of(decoded, place) for decoded, place in captures]
    open_ = [
        KeyedRows(some.row[free], some.key[free])
        for some, free in zip(seen, (partner[seen[0].row] == NO_ROW, ~taken[seen[1].row]), strict=True)
    ]
    result = partner.copy()
    first = [_first(some, decoded.index.time_ns) for some, (decoded, _) in zip(open_, captures, strict=True)]
    for left, right in ((open_[0], first[1]), (first[0], open_[1])):
        found = strict.pairs(left, right)
        result[found.first] = found.second
    return result


def _senders(decoded: Decoded, partner: NDArray[np.int32]) -> int:
    """Number of addresses that sent a noticeable part of the packets paired."""
    flows = decoded.flows
    packets = np.bincount(decoded.index.flow[partner != NO_ROW], minlength=len(flows))
    used = np.flatnonzero(packets)
    if not len(used):
        return 0
    tunnelled = (flows.tunnel[used] != Tunnel.NONE)[:, None]
    _, sender = distinct(np.where(tunnelled, flows.outer_src[used], flows.src[used]))
    sent = np.bincount(sender, packets[used])
    return int((sent > _FEW * sent.sum()).sum())


def _first(seen: KeyedRows, time_ns: NDArray[np.int64]) -> KeyedRows:
    """Keep the earliest sighting of each key."""
    order = np.lexsort((time_ns[seen.row], seen.key))
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = seen.key[order[1:]] != seen.key[order[:-1]]
    kept = np.sort(order[fresh])
    return KeyedRows(seen.row[kept], seen.key[kept])


def sightings_again(decoded: Decoded) -> NDArray[np.int64]:
    """Frames of each flow that repeat a packet of the capture, shape ``(f,)``."""
    row = rows.rows_of(decoded.index.flow, np.ones(len(decoded.flows), np.bool_))
    keys = identity.frame_keys(Level.OUTER, decoded, row)
    order = np.argsort(keys, kind="stable")
    again = row[order[1:][keys[order[1:]] == keys[order[:-1]]]]
    return np.bincount(decoded.index.flow[again], minlength=len(decoded.flows))
