"""Connections stop in the middle.

What it checks
    Which connections send the same data repeatedly without an acknowledgement?
Why it matters
    The handshake works, small responses pass, and then a transfer hangs until one end gives up: the typical
    symptom of a black hole for large packets, a failed path, or a receiver that discards packets.
How it decides
    Each stream is followed at the point nearest its sender. It stalled if its first unacknowledged segment
    was sent at least four times over at least a second, and was not acknowledged before the capture ended or
    the connection was reset. Ordinary loss does not do that: the second copy arrives. Segments that reached
    the receiver's capture, and which its acknowledgements still lack when they arrive again, were discarded
    inside its node; five of them, more than one in a thousand, are reported where no stream stalled.
When it cannot tell
    TCP headers are cut by the snap length. A capture that ends within a second of the first copy.
What looks like it
    A receiver whose window is zero: each probe is answered. Retransmissions that succeed: loss. A capture
    that lacks the acknowledgements (`capture-loss`): then later data goes on. Unanswered SYNs are not yet a
    connection: `path-blocked`, `endpoint-silent`.
What to do
    Follow the finding that explains it. If there is none, check the receiver: does it read?
Sources
    RFC 6298 section 5 (retransmission and back-off); RFC 2923 section 2.1 (black holes).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.loss import loss
from vxlanalyze.analysis.tcp.tcp_streams import Sent, sent
from vxlanalyze.analysis.underlay import fragmented
from vxlanalyze.diagnostics import explaining
from vxlanalyze.diagnostics.symptoms import discarding
from vxlanalyze.pairing.model import Comparison, Direction, Outcome
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed, span
from vxlanalyze.wire.addresses import text

CODE = "tcp-stalled"
_MOST_NAMED = 3
_STREAMS_NAMED = 50
_LONG_SILENT_NS = 10_000_000_000
_CAUSES = (*explaining.LOST_BETWEEN_THE_NODES, "integrity", "not-answered")


class _Fates(NamedTuple):
    """Fates of the last copies: numbers that arrived completely, as a first fragment only, and not at all."""

    arrived: int
    first_only: int
    lost: int
    back_lost: int = 0  # packets of the opposite direction

    @property
    def cut(self) -> bool:
        """Whether only first fragments were seen."""
        return self.first_only > 0 and self.arrived == 0


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Look for streams that stopped, in both directions, and for data that a receiver's node discards."""
    answers: list[DiagnosticResult] = []
    for outbound in sent(pair):
        if (outbound.seen.progress.stalled & outbound.chosen).any():
            answers.append(_finding(pair, outbound))
        elif (found := discarding.finding(pair, outbound)) is not None:
            answers.append(found)
        elif outbound.unread:
            why = "the snap length cuts TCP headers: sequence numbers are not known"
            answers.append(NotAssessed(CODE, why, outbound.label))
    return answers


def _finding(pair: Comparison, outbound: Sent) -> Finding:
    went = outbound.seen.progress
    stalled = np.flatnonzero(went.stalled & outbound.chosen)
    stalled = stalled[np.argsort(-went.copies[stalled], kind="stable")]
    figures = outbound.figures
    times = outbound.point.index.time_ns
    first, last = went.first_row[stalled], went.last_row[stalled]
    longest_ns = int((times[last] - times[first]).max())
    copies = int(went.copies[stalled].max())
    smallest = int(outbound.point.index.length[last].min())
    names = list(dict.fromkeys(_named(pair, outbound, int(s)) for s in stalled[:_STREAMS_NAMED]))
    shown = exhibits.of_rows(pair, [(outbound.point, np.concatenate([first, last]).astype(np.int32))])
    fates, silent_ns = _fates(pair, outbound, last), _silent_before_ns(outbound, first)
    receiver = next(
        (d.receiver.name for d in pair.directions if d.label == outbound.label), "the receiver's node"
    )
    return Finding(
        code=CODE,
        severity=Severity.WARNING,
        direction=outbound.label,
        summary=f"{count(len(stalled), 'connection')} of {figures.streams:,} stopped: the same data went "
        f"out up to {copies} times in {span(longest_ns)} and was never acknowledged "
        f"({listed(names, at_most=_MOST_NAMED)})"
        + (f", each after at least {span(silent_ns)} of silence" if silent_ns >= _LONG_SILENT_NS else ""),
        explanation=f"In {count(len(stalled), 'stream')} the first open segment was sent four times "
        "or more, over a second or longer, and no acknowledgement went beyond it. "
        f"{_where(fates)} {_idle(silent_ns)}Of {count(figures.segments, 'packet')} with data "
        f"{figures.resent:,} were sent again.",
        remedy=written(
            "Look at the receiving end, in the network namespace of the pod: whether the connection still "
            "exists there, and whether its process reads (Recv-Q).",
            on(receiver, "ss -tnpi"),
        ),
        evidence={
            "stalled": Quantity(len(stalled), "connections"),
            "streams": Quantity(figures.streams, "connections"),
            "opened": Quantity(figures.opened, "connections"),
            "reset": Quantity(figures.reset, "connections"),
            "most_copies": Quantity(copies, "packets"),
            "longest": Quantity(longest_ns, "ns"),
            "silent_before": Quantity(silent_ns, "ns"),
            "smallest_stuck": Quantity(smallest, "bytes"),
            "data_packets": Quantity(figures.segments, "packets"),
            "sent_again": Quantity(figures.resent, "packets"),
        },
        ruled_out=tuple(_ruled_out(fates)),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
        # Fragments that all arrive do no harm; whether they do is not visible here.
        explained_by=(*_CAUSES, f"outer-fragmentation@{outbound.label}") if fates.cut else None,
    )


