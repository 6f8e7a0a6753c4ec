"""Packets that open a conversation, as opposed to all others: connection tracking decides on these.

A firewall, a NAT or a load balancer creates an entry for the first packet of a conversation and looks it up
for the following ones. Where the entry fails or new ones are limited, openings are lost and everything else
passes. A retransmission may get through or not: Linux gives a repeated SYN another outer source port.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.arrays import I32, U16, Bools
from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.pairing.model import Direction
from vxlanalyze.pairing.tuples import number_rows
from vxlanalyze.wire.numbers import ACK, ECHO_REQUEST, ECHO_REQUEST_V6, SYN
from vxlanalyze.wire.protocols import ICMP, ICMPV6, TCP, UDP


@dataclass(frozen=True, eq=False)
class Openings:
    """Opening packets among the judged packets of a direction, of which `k` were lost.

    Parameters
    ----------
    first : NDArray[np.bool_]
        Lost packets that were the first of a client's conversation, shape ``(k,)``.
    first_delivered : int
        First packets that arrived.
    went_on : int
        Conversations whose first packet was lost and of which a later one arrived.
    syn : NDArray[np.bool_]
        Lost SYNs, retransmitted or not, shape ``(k,)``.
    syn_delivered : int
        Those that arrived.
    opened : NDArray[np.bool_]
        Flows of conversations that the sender opens while they are observed, shape ``(f,)``.
    """

    first: NDArray[np.bool_]
    first_delivered: int
    went_on: int
    syn: NDArray[np.bool_]
    syn_delivered: int
    opened: NDArray[np.bool_]

    def has(self, part: NDArray[np.bool_] | None) -> bool:
        """Whether a subset of the lost packets is one of these."""
        return part is self.first or part is self.syn


def find(
    direction: Direction, judged: NDArray[np.intp], lost: NDArray[np.bool_], from_server: NDArray[np.bool_]
) -> Openings:
    """Find the openings.

    Parameters
    ----------
    judged : NDArray[np.intp]
        Packets of the direction whose fate and flow are known, in the order sent.
    lost : NDArray[np.bool_]
        Which of these were lost.
    from_server : NDArray[np.bool_]
        Flows of the direction's sender that come from the serving end, shape ``(f,)``.
    """
    flows, flow = direction.sender.flows, direction.flow[judged]
    requests = (flows.protocol == UDP) & ~from_server
    requests |= np.isin(flows.protocol, (ICMP, ICMPV6)) & np.isin(
        flows.sport, (ECHO_REQUEST, ECHO_REQUEST_V6)
    )
    # Flows that differ only in their outer headers are one conversation.
    talk, _ = number_rows(flows.identity[:, np.newaxis])
    begun, arrived = np.zeros(len(flows), np.bool_), np.zeros(len(flows), np.bool_)
    first, syn = np.empty(len(judged), np.bool_), np.empty(len(judged), np.bool_)
    _find(
        (flow, direction.sender.index.tcp_flags[direction.sent_row[judged]], lost),
        (flows.protocol == TCP, requests, talk),
        (begun, arrived),
        first,
        syn,
    )
    opened = np.zeros(len(flows), np.bool_)
    opened[talk[flow[first]]] = True
    return Openings(
        first=first[lost],
        first_delivered=int(np.count_nonzero(first & ~lost)),
        went_on=int(np.count_nonzero(arrived[talk[flow[first & lost]]])),
        syn=syn[lost],
        syn_delivered=int(np.count_nonzero(syn & ~lost)),
        opened=opened[talk],
    )


@compiled("(i4[] u2[] b1[]) (b1[] b1[] i4[]) (b1[] b1[]) b1[] b1[]")
def _find(
    packets: tuple[I32, U16, Bools],
    of_flow: tuple[Bools, Bools, I32],
    of_talk: tuple[Bools, Bools],
    first: Bools,
    syn: Bools,
) -> None:
    """Mark openings, connection requests, and conversations that arrived in part."""
    flow_of, flags, lost = packets
    tcp, is_request, talk_of = of_flow
    begun, arrived = of_talk
    for i in range(len(flow_of)):
        flow = flow_of[i]
        talk = talk_of[flow]
        syn[i] = tcp[flow] and flags[i] & (SYN | ACK) == SYN
        first[i] = not begun[talk] and (syn[i] if tcp[flow] else is_request[flow])
        begun[talk] = True
        if not lost[i]:
            arrived[talk] = True
