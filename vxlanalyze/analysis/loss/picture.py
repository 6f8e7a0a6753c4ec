"""The losses of a direction: explanations, each with its kind, and what remains unexplained."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.loss.headers import HeaderRule
from vxlanalyze.analysis.loss.hypothesis import Hypothesis
from vxlanalyze.analysis.loss.losses import Losses
from vxlanalyze.analysis.loss.rate import RateLimit
from vxlanalyze.analysis.loss.turns import Turn
from vxlanalyze.analysis.statistics import evidence
from vxlanalyze.pairing.model import Direction


class LossKind(Enum):
    """The subject of an explanation; each belongs to one family of findings."""

    PATH = "path"
    INTERRUPTION = "interruption"
    SIZE = "size"
    PROTOCOL = "protocol"
    FLOW = "flow"
    ECMP = "ecmp"
    PART = "part"
    NEW = "new conversations"
    RATE = "rate"
    HEADER = "header"


@dataclass(frozen=True, eq=False)
class Explanation:
    """A rule that the evidence supports.

    Parameters
    ----------
    rule : Hypothesis
        What is lost.
    packets : NDArray[np.intp]
        The lost packets that the rule explains, as indices of the direction's packets.
    proof : float
        Evidence against random loss in nats, minus its prior cost.
    from_ns, until_ns : int or None
        First and last of these packets' times where the rule began, or ended, within the window.
    rivals : tuple of Kind
        Other kinds of explanation that fit the same packets about equally well.
    detail : RateLimit, Turn or HeaderRule, optional
        Details of loss above a rate, in turn, or by a header field.
    """

    rule: Hypothesis
    kind: LossKind
    packets: NDArray[np.intp]
    proof: float
    from_ns: int | None
    until_ns: int | None
    rivals: tuple[LossKind, ...]
    detail: RateLimit | Turn | HeaderRule | None = None

    @property
    def chance(self) -> float:
        """Upper bound on the probability under random loss."""
        return evidence.chance(self.proof)


@dataclass(frozen=True, eq=False)
class Picture:
    """The losses of a direction, explained as far as possible.

    Parameters
    ----------
    direction : Direction
        The direction, without packets that are not tunnel packets: their outcome is unknown here.
    judged : int
        Packets whose fate is known.
    lost : Losses or None
        The lost ones; None where there are none.
    explanations : tuple of Explanation
        The best first.
    in_pieces : NDArray[np.intp]
        Packets lost because some of their fragments were, as indices of the direction's packets.
    unexplained : NDArray[np.intp]
        Lost packets that none of these explain, likewise. Packets that open conversations are among them.
    opening : Explanation or None
        The rule that the unexplained losses are packets that open a conversation.
    suspected : Explanation or None
        An explanation that fits some of the unexplained ones better than random loss, without proof.
    others_delivered : int
        Packets to the tunnel's port that are not tunnel packets and arrived.
    """

    direction: Direction
    judged: int
    lost: Losses | None
    explanations: tuple[Explanation, ...]
    in_pieces: NDArray[np.intp]
    unexplained: NDArray[np.intp]
    opening: Explanation | None
    suspected: Explanation | None
    others_delivered: int

    def of(self, *kinds: LossKind) -> tuple[Explanation, ...]:
        """Explanations of some kinds."""
        return tuple(e for e in self.explanations if e.kind in kinds)

    def packets_of(self, explanations: Iterable[Explanation]) -> NDArray[np.bool_]:
        """Which of the direction's packets some explanations explain, shape ``(m,)``."""
        chosen = np.zeros(len(self.direction), np.bool_)
        for explanation in explanations:
            chosen[explanation.packets] = True
        return chosen
