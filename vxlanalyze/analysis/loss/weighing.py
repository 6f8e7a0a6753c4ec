"""Decide which explanations of losses the evidence supports, and which to accept first."""

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.loss.hypotheses import hypotheses
from vxlanalyze.analysis.loss.hypothesis import Hypothesis
from vxlanalyze.analysis.loss.losses import Losses
from vxlanalyze.analysis.loss.traits import Trait
from vxlanalyze.analysis.statistics import evidence

CHANCE = 1e-4  # upper bound per direction on mistaking random loss for something else
_LIKELIER = 10.0  # a rule this many times likelier than random loss is suspected, though not proved
_WEIGHED_EXACTLY = 16  # the most promising hypotheses of a round
_PROMISING, _LOOK_AHEAD = 4, 3


@dataclass(frozen=True, eq=False)
class Choice:
    """A rule, and which unexplained losses it explains.

    `nats` is how much likelier all losses are with the rule than without: for several rules it is the sum, so
    rules can be compared. `proof` is the evidence that its own losses are not random.
    """

    rule: Hypothesis
    explained: NDArray[np.bool_]
    nats: float
    proof: float


def proved(weighed: list[Choice]) -> list[Choice]:
    """Those beyond chance."""
    return [c for c in weighed if min(c.nats, c.proof) >= -log(CHANCE)]


def suspicious(choice: Choice, open_: NDArray[np.bool_]) -> bool:
    """Whether it is likelier than random loss, and all that it explains is still unexplained."""
    likely = min(choice.nats, choice.proof) >= log(_LIKELIER)
    return likely and not bool((choice.explained & ~open_).any())


def weigh(lost: Losses, open_: NDArray[np.bool_]) -> list[Choice]:
    """Weigh the most promising rules; the one that explains most comes first."""
    if not open_.any():
        return []
    total = evidence.independent(lost.time_ns[open_])
    at_random = evidence.log_random(total, lost.delivered)

    def gain(rest: float, rule: Hypothesis) -> float:
        return evidence.log_random(max(rest, 0.0), lost.delivered) - at_random - rule.cost

    promising = sorted(hypotheses(lost, open_), key=lambda h: -gain(total - h.losses, h))
    choices = []
    for rule in promising[:_WEIGHED_EXACTLY]:
        explained = rule.explains(lost) & open_
        rest = open_ & ~explained
        nats = gain(evidence.independent(lost.time_ns[rest]), rule)
        losses = evidence.independent(lost.time_ns[explained])
        proof = evidence.against_random(losses, lost.events(rest), lost.delivered) - rule.cost
        choices.append(Choice(rule, explained, nats, proof))
    return sorted(choices, key=lambda c: -c.nats)


def most_promising(lost: Losses, open_: NDArray[np.bool_], choices: list[Choice]) -> Choice:
    """Choose with regard to what remains.

    One rule that happens to cover two faults must not win over the two rules that fit them better.
    """
    promising = choices[:_PROMISING]
    best = promising[0]
    if len(promising) > 1:
        best = max(promising, key=lambda c: c.nats + _prospect(lost, open_ & ~c.explained))
    return _plainer(_outermost(best, choices), choices)


def _outermost(best: Choice, choices: list[Choice]) -> Choice:
    """Prefer a tunnel endpoint to a kind of inner packets where each explains exactly the other's losses.

    Devices between the nodes look at the outer header, such as that of a dual-stack cluster's IPv6 tunnel.
    """
    if best.rule.trait is None:
        return best
    endpoints = (
        c for c in choices if c.rule.trait is Trait.TUNNEL_ENDPOINT and c.rule.first == best.rule.first
    )
    return next((c for c in endpoints if np.array_equal(c.explained, best.explained)), best)


def _plainer(best: Choice, choices: list[Choice]) -> Choice:
    """Prefer a time to the class that began to fail at it, where nothing else arrived meanwhile.

    Then there is no evidence for a kind of packets, and all kinds may be lost.
    """
    if best.rule.trait is None or best.rule.first == 0:
        return best
    return next((c for c in choices if c.rule.interrupts and not (best.explained & ~c.explained).any()), best)


def _prospect(lost: Losses, open_: NDArray[np.bool_]) -> float:
    """Evidence that further explanations add."""
    nats = 0.0
    for _ in range(_LOOK_AHEAD):
        following = proved(weigh(lost, open_))
        if not following:
            break
        nats += following[0].nats
        open_ = open_ & ~following[0].explained
    return nats
