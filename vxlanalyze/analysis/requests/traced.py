"""Requests of a traceroute inside the overlay: sent with a small TTL, and answered by routers.

mtr and traceroute send echo requests, UDP datagrams or SYNs with TTLs of 1, 2, ...; each router on the path
answers with ICMP time exceeded. The target owes no answer to what never reached it. A probe is sent once: a
SYN that its host sends again is that of a connection.

Sources: RFC 792 and RFC 4443 section 3.3 (time exceeded); mtr(8), traceroute(8).
"""

from dataclasses import replace

import numpy as np

from vxlanalyze.analysis.requests import time_exceeded
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.requests.request_events import RequestKind
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.wire.numbers import SMALLEST_INITIAL_TTL

_MOST_READ = 2000


def left_open(comparison: Comparison, requests: Requests) -> Requests:
    """Treat unanswered requests as undecided if their TTL is small and errors quote their addresses."""
    point = requests.point
    quoted = time_exceeded.quoted_ends(comparison, point, time_exceeded.IN_TRANSIT)
    if not len(quoted):
        return requests
    near = np.isin(time_exceeded.ends_of(point.flows), quoted)[point.index.flow[requests.first_row]]
    repeated = (requests.kind == RequestKind.TCP) & (requests.copies > 1)
    chosen = np.flatnonzero(near & requests.unanswered & ~repeated)[:_MOST_READ]
    ttl = time_exceeded.ttl_of(comparison, point, requests.first_row[chosen])
    decided = requests.decided.copy()
    decided[chosen[(ttl >= 0) & (ttl < SMALLEST_INITIAL_TTL)]] = False
    return replace(requests, decided=decided)
