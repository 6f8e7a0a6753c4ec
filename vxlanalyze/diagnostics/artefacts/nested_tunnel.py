"""There is a tunnel inside the tunnel.

What it checks
    Are packets in more than one tunnel?
Why it matters
    The headers of each tunnel reduce the MTU, and a cluster inside another one's virtual machines often
    ignores the outer one. Two overlays on the same UDP port on one node receive each other's packets.
How it decides
    The decoder removes every tunnel that it finds; packets with more than one are counted, and the total size
    of the headers around the innermost IP packet is measured on them.
When it cannot tell
    A tunnel inside an encrypted one is not seen (`encrypted-underlay`). Always clear where no packet has two.
What looks like it
    A pod's own UDP traffic to a tunnel's port that carries no tunnel.
What to do
    Give the innermost interfaces the MTU of the underlay minus the total overhead, and nested clusters their
    own UDP port.
Sources
    RFC 7348 section 4.3; hypershift pull request 1206 (nested clusters on one port); felix pull requests 2063
    and 2481 (encapsulated packets from workloads are dropped on purpose).
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, Quantity, Severity
from vxlanalyze.analysis.underlay import underlay
from vxlanalyze.analysis.underlay.tunnel_ends import entry_points
from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.pairing.sorting import present
from vxlanalyze.text.words import count, share
from vxlanalyze.wire.model import NO_FLOW
from vxlanalyze.wire.tunnels import title

CODE = "nested-tunnel"
_ETHERNET_MTU = 1500  # an example for the arithmetic


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Count packets with more than one tunnel at the point where they enter the outer one."""
    results = [_look(pair, p, rows, None if d is None else d.label) for p, rows, d in entry_points(pair)]
    return [finding for finding in results if finding is not None]


def _look(pair: Comparison, point: Point, rows: NDArray[np.int32], label: str | None) -> Finding | None:
    if not (point.flows.tunnel_depth > 1).any():
        return None
    rows = present(rows[point.index.flow[rows] != NO_FLOW])
    depth = point.flows.tunnel_depth[point.index.flow[rows]]
    nested = rows[depth > 1]
    if len(nested) == 0:
        return None
    flow = point.index.flow[nested]
    kinds = np.bincount(point.flows.tunnel[flow])
    innermost = title(int(kinds.argmax()))
    cost, all_costs = _commonest(
        point.index.outer_length[nested].astype(np.int64) - point.index.length[nested]
    )
    deepest, tunnelled = int(depth.max()), int((depth > 0).sum())
    shown = exhibits.of_rows(pair, [(point, nested)])
    varies = f" ({all_costs} different costs, this is the commonest)" if all_costs > 1 else ""
    return Finding(
        code=CODE,
        severity=Severity.INFO,
        direction=label,
        summary=f"{share(len(nested), tunnelled).capitalize()} tunnel packets of {point.name} carry another "
        f"tunnel ({deepest} deep, {innermost} innermost): the headers cost {cost} bytes of MTU",
        explanation=f"{count(len(nested), 'packet')} are in {deepest} tunnels. Between the outermost IP "
        f"packet and the innermost lie {cost} bytes of headers{varies}, so on an underlay with an MTU of "
        f"{_ETHERNET_MTU} the innermost IP packet can have {_ETHERNET_MTU} - {cost} = "
        f"{_ETHERNET_MTU - cost} bytes at most.",
        remedy=f"Set the MTU of the innermost interfaces to that of the underlay less {cost}, and let "
        f"nested overlays use different UDP ports ({'; '.join(underlay.PORT_SETTINGS.values())}).",
        evidence={
            "nested": Quantity(len(nested), "packets"),
            "tunnel_packets": Quantity(tunnelled, "packets"),
            "depth": Quantity(deepest),
            "header_cost": Quantity(cost, "bytes"),
            "innermost_tunnel": Quantity(innermost),
        },
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _commonest(values: NDArray[np.int64]) -> tuple[int, int]:
    """Give the most frequent value, and the number of distinct ones."""
    names, counts = np.unique(values, return_counts=True)
    return int(names[counts.argmax()]), len(names)


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
