"""The plain numbers behind plots and readable tables.

Every series is bounded in size: a million packets give as many numbers as ten thousand. They survive JSON, so
every plot can be redrawn from a saved report.
"""

from collections.abc import Sequence

from vxlanalyze.analysis.finding import Finding
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.report.series import delays, ladders, listing, sequences, sizes, timeline
from vxlanalyze.report.series.model import Plots
from vxlanalyze.report.series.timebase import timebase


def series(comparison: Comparison, findings: Sequence[Finding] = ()) -> Plots:
    """Aggregate a comparison for drawing and listing.

    Parameters
    ----------
    findings : sequence of Finding
        Findings whose packets are followed from point to point.

    """
    base = timebase(comparison, timeline.MOST_BINS)
    worst = sequences.worst_flow(comparison)
    return {
        "timeline": timeline.timeline(comparison, base),
        "sizes": sizes.sizes(comparison),
        "delay": delays.delays(comparison, base),
        "sequence": None if worst is None else sequences.sequence(*worst, base),
        "slow": [sequences.sequence(*flow, base) for flow in sequences.slow_flows(comparison)],
        "ladders": ladders.ladders(comparison, findings, base),
        "flows": listing.flow_list(comparison),
        "lost_packets": listing.lost_list(comparison, base),
    }
