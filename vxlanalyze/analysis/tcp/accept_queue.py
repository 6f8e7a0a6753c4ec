"""Connections that a server's kernel has answered but its application does not accept.

With a full accept queue, Linux ignores the last ACK of a handshake (and the data after it) and repeats its
SYN ACK: the client considers the connection established while the server does not. Linux also ignores further
SYNs.

Source: Linux tcp_minisocks.c (tcp_check_req), ip-sysctl (tcp_abort_on_overflow); kubernetes issue 76699.
"""

from collections.abc import Sequence

import numpy as np

from vxlanalyze.analysis.requests.request_events import RequestKind
from vxlanalyze.analysis.requests.requests import measure
from vxlanalyze.analysis.tcp.late_answers import LateAnswer
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count
from vxlanalyze.wire.numbers import ACK, RST, SYN

_AT_ONCE_NS = 100_000_000
_SYN_ACK, _MASK = SYN | ACK, SYN | RST | ACK


def ignored_last_acks(late: Sequence[LateAnswer]) -> int:
    """Count late TCP answers for which the server repeated its SYN ACK after the data had arrived."""
    return sum(_repeats(each) for each in late if each.kind == "TCP")


def _repeats(late: LateAnswer) -> bool:
    index = late.point.index
    flow = index.flow[late.answer_row]
    first, last = (int(index.time_ns[row]) for row in (late.request_row, late.answer_row))
    rows = np.flatnonzero((index.flow == flow) & (index.tcp_flags & _MASK == _SYN_ACK))
    times = index.time_ns[rows]
    return bool(((times > first) & (times <= last)).any())


def ignored_syns(late: Sequence[LateAnswer]) -> int:
    """Count connections whose first SYNs were ignored, at the server that kept data waiting longest."""
    worst = late[0]
    mine = (e for e in late if (e.server, e.port) == (worst.server, worst.port))
    return sum(e.kind == "SYN" and e.copies > 1 for e in mine)


def answered_meanwhile(pair: Comparison, late: LateAnswer) -> int:
    """Count the requests to other ports that the same node answered at once while one of its own waited."""
    place = next(n for n, point in enumerate(pair.points) if point is late.point)
    requests, times = measure(pair).of_point[place], late.point.index.time_ns
    first_ns = times[requests.first_row]
    flow = late.point.index.flow
    same = late.point.flows.dport[flow[requests.first_row]] == late.port
    same &= requests.kind == RequestKind.TCP
    mine = requests.at(requests.answered & ~same & (first_ns > late.from_ns) & (first_ns < late.to_ns))
    quick = mine.latency_ns < _AT_ONCE_NS
    there = late.point.flows.outer_dst[flow[late.request_row]]
    to_node = (late.point.flows.outer_dst[flow[mine.first_row]] == there).all(axis=1)
    return int((quick & to_node).sum())


def explain(connections: int, syns: int) -> str:
    """Explain the repeated SYN ACKs, or else the ignored SYNs."""
    if not connections:
        return (
            f"Of {count(syns, 'connection')} to the same port the kernel ignored the first SYNs meanwhile, "
            "and took the client's later ones: the accept queue is full, for the application accepts "
            "connections more slowly than they come."
        )
    return (
        f"In {count(connections, 'connection')} the server repeated its SYN ACK after the client's last ACK "
        "and data had arrived, so its kernel ignored these: the accept queue is full, for the application "
        "accepts connections more slowly than they come."
    )


def remedy(node: str, late: LateAnswer) -> str:
    """Say how to detect a full queue, and how to enlarge it."""
    return written(
        f"In the network namespace of {late.server}, see the overflows of the queue; of the socket, what "
        "waits to be accepted (Recv-Q) and the limit (Send-Q):",
        on(node, "nstat -az TcpExtListenOverflows TcpExtListenDrops", f"ss -tlni sport = :{late.port}"),
        "Raise the application's listen backlog, and the limit of the system if it is lower:",
        on(node, "sysctl net.core.somaxconn"),
    )