def _named(pair: Comparison, outbound: Sent, stream: int) -> str:
    """Name the ends of a stream; the client's port is left out."""
    flows = outbound.point.flows
    flow = int(outbound.point.index.flow[outbound.seen.progress.last_row[stream]])
    family = np.full(2, flows.family[flow], np.uint8)
    source, target = text(np.stack([flows.src[flow], flows.dst[flow]]), family)
    ports = int(flows.sport[flow]), int(flows.dport[flow])
    ends = [pair.cluster.named(source), pair.cluster.named(target)]
    served = int(ports[1] <= ports[0])
    ends[served] += f" port {ports[served]}"
    return " to ".join(ends)


def _fates(pair: Comparison, outbound: Sent, rows: NDArray[np.int64]) -> _Fates:
    """Determine the fates of the last copies on the first hop."""
    direction: Direction | None = next((d for d in pair.directions if d.label == outbound.label), None)
    if direction is None:
        return _Fates(0, 0, 0)
    mine = np.isin(direction.sent_row, rows)
    arrived = mine & (direction.outcome == Outcome.DELIVERED)
    first_only = int((arrived & fragmented.of(direction).without_rest).sum())
    hop = loss.hop_of(pair, direction)
    back = hop.backward if direction.label == hop.forward.label else hop.forward
    return _Fates(
        int(arrived.sum()) - first_only,
        first_only,
        int((mine & direction.lost).sum()),
        int(np.count_nonzero(back.lost)),
    )


def _silent_before_ns(outbound: Sent, first: NDArray[np.int64]) -> int:
    """How long each of these streams had sent nothing before, at least."""
    index = outbound.point.index
    gaps = []
    for row in first[:_STREAMS_NAMED].tolist():
        times = index.time_ns[index.flow == index.flow[row]]
        earlier = times[times < index.time_ns[row]]
        gaps.append(int(index.time_ns[row] - earlier.max()) if len(earlier) else 0)
    return min(gaps, default=0)


def _idle(silent_ns: int) -> str:
    """State what forgets idle connections, where all streams were idle for long."""
    if silent_ns < _LONG_SILENT_NS:
        return ""
    return (
        "What forgets idle connections (connection tracking, IPVS, a load balancer) would drop these; TCP "
        "keepalives at shorter intervals than its time-out prevent it. "
    )


def _where(fates: _Fates) -> str:
    if fates.cut and not fates.lost:
        return (
            "Of the last copies only the first fragment is seen: if the others are lost, which this capture "
            "does not show, nothing of them reaches the pod."
        )
    arrived = fates.arrived + fates.first_only
    if fates.lost and not arrived:
        return "The last copies were lost on the path."
    if arrived and not fates.lost:
        if not fates.back_lost:
            why = "nothing is lost on the return path: they are dropped at the receiver"
            return f"The last copies arrived, and {why}."
        return (
            "The last copies arrived: they are dropped at the receiver, or its acknowledgements "
            "on the return path."
        )
    return "Where the last copies went differs." if arrived else "Where the last copies went is not known."


def _ruled_out(fates: _Fates) -> Iterator[RuledOut]:
    yield RuledOut("endpoint-refused", "the connections were open: nothing refused them")
    if fates.lost and not fates.arrived + fates.first_only:
        yield RuledOut(
            "not-answered", f"{count(fates.lost, 'last copy', 'last copies')} never reached the receiver"
        )


DIAGNOSTIC = base.Diagnostic(
    code=CODE,
    check=check,
    explained_by=_CAUSES,
    round_trip=True,
)
