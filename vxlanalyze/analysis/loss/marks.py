"""A mark in the headers of all packets of blocked services: a simpler rule than the services."""

from dataclasses import replace

import numpy as np

from vxlanalyze.analysis.loss import headers, weighing
from vxlanalyze.analysis.loss.picture import LossKind, Picture
from vxlanalyze.analysis.loss.traits import Trait
from vxlanalyze.pairing.model import Comparison

_SERVICES = (Trait.SERVICE, Trait.PORT)


def by_mark(pair: Comparison, picture: Picture) -> Picture | None:
    """Look for a mark (DSCP, ECN, Geneve option) of all packets of blocked services, and of no other.

    One mark is a simpler rule than a set of services; for one service, or some addresses, it is a rival.
    """
    blocked = [e for e in picture.of(LossKind.FLOW) if e.from_ns is None]
    if not blocked:
        return None
    lost = np.sort(np.concatenate([e.packets for e in blocked]))
    delivered = np.flatnonzero(picture.direction.delivered)
    rule = headers.mark(pair, picture.direction, lost, delivered, weighing.CHANCE)
    if rule is None:
        return None
    several = sum(len(e.rule.members) for e in blocked if e.rule.trait in _SERVICES) > 1
    named = replace(blocked[0], detail=rule, packets=lost)
    if several:
        named = replace(named, kind=LossKind.HEADER, proof=rule.nats, rivals=(LossKind.FLOW,))
    return replace(picture, explanations=(*(e for e in picture.explanations if e not in blocked), named))
