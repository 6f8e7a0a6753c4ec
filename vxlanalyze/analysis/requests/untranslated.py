"""Requests whose replies come from an address the client did not contact: its socket rejects them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests.replies_from_elsewhere import RepliesFromElsewhere, find
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.pairing.model import NO_ROW, Comparison


def left_unanswered(requests: Requests, found: Sequence[RepliesFromElsewhere]) -> Requests:
    """Treat requests answered by such a reply as unanswered; `found` is for the same point."""
    if not found:
        return requests
    replies = np.unique(np.concatenate([one.replies for one in found]))
    untaken = (requests.answer_row != NO_ROW) & np.isin(requests.answer_row, replies)
    return replace(
        requests,
        answer_row=np.where(untaken, np.int32(NO_ROW), requests.answer_row),
        missed=np.where(untaken, requests.copies, requests.missed),
        replies=np.where(untaken, np.int32(0), requests.replies),
        again=np.where(untaken, np.int32(0), requests.again),
        refused=requests.refused & ~untaken,
        decided=requests.decided | untaken,
    )


def concerned(comparison: Comparison, requests: Requests) -> NDArray[np.bool_]:
    """Requests of a point whose conversation gets its replies from another address, shape ``(r,)``."""
    names = [point.name for point in comparison.points]
    found = find(comparison)[names.index(requests.point.name)]
    flows = np.array([one.request_flow for one in found], np.int64)
    return np.isin(requests.point.index.flow[requests.first_row], flows)
