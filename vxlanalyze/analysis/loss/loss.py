"""Explain the lost packets of a direction: one procedure that compares all explanations.

All diagnostics of the loss family use this module, so one cause is never reported under two codes, and
simultaneous faults are both found: take the explanation that the evidence favours most, set its packets
aside, and repeat with the remaining ones until random loss explains them equally well.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.finding import NotAssessed
from vxlanalyze.analysis.loss import both_ways, headers, idle, marks, rate, turns, weighing, whole_ports
from vxlanalyze.analysis.loss.headers import HeaderRule
from vxlanalyze.analysis.loss.hypothesis import Hypothesis
from vxlanalyze.analysis.loss.losses import Losses
from vxlanalyze.analysis.loss.picture import Explanation, LossKind, Picture
from vxlanalyze.analysis.loss.rate import RateLimit
from vxlanalyze.analysis.loss.traits import Trait
from vxlanalyze.analysis.loss.turns import Turn
from vxlanalyze.analysis.loss.weighing import Choice
from vxlanalyze.analysis.once import once
from vxlanalyze.analysis.statistics import evidence
from vxlanalyze.analysis.underlay import fragmented
from vxlanalyze.pairing.model import Comparison, Direction, Hop, Outcome
from vxlanalyze.text.words import moment, under_random_loss
from vxlanalyze.wire.model import NO_FLOW, Anomaly, Encryption, Tunnel

_MOST_ROUNDS = 12
EDGE_NS = 3 * evidence.BURST_NS
_NO_HEADER = np.uint32((Anomaly.RESERVED_BITS | Anomaly.VNI_NOT_VALID).value)
_SIMPLER = 1e-3
_AS_GOOD = 4.0  # nats: a rule that explains the same packets and is barely less likely fits equally well


_KIND_OF_TRAIT = {
    Trait.FAMILY: LossKind.PROTOCOL,
    Trait.PROTOCOL: LossKind.PROTOCOL,
    Trait.SERVICE: LossKind.FLOW,
    Trait.PORT: LossKind.FLOW,
    Trait.DESTINATION: LossKind.FLOW,
    Trait.SOURCE: LossKind.FLOW,
    Trait.OUTER_PORT: LossKind.ECMP,
    Trait.TUNNEL_ENDPOINT: LossKind.PATH,
}


def pictures(pair: Comparison, code: str) -> tuple[list[Picture], list[NotAssessed]]:
    """Explain every direction whose loss can be judged, and state for `code` why the others cannot be."""
    found: list[Picture] = []
    not_assessed = []
    for direction in pair.directions:
        picture = picture_of(pair, direction)
        if not direction.assessed:
            not_assessed.append(NotAssessed(code, direction.not_assessed_why, direction.label))
        elif picture.judged == 0:
            why = "no packet of this direction was sent while both captures ran"
            not_assessed.append(NotAssessed(code, why, direction.label))
        else:
            found.append(picture)
    return found, not_assessed


def picture_of(pair: Comparison, direction: Direction) -> Picture:
    """Explain the lost packets of a direction between captures, header fields included."""
    return _with_headers(pair).get(direction.label) or explain(direction)


@once
def _with_headers(pair: Comparison) -> dict[str, Picture]:
    """Pictures of the directions in which a header field decides; frames are read once."""
    found: dict[str, Picture | None] = {}
    for hop in pair.hops:
        for direction, opposite in (hop.directions, hop.directions[::-1]):
            picture = explain(direction)
            by_header = _by_header(pair, picture) or marks.by_mark(pair, picture)
            by_header = by_header or idle.without_paths(picture)
            found[direction.label] = by_header or both_ways.by_protocol(picture, explain(opposite))
    return {label: picture for label, picture in found.items() if picture is not None}


def _by_header(pair: Comparison, picture: Picture) -> Picture | None:
    """Look for a header field in what is left, and in whole source ports."""
    if picture.lost is None:
        return None
    ports = [e for e in picture.of(LossKind.ECMP) if not isinstance(e.detail, Turn) and not e.rule.paths]
    packets = [picture.unexplained, *(e.packets for e in ports)]
    lost = np.sort(np.concatenate(packets)).astype(np.intp)
    direction = picture.direction
    others = np.flatnonzero(direction.delivered)
    rule = headers.decide(pair, direction, lost, others, weighing.CHANCE)
    if rule is None and ports:
        rule = _for_all(pair, picture, lost)
    if rule is None:
        return None
    covered = [e for e in picture.explanations if _is_covered(pair, direction, e, rule)]
    kept = [e for e in picture.explanations if e not in covered]
    rule = replace(rule, chosen=np.unique(np.concatenate([rule.chosen, *(e.packets for e in covered)])))
    chosen = np.isin(picture.lost.packet, rule.chosen)
    found = _pattern(picture.lost, chosen, LossKind.HEADER, rule.nats, rule)
    left = picture.unexplained[~np.isin(picture.unexplained, rule.chosen)]
    return replace(picture, explanations=(*kept, found), unexplained=left, suspected=None, opening=None)


def _for_all(pair: Comparison, picture: Picture, lost: NDArray[np.intp]) -> HeaderRule | None:
    """Find a rule for more than whole source ports; it needs less evidence, for these are not random."""
    direction = picture.direction
    rule = headers.decide(pair, direction, lost, np.flatnonzero(direction.delivered), _SIMPLER)
    if rule is None or len(rule.chosen) < len(lost):
        return None
    blocked = picture.of(LossKind.FLOW)
    further = len(picture.unexplained) or any(_is_covered(pair, direction, e, rule) for e in blocked)
    return rule if further else None


def _is_covered(pair: Comparison, direction: Direction, explanation: Explanation, rule: HeaderRule) -> bool:
    """Whether a proved header rule explains all packets of another explanation, which is then not needed."""
    if explanation.kind not in (LossKind.FLOW, LossKind.ECMP, LossKind.PROTOCOL) or isinstance(
        explanation.detail, Turn
    ):
        return False
    if np.isin(explanation.packets, rule.chosen).all():
        return True
    return explanation.from_ns is None and headers.all_carry(pair, direction, explanation.packets, rule)


def since(explanations: Iterable[Explanation]) -> str:
    """State the time from which they hold, as the beginning of a sentence, if none holds from the start."""
    begin = [e.from_ns for e in explanations]
    known = [b for b in begin if b is not None]
    return f"From {moment(min(known))} on, " if known and len(known) == len(begin) else ""


def by_chance(explanations: Iterable[Explanation]) -> str:
    """State, as a sentence, the probability under random loss of the least certain of them."""
    chance = max(e.chance for e in explanations)
    return under_random_loss(chance)


def hop_of(pair: Comparison, direction: Direction) -> Hop:
    """Find the hop of a direction by its label, which a picture's direction shares with the original."""
    return next(h for h in pair.hops if direction.label in (h.forward.label, h.backward.label))


