"""Whether captures hold one way only, although the other one was used: no answer is missing then.

A filter such as ``src host``, or ``tcpdump -Q``, leaves one way out of both captures. What was sent shows it:
a client that completes a handshake, or acknowledges more and more, received what no capture holds.

Source: RFC 9293 section 3.4 (acknowledgements cover what was received).
"""

import numpy as np

from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.requests import answers
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.wire.numbers import ACK, SYN
from vxlanalyze.wire.protocols import TCP


def holds(pair: Comparison, direction: Direction) -> bool:
    """Whether no packet of the other direction was captured although the sender's TCP proves some."""
    back = answers.opposite(pair, direction)
    return not len(back) and not len(back.unsent_row) and _received_unseen(direction)


def why(direction: Direction) -> str:
    """State it as the reason why something was not assessed."""
    return f"the captures hold one way only: {direction.sender.name} acknowledges what none of them shows"


@once
def _received_unseen(direction: Direction) -> bool:
    """Whether TCP of the sender acknowledges a handshake, or more and more data."""
    index, flows = direction.sender.index, direction.sender.flows
    flow = answers.of(direction).flow
    tcp = np.flatnonzero(flows.protocol[flow] == TCP)
    flags = index.tcp_flags[direction.sent_row[tcp]]
    acknowledging = tcp[(flags & ACK != 0) & (flags & SYN == 0)]
    opened = np.unique(flow[tcp[flags & SYN != 0]])
    if np.isin(flow[acknowledging], opened).any():
        return True
    numbers = np.unique(
        np.column_stack([flow[acknowledging], index.ack[direction.sent_row[acknowledging]]]), axis=0
    )
    return len(tcp) > 0 and len(numbers) > len(np.unique(numbers[:, 0]))
