"""Decide which pairs of flows that packets vote for to accept: those whose ends agree with what is known."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.known_translations import Between, KnownTranslations
from vxlanalyze.pairing.numbered import NO_TUPLE
from vxlanalyze.wire.model import Flows
from vxlanalyze.wire.numbers import FIRST_EPHEMERAL_PORT
from vxlanalyze.wire.protocols import TCP, UDP

_BITS_NEEDED = 14  # one in ten thousand


FIELD_BITS = 16  # of an IP ID, of a payload (a guess at what is random in it), of an ephemeral port


_ADDRESS_BITS = 3


_STRONG_BITS = 40


_AGAINST = _BITS_NEEDED - _STRONG_BITS  # a service's table contradicts it: the table may be outdated


_LONGEST_NS = 10_000_000_000  # no packet takes longer, apart from the clocks' difference


class VotedPairs(NamedTuple):
    """Pairs of flows with votes for each other, shapes ``(p,)``."""

    mine: NDArray[np.int32]
    theirs: NDArray[np.int32]
    bits: NDArray[np.float64]
    later_ns: NDArray[np.float64]  # median of the times there less those here


@dataclass(frozen=True, slots=True)
class FlowEnds:
    """One flow of each 5-tuple of two sites, with the number of candidates at the second."""

    flows: tuple[Flows, Flows]
    flow: tuple[dict[int, int], dict[int, int]]
    candidates: int
    tables: Between

    @classmethod
    def of(
        cls,
        near: tuple[Flows, NDArray[np.int32], NDArray[np.bool_]],
        far: tuple[Flows, NDArray[np.int32], NDArray[np.bool_]],
        known: KnownTranslations,
    ) -> "FlowEnds":
        """Describe the flows of both sites and what is known about them."""
        sites = (near, far)
        chosen = [np.flatnonzero(only) for _, _, only in sites]
        flow = [
            dict(zip(label[rows].tolist(), rows.tolist(), strict=True))
            for (_, label, _), rows in zip(sites, chosen, strict=True)
        ]
        flows = (near[0], far[0])
        tables = Between.of(known, (flows[0], flow[0]), (flows[1], flow[1]))
        return cls(flows, (flow[0], flow[1]), len(flow[1]), tables)

    def bits(self, mine: int, theirs: int) -> int:
        """Weigh the ends that two flows share: a client's socket is strong evidence, an address weak."""
        a, b = (self.flow[side][label] for side, label in enumerate((mine, theirs)))
        one, other = self.flows
        if (one.protocol[a], one.family[a]) != (other.protocol[b], other.family[b]):
            return 0
        best = 0
        for address, port in (("src", "sport"), ("dst", "dport")):
            if (getattr(one, address)[a] != getattr(other, address)[b]).any():
                continue
            number = int(getattr(one, port)[a])
            socket = (
                number >= FIRST_EPHEMERAL_PORT
                and number == getattr(other, port)[b]
                and one.protocol[a] in (TCP, UDP)
            )
            best = max(best, FIELD_BITS if socket else _ADDRESS_BITS)
        return best


def believed(pairs: VotedPairs, ends: FlowEnds, answer: NDArray[np.int32]) -> dict[int, int]:
    """Accept the pairs that chance does not explain; both directions of a conversation count as evidence."""
    content = {
        (a, b): bits
        for a, b, bits in zip(pairs.mine.tolist(), pairs.theirs.tolist(), pairs.bits.tolist(), strict=True)
    }
    needed = _BITS_NEEDED + np.log2(max(ends.candidates, 1))
    total = []
    for (a, b), bits in content.items():
        reverse = (
            content.get((int(answer[a]), int(answer[b])), 0.0)
            if NO_TUPLE not in (answer[a], answer[b])
            else 0
        )
        total.append(bits + reverse + ends.bits(a, b) + ends.tables.bits(a, b, _AGAINST))
    weight = np.array(total)
    good = weight >= needed
    strong = good & (weight >= _STRONG_BITS)
    if strong.any():  # these show the clocks' difference
        usual = np.median(pairs.later_ns[strong])
        good &= strong | (np.abs(pairs.later_ns - usual) <= _LONGEST_NS)
    found: dict[int, int] = {}
    taken: set[int] = set()
    for i in np.argsort(-weight, kind="stable").tolist():
        a, b = int(pairs.mine[i]), int(pairs.theirs[i])
        if good[i] and a not in found and b not in taken:
            found[a] = b
            taken.add(b)
    return found
