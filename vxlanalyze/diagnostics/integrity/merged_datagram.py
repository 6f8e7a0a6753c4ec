"""Tunnel datagrams arrive merged: further encapsulated packets follow the first.

What it checks
    Does one UDP datagram of the tunnel hold several encapsulated packets?
Why it matters
    The kernel's tunnel device extracts the first packet of a datagram and drops the others. The network
    delivered them all, but senders see loss as soon as traffic is dense enough to be merged.
How it decides
    Where the inner packet ends according to its own length, the same tunnel header (flags and VNI) appears
    again, followed by an Ethernet frame. Each such packet is counted as arrived, and matched with the other
    capture.
When it cannot tell
    The snap length cut datagrams that are longer than their tunnel headers and first inner packet.
What looks like it
    Loss on the path (`packet-loss`): there no datagram of the receiver's capture contains the packets.
    Non-zero Ethernet padding does not contain a tunnel header.
What to do
    At the receiver, disable the receive offload that merges UDP on the device that carries the tunnel.
Sources
    tailscale issue 11026 and wireguard-go pull request 26 (vxlan and geneve devices lose coalesced
    datagrams), tailscale pull request 11924 (how to disable it); Linux
    Documentation/networking/segmentation-offloads (UDP GRO); ethtool(8).
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.underlay import underlay
from vxlanalyze.pairing.model import NO_ROW, Comparison, Direction
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count
from vxlanalyze.wire import udp
from vxlanalyze.wire.model import NO_FLOW, Anomaly

CODE = "merged-datagram"
_LEAST_FURTHER_BYTES = 8 + 14 + 20  # tunnel header, Ethernet and IPv4: padding is shorter


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Look after the inner packets in the capture of each direction's receiver."""
    found = [_look(pair, direction) for direction in pair.directions if direction.receiver.encapsulated]
    return [answer for answer in found if answer is not None]


def _look(pair: Comparison, direction: Direction) -> DiagnosticResult | None:
    anomalies = direction.receiver.index.anomalies
    arrived = direction.received_row[direction.received_row != NO_ROW]
    further = np.unique(arrived[(anomalies[arrived] & np.uint32(Anomaly.FURTHER_PACKET)) > 0])
    if not len(further):
        return _hidden(direction, arrived)
    first = np.unique(arrived[(anomalies[arrived] & np.uint32(Anomaly.MERGED_DATAGRAM)) > 0])
    receiver = direction.receiver.name
    packets, datagrams = len(further), max(len(first), 1)
    shown = exhibits.of_rows(pair, [(direction.receiver, first if len(first) else further)])
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=f"{receiver} receives {count(packets, 'encapsulated packet')} merged into "
        f"{count(datagrams, 'tunnel datagram')} of others: its kernel takes the first out of each and drops "
        "the rest",
        explanation=f"After the inner packet of {count(datagrams, 'datagram')} the tunnel's header appears "
        f"again, with a complete frame. The sender sent them one by one; receive offload on {receiver} (UDP "
        "GRO) merged them, and the kernel's tunnel device takes only the first out of a datagram. They "
        "arrived, so they are not counted as lost on the path.",
        remedy=_remedy(receiver, underlay.of(direction, pair.cluster).near),
        evidence={
            "merged_datagrams": Quantity(datagrams, "datagrams"),
            "packets_dropped": Quantity(packets, "packets"),
            "packets_arrived": Quantity(len(arrived), "packets"),
        },
        ruled_out=(
            RuledOut("packet-loss", f"{receiver}'s capture holds these packets, inside of other datagrams"),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _hidden(direction: Direction, arrived: NDArray[np.int32]) -> NotAssessed | None:
    """State that datagrams are longer than captured, where the snap length cut them."""
    index, flows = direction.receiver.index, direction.receiver.flows
    rows = arrived[(index.flow[arrived] != NO_FLOW) & (index.length[arrived] > 0)]
    cut = (index.anomalies[rows] & np.uint32(Anomaly.CUT)) > 0
    if not cut.any():
        return None
    flow = index.flow[rows]
    one_tunnel = (flows.tunnel_depth[flow] == 1) & (flows.outer_protocol[flow] == udp.PROTOCOL)
    around = index.outer_length[rows].astype(np.int64) - index.length[rows]
    headers = around[one_tunnel & (around > 0)].min(initial=np.iinfo(np.int64).max)
    longer = int((one_tunnel & cut & (around - headers >= _LEAST_FURTHER_BYTES)).sum())
    if not longer:
        return None
    return NotAssessed(
        CODE,
        f"{count(longer, 'datagram')} at {direction.receiver.name} may hold further packets after the first, "
        "where the snap length cut them",
        direction.label,
    )


def _remedy(receiver: str, peer: str) -> str:
    return written(
        f"On {receiver}, turn off the offload that merges UDP, on the device that the tunnel runs over "
        "(DEVICE, the device named in the route):",
        on(receiver, f"ip route get {peer}"),
        on(receiver, "ethtool -K DEVICE rx-udp-gro-forwarding off", "ethtool -K DEVICE rx-gro-list off"),
        "To test the cause:",
        on(receiver, "ethtool -K DEVICE gro off"),
        "To undo these: the same with on. Where the tunnel runs over tailscale, tailscaled itself merges "
        "UDP: set TS_TUN_DISABLE_UDP_GRO=true in its environment (/etc/default/tailscaled; versions since "
        "May 2024 know it) and restart it.",
    )


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
