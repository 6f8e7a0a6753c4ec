"""The nodes' clocks differ.

What it checks
    How far is each capture's clock ahead of the previous one on the path, and does it run faster?
Why it matters
    Times of two captures cannot be compared directly, nor can logs. This report is not affected, since the
    offset is removed from every delay.
How it decides
    The offset follows from the packets themselves: each one bounds it, in the forward direction from above
    and in the reverse direction from below. It is reported where it exceeds both its own uncertainty and the
    path's usual delay; a smaller offset does not mislead.
When it cannot tell
    Packets were seen at both points in one direction only, or none at all: then delay and offset cannot be
    separated.
What looks like it
    A path whose delay differs between the directions shifts the estimate by at most half the difference,
    which the uncertainty covers. A clock that was set during the capture is `clock-step`.
What to do
    `chronyc tracking` or `timedatectl timesync-status` on both nodes.
Sources
    Moon, Skelly and Towsley, INFOCOM 1999; Paxson, SIGMETRICS 1998; RFC 5905 section 8 (offset and delay).
"""

import numpy as np

from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.pairing.model import NO_DELAY, Comparison, Hop
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import span

CODE = "clock-offset"


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Compare each hop's clock offset with its delay."""
    return [answer for hop in pair.hops for answer in _hop(hop)]


def _hop(hop: Hop) -> list[DiagnosticResult]:
    clock, label = hop.clock, hop.forward.label
    if clock.offset_ns is None:
        seen = clock.pairs_forward + clock.pairs_backward
        why = (
            "packets were seen at both points in one direction only" if seen else "no packet was seen at both"
        )
        return [NotAssessed(CODE, f"{why}: an offset cannot be separated from delay", label)]
    delays = np.concatenate([d.delay_ns[d.delay_ns != NO_DELAY] for d in hop.directions])
    delay_ns = int(np.median(delays)) if len(delays) else 0
    uncertainty_ns = clock.uncertainty_ns or 0
    if abs(clock.offset_ns) <= max(delay_ns, uncertainty_ns):
        return []
    ahead, late = (clock.to, clock.from_) if clock.offset_ns > 0 else (clock.from_, clock.to)
    drift = clock.drift_ppm or 0.0
    running = f", and {'gains' if drift > 0 else 'loses'} {abs(drift):.3g} ppm" if abs(drift) >= 1 else ""
    return [
        Finding(
            code=CODE,
            severity=Severity.INFO,
            direction=label,
            summary=f"The clock of {ahead} is {span(abs(clock.offset_ns))} ahead of {late}'s "
            f"(± {span(uncertainty_ns)}); all delays are corrected for it",
            explanation=f"Based on packets: {clock.method}. The offset of {clock.to} is "
            f"{span(clock.offset_ns)} at the start of the observation window{running}. The path's usual "
            f"delay is {span(delay_ns)}.",
            remedy=written(
                "Bear this offset in mind when you compare logs of the two. What the nodes' time service "
                "says (with systemd-timesyncd: timedatectl timesync-status):",
                *(on(name, "chronyc tracking") for name in (clock.from_, clock.to)),
            ),
            evidence={
                "offset": Quantity(clock.offset_ns, "ns"),
                "uncertainty": Quantity(uncertainty_ns, "ns"),
                "drift": Quantity(drift, "ppm"),
                "delay_p50": Quantity(delay_ns, "ns"),
            },
            ruled_out=(
                RuledOut(
                    "delay-spike", "it holds from the beginning to the end, and the other way round back"
                ),
            ),
        )
    ]


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
