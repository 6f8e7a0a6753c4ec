"""Which waits between the two ends of a connection may be no server's work.

A server that pushes (a broker, a chat server) waits between two pushes as a slow one waits before an answer;
the client confirms at once, as one does that asks again. Which of the two it is shows the first data of a
connection. It is open where that was before the capture, unless the server answers some data at once, and
where nothing shows which end is the server.

Some servers hold a request until there is something to send: a broker of Kafka for half a second
(``fetch.max.wait.ms``), Redis for the whole seconds that a client gives (BLPOP, XREAD).

Sources: Kafka documentation, consumer configuration; Redis documentation, BLPOP.
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.tcp import unseen
from vxlanalyze.analysis.tcp import waiting_columns as at
from vxlanalyze.analysis.tcp.connections import Connections
from vxlanalyze.pairing.model import Comparison

AT_ONCE_NS = 50_000_000
WAITED_NS = 300_000_000  # a wait that a user notices
_KAFKA_PORTS, _REDIS_PORT = (9092, 9093, 9094), 6379
_KAFKA_HOLDS_NS, _SECOND_NS = 500_000_000, 1_000_000_000
_TIMER_NS = 20_000_000  # how late a timer may be


def may_push(pair: Comparison, found: Connections, connection: int) -> bool:
    """Whether the server of a connection with slow turns may push instead of answering late."""
    if found.opened[connection] or unseen.handshake_is_cut(pair, found, 2 * connection):
        return False
    client = int(found.client[connection])
    waits, pauses = (_durations_ns(found.turns_of(stream)) for stream in (client ^ 1, client))
    confirms = bool(len(pauses)) and bool(np.median(pauses) <= AT_ONCE_NS)
    return not found.has_client[connection] or (confirms and bool((waits >= WAITED_NS).all()))


def is_held(port: int, waited_ns: int) -> bool:
    """Whether a server held a request on purpose because it had nothing to send."""
    if port in _KAFKA_PORTS:
        return abs(waited_ns - _KAFKA_HOLDS_NS) <= _TIMER_NS
    return port == _REDIS_PORT and waited_ns >= _SECOND_NS and waited_ns % _SECOND_NS <= _TIMER_NS


def _durations_ns(turns: NDArray[np.int64]) -> NDArray[np.int64]:
    of_data = turns[turns[:, 5] != at.SYN_TURN]
    return of_data[:, 2] - of_data[:, 1]
