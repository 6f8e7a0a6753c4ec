"""SYNs from a port whose last connection the server still holds in TIME_WAIT.

The end that closed first keeps the connection for a minute (RFC 9293 section 3.6.1). A new SYN on the same
ports that is not recognisably newer (no time stamps, a sequence number not above the old ones) gets an
acknowledgement of the old connection; the client answers with a reset, which frees the port, and its next SYN
is accepted (RFC 6191).
"""

from collections.abc import Sequence

import numpy as np

from vxlanalyze.analysis.tcp.late_answers import LateAnswer
from vxlanalyze.wire.numbers import ACK, RST, SYN

_LOOKED_AT = 200


def answered_by_old(late: Sequence[LateAnswer]) -> int:
    """Count late answers to SYNs that the server first answered for an old connection."""
    return sum(_by_old(each) for each in late[:_LOOKED_AT] if each.kind == "SYN")


def _by_old(late: LateAnswer) -> bool:
    point = late.point
    rows = slice(late.request_row, late.answer_row)
    identity, flow = point.flows.identity, point.index.flow
    flags, talk = point.index.tcp_flags[rows], identity[flow[rows]]
    old = (talk == identity[flow[late.answer_row]]) & (flags & (SYN | ACK | RST) == ACK)
    reset = (talk == identity[flow[late.request_row]]) & (flags & RST != 0)
    return bool(old.any() and reset.any() and np.argmax(old) < np.flatnonzero(reset)[-1])
