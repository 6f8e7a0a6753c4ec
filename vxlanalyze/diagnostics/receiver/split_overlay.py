"""Find the one overlay of several that has another VNI on each node.

Next to overlays that work, pods are sent to with one VNI and themselves send with another one, each used in
one direction only, and nothing with either is answered. Where VNIs are identities, responses have other VNIs
than their requests, so there must be an overlay whose responses have the same one.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests import answers
from vxlanalyze.analysis.requests.answers import Answers
from vxlanalyze.analysis.underlay import tunnel_ends
from vxlanalyze.pairing.model import Direction, Hop


class SplitOverlay(NamedTuple):
    """The two VNIs, those of overlays that work, and the requests of each direction without an answer."""

    vnis: tuple[int, int]
    working: tuple[int, ...]
    requests: tuple[NDArray[np.bool_], NDArray[np.bool_]]

    @property
    def unanswered(self) -> list[int]:
        """Number of requests without an answer, by direction."""
        return [int(chosen.sum()) for chosen in self.requests]


def of(hop: Hop, chance: float) -> SplitOverlay | None:
    """Find it; `chance` is the false alarm probability accepted for the silence of one direction."""
    ends = [tunnel_ends.of(d) for d in hop.directions]
    alone = [sorted(ends[n].vnis.keys() - ends[1 - n].vnis.keys()) for n in (0, 1)]
    shared = sorted(ends[0].vnis.keys() & ends[1].vnis.keys())
    if [len(vnis) for vnis in alone] != [1, 1] or not shared:
        return None
    found = [answers.of(d) for d in hop.directions]
    if not any(_answer_alike(d, a, shared) for d, a in zip(hop.directions, found, strict=True)):
        return None
    flows = [d.sender.flows.vni == vnis[0] for d, vnis in zip(hop.directions, alone, strict=True)]
    if any((a.answered & f).any() for a, f in zip(found, flows, strict=True)):
        return None
    silent = any(a.silent(chance, f) for a, f in zip(found, flows, strict=True))
    if not silent or not _same_pods(hop, flows):
        return None
    requests = [a.unanswered(f) for a, f in zip(found, flows, strict=True)]
    return SplitOverlay((alone[0][0], alone[1][0]), tuple(shared), (requests[0], requests[1]))


def _answer_alike(direction: Direction, responses: Answers, shared: list[int]) -> bool:
    """Whether requests are answered, and all of these have VNIs that the other direction uses as well."""
    vnis = direction.sender.flows.vni[responses.answered]
    return len(vnis) > 0 and bool(np.isin(vnis, shared).all())


def _same_pods(hop: Hop, flows: list[NDArray[np.bool_]]) -> bool:
    """Whether an address that is sent to with the one VNI sends with the other."""
    there, back = (d.sender.flows for d in hop.directions)
    targets = np.column_stack([there.family, there.dst])[flows[0]]
    sources = np.column_stack([back.family, back.src])[flows[1]]
    return bool((targets[:, np.newaxis] == np.unique(sources, axis=0)).all(axis=2).any())
