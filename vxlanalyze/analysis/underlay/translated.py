"""Find inner addresses and ports of a direction's packets that differ between its observation points."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kubernetes.model import endpoint_text
from vxlanalyze.pairing.model import NO_ROW, Comparison, Direction
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import Flows
from vxlanalyze.wire.numbers import FIRST_EPHEMERAL_PORT
from vxlanalyze.wire.protocols import WITH_PORTS


@dataclass(frozen=True, slots=True)
class TranslatedEnd:
    """One end of some flows, as sent and as received.

    `before` and `after` are addresses, with the port where it is a server's; `ports` counts the flows whose
    client port changes, too. `packets` has shape ``(m,)``.
    """

    end: str  # "source" or "destination"
    before: str
    after: str
    flows: int
    ports: int
    packets: NDArray[np.bool_]


def changes(pair: Comparison, direction: Direction) -> list[TranslatedEnd]:
    """Give the translations between a direction's points, those with the most packets first."""
    packets, sent, received = _matched(pair, direction)
    if not len(packets):
        return []
    found: dict[tuple[str, str, str], list[tuple[int, bool]]] = {}
    pairs, place = np.unique(np.column_stack([sent, received]), axis=0, return_inverse=True)
    for number, (here, there) in enumerate(pairs.tolist()):
        for end, before, after, port in _differences(direction, here, there):
            found.setdefault((end, before, after), []).append((number, port))
    result = []
    for (end, before, after), flows in found.items():
        marked = np.zeros(len(direction), np.bool_)
        marked[packets[np.isin(place.reshape(-1), [number for number, _ in flows])]] = True
        result.append(TranslatedEnd(end, before, after, len(flows), sum(port for _, port in flows), marked))
    return sorted(result, key=lambda change: -int(change.packets.sum()))


def _matched(
    pair: Comparison, direction: Direction
) -> tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.int32]]:
    """Packets of translated flows seen at both points, with their flow at each."""
    flows = direction.sender.flows
    # The ends of encrypted packets are nodes: `rewriting` has these.
    known = np.isin(flows.identity, pair.translated) & (flows.encryption == 0)
    none = np.zeros(0, np.int32)
    if not known.any():
        return np.zeros(0, np.intp), none, none
    packets = np.flatnonzero(known[direction.flow] & (direction.received_row != NO_ROW))
    there = direction.receiver.index.flow[direction.received_row[packets]]
    return packets, direction.flow[packets], there


def _differences(direction: Direction, here: int, there: int) -> Iterator[tuple[str, str, str, bool]]:
    """Give the ends that differ: name, text before and after, whether a client port changed."""
    for end in ("source", "destination"):
        before, after = _end(direction.sender.flows, here, end), _end(direction.receiver.flows, there, end)
        if before == after:
            continue
        client = max(before[1], after[1]) >= FIRST_EPHEMERAL_PORT
        if client:
            yield end, before[0], after[0], before[1] != after[1]
        else:
            yield end, _written(before), _written(after), False


def _end(flows: Flows, row: int, end: str) -> tuple[str, int]:
    addresses, ports = (flows.src, flows.sport) if end == "source" else (flows.dst, flows.dport)
    address = str(text(addresses[row : row + 1], flows.family[row : row + 1])[0])
    return address, int(ports[row]) if flows.protocol[row] in WITH_PORTS else 0


def _written(end: tuple[str, int]) -> str:
    return endpoint_text(*end) if end[1] else end[0]
