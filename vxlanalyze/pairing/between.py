"""Reduce the capture of a node with many peers to the part that concerns one pair of nodes.

Traffic with nodes whose captures belong to other pairs is left out. So each row is examined in one pair only,
however many there are, and each pair is reported as if the two nodes were alone.
"""

from collections.abc import Collection
from dataclasses import fields, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing import address_book
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import Decoded, Flows, Fragments, Index, Tunnel

_Table = TypeVar("_Table", Index, Flows, Fragments)


def without_peers(decoded: Decoded, peers: Collection[str]) -> Decoded:
    """Leave out the tunnel packets that some addresses sent or received; rows keep their frame numbers."""
    book = address_book.number([decoded])
    numbers = book.numbers(sorted(peers))
    elsewhere = np.isin(book.outer_src[0], numbers) | np.isin(book.outer_dst[0], numbers)
    flows = ~(elsewhere & (decoded.flows.tunnel != Tunnel.NONE))
    pieces = ~_of_peers(decoded.fragments, peers)
    rows = np.append(flows, True)[decoded.index.flow]  # the last for NO_FLOW
    rows[decoded.fragments.row[~pieces]] = False
    if rows.all():
        return decoded
    flow_now = np.append(np.cumsum(flows, dtype=np.int32) - 1, np.int32(-1)).astype(np.int32)
    index = replace(decoded.index, flow=flow_now[decoded.index.flow])
    fragments = _only(decoded.fragments, pieces)
    return only_rows(
        replace(decoded, index=index, flows=_only(decoded.flows, flows), fragments=fragments), rows
    )


def only_rows(decoded: Decoded, rows: NDArray[np.bool_]) -> Decoded:
    """Keep chosen rows, which keep their frame numbers."""
    fragments = _only(decoded.fragments, rows[decoded.fragments.row])
    row_now = np.cumsum(rows) - 1
    frame = np.arange(1, len(rows) + 1, dtype=np.int32) if decoded.frame is None else decoded.frame
    return Decoded(
        _only(decoded.index, rows),
        decoded.flows,
        replace(fragments, row=row_now[fragments.row]),
        frame[rows],
    )


def _of_peers(fragments: Fragments, peers: Collection[str]) -> NDArray[np.bool_]:
    """Which fragments came from or went to some addresses; shape ``(k,)``."""
    result = np.zeros(len(fragments), np.bool_)
    for ends in (fragments.outer_src, fragments.outer_dst) if len(fragments) else ():
        different, which = distinct(np.column_stack([ends, fragments.family]))
        result |= np.isin(text(different[:, :16], different[:, 16]), list(peers))[which]
    return result


def _only(table: _Table, chosen: NDArray[np.bool_]) -> _Table:
    return replace(table, **{column.name: getattr(table, column.name)[chosen] for column in fields(table)})
