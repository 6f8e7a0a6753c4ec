"""SYN ACKs that a node sends directly to a client outside of the cluster, and whether it accepts them.

A SYN that came through the tunnel is answered without one where the pod's node knows the client's address:
by design in direct server return, by mistake where the forwarding node should have put its own address there.
The acknowledgement number identifies the SYN, whatever address the answer comes from.

Source: RFC 9293 section 3.10.7.3 (SYN-SENT: an acceptable ACK is SND.UNA + 1, from the address contacted).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests.direct_return import keys
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.request_events import RequestKind
from vxlanalyze.pairing.model import NO_ROW, Point
from vxlanalyze.pairing.rows import rows_of
from vxlanalyze.wire import protocols
from vxlanalyze.wire.model import NO_FLOW, Tunnel
from vxlanalyze.wire.numbers import ACK, FIN, RST, SYN

_SOON_NS = 100_000_000  # a retransmission later than this after an answer means that it was not accepted


class DirectAnswers(NamedTuple):
    """SYNs of one node's capture that were answered directly.

    Parameters
    ----------
    not_taken : Requests
        Those that were retransmitted after the answer.
    answers : NDArray[np.int64]
        Row of the first answer to each of these.
    taken : int
        Number of others that were accepted: the client went on.
    """

    not_taken: Requests
    answers: NDArray[np.int64]
    taken: int


def find(requests: Requests, outside: NDArray[np.bool_]) -> DirectAnswers | None:
    """Find SYNs from the tunnel whose answers leave natively; None where all are accepted.

    Parameters
    ----------
    outside : NDArray[np.bool_]
        Shape ``(f,)``: flows sent by clients outside of the cluster.
    """
    point = requests.point
    index, flows = point.index, point.flows
    flow = index.flow[requests.first_row]
    inside = np.append(flows.tunnel != Tunnel.NONE, False)
    by_tunnel = (requests.answer_row != NO_ROW) & inside[index.flow[requests.answer_row]]
    chosen = inside & np.append(outside, False)
    requested = requests.at((requests.kind == RequestKind.TCP) & ~by_tunnel & chosen[flow])
    native = point.decoded.usage.used & (flows.tunnel == Tunnel.NONE) & (flows.protocol == protocols.TCP)
    if not len(requested) or not native.any():
        return None
    answer = _answers(point, requested, native)
    answered, answer = requested.at(answer != NO_ROW), answer[answer != NO_ROW]
    went_on = _went_on(point)[index.flow[answered.first_row]]
    times = index.time_ns
    again = ~went_on & (times[answered.last_row] > times[answer] + _SOON_NS)
    if not again.any():
        return None
    return DirectAnswers(answered.at(again), answer[again], int(went_on.sum()))


def _answers(point: Point, requested: Requests, native: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Give the row of the first SYN ACK to each request, or NO_ROW."""
    index, flows = point.index, point.flows
    to = keys(flows.family, flows.dst, flows.protocol, flows.dport)
    by = keys(flows.family, flows.src, flows.protocol, flows.sport)
    flow = index.flow[requested.first_row]
    rows = rows_of(index.flow, native & np.isin(to, by[flow]))
    rows = rows[index.tcp_flags[rows] & (FIN | SYN | RST | ACK) == SYN | ACK]
    first: dict[tuple[bytes, int], int] = {}
    for row, key in zip(rows.tolist(), to[index.flow[rows]], strict=True):
        first.setdefault((key.tobytes(), int(index.ack[row])), row)
    wanted = (index.seq[requested.first_row] + np.uint32(1)).tolist()
    found = [first.get((k.tobytes(), n), NO_ROW) for k, n in zip(by[flow], wanted, strict=True)]
    return np.array(found, np.int64)


def _went_on(point: Point) -> NDArray[np.bool_]:
    """Flows with a packet that acknowledges something, shape ``(f,)``."""
    index = point.index
    flow = index.flow[(index.tcp_flags & ACK != 0) & (index.flow != NO_FLOW)]
    return np.bincount(flow, minlength=len(point.flows)) > 0
