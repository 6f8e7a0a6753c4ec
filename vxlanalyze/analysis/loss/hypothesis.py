"""One hypothesis about losses: the packets that it says are lost."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import log

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.loss.losses import Losses
from vxlanalyze.analysis.loss.traits import Trait

# The cost of a kind of rule: nothing arriving at all has a third of the prior probability, and the eight
# traits, remainders, size, parts, and times share two thirds equally.
KIND = log(12 * 3 / 2)
RARE = 2.0  # extra cost of a rule that is rare in practice


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A rule: all packets that match it are lost.

    Parameters
    ----------
    trait : Trait or None
        With `members`, its classes that are lost; None for rules about size or time alone.
    above_bytes : int or None
        Packets with a greater wire length are lost.
    part : NDArray[np.bool_] or None
        The packets that are lost, shape ``(k,)``, of a kind of which others may arrive.
    paths : int
        The modulus, where `members` are all outer source ports with the same remainder.
    first, last : int
        Positions between which it holds, both included.
    cost : float
        Negative logarithm of its prior probability.
    losses : float
        Total weight of the losses it explains.
    """

    cost: float
    losses: float
    first: int
    last: int
    trait: Trait | None = None
    members: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    above_bytes: int | None = None
    part: NDArray[np.bool_] | None = None
    paths: int = 0
    interrupts: bool = False  # deliveries follow it: it is about a time
    begins: bool = False  # it is about conversations that begin after a moment
    times: tuple[tuple[int, int], ...] = ()  # about several: first and last position of each

    def alone(self) -> Iterator["Hypothesis"]:
        """Split the rule into one for each of its times."""
        for first, last in self.times or ((self.first, self.last),):
            yield replace(self, first=first, last=last, times=())

    def explains(self, lost: Losses) -> NDArray[np.bool_]:
        """Which of the lost packets it explains, shape ``(k,)``."""
        chosen = np.zeros(len(lost.position), np.bool_)
        for first, last in self.times or ((self.first, self.last),):
            chosen |= (lost.position >= first) & (lost.position <= last)
        if self.above_bytes is not None:
            chosen &= lost.length > self.above_bytes
        if self.part is not None:
            chosen &= self.part
        if self.trait is not None:
            bad = np.zeros(len(lost.traits[self.trait]) + 1, np.bool_)  # one more for class -1
            bad[self.members] = True
            chosen &= bad[lost.traits[self.trait].of_flow[lost.flow]]
        return chosen
