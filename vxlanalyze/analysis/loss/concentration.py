"""Where unexplained loss is heavier than elsewhere: a hint, since it is not a rule without exception."""

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.loss import affected
from vxlanalyze.analysis.loss.picture import Picture
from vxlanalyze.analysis.loss.traits import Classes, Trait
from vxlanalyze.analysis.loss.weighing import CHANCE
from vxlanalyze.analysis.statistics import evidence
from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.text.words import count, share, span
from vxlanalyze.wire.model import NO_FLOW

_TRAITS = (Trait.PROTOCOL, Trait.PORT, Trait.SERVICE, Trait.DESTINATION, Trait.SOURCE, Trait.OUTER_PORT)
_WHAT = {Trait.OUTER_PORT: "packets with outer source port "}


@dataclass(frozen=True, slots=True)
class Concentration:
    """Packets lost more often than others: which, their losses and total, and those of all others."""

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
    """Find the class of packets whose loss stands out most, if chance does not explain it."""
    if picture.lost is None:
        return None
    direction, losses = picture.direction, picture.lost
    left = _left(picture)
    lost = np.zeros(len(direction), np.bool_)
    lost[picture.unexplained] = True
    flows = len(direction.sender.flows)
    sent, gone = (np.bincount(direction.flow[some], minlength=flows) for some in (left, lost))
    found = [_by_trait(picture, losses.traits[trait], sent, gone, cluster) for trait in _TRAITS]
    found.append(_by_size(picture, left, lost))
    beyond = [f for f in found if f is not None and f[0] - log(len(found)) >= -log(CHANCE)]
    return max(beyond, key=lambda f: f[0])[1] if beyond else None


def held(picture: Picture) -> list[str]:
    """Name the tested traits that make no difference: at least two kinds would show it, and lose alike.

    Five losses are expected of each of two kinds, and the excess of the worst one is within chance.
    """
    if picture.lost is None:
        return []
    direction, left = picture.direction, _left(picture)
    lost = np.zeros(len(direction), np.bool_)
    lost[picture.unexplained] = True
    flows = len(direction.sender.flows)
    sent, gone = (np.bincount(direction.flow[some], minlength=flows) for some in (left, lost))
    lengths = direction.wire_length
    large = lengths > (int(lengths[left].min()) + int(lengths[left].max())) // 2
    sizes = np.bincount(large[left].astype(np.intp), minlength=2)
    tested = [("size", sizes, np.bincount(large[lost].astype(np.intp), minlength=2))]
    for what, trait in _TESTED.items():
        sorted_by = picture.lost.traits[trait]
        tested.append((what, _by_class(sorted_by, sent), _by_class(sorted_by, gone)))
    scale = evidence.independent(direction.sent_ns(np.sort(picture.unexplained))) / len(picture.unexplained)
    return [what for what, of_kind, lost_of_kind in tested if _alike(of_kind, lost_of_kind, scale)]


_TESTED = {"protocol": Trait.PROTOCOL, "service": Trait.SERVICE, "outer source port": Trait.OUTER_PORT}
_EXPECTED = 5  # losses a kind needs to show that it loses like others


def _alike(sent: NDArray[np.int64], gone: NDArray[np.int64], scale: float) -> bool:
    """Whether at least two kinds could have lost packets, and none loses more than chance explains."""
    all_sent, all_gone = int(sent.sum()), int(gone.sum())
    expected = np.sort(sent * (scale * all_gone / all_sent))
    if len(sent) < 2 or expected[-2] < _EXPECTED:
        return False
    worst = np.argsort(-gone / np.maximum(sent, 1) * np.sqrt(gone), kind="stable")[:3]
    unequal = [
        evidence.uneven(scale * gone[i], scale * sent[i], scale * all_gone, scale * all_sent)
        for i in worst
        if 0 < sent[i] < all_sent
    ]
    return max(unequal, default=0.0) - log(len(sent)) < log(_LIKELY)