def _in_the_tunnel(direction: Direction) -> tuple[Direction, int]:
    """Leave out packets to the tunnel's port that are not tunnel packets; count those that arrived.

    Bytes that are not a tunnel header have reserved bits set, and contain neither IP nor ARP.
    """
    flows, flow = direction.sender.flows, direction.flow
    anomalies = direction.sender.index.anomalies
    whole = (flows.tunnel != Tunnel.NONE).all() and not (anomalies & _NO_HEADER).any()
    if not direction.sender.encapsulated or whole:
        return direction, 0
    odd = anomalies[direction.sent_row] & _NO_HEADER != 0
    empty = (flows.family == 0) & (flows.sport == 0)
    known = flow != NO_FLOW
    other = np.zeros(len(direction), np.bool_)
    plain = (flows.tunnel == Tunnel.NONE) & (flows.encryption == Encryption.NONE)
    other[known] = plain[flow[known]] | (empty[flow[known]] & odd[known])
    outcome = np.where(other, np.uint8(Outcome.UNKNOWN), direction.outcome)
    return replace(direction, outcome=outcome), int(np.count_nonzero(other & direction.delivered))


@once
def explain(direction: Direction) -> Picture:
    """Explain the lost packets of a direction; done once, and kept as long as the direction."""
    direction, others_delivered = _in_the_tunnel(direction)
    judged = int(np.count_nonzero(direction.judged))
    if not direction.assessed or not direction.lost.any():
        none = np.empty(0, np.intp)
        return Picture(direction, judged, None, (), none, none, None, None, others_delivered)
    lost = Losses.of(direction)
    incomplete = fragmented.lost_fragmented(direction, weighing.CHANCE)[lost.packet]
    open_ = ~incomplete
    found: list[Explanation] = []
    for _ in range(_MOST_ROUNDS):
        weighed = weighing.weigh(lost, open_)
        choices = weighing.proved(weighed)
        if not choices:
            break
        best = weighing.most_promising(lost, open_, choices)
        found += [_explanation(lost, best, rule, choices) for rule in best.rule.alone()]
        open_ = open_ & ~best.explained
    open_ &= ~_at_the_edges(lost, found)
    # A rule about a part of a kind says which packets are lost, not why: loss without a cause.
    parts = [e for e in found if e.kind is LossKind.PART]
    found = [e for e in found if e.kind is not LossKind.PART]
    causes = (c for c in weighed if c.rule.part is None and weighing.suspicious(c, open_))
    suspected = next((_explanation(lost, c, c.rule, weighed) for c in causes), None)
    open_ = open_ | _explained(lost, parts) & ~_explained(lost, found) & ~incomplete
    found, open_ = _by_pattern(direction, lost, found, open_)
    return Picture(
        direction,
        judged,
        lost,
        tuple(found),
        in_pieces=lost.packet[incomplete],
        unexplained=lost.packet[open_],
        opening=next((e for e in parts if lost.openings.has(e.rule.part)), None),
        suspected=suspected,
        others_delivered=others_delivered,
    )


