"""Divide the time of each TCP connection among the parties that it waits for.

A sender that waits for acknowledgements with room in the window is limited by its congestion window or by a
full path: the part of its round trips spent queueing (one-way delay above the smallest one) is charged to the
queue, the remainder to the congestion window. A send buffer that is smaller than the window looks the same:
data that waits in the sender's socket leaves no trace in a capture. The time that requests and responses
spend on the path beyond their direction's smallest delay over all connections is also charged to the queue.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.tcp import waiting_columns as at
from vxlanalyze.analysis.tcp.connections import FAR, NEAR, Connections, connections
from vxlanalyze.analysis.tcp.waiting_columns import Cause
from vxlanalyze.pairing.model import Comparison

WAITED_FOR = ("client", "server", "congestion", "recovery", "window", "zero_window", "path", "queue")
"""Who or what is waited for, in the order of the columns of a division."""

# What a user would gain if the worst of them were removed; time spent by the client itself and the minimum
# path delay cannot be regained.
_GAINS = ("server", "congestion", "recovery", "window", "zero_window", "queue")


class Quantiles(NamedTuple):
    """Smallest, median, 99th percentile and largest of some values; None where there are none."""

    min: int | None
    p50: int | None
    p99: int | None
    max: int | None

    @classmethod
    def of(cls, values: NDArray[np.int64]) -> "Quantiles":
        """Compute them from values in any order."""
        if len(values) == 0:
            return cls(None, None, None, None)
        found = np.quantile(values, (0, 0.5, 0.99, 1), method="inverted_cdf")
        return cls(*(int(v) for v in found))


@dataclass(frozen=True, eq=False)
class Division:
    """The division of all connections that were followed.

    Parameters
    ----------
    waited_ns : NDArray[np.int64]
        Shape ``(c, 8)``: time waited for each of `WAITED_FOR`.
    idle_ns : NDArray[np.int64]
        Shape ``(c,)``: time in which neither end waited.
    """

    connections: Connections
    waited_ns: NDArray[np.int64]
    idle_ns: NDArray[np.int64]

    @property
    def active_ns(self) -> NDArray[np.int64]:
        """Time in which either end waited, shape ``(c,)``."""
        total: NDArray[np.int64] = self.waited_ns.sum(axis=1)
        return total

    @property
    def gain_ns(self) -> NDArray[np.int64]:
        """Upper bound on the gain from removing the worst limit of each, shape ``(c,)``."""
        columns = [WAITED_FOR.index(name) for name in _GAINS]
        most: NDArray[np.int64] = self.waited_ns[:, columns].max(axis=1)
        return most

    def limit(self, connection: int) -> str:
        """Name the cause that a connection waited for longest."""
        return WAITED_FOR[int(np.argmax(self.waited_ns[connection]))]

    def worst(self, most: int) -> list[int]:
        """Give the connections with the most to gain, the worst first."""
        order = np.lexsort((-self.active_ns, -self.gain_ns))
        return [int(c) for c in order[:most]]


@once
def division(comparison: Comparison) -> Division | None:
    """Divide the time of a comparison's connections; None without TCP."""
    found = connections(comparison)
    return None if found is None else divided(found)


def divided(found: Connections) -> Division:
    """Divide the time of connections that were followed."""
    size = len(found)
    by_stream = found.waited_ns.reshape(size, 2, at.CAUSES)
    every = np.arange(size)
    client, server = found.client & 1, found.server & 1
    queued = (by_stream[:, :, Cause.ACKNOWLEDGEMENT] * _queued_share(found).reshape(size, 2)).sum(axis=1)
    late = _late_on_path(found, by_stream[:, :, Cause.PATH])
    columns = {
        # Data of the client that waits at its peer waits for the server's host, and vice versa.
        "client": by_stream[every, client, Cause.APPLICATION] + by_stream[every, server, Cause.PEER],
        "server": by_stream[every, server, Cause.APPLICATION] + by_stream[every, client, Cause.PEER],
        "congestion": by_stream[:, :, Cause.ACKNOWLEDGEMENT].sum(axis=1) - queued.astype(np.int64),
        "recovery": by_stream[:, :, Cause.RECOVERY].sum(axis=1),
        "window": by_stream[:, :, Cause.WINDOW].sum(axis=1),
        "zero_window": by_stream[:, :, Cause.ZERO_WINDOW].sum(axis=1),
        "path": by_stream[:, :, Cause.PATH].sum(axis=1) - late,
        "queue": queued.astype(np.int64) + late,
    }
    waited = np.column_stack([columns[name] for name in WAITED_FOR])
    return Division(found, waited, by_stream[:, :, Cause.IDLE].sum(axis=1))


