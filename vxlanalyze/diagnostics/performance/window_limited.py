"""A connection sends one receive window per round trip and then waits.

What it checks
    Which connections wait for a large part of their time because the receiver's advertised window is full,
    although the receiver reads?
Why it matters
    Nothing is lost, every packet is fast, but the transfer is slow: no connection carries more than its
    window per round trip. On a path of 100 ms, a window of 64 KB is 5 Mbit/s, whatever the link can carry.
How it decides
    In the sender's capture, with the scale negotiated in the handshake. A segment waited for the window if it
    did not fit when the previous one left, and left within 2 ms of the acknowledgement that made room. It is
    reported if that took `least_share` of a connection's active time and `least_ns` in total, and the window
    allows less than 1 Gbit/s.
When it cannot tell
    The handshake is not in the captures, or cut by the snap length: then the scale of the window is
    unknown. TCP headers are cut. Time stamps are whole milliseconds, and round trips not much longer.
What looks like it
    A window of zero: the receiving application does not read (`zero-window`). A sender that waits for
    acknowledgements with room left in the window: its congestion window, after loss or at the start, or its
    send buffer (SO_SNDBUF, net.ipv4.tcp_wmem), which captures do not distinguish: data that waits in a
    socket leaves no trace. Data in flight that stays at one size for many round trips, without loss or queue,
    points to the buffer, but BBR and paced senders do that as well; sndbuf_limited of `ss -ti` on the sender
    decides. A sender whose application has nothing to send; a slow server (`slow-answer`). A full
    link: its queue lengthens the round trips.
What to do
    Let the receiver's buffer grow to the bandwidth-delay product: `net.ipv4.tcp_rmem` in the receiving pod's
    network namespace, or the application's SO_RCVBUF, which disables automatic growth. Without the
    window scale option no window exceeds 65,535 bytes.
Sources
    RFC 7323 section 2 (window scale); RFC 9293 section 3.8.6; Linux Documentation/networking/ip-sysctl.rst
    (tcp_rmem, tcp_moderate_rcvbuf); canonical/microk8s issues 2438 and 3341.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.tcp import limits, unseen
from vxlanalyze.analysis.tcp import waiting_columns as at
from vxlanalyze.analysis.tcp.connections import Connections, active_ns, connections
from vxlanalyze.analysis.tcp.waiting_columns import Cause
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import bit_rate, count, listed, span

CODE = "window-limited"
_LEAST_SHARE, _LEAST_NS = 0.3, 500_000_000
_FAST_BITS_PER_S = 1_000_000_000
_GOALS_BITS_PER_S = (100_000_000, 1_000_000_000)
_MOST_NAMED = 3
_COARSE_NS = 10_000_000  # of round trips, where stamps are whole milliseconds


class _Limit(NamedTuple):
    """What limits one stream."""

    stream: int
    waited_ns: int
    share: float
    rtt_ns: int
    window_bytes: int
    largest_bytes: int
    bits_per_s: float


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Look for streams whose window is full most of the time."""
    found = connections(pair)
    if found is None:
        return list(unseen.not_followed(pair, CODE))
    share = limits.shares(found, Cause.WINDOW)
    held = np.flatnonzero((found.waited_ns[:, Cause.WINDOW] >= _LEAST_NS) & (share >= _LEAST_SHARE))
    limited = {stream: _limit(found, stream, float(share[stream])) for stream in held.tolist()}
    slow = [s for s, limit in limited.items() if 0 < _allowed(limit) < _FAST_BITS_PER_S]
    slow.sort(key=lambda s: -limited[s].waited_ns)
    answers: list[DiagnosticResult] = []
    for direction, streams in limits.by_label(pair, found, np.array(slow, np.int64)).items():
        answers.append(_finding(pair, found, direction, [limited[s] for s in streams]))
    return answers or [*_unknown(pair, found), *unseen.not_followed(pair, CODE)]


def _limit(found: Connections, stream: int, share: float) -> _Limit:
    samples = limits.samples_of(found, stream)
    largest = int(found.figures[stream, at.WINDOW_MAX])
    active = int(active_ns(found)[stream >> 1])
    return _Limit(
        stream,
        waited_ns=int(found.waited_ns[stream, Cause.WINDOW]),
        share=share,
        rtt_ns=samples.rtt_ns or int(found.figures[stream, at.RTT_MIN_NS]),
        window_bytes=samples.window_bytes or largest,
        largest_bytes=largest,
        bits_per_s=8e9 * int(found.figures[stream, at.BYTES]) / max(active, 1),
    )


def _allowed(limit: _Limit) -> float:
    """Bits per second of one window per round trip."""
    return 8e9 * limit.window_bytes / limit.rtt_ns if limit.rtt_ns > 0 else 0.0


def _unknown(pair: Comparison, found: Connections) -> Iterator[NotAssessed]:
    """Name the directions in which connections with an unknown window wait for acknowledgements."""
    waits = found.waited_ns[:, Cause.ACKNOWLEDGEMENT]
    share = limits.shares(found, Cause.ACKNOWLEDGEMENT)
    unscaled = found.figures[:, at.SCALED] == 0
    unclear = np.flatnonzero(unscaled & (waits >= _LEAST_NS) & (share >= _LEAST_SHARE))
    for direction, streams in limits.by_label(pair, found, unclear).items():
        number = count(len(streams), "connection")
        cut = unseen.handshake_is_cut(pair, found, streams[0])
        how = "is cut by the snap length" if cut else "was not captured"
        why = f"the handshake of {number} {how}, so the scale of the window is not known"
        yield NotAssessed(CODE, why, direction)
    rtt_ns = found.figures[:, at.RTT_MIN_NS]
    quick = (rtt_ns >= 0) & (rtt_ns < _COARSE_NS)
    coarse = unseen.coarse_clock(pair, found) if (quick & (waits >= _LEAST_NS)).any() else None
    if coarse is not None:
        why = f"time stamps at {coarse} are whole milliseconds, and round trips are not much longer"
        yield NotAssessed(CODE, why)