def _by_pattern(
    direction: Direction, lost: Losses, found: list[Explanation], open_: NDArray[np.bool_]
) -> tuple[list[Explanation], NDArray[np.bool_]]:
    """Look among the remaining losses for loss in turn, of whole light flows, and above a rate.

    A rate limit may look like outages: those that begin where it is exceeded are then dropped.
    """
    gaps = [e for e in found if e.kind is LossKind.INTERRUPTION]
    burst = open_ | _explained(lost, gaps)
    if turn := turns.find(direction, lost.packet[open_], weighing.CHANCE):
        return [*found, _pattern(lost, open_, LossKind.ECMP, turn.nats, turn)], np.zeros_like(open_)
    if whole := whole_ports.find(direction, lost, open_, weighing.CHANCE):
        rule = Hypothesis(0.0, 0.0, 0, lost.n - 1, Trait.OUTER_PORT, whole.members)
        explained = _pattern(lost, open_, LossKind.ECMP, whole.nats)
        return [*found, replace(explained, rule=rule)], np.zeros_like(open_)
    if limited := rate.find(direction, lost.packet[burst], weighing.CHANCE):
        others = [e for e in found if e.kind is not LossKind.INTERRUPTION]
        return [*others, _pattern(lost, burst, LossKind.RATE, limited.nats, limited)], np.zeros_like(open_)
    return found, open_


def _pattern(
    lost: Losses,
    chosen: NDArray[np.bool_],
    kind: LossKind,
    nats: float,
    detail: RateLimit | Turn | HeaderRule | None = None,
) -> Explanation:
    """Make an explanation of a pattern that chosen losses follow from start to end."""
    rule = Hypothesis(0.0, 0.0, 0, lost.n - 1, part=chosen)
    return Explanation(rule, kind, lost.packet[chosen], nats, None, None, (), detail)


def _explained(lost: Losses, found: list[Explanation]) -> NDArray[np.bool_]:
    """Which of the lost packets some explanations explain, shape ``(k,)``."""
    packets = [e.packets for e in found]
    return np.isin(lost.packet, np.concatenate([np.empty(0, np.intp), *packets]))


def _explanation(lost: Losses, best: Choice, rule: Hypothesis, choices: list[Choice]) -> Explanation:
    """Make an explanation of a choice, or of one of the times that its rule is about."""
    chosen = rule.explains(lost)
    times = lost.time_ns[chosen]
    alike = [
        _kind(c.rule)
        for c in choices
        if c.nats > best.nats - _AS_GOOD and np.array_equal(c.explained, best.explained)
    ]
    return Explanation(
        rule=rule,
        kind=_kind(rule),
        packets=lost.packet[chosen],
        proof=best.proof,
        from_ns=int(times.min()) if rule.first > 0 else None,
        until_ns=int(times.max()) if rule.last < lost.n - 1 else None,
        rivals=tuple(k for k in LossKind if k in alike and k is not _kind(rule)),
    )


def _kind(rule: Hypothesis) -> LossKind:
    if rule.trait is not None:
        return _KIND_OF_TRAIT[rule.trait]
    if rule.above_bytes is not None:
        return LossKind.SIZE
    if rule.part is not None:
        return LossKind.NEW if rule.begins else LossKind.PART
    return LossKind.INTERRUPTION if rule.interrupts else LossKind.PATH


def _at_the_edges(lost: Losses, found: list[Explanation]) -> NDArray[np.bool_]:
    """Losses so close to a path's failure or recovery that they belong to it."""
    near = np.zeros(len(lost.packet), np.bool_)
    for explanation in found:
        if explanation.kind in (LossKind.INTERRUPTION, LossKind.PATH):
            for edge_ns in (explanation.from_ns, explanation.until_ns):
                if edge_ns is not None:
                    near |= np.abs(lost.time_ns - edge_ns) <= EDGE_NS
    return near
