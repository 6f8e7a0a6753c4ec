"""Report TCP data that arrives at a node and is discarded inside it, a part of `tcp-stalled`.

Sources: calico issues 11160 and 11199 (segments joined by GRO and dropped after decapsulation).
"""

import numpy as np

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis.finding import Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.tcp.discarded_segments import Discarded, discarded
from vxlanalyze.analysis.tcp.tcp_streams import Sent
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed, span
from vxlanalyze.wire.addresses import text

_CODE = "tcp-stalled"
_LEAST, _LEAST_SHARE = 5, 1e-3
_EXPLAINED_BY = ("integrity", "not-answered", "source-unanswered", "stale-tunnel-mac")


def finding(pair: Comparison, outbound: Sent) -> Finding | None:
    """Report what a direction's receiver discards; None where that is little, or one capture is all."""
    direction = next((d for d in pair.directions if d.label == outbound.label), None)
    if direction is None:
        return None
    found = discarded(pair, direction, outbound)
    number = len(found.first_row)
    if number < max(_LEAST, _LEAST_SHARE * found.arrived):
        return None
    return _finding(pair, direction, found)


def _finding(pair: Comparison, direction: Direction, found: Discarded) -> Finding:
    near, far = direction.sender.name, direction.receiver.name
    index = direction.receiver.index
    number = len(found.first_row)
    waited_ns = index.time_ns[found.second_row] - index.time_ns[found.first_row]
    lengths = index.length[found.first_row]
    shown = exhibits.of_rows(
        pair, [(direction.receiver, np.concatenate([found.first_row, found.second_row]).astype(np.int32))]
    )
    return Finding(
        code=_CODE,
        severity=Severity.WARNING,
        direction=direction.label,
        summary=f"At least {number:,} of {found.arrived:,} TCP segments from {near} reached {far}'s network "
        f"card and had to be sent again: they are dropped inside {far} "
        f"(to {listed(_receivers(pair, direction, found), 3)})",
        explanation=f"{count(number, 'segment')} of {int(lengths.min()):,} to {int(lengths.max()):,} bytes "
        f"(inner IP length) stand in {far}'s capture, and its acknowledgements still lacked them when they "
        f"arrived a second time, {span(int(np.median(waited_ns)))} later in the median. Nothing of them is "
        "lost between the nodes.",
        remedy=written(
            f"See what drops packets inside {far}, between its network card and the pod. Run each of these "
            "before and after a test (NIC, the device named in the route):",
            on(
                far,
                f"ip route get {_peer(direction)}",
                "nstat -az | grep -E 'Drop|Prune|Discard|RcvQ'",
                "cat /proc/net/softnet_stat",
                "ip -s link",
                "conntrack -S",
            ),
            "Segments that the card or the kernel joins (GRO) and that are cut again behind the tunnel can "
            "be lost there; to try without:",
            on(far, "ethtool -K NIC gro off"),
            "To undo it:",
            on(far, "ethtool -K NIC gro on"),
            "Where Cilium runs, in its pod on that node:",
            on(far, "cilium-dbg monitor --type drop"),
        ),
        evidence={
            "discarded": Quantity(number, "packets"),
            "arrived": Quantity(found.arrived, "packets"),
            "smallest_discarded": Quantity(int(lengths.min()), "bytes"),
            "largest_discarded": Quantity(int(lengths.max()), "bytes"),
            "sent_again_after": Quantity(int(np.median(waited_ns)), "ns"),
        },
        ruled_out=(
            RuledOut("packet-loss", f"both copies are in {far}'s capture"),
            RuledOut("zero-window", "the receiver's window was open"),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
        explained_by=_EXPLAINED_BY,
    )


def _receivers(pair: Comparison, direction: Direction, found: Discarded) -> list[str]:
    """Endpoints that lack these segments."""
    flows, index = direction.receiver.flows, direction.receiver.index
    rows = np.unique(index.flow[found.first_row])
    names = (pair.cluster.named(a) for a in text(flows.dst[rows], flows.family[rows]))
    return list(dict.fromkeys(names))


def _peer(direction: Direction) -> str:
    """Outer address that the direction comes from."""
    flows = direction.receiver.flows
    row = direction.receiver.index.flow[direction.received_row[direction.delivered][0]]
    if flows.outer_family[row]:
        return str(text(flows.outer_src[[row]], flows.outer_family[[row]])[0])
    return str(text(flows.src[[row]], flows.family[[row]])[0])
