"""Pods' packets are fragmented before they enter the tunnel.

What it checks
    Are packets inside the tunnel IP fragments?
Why it matters
    It works, so nothing looks wrong, but one lost fragment loses the whole datagram, and packets that may not
    be fragmented (most TCP) are refused by the node instead: pods whose MTU leaves no room for the tunnel's
    headers rely on ICMP errors inside the node, which a firewall may drop.
How it decides
    Inner IP headers say that the packet is a fragment, where the packets enter the tunnel. The largest
    fragment shows the MTU of the fragmenting interface to within 7 bytes: fragments end at multiples of 8.
When it cannot tell
    Whether the pod fragmented (its datagrams are larger than its own MTU) or the node did (the pod's MTU is
    larger than the tunnel device's): only a capture at the pod shows that. Always clear without fragments
    inside the tunnel.
What looks like it
    Outer fragments (`outer-fragmentation`): there the tunnel's packets are fragmented, and a tunnel endpoint
    may discard the fragments.
What to do
    Give the pods an MTU no larger than the tunnel device's. Applications that exceed it on purpose (`ping
    -s`, DNS over UDP with large answers) need no change.
Sources
    RFC 791 section 3.2 and RFC 8200 section 4.5 (fragments); RFC 7348 section 4.3; RFC 8900 (fragments are
    fragile).
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.underlay import fragmented
from vxlanalyze.analysis.underlay.tunnel_ends import entry_points
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.pairing.sorting import present
from vxlanalyze.text.commands import anywhere, on, written
from vxlanalyze.text.words import count, share
from vxlanalyze.wire.model import Anomaly

CODE = "inner-fragmentation"
_INNER = np.uint32(Anomaly.INNER_FRAGMENT.value)
_SLACK_BYTES = 7  # fragments end at multiples of 8


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Look for fragments in the tunnel: where packets enter it, or in the only capture."""
    results = [_look(pair, *place) for place in entry_points(pair)]
    return [finding for finding in results if finding is not None]


def _look(
    pair: Comparison, point: Point, rows: NDArray[np.int32], direction: Direction | None
) -> Finding | None:
    cut = present(rows[point.index.anomalies[rows] & _INNER != 0])
    if len(cut) == 0:
        return None
    packets = len(present(rows))
    longest = cut[np.argmax(point.index.length[cut])]
    inner, outer = int(point.index.length[longest]), int(point.index.outer_length[longest])
    shown = exhibits.of_rows(pair, [(point, cut)])
    return Finding(
        code=CODE,
        severity=Severity.INFO,
        direction=None if direction is None else direction.label,
        summary=f"{share(len(cut), packets).capitalize()} packets that {point.name} shows are fragments of "
        f"the pods' own packets, of {inner:,} bytes at most: cut before they enter the tunnel",
        explanation=f"Inside the tunnel {count(len(cut), 'packet')} are IP fragments; the largest has "
        f"{inner:,} bytes, so the interface that cuts carries {inner:,} to {inner + _SLACK_BYTES:,}; with "
        f"the tunnel's headers that is {outer:,} to {outer + _SLACK_BYTES:,}. The pods' datagrams are "
        "larger: either than the pods' own MTU, or the pods' MTU is larger than the tunnel device's. The far "
        "pod puts the fragments together.",
        remedy=written(
            "Compare the MTU inside the pod with that of the tunnel device on the node: the pod's must "
            f"not be the larger one. If it is, set it to {inner:,} and start the pods again. Where an "
            "application sends such datagrams on purpose, nothing is to be done.",
            anywhere("kubectl exec -n NAMESPACE POD -- cat /sys/class/net/eth0/mtu"),
            on(point.name, "ip -d link show"),
        ),
        evidence={
            "fragments": Quantity(len(cut), "packets"),
            "packets": Quantity(packets, "packets"),
            "largest_fragment": Quantity(inner, "bytes"),
            "largest_outer": Quantity(outer, "bytes"),
        },
        ruled_out=_ruled_out(direction),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _ruled_out(direction: Direction | None) -> tuple[RuledOut, ...]:
    if direction is None or fragmented.of(direction).any.any():
        return ()
    return (RuledOut("outer-fragmentation", "no outer packet is a fragment"),)


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