_LIKELY = 20.0  # times


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
        return "No two of them are consecutive. " if self.runs > 1 else ""


def runs(picture: Picture) -> Runs:
    """Count the runs of unexplained losses; there must be some."""
    direction, left = picture.direction, np.sort(picture.unexplained)
    before = np.searchsorted(np.flatnonzero(direction.delivered), left)
    start = np.flatnonzero(np.diff(before, prepend=-1))
    length = np.diff(np.append(start, len(left)))
    at = int(np.argmax(length))
    times = direction.sent_ns(left[start[at] : start[at] + length[at]])
    return Runs(len(start), int(length[at]), int(times.max() - times.min()))


def _left(picture: Picture) -> NDArray[np.bool_]:
    """Judged packets that no explanation covers, shape ``(m,)``."""
    direction = picture.direction
    left = direction.delivered & (direction.flow != NO_FLOW)
    left[picture.unexplained] = True
    return left


def _by_trait(
    picture: Picture,
    sorted_by: Classes,
    sent_by_flow: NDArray[np.int64],
    gone_by_flow: NDArray[np.int64],
    cluster: Cluster,
) -> tuple[float, Concentration] | None:
    """Compare the class that stands out most with all others; packets by flow have shape ``(f,)``."""
    if len(sorted_by) < 2:
        return None
    direction, lost = picture.direction, np.sort(picture.unexplained)
    sent, gone = (_by_class(sorted_by, packets) for packets in (sent_by_flow, gone_by_flow))
    at = int(np.argmax(gone / np.maximum(sent, 1) * np.sqrt(gone)))
    mine = sorted_by.of_flow[direction.flow[lost]] == at
    compared = _compare(direction.sent_ns(lost), mine, int(sent[at]), int(sent.sum()))
    if compared is None:
        return None
    who = _WHAT.get(sorted_by.trait, "") + affected.name(direction.sender.flows, sorted_by, at, cluster)
    return compared[0] - log(len(sorted_by)), Concentration(who, *compared[1])


def _by_class(sorted_by: Classes, packets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Add up the packets of each flow by class, shape ``(k,)``."""
    used = packets > 0
    return np.bincount(sorted_by.of_flow[used], packets[used], len(sorted_by)).astype(np.int64)


def _by_size(
    picture: Picture, left: NDArray[np.bool_], lost: NDArray[np.bool_]
) -> tuple[float, Concentration] | None:
    """Compare the packets above the median size with those below."""
    direction = picture.direction
    lengths = direction.wire_length
    middle = (int(lengths[left].min()) + int(lengths[left].max())) // 2
    large = lengths > middle
    sent = int(np.count_nonzero(large & left))
    compared = _compare(direction.sent_ns(lost), large[lost], sent, int(np.count_nonzero(left)))
    return (
        None
        if compared is None
        else (compared[0], Concentration(f"packets above {middle:,} bytes", *compared[1]))
    )


def _compare(
    time_ns: NDArray[np.int64], mine: NDArray[np.bool_], sent: int, all_sent: int
) -> tuple[float, tuple[int, int, int, int]] | None:
    """Evidence that a part loses more than all others, and the counts of both.

    If the part loses like the others, the lost packets are a draw without replacement, so neither rate has to
    be known. Losses in bursts count as many draws as there are events.

    Parameters
    ----------
    time_ns : NDArray[np.int64]
        Of all losses, in order, shape ``(k,)``.
    mine : NDArray[np.bool_]
        Which of them are of the part, shape ``(k,)``.
    sent, all_sent : int
        Packets of the part, and of both.
    """
    gone, all_gone, others = int(np.count_nonzero(mine)), len(mine), all_sent - sent
    if gone == 0 or others == 0:
        return None
    scale = min(evidence.independent(time_ns) / all_gone, evidence.independent(time_ns[mine]) / gone)
    nats = evidence.uneven(scale * gone, scale * sent, scale * all_gone, scale * all_sent)
    return nats, (gone, sent, all_gone - gone, others)
