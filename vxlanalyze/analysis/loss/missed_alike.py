"""Packets that a capture lacks in both directions alike: its own loss, not the network's."""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests import answers
from vxlanalyze.analysis.statistics import evidence
from vxlanalyze.pairing.model import Direction, Outcome, Reason
from vxlanalyze.text.words import count

_FEWEST_MISSED = 3  # packets that were answered and not captured: one or two tell no share


_REALLY_LOST_PART = 4  # for each packet lost beyond doubt, at least so many that were answered


def missed_alike(direction: Direction, lost: NDArray[np.bool_]) -> str:
    """Say, as sentences, that the capture missed as large a share of what its node answered; "" where not.

    Of what tells by an answer that it arrived, the capture lacks some packets. If nothing of that kind is
    missing without an answer, and of the other packets no larger share is missing, nothing was lost.
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
