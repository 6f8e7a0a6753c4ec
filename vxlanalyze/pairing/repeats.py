"""Captures that show every packet twice: taken at a bond and its member, at a mirror port of both directions.

The second sightings are not packets: if counted, half of what a node sends would seem lost. They are left out
where nearly every packet of every sender appears twice within microseconds; a network that duplicates packets
duplicates those of others, not those leaving the node itself.

Source: libpcap issue 1105 (twin packets in captures).
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing import identity
from vxlanalyze.pairing.between import only_rows
from vxlanalyze.pairing.identity import Level
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import NO_FLOW, Decoded, Tunnel

_TWIN_NS = 50_000  # a host stamps one packet on two of its interfaces within this time
_SAMPLE = 4096  # rows at the beginning, by which a capture is judged
_REACH = 8  # rows after a packet within which its twin appears
_ENOUGH = 8  # rows needed to judge a capture, and a sender
_NEARLY_HALF = 0.45  # share of second sightings where every packet appears twice


def without(decoded: Decoded) -> Decoded:
    """Leave out second sightings where a capture has them throughout."""
    again = _second_sightings(decoded)
    return only_rows(decoded, ~again) if again.any() else decoded


def _second_sightings(decoded: Decoded) -> NDArray[np.bool_]:
    """Mark rows that show a packet again, shape ``(n,)``; none where that is not the rule."""
    index, flows = decoded.index, decoded.flows
    again = np.zeros(len(index), np.bool_)
    several = len(np.unique(flows.interface.astype(np.int64) << 32 | flows.if_index)) > 1
    if several or not _is_the_rule(decoded):  # interfaces that the capture distinguishes are separate places
        return again
    rows = np.flatnonzero(index.flow != NO_FLOW).astype(np.int32)
    keys = identity.frame_keys(Level.OUTER, decoded, rows)
    order = np.lexsort((index.time_ns[rows], keys))
    same = keys[order[1:]] == keys[order[:-1]]
    gap_ns = np.diff(index.time_ns[rows[order]])
    again[rows[order[1:][same & (gap_ns <= _TWIN_NS)]]] = True
    return again


def _is_the_rule(decoded: Decoded) -> bool:
    """Whether nearly every packet of every sender has a twin, by the first rows of the capture."""
    index, flows = decoded.index, decoded.flows
    rows = np.flatnonzero(index.flow[:_SAMPLE] != NO_FLOW).astype(np.int32)
    if len(rows) < _ENOUGH:
        return False
    keys, times = identity.frame_keys(Level.OUTER, decoded, rows), index.time_ns[rows]
    twin = np.zeros(len(rows), np.bool_)
    for step in range(1, _REACH + 1):
        near = times[step:] - times[:-step] <= _TWIN_NS
        twin[step:] |= near & (keys[step:] == keys[:-step])
    if twin.mean() < _NEARLY_HALF:
        return False
    flow = index.flow[rows]
    tunnelled = flows.tunnel[flow] != Tunnel.NONE
    source = np.where(tunnelled[:, None], flows.outer_src[flow], flows.src[flow])
    family = np.where(tunnelled, flows.outer_family[flow], flows.family[flow])
    _, sender = np.unique(text(source, family), return_inverse=True)
    packets = np.bincount(sender)
    share = np.bincount(sender, weights=twin) / packets
    return bool((share[packets >= _ENOUGH] >= _NEARLY_HALF).all())
