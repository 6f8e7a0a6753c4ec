"""Which waits of a connection are not the time that a server works on a request.

A server that pushes (a broker, a chat server) is silent between two pushes as a slow one is before an answer,
and the client that confirms a push at once looks like one that sends its next request. The first data of a
connection shows which of the two it is. This stays unknown if the connection began before the capture, unless
the server answers some data at once; and if nothing shows which end is the server.

Some servers hold a request until there is something to send: a Kafka broker for half a second
(``fetch.max.wait.ms``), Redis for the number of seconds that the client specifies (BLPOP, XREAD).

Sources: Kafka documentation, consumer configuration; Redis documentation, BLPOP.
"""

import numpy as np

from vxlanalyze.analysis.tcp import unseen
from vxlanalyze.analysis.tcp.connections import Connections
from vxlanalyze.analysis.tcp.division import think_times_ns
from vxlanalyze.pairing.model import Comparison

_AT_ONCE_NS = 50_000_000
WAITED_NS = 300_000_000  # noticed if most answers take this long
_KAFKA_PORTS, _REDIS_PORT = (9092, 9093, 9094), 6379
_KAFKA_HOLDS_NS, _SECOND_NS = 500_000_000, 1_000_000_000
_TIMER_NS = 20_000_000  # how late a timer may be


def may_push(pair: Comparison, found: Connections, connection: int) -> bool:
    """Whether the server of a connection with slow turns may push instead of answering late.

    Parameters
    ----------
    connection : int
        Number of the connection in `found`.
    """
    if found.opened[connection] or (found.has_client[connection] and not _confirms(found, connection)):
        return False
    return not unseen.handshake_is_cut(pair, found, 2 * connection)


def _confirms(found: Connections, connection: int) -> bool:
    """Whether a client sends at once after each of a server's waits, all of which are long."""
    client = int(found.client[connection])
    server_ns, client_ns = (think_times_ns(found, stream) for stream in (client ^ 1, client))
    at_once = bool(len(client_ns)) and bool(np.median(client_ns) <= _AT_ONCE_NS)
    return at_once and bool((server_ns >= WAITED_NS).all())


def is_held(port: int, waited_ns: int) -> bool:
    """Whether a server held a request on purpose because it had nothing to send."""
    if port in _KAFKA_PORTS:
        return abs(waited_ns - _KAFKA_HOLDS_NS) <= _TIMER_NS
    return port == _REDIS_PORT and waited_ns >= _SECOND_NS and waited_ns % _SECOND_NS <= _TIMER_NS
