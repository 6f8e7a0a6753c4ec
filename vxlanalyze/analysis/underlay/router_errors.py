"""What a router or firewall between the nodes says about outer packets that it does not forward.

A destination that it cannot reach, or a rule that rejects: the error names the device and the reason.

Sources: RFC 792 (host and network unreachable), RFC 1812 section 5.2.7.1 (codes 9, 10 and 13), RFC 4443
section 3.1.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests import time_exceeded
from vxlanalyze.analysis.underlay import underlay_errors
from vxlanalyze.analysis.underlay.underlay import Underlay
from vxlanalyze.analysis.underlay.underlay_errors import NO_SUCH_HOST, PROHIBITED
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed

_REASONS = ((PROHIBITED, "administratively prohibited"), (NO_SUCH_HOST, "destination unreachable"))


class Said(NamedTuple):
    """Errors of a device about packets of a direction: who sent them, the reason, and where they are."""

    routers: list[str]
    reason: str
    errors: list[tuple[Point, NDArray[np.int32]]]

    @property
    def rejects(self) -> bool:
        """Whether a rule rejects the packets; otherwise the device cannot reach their destination."""
        return self.reason == _REASONS[0][1]

    @property
    def error_count(self) -> int:
        """Number of errors, where most of them were captured."""
        return max(len(rows) for _, rows in self.errors)

    @property
    def words(self) -> str:
        """Who says what, and how often."""
        says = "says" if len(self.routers) == 1 else "say"
        times = count(self.error_count, "ICMP error")
        return f"{listed(self.routers, 3)} {says} “{self.reason}” about them ({times})"


def about(pair: Comparison, direction: Direction) -> Said | None:
    """Find what devices other than the receiving node say about lost packets of a direction."""
    for kinds, reason in _REASONS:
        errors = []
        for found in underlay_errors.about(pair, direction, kinds):
            rows = found.row[~found.by_target]
            errors += [(found.point, rows)] if len(rows) else []
        if errors:
            senders = [a for point, rows in errors for a in time_exceeded.senders_of(point, rows)]
            return Said(list(dict.fromkeys(senders)), reason, errors)
    return None


def remedy(said: Said, direction: Direction, below: Underlay) -> str:
    """What to do on that device, and how to see the same from the sending node."""
    near, far, router = direction.sender.name, direction.receiver.name, listed(said.routers, 3)
    trace = on(near, f"traceroute -n {below.far}")
    if said.rejects:
        return written(
            f"The rule is on {router}: allow {below.ports_text} {below.ends_text} there, for all nodes and "
            "both directions. To see where it is on the path:",
            trace,
        )
    return written(
        f"See on {router} which route and which neighbour entry (ARP or neighbour discovery) it has for "
        f"{below.far}, and whether that link is up. Whether {far} has the address, and is on that link:",
        on(far, "ip -br address", "ip -s link"),
        f"If {far} has another address now, the tunnel map of {near} is stale. The path as {near} sees it:",
        trace,
    )
