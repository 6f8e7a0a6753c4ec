"""Check whether all unanswered requests came in a VNI in which a node neither answers nor sends."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import Point
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.text.commands import on
from vxlanalyze.text.words import listed
from vxlanalyze.wire.model import NO_VNI, Tunnel
from vxlanalyze.wire.tunnels import BY_TUNNEL


class SilentVni(NamedTuple):
    """VNIs of requests without an answer, VNIs that the node sends with, and the kind of tunnel."""

    requested_with: tuple[int, ...]
    sends_with: tuple[int, ...]
    tunnel: Tunnel

    def words(self, node: str) -> str:
        """Describe it in a sentence, with a leading space."""
        requested, sent = (
            listed([f"{v:,}" for v in vnis]) for vnis in (self.requested_with, self.sends_with)
        )
        return (
            f" All of it came with VNI {requested}; {node} sends nothing with that VNI, "
            f"only with VNI {sent}. "
            "A node silently discards packets with a VNI for which it has no tunnel device."
        )

    def remedy(self, node: str) -> str:
        """Say where to look, with the command on a line of its own; "" where no command is known."""
        kind = BY_TUNNEL[self.tunnel].link_type if self.tunnel else ""
        if not kind:
            return ""
        requested = listed([str(v) for v in self.requested_with])
        return f"See whether a tunnel device with VNI {requested} exists, and in which network it is:" + on(
            node, f"ip -d link show type {kind}"
        )


def of(point: Point, unanswered: NDArray[np.integer], answered: NDArray[np.integer]) -> SilentVni | None:
    """Compare the VNIs of unanswered requests with those that a node sends with and answers.

    Where a VNI identifies the sender (Cilium), or a packet travels in the VNI of its destination's subnet,
    answers have other VNIs than requests: then no conclusion is drawn.

    Parameters
    ----------
    point : Point
        The node's network card.
    unanswered, answered : NDArray
        Rows of requests at it.
    """
    flows, usage = point.flows, point.decoded.usage
    requested = np.unique(point.index.flow[unanswered])
    if not point.encapsulated or not len(requested):
        return None
    outer = np.column_stack([flows.outer_family, flows.outer_src])
    node = distinct(np.column_stack([flows.outer_family, flows.outer_dst])[requested])[0]
    sent = (outer[:, np.newaxis] == node).all(axis=2).any(axis=1) & usage.used & (flows.tunnel != Tunnel.NONE)
    requested_with, sends_with = np.unique(flows.vni[requested]), np.unique(flows.vni[sent])
    taken = np.unique(flows.vni[point.index.flow[answered]])
    known = NO_VNI not in requested_with and NO_VNI not in sends_with
    symmetric = len(taken) > 0 and bool(np.isin(taken, sends_with).all())
    if not (known and symmetric) or np.isin(requested_with, sends_with).any():
        return None
    return SilentVni(
        tuple(requested_with.tolist()), tuple(sends_with.tolist()), Tunnel(flows.tunnel[requested[0]])
    )
