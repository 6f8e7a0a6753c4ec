"""A receiver closes its window: its application does not read.

What it checks
    Which connections wait because the receiver advertises a window of zero?
Why it matters
    The transfer stops although the network delivers everything: the receiving process is stopped, overloaded,
    blocked on its disk or a lock, or does not read from this socket. It looks like a hanging network.
How it decides
    In the sender's capture: the time from the acknowledgement that closes the window to the first new data
    after it opens, or to the end if the sender is probing. It is reported if that took `least_ns` in total
    and `least_share` of the connection's active time. A window of zero can be read without knowing the scale.
When it cannot tell
    TCP headers are cut by the snap length.
What looks like it
    A window that is small but never zero (`window-limited`). A sender with nothing to send: a window that
    reopens but is not used at once. A window of zero in a RST or a last FIN, which means nothing.
What to do
    Check the receiving process: is it running, what does it wait for, how full is its receive queue?
Sources
    RFC 9293 section 3.8.6.1 (zero-window probes); RFC 1122 section 4.2.2.17; ss(8) (Recv-Q).
"""

from collections.abc import Iterator

import numpy as np

from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.tcp import limits, unseen
from vxlanalyze.analysis.tcp import waiting_columns as at
from vxlanalyze.analysis.tcp.connections import Connections, connections
from vxlanalyze.analysis.tcp.waiting_columns import Cause
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed, span

CODE = "zero-window"
_LEAST_NS, _LEAST_SHARE = 500_000_000, 0.1
_MOST_NAMED = 3


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Look for streams that wait for a window of zero to open."""
    found = connections(pair)
    if found is None:
        return list(unseen.not_followed(pair, CODE))
    waited = found.waited_ns[:, Cause.ZERO_WINDOW]
    held = np.flatnonzero((waited >= _LEAST_NS) & (limits.shares(found, Cause.ZERO_WINDOW) >= _LEAST_SHARE))
    held = held[np.argsort(-waited[held], kind="stable")]
    groups = limits.by_label(pair, found, held)
    answers: list[DiagnosticResult] = [
        _finding(pair, found, direction, streams) for direction, streams in groups.items()
    ]
    return answers or list(unseen.not_followed(pair, CODE))


def _finding(pair: Comparison, found: Connections, direction: str | None, held: list[int]) -> Finding:
    figures = found.figures[held]
    waited = int(found.waited_ns[held, Cause.ZERO_WINDOW].sum())
    share = float(limits.shares(found, Cause.ZERO_WINDOW)[held[0]])
    joined = limits.ends(pair, found, held[0])
    names = [limits.ends(pair, found, stream).named for stream in held]
    times = int(figures[:, at.ZERO_TIMES].sum())
    exhibit = limits.shown(pair, found, held, at.ROW_ZERO)
    receiver = pair.cluster.named(joined.receiver)
    role = "client" if found.client[held[0] >> 1] != held[0] else "server"
    port = joined.sender_port if role == "client" else joined.receiver_port
    return Finding(
        code=CODE,
        severity=Severity.WARNING,
        direction=direction,
        summary=f"{receiver} did not read: it kept its receive window at zero and its peer waited "
        f"{span(waited)} "
        f"({listed(names, at_most=_MOST_NAMED)})",
        explanation=f"The window of {count(len(held), 'connection')} was closed {count(times, 'time')}, for "
        f"{span(int(figures[:, at.ZERO_TOTAL_NS].sum()))} in all. The sender waited for it "
        f"{100 * share:.0f} % of the active time of the first one. A host closes the window when its receive "
        f"buffer is full, that is, when the application ({role} of port {port} on {joined.receiver}) "
        "takes less out of it than arrives.",
        remedy=_remedy(pair, direction, joined, role),
        evidence={
            "connections": Quantity(len(held), "connections"),
            "waited": Quantity(waited, "ns"),
            "share_of_active_time": Quantity(round(share, 3), "ratio"),
            "closed_times": Quantity(times),
            "closed": Quantity(int(figures[:, at.ZERO_TOTAL_NS].sum()), "ns"),
            "largest_window": Quantity(int(figures[0, at.WINDOW_MAX]) or None, "bytes"),
            "receiver": Quantity(joined.receiver),
            "data_sent_again": Quantity(int(figures[:, at.RESENT].sum()), "packets"),
        },
        ruled_out=tuple(_ruled_out(found, held)),
        frames=exhibit.frames,
        frame_count=exhibit.frame_count,
        display_filter=exhibit.display_filter,
    )


def _remedy(pair: Comparison, direction: str | None, joined: limits.StreamEnds, role: str) -> str:
    node = limits.receiver_name(pair, direction)
    target = "[{}]" if ":" in joined.receiver else "{}"
    address, peer = target.format(joined.receiver), target.format(joined.sender)
    return written(
        f"In the network namespace of {joined.receiver}, see the process (PID) whose Recv-Q stays full:",
        on(node, f"ss -tnpi src {address} dst {peer}"),
        f"Then find out what that process, the {role}, waits for: processor limits (throttling), disk, a "
        "lock, a slow consumer downstream.",
        on(node, "cat /proc/PID/wchan /proc/PID/stack"),
        "A larger buffer only delays the stop.",
    )


def _ruled_out(found: Connections, held: list[int]) -> Iterator[RuledOut]:
    again = int(found.figures[held, at.RESENT].sum())
    if again == 0:
        yield RuledOut("packet-loss", "no data was sent again")
    yield RuledOut("tcp-stalled", "the receiver acknowledged what was sent, and said that it has no room")
    yield RuledOut(
        "window-limited", "the window was zero, not only full: more buffer does not help a reader that stops"
    )


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