def _finding(pair: Comparison, found: Connections, direction: str | None, held: list[_Limit]) -> Finding:
    worst = held[0]
    names = [limits.ends(pair, found, limit.stream).named for limit in held]
    waited = sum(limit.waited_ns for limit in held)
    exhibit = limits.shown(pair, found, [limit.stream for limit in held], at.ROW_BLOCKED)
    needed = [_product(goal, worst.rtt_ns) for goal in _GOALS_BITS_PER_S]
    return Finding(
        code=CODE,
        severity=Severity.WARNING,
        direction=direction,
        summary=f"{count(len(held), 'connection')} sent one receive window of {worst.window_bytes:,} bytes "
        f"per round trip of {span(worst.rtt_ns)} and waited: at most {bit_rate(_allowed(worst))} "
        f"({listed(names, at_most=_MOST_NAMED)})",
        explanation=f"For {span(waited)} ({100 * worst.share:.0f} % of {_whose(len(held))}) the data "
        f"in flight filled the window that the receiver advertises, and the sender could send only when an "
        f"acknowledgement made room. It reached {bit_rate(worst.bits_per_s)}; "
        f"100 Mbit/s over this round trip takes a window of {needed[0]:,} bytes, 1 Gbit/s one of "
        f"{needed[1]:,}. {_which_window(found, worst)}",
        remedy=_remedy(pair, found, direction, worst, needed),
        evidence={
            "connections": Quantity(len(held), "connections"),
            "window": Quantity(worst.window_bytes, "bytes"),
            "largest_window": Quantity(worst.largest_bytes, "bytes"),
            "round_trip": Quantity(worst.rtt_ns, "ns"),
            "allowed": Quantity(round(_allowed(worst)), "bit/s"),
            "reached": Quantity(round(worst.bits_per_s), "bit/s"),
            "waited": Quantity(waited, "ns"),
            "share_of_active_time": Quantity(round(worst.share, 3), "ratio"),
            "window_for_100_mbit": Quantity(needed[0], "bytes"),
            "window_for_1_gbit": Quantity(needed[1], "bytes"),
            "data_sent_again": Quantity(int(found.figures[worst.stream, at.RESENT]), "packets"),
        },
        ruled_out=tuple(_ruled_out(found, worst)),
        frames=exhibit.frames,
        frame_count=exhibit.frame_count,
        display_filter=exhibit.display_filter,
    )


def _whose(connections: int) -> str:
    return "its active time" if connections == 1 else "the active time of the first one"


def _product(bits_per_s: int, rtt_ns: int) -> int:
    """Give the bandwidth-delay product in bytes."""
    return round(bits_per_s * rtt_ns / 8e9)


def _which_window(found: Connections, worst: _Limit) -> str:
    if found.figures[worst.stream, at.SCALED] == at.WITHOUT_SCALE:
        return "The handshake has no window scale option, so no window can exceed 65,535 bytes."
    if worst.window_bytes < worst.largest_bytes // 2:
        return (
            f"The window had been {worst.largest_bytes:,} bytes: the receiving application reads more slowly "
            "than data arrives, or the buffer was still growing."
        )
    return "It stayed near the largest that was advertised: the receive buffer is the limit, not the reader."


def _remedy(
    pair: Comparison, found: Connections, direction: str | None, worst: _Limit, needed: list[int]
) -> str:
    joined = limits.ends(pair, found, worst.stream)
    node, host = limits.receiver_name(pair, direction), joined.receiver
    other = limits.sender_name(pair, direction)
    scaling = (
        "Window scaling must be on at both ends (1); if it is, a device on the path removes the option:",
        *(on(name, "sysctl net.ipv4.tcp_window_scaling") for name in (node, other)),
    )
    return written(
        f"Run these in the network namespace of {host}, where the settings apply (for a pod: nsenter -t PID "
        "-n). See the buffer, and whether the process reads (Recv-Q):",
        on(node, f"ss -tmin src {_quoted(host)} dst {_quoted(joined.sender)}"),
        *(scaling if found.figures[worst.stream, at.SCALED] == at.WITHOUT_SCALE else ()),
        "Let the buffer grow: the last number is the limit, and about half of it becomes the window:",
        on(node, "sysctl net.ipv4.tcp_rmem"),
        on(node, f"sysctl -w net.ipv4.tcp_rmem='4096 131072 {max(2 * needed[1], 6291456)}'"),
        "To undo it, restore the values printed before it. If the application sets SO_RCVBUF, the buffer "
        "does not grow: remove that, or raise it in its configuration, up to this limit:",
        on(node, "sysctl net.core.rmem_max"),
    )


def _quoted(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _ruled_out(found: Connections, worst: _Limit) -> Iterator[RuledOut]:
    figures = found.figures[worst.stream]
    if figures[at.ZERO_TIMES] == 0:
        yield RuledOut("zero-window", "the window was never zero: the receiver reads")
    segments, again = int(figures[at.SEGMENTS]), int(figures[at.RESENT])
    if again == 0:
        yield RuledOut("packet-loss", f"none of {segments:,} packets with data was retransmitted")
    thinking = found.waited_ns[worst.stream, Cause.APPLICATION]
    yield RuledOut("slow-answer", f"waiting for the sending application took {span(int(thinking))}")


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
