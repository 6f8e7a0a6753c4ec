"""Packets lost inside a node: seen at one of its interfaces, but not at the next.

An `any` capture shows a packet at the network card, the tunnel device, perhaps a bridge, and the pod's
interface. Each of the inner interfaces is compared with the card. A packet that dies before the bridge is
missing at the bridge and at the pod's interface; it is counted once, at the interface closest to the card.

Apparent losses are left out: a direction of which an interface shows nothing at all (some datapaths bypass it
and hand packets to the pod directly), and packets to the node itself, which never reach a pod's interface.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.loss import loss
from vxlanalyze.analysis.loss.picture import Picture
from vxlanalyze.pairing.model import Comparison, Direction, Outcome, Point
from vxlanalyze.wire import hashing
from vxlanalyze.wire.model import NO_FLOW

_MOSTLY = 0.9  # share of the lost packets that an interface must show to be the last one that does
_PAIR_NS = 20_000_000  # a resolver sends A and AAAA within microseconds
_FEWEST_SECONDS = 4


@dataclass(frozen=True, eq=False)
class LostInside:
    """The losses between two interfaces of a node.

    Parameters
    ----------
    picture : Picture
        The losses of the hop; those counted at an interface closer to the card are unknown in it.
    packets : NDArray[np.bool_]
        The lost ones, shape ``(m,)``.
    last : str
        The last interface that shows them.
    inwards : bool
        Whether they come out of the tunnel, and not from a pod.
    seconds : int
        Number of second packets of a conversation among them, right after the first.
    """

    picture: Picture
    packets: NDArray[np.bool_]
    last: str
    inwards: bool
    seconds: int

    @property
    def only_seconds(self) -> bool:
        """Whether a race between the first two packets of conversations explains all of them."""
        return self.seconds >= _FEWEST_SECONDS and self.seconds == int(np.count_nonzero(self.packets))


def losses(pair: Comparison) -> Iterator[LostInside]:
    """Find the losses inside each node, each packet once."""
    for capture in range(len(pair.captures)):
        for inwards in (True, False):
            yield from _of_node(pair, capture, inwards)


def _of_node(pair: Comparison, capture: int, inwards: bool) -> Iterator[LostInside]:
    directions = [
        d
        for hop in pair.inside
        for d in hop.directions
        if d.sender.capture == capture and d.sender.encapsulated == inwards and d.assessed
    ]
    directions.sort(key=lambda d: (-int(np.count_nonzero(d.delivered)), d.label))
    counted = np.empty(0, np.uint64)
    for direction in directions:
        # ARP may be answered by the tunnel's device, and goes to some of the pods.
        lost = np.flatnonzero(direction.lost & (direction.sender.flows.family[direction.flow] > 0))
        if not len(lost) or not direction.delivered.any():
            continue
        keys = _keys(direction.sender, direction.sent_row[lost])
        new = ~np.isin(keys, counted)
        counted = np.concatenate([counted, keys[new]])
        if new.any():
            yield _lost(pair, direction, lost[new], lost[~new], keys[new])


def _lost(
    pair: Comparison,
    direction: Direction,
    new: NDArray[np.intp],
    known: NDArray[np.intp],
    keys: NDArray[np.uint64],
) -> LostInside:
    outcome = direction.outcome.copy()
    outcome[known] = Outcome.UNKNOWN
    packets = np.zeros(len(direction), np.bool_)
    packets[new] = True
    inwards = direction.sender.encapsulated
    return LostInside(
        picture=loss.explain(replace(direction, outcome=outcome)),
        packets=packets,
        last=_last_seen(pair, direction, keys),
        inwards=inwards,
        seconds=_seconds(direction, new),
    )


def _keys(point: Point, rows: NDArray[np.int32]) -> NDArray[np.uint64]:
    """Number packets by what the interfaces of a node leave unchanged, shape of `rows`."""
    index = point.index
    rows = rows[index.flow[rows] != NO_FLOW]
    mixed = index.seq[rows].astype(np.uint64) << np.uint64(32) | index.digest[rows].astype(np.uint64)
    rest = index.ip_id[rows].astype(np.uint64) << np.uint64(16) | index.tcp_flags[rows].astype(np.uint64)
    keys: NDArray[np.uint64] = (
        point.flows.identity[index.flow[rows]] * hashing.PRIMES[0]
        ^ mixed * hashing.PRIMES[1]
        ^ rest * hashing.PRIMES[2]
    )
    return keys


def _last_seen(pair: Comparison, direction: Direction, keys: NDArray[np.uint64]) -> str:
    """Name the interface that shows the lost packets, the farthest from the sender's side."""
    capture = direction.sender.capture
    seen = []
    for point in pair.points:
        if point.capture != capture or point.name in (direction.sender.name, direction.receiver.name):
            continue
        rows = np.arange(len(point.index), dtype=np.int32) if point.rows is None else point.rows
        shown = _keys(point, rows)
        if not point.encapsulated and float(np.isin(keys, shown).mean()) >= _MOSTLY:
            seen.append((len(shown), point.name))
    return min(seen)[1] if seen else direction.sender.name


def _seconds(direction: Direction, lost: NDArray[np.intp]) -> int:
    """Count lost packets that are the second of their conversation, right after the first one."""
    order = np.argsort(direction.flow, kind="stable")
    flow = direction.flow[order]
    start = np.flatnonzero(np.diff(flow, prepend=NO_FLOW - 1))
    second = start[:-1][np.diff(start) > 1] + 1 if len(start) else start
    if len(start) and start[-1] + 1 < len(flow):
        second = np.append(second, start[-1] + 1)
    times = direction.time_ns
    quick = times[order[second]] - times[order[second - 1]] <= _PAIR_NS
    return int(np.isin(lost, order[second[quick]]).sum())
