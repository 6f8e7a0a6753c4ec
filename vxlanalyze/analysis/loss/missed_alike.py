"""Packets that a capture lacks equally in both directions: its own loss, not the network's."""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests import answers
from vxlanalyze.analysis.statistics import evidence
from vxlanalyze.pairing.model import Direction, Outcome, Reason
from vxlanalyze.text.words import count

_FEWEST_MISSED = 3  # packets answered but not captured: one or two do not allow an estimate


_REALLY_LOST_PART = 4  # at least this many answered ones for each packet certainly lost


def missed_alike(direction: Direction, lost: NDArray[np.bool_]) -> str:
    """State that the capture missed an equally large share of what its node answered; "" where not.

    The capture lacks some packets whose answers prove that they arrived. If no packet of that kind is missing
    without an answer, and no larger share of the other packets is missing, nothing was lost.
    """
    tells = answers.of(direction).request & (direction.payload_length > 0)
    captured = direction.delivered & tells
    lacking = (direction.reason == Reason.CAPTURE_LOSS) & (direction.outcome == Outcome.UNKNOWN)
    answered, silent = int(lacking.sum()), int((lost & tells).sum())
    if answered < _FEWEST_MISSED or _REALLY_LOST_PART * silent > answered:
        return ""
    total, gone = answered + int(captured.sum()), int(lost.sum())
    others = gone + int((direction.delivered & ~tells).sum())
    least, _ = evidence.loss_interval(gone, others, gone)
    _, most = evidence.loss_interval(answered, total, answered)
    if least > most:
        return ""
    far = direction.receiver.name
    return (
        f"{far}'s capture lacks {answered:,} of {count(total, 'packet')} ({100 * answered / total:.3g} %) "
        f"of "
        f"the kind that is answered, though {far} did answer them; of all others, no larger share is "
        "missing. So the capture dropped these too, and the network need not have lost any."
    )
