"""`not-encapsulated` for requests to pods that leave a node's card without a tunnel and are never answered.

The other node's capture shows no unencapsulated packets (it was filtered for the tunnel), or the pod's node
was not captured: where the requests end is unknown, but not that they should have been in the tunnel.

Sources: cilium issue 12624, flannel issue 592 (routes that are lost or lead around the tunnel device).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis.finding import Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests import silence
from vxlanalyze.analysis.underlay import native_requests, pod_addresses
from vxlanalyze.analysis.underlay.native_requests import Left
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.pairing.rows import rows_of
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.addresses import mac_text, text

CODE = "not-encapsulated"
_MOST_NAMED = 3


def findings(pair: Comparison, chance: float) -> Iterator[Finding]:
    """Report each node that sends requests to pods elsewhere without a tunnel, none of them answered."""
    for left in native_requests.find(pair):
        flows = left.flows[left.to_pods]
        mask = np.zeros(len(left.point.flows), np.bool_)
        mask[flows] = True
        rows = rows_of(left.point.index.flow, mask)
        if silence.chance(len(rows), len(rows)) < chance:
            yield _finding(pair, left, flows, rows)


def _finding(pair: Comparison, left: Left, flows: NDArray[np.int64], rows: NDArray[np.int32]) -> Finding:
    near = left.point.name
    by, to = (_addresses(left, flows, end) for end in ("src", "dst"))
    names = [[pair.cluster.named(a) for a in some] for some in (by, to)]
    macs = [mac_text(int(mac)) for mac in np.unique(left.point.flows.outer_dst_mac[flows])]
    direction = _direction(pair, left, to)
    shown = exhibits.of_rows(pair, [(left.point, rows)])
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label if direction else None,
        summary=f"{near} sends the requests of {listed(names[0], _MOST_NAMED)} to "
        f"{listed(names[1], _MOST_NAMED)} unencapsulated, to the MAC {listed(macs, _MOST_NAMED)}, and none "
        f"of {count(len(rows), 'packet')} is answered",
        explanation=_explanation(left, direction, flows, rows),
        remedy=_remedy(near, direction, to[0]),
        evidence={
            "packets": Quantity(len(rows), "packets"),
            "flows": Quantity(len(flows), "flows"),
            "sources": Quantity(len(by), "addresses"),
            "destinations": Quantity(len(to), "addresses"),
            "destination_mac": Quantity(", ".join(macs)),
        },
        ruled_out=(
            RuledOut("path-blocked", "these packets never left in the tunnel"),
            RuledOut("endpoint-silent", "nothing shows that they reach the pod's node"),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _addresses(left: Left, flows: NDArray[np.int64], end: str) -> list[str]:
    """Addresses at one end of the flows, those with the most flows first."""
    every = left.point.flows
    names, of = distinct(np.column_stack([every.family, getattr(every, end)])[flows])
    order = np.argsort(-np.bincount(of), kind="stable")
    return text(names[order, 1:], names[order, 0])


def _direction(pair: Comparison, left: Left, to: list[str]) -> Direction | None:
    """The direction to the captured node that the destinations are on, if it is one and known."""
    nodes = [pod_addresses.of(pair).nodes_of(address) for address in to]
    for direction in pair.directions:
        if direction.sender.capture == left.point.capture and all(
            not node.isdisjoint(direction.receiver.addresses) for node in nodes
        ):
            return direction
    return None


def _explanation(
    left: Left, direction: Direction | None, flows: NDArray[np.int64], rows: NDArray[np.int32]
) -> str:
    near = left.point.name
    text_ = (
        f"{count(len(rows), 'packet')} of {count(len(flows), 'request flow')} pass the network card of "
        f"{near} without a tunnel, and no answer to any of them is in a capture, with a tunnel or without. "
        "The destinations are in a network of pods, which have to be reached through the tunnel. "
    )
    if direction is not None:
        tunnelled = int(np.count_nonzero(direction.delivered))
        text_ += (
            f"The capture of {direction.receiver.name} does not show them; whether it would show "
            "unencapsulated packets is not known. "
        )
        if tunnelled:
            text_ += f"Meanwhile {count(tunnelled, 'tunnel packet')} {direction.label} arrived."
    return text_.rstrip()


def _remedy(near: str, direction: Direction | None, target: str) -> str:
    return written(
        f"The route of {near} to {target} must lead to the tunnel device, and its neighbour and forwarding "
        "entries to the pod's node. What it does now:",
        on(near, f"ip route get {target}", "ip route show", "ip neigh show", "bridge fdb show"),
        "If a route to the gateway is more specific than the one to the tunnel device, delete it; restarting "
        "the CNI's agent there writes the routes again.",
        *(
            (
                "Whether these packets arrive at the other node at all:",
                on(direction.receiver.name, f"tcpdump -nne -i any host {target}"),
            )
            if direction
            else ()
        ),
    )
