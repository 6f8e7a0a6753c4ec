"""Decide whether a packet received can be a damaged copy of the packet sent that it was paired with.

The weaker levels of agreement leave out what may be damaged, and so could pair two different packets in the
same position. Damage leaves traces: a checksum has become invalid, or a number unique to each packet (the IP
ID) agrees although bytes differ. Where the checksum is valid and there is no such number, they are two
different packets. Where there is no checksum either, their bytes decide (`altered_bytes`).
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.altered_bytes import Rereading
from vxlanalyze.pairing.identity import Level
from vxlanalyze.pairing.match import NO_PARTNER
from vxlanalyze.pairing.model import Point
from vxlanalyze.wire.model import INNER_IP_SHIFT, INNER_L4_SHIFT, Checksum, Flows, checksum_states
from vxlanalyze.wire.protocols import TCP

_WRONG = (Checksum.BAD, Checksum.ALL_ONES)
_FEW_BITS = 3
_Rows = tuple[Point, NDArray[np.int32]]

WHOLE = (Level.OUTER, Level.INNER)  # levels at which everything that may be damaged agrees


def refuse_others(
    agreed: tuple[Level, Rereading],
    sent: _Rows,
    received: _Rows,
    partner: NDArray[np.int32],
    copy_of: NDArray[np.int32],
) -> None:
    """Undo the pairs and copies that are two different packets.

    Parameters
    ----------
    agreed : tuple of Level and Rereading
        What agrees between them, and the reader for cases that this does not decide.
    sent, received : tuple of Point and NDArray[np.int32]
        The points, and the rows that were paired, shapes ``(n,)`` and ``(k,)``.
    partner, copy_of : NDArray[np.int32]
        As `match.assign` gives them; changed.
    """
    (near, here), (far, there) = sent, received
    paired, again = np.flatnonzero(partner >= 0), np.flatnonzero(copy_of >= 0)
    good = possible(*agreed, (near, here[paired]), (far, there[partner[paired]]))
    partner[paired[~good]] = NO_PARTNER
    good = possible(*agreed, (near, here[copy_of[again]]), (far, there[again]))
    good &= partner[copy_of[again]] >= 0
    copy_of[again[~good]] = NO_PARTNER


def possible(level: Level, reread: Rereading, sent: _Rows, received: _Rows) -> NDArray[np.bool_]:
    """Decide which pairs can be one packet.

    Parameters
    ----------
    level : Level
        What agrees between them.
    reread : Rereading
        Reads them again where that does not decide.
    sent, received : tuple of Point and NDArray[np.int32]
        Rows at the two points, shapes ``(k,)``: the first of the one and the first of the other, and so on.

    Returns
    -------
    NDArray[np.bool_]
        Shape ``(k,)``.
    """
    (near, here), (far, there) = sent, received
    if level in WHOLE or not len(here):
        return np.ones(len(here), np.bool_)
    one, other = near.index, far.index
    damaged = _proved(one.checks[here], other.checks[there])
    if level is Level.WRAPPED:
        return damaged | _few_bits((near.flows, one.flow[here]), (far.flows, other.flow[there]))
    comparable = (near.segment_bytes[here] == 0) & (far.segment_bytes[there] == 0)
    comparable &= one.digest_length[here] == other.digest_length[there]
    differs = comparable & (one.digest[here] != other.digest[there])
    numbered = (one.ip_id[here] != 0) & (other.ip_id[there] != 0)
    if level is Level.BYTELESS:  # which agrees in the outer IP ID
        numbered |= one.outer_ip_id[here] != 0
    placed = near.flows.protocol[one.flow[here]] == TCP  # by its sequence number
    right = checksum_states(other.checks[there], INNER_L4_SHIFT) == Checksum.OK
    result = ~differs | damaged | numbered | placed
    open_ = np.flatnonzero(~result & ~right)
    result[open_] = reread.looks_damaged(near, here[open_], far, there[open_])
    return result


def _proved(before: NDArray[np.uint16], after: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Whether a checksum inside the tunnel is invalid at the receiver and was not at the sender."""
    result = np.zeros(len(before), np.bool_)
    for shift in (INNER_IP_SHIFT, INNER_L4_SHIFT):
        wrong = np.isin(checksum_states(after, shift), _WRONG)
        result |= wrong & ~np.isin(checksum_states(before, shift), _WRONG)
    return result


def _few_bits(
    one: tuple[Flows, NDArray[np.int32]], other: tuple[Flows, NDArray[np.int32]]
) -> NDArray[np.bool_]:
    """Whether ports and protocol differ in a few bits, between the same addresses."""
    (before, a), (after, b) = one, other
    same = (before.src[a] == after.src[b]).all(axis=1) & (before.dst[a] == after.dst[b]).all(axis=1)
    bits = np.zeros(len(a), np.int64)
    for name in ("sport", "dport", "protocol"):
        bits += np.bitwise_count(getattr(before, name)[a] ^ getattr(after, name)[b])
    result: NDArray[np.bool_] = same & (bits > 0) & (bits <= _FEW_BITS)
    return result
