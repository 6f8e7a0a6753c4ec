"""The shares of a connection's time by the program, against those that its kernel counted (``ss -tin``).

The kernel counts from its own side of the sender: `busy` is the time with data that is not acknowledged,
`rwnd_limited` that in which the receiver's window held data back, `sndbuf_limited` that in which the sender's
buffer did. The last cannot be seen on the wire; it must be within what the program ascribes to the sender's
TCP. A sender that paces (BBR) counts no `rwnd_limited` while its pacing timer runs, whatever the window says:
then the kernel's figure is the least that the program must find.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import vxlanalyze as vx

# Shares of what takes next to no time are mostly rounding: the kernel counts whole milliseconds.
LEAST_ACTIVE_NS = 200_000_000


@dataclass(frozen=True)
class Difference:
    """One share of one end of a connection, by the program and by the kernel, in percentage points."""

    what: str
    found: float
    kernel: float

    @property
    def points(self) -> float:
        """How far the program is from the kernel."""
        return self.found - self.kernel

    def __str__(self) -> str:
        return f"{self.what}: {self.found:.1f} % found, {self.kernel:.1f} % by the kernel"


def differences(result: vx.Comparison, words: Iterable[Mapping[str, Any]]) -> list[Difference]:
    """Compare each end of each connection that lasted long enough."""
    flows = result.flows
    found = []
    for said in words:
        ours = flows[(flows["src"] == said["local"][0]) & (flows["sport"] == said["local"][1])]
        ours = ours[(ours["dport"] == said["peer"][1]) & ours["active_ns"].notna()]
        if len(ours) and ours.iloc[0]["active_ns"] >= LEAST_ACTIVE_NS:
            found += _of_end(said, ours.iloc[0])
    return found


def _of_end(said: Mapping[str, Any], flow: Any) -> list[Difference]:
    active_ms = flow["active_ns"] / 1e6
    busy, window, buffer = (
        min(100.0, 100 * said[f"{word}_ms"] / active_ms)
        for word in ("busy", "rwnd_limited", "sndbuf_limited")
    )
    # What waits for a window of zero is with the kernel, and not on the wire.
    waits = flow["share_in_flight"]
    if busy >= 50:
        waits = min(1.0, waits + flow["share_zero_window"])
    told = [Difference(f"{said['end']} in flight", 100 * waits, busy)]
    if busy >= 50:  # the end that sends: what the connection waited for is what it waited for
        limited = 100 * (flow["share_window"] + flow["share_zero_window"])
        own = 100 * sum(flow[f"share_{name}"] for name in ("congestion", "queue", "recovery", "path"))
        least = window if " bbr " in f" {said['ss']} " else limited
        told.append(
            Difference(f"{said['end']} receive window", limited if limited < window else least, window)
        )
        told.append(Difference(f"{said['end']} send buffer, at least", min(own, buffer), buffer))
    return told
