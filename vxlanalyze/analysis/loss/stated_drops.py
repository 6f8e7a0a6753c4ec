"""Losses that the receiver's capture itself may account for, since it states its number of drops.

A capture that says "32 packets dropped by kernel" lacks 32 packets that arrived. That many of the missing
packets are neither lost nor delivered, but unknown. Only losses without a rule are reclassified: a kernel
short of buffers drops packets of every kind, in bursts, so a blocked service or a size limit stands.

Sources: pcap_stats(3PCAP); draft-ietf-opsawg-pcapng sections 4.3 (epb_dropcount) and 4.6 (isb_ifdrop,
isb_osdrop).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import drop_counts
from vxlanalyze.analysis.loss import loss
from vxlanalyze.analysis.loss.picture import LossKind, Picture
from vxlanalyze.pairing.model import Comparison, Direction, Hop, Outcome, Reason


def credited(pair: Comparison) -> Comparison:
    """Turn losses into unknown packets, up to the number that the receiving captures state."""
    changed: dict[str, Direction] = {}
    for number, facts in enumerate(pair.captures):
        dropped = drop_counts.stated(pair, facts)
        if dropped:
            changed |= _of_capture(pair, number, dropped)
    if not changed:
        return pair

    def renewed(hop: Hop) -> Hop:
        forward, backward = (changed.get(d.label, d) for d in hop.directions)
        return replace(hop, forward=forward, backward=backward)

    return replace(pair, hops=tuple(renewed(h) for h in pair.hops))


def _of_capture(pair: Comparison, number: int, dropped: int) -> dict[str, Direction]:
    """Directions that end at a capture, without the losses that it may have dropped."""
    arriving = [d for d in pair.directions if d.receiver.capture == number and d.assessed]
    left = dropped - _proved(pair, arriving, number)
    changed = {}
    for direction in arriving:
        if left <= 0 or not direction.lost.any():
            continue
        chosen = _likeliest(direction, loss.explain(direction), left)
        left -= len(chosen)
        if len(chosen):
            outcome, reason = direction.outcome.copy(), direction.reason.copy()
            outcome[chosen], reason[chosen] = Outcome.UNKNOWN, Reason.CAPTURE_LOSS
            changed[direction.label] = replace(
                direction, outcome=outcome, reason=reason, maybe_lost=len(chosen)
            )
    return changed


def _proved(pair: Comparison, arriving: Sequence[Direction], number: int) -> int:
    """Packets that the capture certainly missed: answered by its node, or received elsewhere."""
    answered = sum(
        int(np.count_nonzero((d.reason == Reason.CAPTURE_LOSS) & (d.outcome == Outcome.UNKNOWN)))
        for d in arriving
    )
    unseen = sum(
        int(np.count_nonzero(d.unsent_reason == Reason.CAPTURE_LOSS))
        for d in pair.directions
        if d.sender.capture == number
    )
    return answered + unseen


def _likeliest(direction: Direction, picture: Picture, most: int) -> NDArray[np.intp]:
    """Losses without a rule, up to a number; those in the longest runs first: a full buffer."""
    gaps = [e.packets for e in picture.of(LossKind.INTERRUPTION)]
    candidates = np.sort(np.concatenate([picture.unexplained, *gaps]).astype(np.intp))
    if len(candidates) <= most:
        return candidates
    before = np.searchsorted(np.flatnonzero(direction.delivered), candidates)
    _, run, length = np.unique(before, return_inverse=True, return_counts=True)
    return candidates[np.argsort(-length[run], kind="stable")[:most]]
