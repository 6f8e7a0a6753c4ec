"""Packets are lost above a rate, or within bursts, while slower traffic of the same kind loses nothing.

What it checks
    Do the losses of a direction begin, burst after burst, once about the same number of packets have been
    sent within a short time, while packets of the same flows that are sent more slowly all arrive?
Why it matters
    Nothing is broken: something drops traffic in excess of an allowance. Averages look harmless, because
    bursts last milliseconds. Retransmissions hide it from TCP, which merely slows down; UDP packets are gone.
How it decides
    The load before each packet is counted over times from 1 ms to 1 s: among all packets, those of its flow,
    and those of its source. The losses are grouped into at least three episodes. Either their first losses
    occur at about the same load, or no packet below some load is lost although enough were sent; loss that
    does not depend on the rate would look like this at most once in ten thousand directions, taking the
    number of ways to count into account.
When it cannot tell
    Traffic at an even rate: all of it is above the limit, or none. Fewer than three bursts. Then it is
    `packet-loss`.
What looks like it
    A brief link fault that coincides with a burst (one episode). Recurring outages: they begin at any load. A
    blocked service or size also loses slow packets.
What to do
    Check the counters of allowances and policers on the sender, on the path and at the receiver; pace the
    sender, or raise the limit.
Sources
    RFC 2697; AWS "Monitor network performance" (pps_allowance_exceeded, bw_in_allowance_exceeded); tailscale
    issue 11137; tc-police(8), tc-fq(8).
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.loss import affected, inside_finding, loss
from vxlanalyze.analysis.loss.picture import Explanation, LossKind, Picture
from vxlanalyze.analysis.loss.rate import RateLimit
from vxlanalyze.analysis.underlay import between_captures, underlay
from vxlanalyze.analysis.underlay.underlay import Underlay
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, span
from vxlanalyze.wire.model import NO_FLOW

CODE = "rate-limited"


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Report each direction in which loss sets in above a rate."""
    pictures, not_assessed = loss.pictures(pair, CODE)
    answers: list[DiagnosticResult] = list(not_assessed)
    for picture in pictures:
        answers += [
            _finding(pair, picture, e, e.detail)
            for e in picture.of(LossKind.RATE)
            if isinstance(e.detail, RateLimit)
        ]
        if len(picture.unexplained) and len(np.unique(picture.direction.sent_ns(picture.unexplained))) < 3:
            why = "fewer than three moments of loss: whether they follow the rate cannot be determined"
            answers.append(NotAssessed(CODE, why, picture.direction.label))
    return [*answers, *inside_finding.findings(pair, CODE)]


def _finding(pair: Comparison, picture: Picture, explanation: Explanation, limit: RateLimit) -> Finding:
    direction = picture.direction
    lost = picture.packets_of([explanation])
    gone, others = int(lost.sum()), _others(picture, lost)
    near, far = direction.sender.name, direction.receiver.name
    shown = exhibits.of_packets(pair, direction, lost)
    of_flow = "" if others == 0 else f", none of {count(others, 'packet')} of other flows"
    onset = f"{limit.burst:,} packets within {span(limit.window_ns)}"
    return Finding(
        code=CODE,
        severity=Severity.WARNING,
        direction=direction.label,
        summary=f"{gone:,} of {limit.same_kind:,} packets from {near} to {far} are lost within bursts: "
        f"loss "
        f"sets in after about {onset}; slower packets of the same flows all arrive",
        explanation=f"{affected.packets(affected.protocols(direction, lost))} of "
        f"{affected.sizes(direction, lost)} are lost in {count(limit.episodes, 'burst')}. Counting "
        f"{limit.scope} over {span(limit.window_ns)}, no packet is lost below {limit.least:,} "
        f"({limit.least / limit.window_ns * 1e9:,.0f} packets/s): none of "
        f"{count(limit.slower, 'slower packet')} of the same flows{of_flow}. {_passing(limit)}"
        + loss.by_chance([explanation]),
        remedy=inside_finding.remedy_of(direction, CODE, lost)
        or _remedy(near, far, underlay.of(direction, pair.cluster)),
        evidence={
            "lost": Quantity(gone, "packets"),
            "sent_in_these_flows": Quantity(limit.same_kind, "packets"),
            "slower_and_delivered": Quantity(limit.slower, "packets"),
            "episodes": Quantity(limit.episodes, "bursts"),
            "burst": Quantity(limit.burst, "packets"),
            "window": Quantity(limit.window_ns, "ns"),
            "onset_rate": Quantity(limit.onset_per_s, "packets/s"),
            "passing_rate": Quantity(limit.passing_per_s, "packets/s"),
            "chance": Quantity(explanation.chance, "ratio"),
            **inside_finding.evidence_of(direction),
        },
        ruled_out=(
            *affected.not_by_size(direction, lost),
            RuledOut("burst-outage", "the losses begin at one load, not at any moment"),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _passing(limit: RateLimit) -> str:
    if limit.passing_per_s is None or limit.passing_per_s < 1:
        return ""
    return f"Once loss has set in, about {limit.passing_per_s:,.0f} packets/s of these flows still pass. "


def _others(picture: Picture, lost: NDArray[np.bool_]) -> int:
    """Packets of the flows that lose none to it."""
    direction = picture.direction
    losing = np.zeros(len(direction.sender.flows), np.bool_)
    losing[direction.flow[lost]] = True
    used = direction.judged & (direction.flow != NO_FLOW)
    return int(np.count_nonzero(~losing[direction.flow[used]]))


def _remedy(near: str, far: str, below: Underlay) -> str:
    return written(
        "Something drops what exceeds an allowance: an instance's limit on packets or bandwidth, a "
        "policer, or a queue that is too short for the bursts. Compare before and after a burst (NIC, the "
        "device named in the route):",
        *between_captures.counters(near, far, below),
        f"To spread the bursts of {near} over time:",
        on(near, "tc qdisc replace dev NIC root fq"),
        "To undo it:",
        on(near, "tc qdisc del dev NIC root"),
        "If the allowance of a cloud instance is exceeded, take a larger instance, or send less at once.",
    )


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
