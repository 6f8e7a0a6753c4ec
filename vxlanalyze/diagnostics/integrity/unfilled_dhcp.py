"""Answers of DHCP whose checksum nobody filled in, and which clients ignore: `inner-checksum-bad`.

Kernels accept an unfilled checksum from a device of the same host. DHCP clients read frames themselves and
verify them, so what others accept is discarded.

Sources: iptables-extensions(8), target CHECKSUM (written for this case); Linux
Documentation/networking/checksum-offloads.rst; calico felix issue 40.
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis.finding import Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.integrity import checksums
from vxlanalyze.analysis.messages import dhcp
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import INNER_L4_SHIFT

CODE = "inner-checksum-bad"
_MOST_SERVERS = 3


def find(pair: Comparison, direction: Direction) -> Finding | None:
    """Report the answers of DHCP of a direction that arrive unfilled and are ignored."""
    if not direction.receiver.encapsulated:
        return None
    ignored = dhcp.ignored_unfilled(pair, direction)
    return _finding(pair, direction, ignored) if ignored.any() else None


def _finding(pair: Comparison, direction: Direction, ignored: NDArray[np.bool_]) -> Finding:
    near, far = direction.sender.name, direction.receiver.name
    packets, servers = int(ignored.sum()), _servers(direction, ignored)
    who = listed([pair.cluster.named(server) for server in servers], _MOST_SERVERS)
    judged = int(checksums.of(direction, INNER_L4_SHIFT).judged.sum())
    shown = exhibits.of_packets(pair, direction, ignored)
    answers = count(packets, "DHCP answer")
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=f"{answers} from {who} reach {far} with an inner UDP checksum that was never filled in, and "
        "their clients ignore them",
        explanation="They hold the sum of the pseudo-header alone, as the sending kernel leaves it for the "
        f"device; no device filled it in before {near} encapsulated them. The clients repeat their messages "
        "with the same identifier: DHCP clients read frames from a raw socket, and discard what has an "
        "invalid checksum.",
        remedy=_remedy(near, servers),
        evidence={
            "wrong": Quantity(packets, "packets"),
            "judged": Quantity(judged, "packets"),
            "by_protocol": Quantity(f"{packets:,} UDP (DHCP)"),
            "where": Quantity("they were never completed"),
            "servers": Quantity(", ".join(servers)),
        },
        ruled_out=(
            RuledOut("packet-loss", f"all {packets:,} packets are in the capture of {far}"),
            RuledOut("endpoint-silent", "the server answers"),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _servers(direction: Direction, ignored: NDArray[np.bool_]) -> list[str]:
    flows = direction.sender.flows
    chosen = np.unique(direction.flow[ignored])
    return sorted(set(text(flows.src[chosen], flows.family[chosen])))


def _remedy(near: str, servers: list[str]) -> str:
    rules = [
        f"iptables -t mangle -{{}} POSTROUTING -s {server} -p udp --dport 68 -j CHECKSUM --checksum-fill"
        for server in servers[:_MOST_SERVERS]
    ]
    return written(
        "Fill them in where they leave the server's node (for bridged frames, only if "
        "net.bridge.bridge-nf-call-iptables is 1):",
        on(near, *(rule.format("A") for rule in rules)),
        "Or let the server's kernel compute them, where the server runs (DEVICE is its interface):",
        on(near, "ethtool -K DEVICE tx off"),
        "To undo either:",
        on(near, *(rule.format("D") for rule in rules), "ethtool -K DEVICE tx on"),
    )
