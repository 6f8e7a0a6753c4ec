"""Where loss that nothing explains is heavier than elsewhere: a hint, for it is no rule without exception."""

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.cluster.model import Cluster
from vxlanalyze.diagnostics import affected, evidence
from vxlanalyze.diagnostics.loss import Picture
from vxlanalyze.diagnostics.losses import Losses
from vxlanalyze.diagnostics.traits import Trait
from vxlanalyze.diagnostics.weighing import CHANCE
from vxlanalyze.diagnostics.words import count, share, span
from vxlanalyze.wire.model import NO_FLOW

_TRAITS = (Trait.PROTOCOL, Trait.PORT, Trait.SERVICE, Trait.DESTINATION, Trait.SOURCE, Trait.OUTER_PORT)
_WHAT = {Trait.OUTER_PORT: "packets with outer source port "}


@dataclass(frozen=True, slots=True)
class Concentration:
    """Packets that are lost more often than the others: who, how many of how many, and of the rest."""

    who: str
    lost: int
    sent: int
    other_lost: int
    other_sent: int

    @property
    def text(self) -> str:
        """One sentence."""
        return (
            f"It is heavier for {self.who}: {share(self.lost, self.sent)} are lost, and of all others "
            f"{share(self.other_lost, self.other_sent)}."
        )


def heaviest(picture: Picture, cluster: Cluster) -> Concentration | None:
    """Find the class of packets whose loss stands out most from the rest, if it is beyond chance."""
    if picture.lost is None:
        return None
    direction, losses = picture.direction, picture.lost
    left = _left(picture)
    lost = np.zeros(len(direction), np.bool_)
    lost[picture.unexplained] = True
    found = [_by_trait(picture, losses, trait, left, lost, cluster) for trait in _TRAITS]
    found.append(_by_size(picture, left, lost))
    beyond = [f for f in found if f is not None and f[0] >= -log(CHANCE)]
    return max(beyond, key=lambda f: f[0])[1] if beyond else None


@dataclass(frozen=True, slots=True)
class Runs:
    """Unexplained losses without a delivery in between, and the longest of these runs."""

    runs: int
    longest: int
    longest_ns: int

    @property
    def text(self) -> str:
        """One sentence; "" for a single loss."""
        if self.longest > 1:
            where = count(self.runs, "place")
            return (
                f"They fall into {where}; the longest run is {self.longest:,} packets "
                f"over {span(self.longest_ns)}. "
            )
        return "No two of them come in a row. " if self.runs > 1 else ""


def runs(picture: Picture) -> Runs:
    """Count the runs of unexplained losses; there must be some."""
    direction, left = picture.direction, np.sort(picture.unexplained)
    before = np.searchsorted(np.flatnonzero(direction.delivered), left)
    start = np.flatnonzero(np.diff(before, prepend=-1))
    length = np.diff(np.append(start, len(left)))
    at = int(np.argmax(length))
    times = direction.time_ns[left[start[at] : start[at] + length[at]]]
    return Runs(len(start), int(length[at]), int(times.max() - times.min()))


def _left(picture: Picture) -> NDArray[np.bool_]:
    """Judged packets that no explanation covers, shape ``(m,)``."""
    direction = picture.direction
    left = direction.delivered & (direction.flow != NO_FLOW)
    left[picture.unexplained] = True
    return left


def _by_trait(
    picture: Picture,
    losses: Losses,
    trait: Trait,
    left: NDArray[np.bool_],
    lost: NDArray[np.bool_],
    cluster: Cluster,
) -> tuple[float, Concentration] | None:
    sorted_by = losses.traits[trait]
    if len(sorted_by) < 2:
        return None
    direction = picture.direction
    member = sorted_by.of_flow[direction.flow]
    sent = np.bincount(member[left], minlength=len(sorted_by))
    gone = np.bincount(member[lost], minlength=len(sorted_by))
    weights = evidence.independent_by(member[lost], direction.time_ns[lost], len(sorted_by))
    at = int(np.argmax(gone / np.maximum(sent, 1) * np.sqrt(gone)))
    told = _compare(gone[at], sent[at], gone.sum(), sent.sum(), weights[at])
    if told is None:
        return None
    who = _WHAT.get(trait, "") + affected.name(direction.sender.flows, sorted_by, at, cluster)
    return told[0] - log(len(sorted_by)), Concentration(who, *told[1])


def _by_size(
    picture: Picture, left: NDArray[np.bool_], lost: NDArray[np.bool_]
) -> tuple[float, Concentration] | None:
    """Compare the packets above the middle of all sizes with those below."""
    direction = picture.direction
    lengths = direction.wire_length
    middle = (int(lengths[left].min()) + int(lengths[left].max())) // 2
    large = lengths > middle
    gone, sent = large & lost, large & left
    weight = evidence.independent(direction.time_ns[gone])
    told = _compare(gone.sum(), sent.sum(), lost.sum(), left.sum(), weight)
    return None if told is None else (told[0], Concentration(f"packets above {middle:,} bytes", *told[1]))


def _compare(
    gone: np.integer, sent: np.integer, all_gone: np.integer, all_sent: np.integer, weight: float
) -> tuple[float, tuple[int, int, int, int]] | None:
    """Evidence that a part loses more than the rest, and the counts of both."""
    others, others_gone = int(all_sent - sent), int(all_gone - gone)
    if gone == 0 or others == 0:
        return None
    rate = evidence.usual_rate(others_gone, others - others_gone)
    scale = weight / int(gone)
    nats = evidence.excess(scale * int(gone), scale * int(sent), rate)
    return nats, (int(gone), int(sent), others_gone, others)
