"""What holds connections back, in terms of findings: their endpoints, windows and round trips."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis.exhibits import Exhibit
from vxlanalyze.analysis.tcp import waiting_columns as at
from vxlanalyze.analysis.tcp.connections import NEAR, Connections, active_ns
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.wire.addresses import text

_SHOWN_STREAMS = 20


class StreamEnds(NamedTuple):
    """The endpoints of a stream: addresses and ports of sender and receiver, and their names."""

    sender: str
    sender_port: int
    receiver: str
    receiver_port: int
    named: str


def ends(pair: Comparison, found: Connections, stream: int) -> StreamEnds:
    """Name the ends of a stream; the client's port is left out."""
    place, flow, owner = found.flow[stream >> 1].tolist()
    flows = found.points[place].flows
    source, target = text(
        np.stack([flows.src[flow], flows.dst[flow]]), np.full(2, flows.family[flow], np.uint8)
    )
    sport, dport = int(flows.sport[flow]), int(flows.dport[flow])
    if owner != stream:
        source, target, sport, dport = target, source, dport, sport
    from_server = found.client[stream >> 1] != stream
    sender, receiver = pair.cluster.named(source), pair.cluster.named(target)
    named = f"{sender} port {sport} to {receiver}" if from_server else f"{sender} to {receiver} port {dport}"
    return StreamEnds(source, sport, target, dport, named)


def label(pair: Comparison, found: Connections, stream: int) -> str | None:
    """Give the direction in which a stream sends; None with one capture."""
    if not pair.hops:
        return None
    near = found.home[stream] == NEAR
    return pair.hops[0].forward.label if near else pair.hops[-1].backward.label


def by_label(pair: Comparison, found: Connections, streams: NDArray[np.int64]) -> dict[str | None, list[int]]:
    """Sort streams by the direction in which they send, in the order of directions."""
    groups: dict[str | None, list[int]] = {d.label: [] for d in pair.directions} or {None: []}
    for stream in streams.tolist():
        groups.setdefault(label(pair, found, stream), []).append(stream)
    return {name: members for name, members in groups.items() if members}


def receiver_name(pair: Comparison, direction: str | None) -> str:
    """Name the node of the receivers of a direction's streams."""
    return "the receiver's node" if direction is None else direction.rpartition(">")[2]


def sender_name(pair: Comparison, direction: str | None) -> str:
    """Name the node of the senders of a direction's streams."""
    return "the sender's node" if direction is None else direction.partition(">")[0]


class Samples(NamedTuple):
    """Medians of a stream's samples; None without samples."""

    rtt_ns: int | None
    window_bytes: int | None


def samples_of(found: Connections, stream: int) -> Samples:
    """Compute the medians of a stream's round trips and of the windows advertised to it then."""
    mine = found.samples_of(stream)
    if len(mine) == 0:
        return Samples(None, None)
    windows = mine[:, at.SAMPLE_WINDOW]
    known = windows[windows >= 0]
    window_bytes = int(np.median(known)) if len(known) else None
    return Samples(int(np.median(mine[:, at.SAMPLE_RTT_NS])), window_bytes)


def shares(found: Connections, cause: at.Cause) -> NDArray[np.float64]:
    """Give the share of each stream's active connection time taken by a cause, shape ``(2 c,)``."""
    active = np.repeat(np.maximum(active_ns(found), 1), 2)
    return np.asarray(found.waited_ns[:, cause] / active)


def shown(pair: Comparison, found: Connections, streams: Sequence[int], column: int) -> Exhibit:
    """Show the packets in a column of figures at the points where they were recorded: the senders'."""
    sides = []
    for stream in streams[:_SHOWN_STREAMS]:
        row = int(found.figures[stream, column])
        place = found.home[stream] if found.only[stream >> 1] < 0 else found.only[stream >> 1]
        if row >= 0:
            sides.append((found.points[int(place)], np.array([row], np.int32)))
    return exhibits.of_rows(pair, sides)