def _late_on_path(found: Connections, on_path_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give the time that messages took on the path beyond its smallest delay, shape ``(c,)``."""
    floor = _direction_floor(found).reshape(on_path_ns.shape)
    times = found.figures[:, at.PATH_TIMES].reshape(on_path_ns.shape)
    late = np.where(floor >= 0, np.clip(on_path_ns - times * floor, 0, on_path_ns), 0)
    total: NDArray[np.int64] = late.sum(axis=1)
    return total


def one_way_floor(found: Connections) -> NDArray[np.int64]:
    """Give the smallest one-way delay of each stream's data, shape ``(2 c,)``; -1 if unknown."""
    stream, one_way = found.samples[:, at.SAMPLE_STREAM], found.samples[:, at.SAMPLE_ONE_WAY_NS]
    floor = np.full(len(found.stream), np.iinfo(np.int64).max)
    np.minimum.at(floor, stream[one_way >= 0], one_way[one_way >= 0])
    return np.where(floor == np.iinfo(np.int64).max, -1, floor)


def _direction_floor(found: Connections) -> NDArray[np.int64]:
    """Give each stream the smallest one-way delay of all streams from its end: a queue may persist."""
    of_stream = one_way_floor(found)
    floor = np.full(len(of_stream), -1)
    for place in (NEAR, FAR):
        mine = found.home == place
        known = mine & (of_stream >= 0)
        floor[mine] = of_stream[known].min(initial=np.iinfo(np.int64).max) if known.any() else -1
    return np.where(of_stream >= 0, floor, -1)


def _queued_share(found: Connections) -> NDArray[np.float64]:
    """Give the share of each stream's round trips spent queueing, shape ``(2 c,)``."""
    size = len(found.stream)
    samples = found.samples[found.samples[:, at.SAMPLE_ONE_WAY_NS] >= 0]
    stream, rtt = samples[:, at.SAMPLE_STREAM], samples[:, at.SAMPLE_RTT_NS]
    one_way = samples[:, at.SAMPLE_ONE_WAY_NS]
    excess = np.bincount(stream, one_way - _direction_floor(found)[stream], minlength=size)
    whole = np.bincount(stream, rtt, minlength=size)
    return np.clip(np.divide(excess, whole, out=np.zeros(size), where=whole > 0), 0.0, 1.0)


def round_trips(found: Connections, connection: int) -> Quantiles:
    """Round trips of both directions of a connection, each seen by its sender."""
    return Quantiles.of(found.samples_of(2 * connection, 2)[:, at.SAMPLE_RTT_NS])


def windows(found: Connections, stream: int) -> Quantiles:
    """Give the windows that a stream's sender was advertised."""
    mine = found.samples_of(stream)[:, at.SAMPLE_WINDOW]
    return Quantiles.of(mine[mine >= 0])


def think_times(found: Connections, stream: int) -> Quantiles:
    """How long the sender of a stream took to answer data."""
    return Quantiles.of(think_times_ns(found, stream))


def think_times_ns(found: Connections, stream: int) -> NDArray[np.int64]:
    """How long the sender of a stream took each time to answer data (not a SYN), shape ``(t,)``."""
    turns = found.turns_of(stream)
    turns = turns[turns[:, at.TURN_KIND] != at.SYN_TURN]
    return turns[:, at.TURN_LEFT_NS] - turns[:, at.TURN_ARRIVED_NS]
