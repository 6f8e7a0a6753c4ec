"""Compare with an earlier report: findings that are new, worse, better, or gone.

A finding is worse if its severity rose, or if the share of affected packets rose by more than chance
explains: the 95 % intervals of the two shares do not overlap.
"""

from vxlanalyze.analysis.statistics.evidence import loss_interval
from vxlanalyze.report.model import SEVERITIES, FindingRecord, Report, key_of

# The hop figure for each code.
_FIGURES = {
    "path-blocked": "lost",
    "protocol-blocked": "lost",
    "flow-blocked": "lost",
    "ecmp-member-blocked": "lost",
    "mtu-blackhole": "lost",
    "fragments-lost": "lost",
    "burst-outage": "lost",
    "packet-loss": "lost",
    "reordering": "reordered",
    "duplication": "duplicated",
    "corrupted-in-transit": "corrupted",
}

Changes = tuple[str, ...]


def compare(before: Report, after: Report) -> tuple[list[FindingRecord], Changes]:
    """Compare with an earlier report.

    Returns
    -------
    list of FindingRecord
        Those that are new or worse.
    tuple of str
        Changes, one sentence each: new and worse first.
    """
    earlier = {key_of(finding): finding for finding in before.findings}
    later = {key_of(finding): finding for finding in after.findings}
    counting: list[FindingRecord] = []
    worse: list[str] = []
    eased: list[str] = []
    for key, finding in later.items():
        if key not in earlier:
            counting.append(finding)
            worse.append(f"new: {finding['severity']} {key}: {finding['summary']}")
            continue
        step = change((earlier[key], before), (finding, after))
        if step > 0:
            counting.append(finding)
        if step:
            word, where = ("worse", worse) if step > 0 else ("better", eased)
            where.append(f"{word}: {key}: {finding['summary']}; before: {earlier[key]['summary']}")
    left = [finding for key, finding in earlier.items() if key not in later]
    gone = [f"gone: {key_of(finding)}: {finding['summary']}{_unsure(finding, after)}" for finding in left]
    return counting, (*worse, *eased, *gone)


_Seen = tuple[FindingRecord, Report]


def change(before: _Seen, after: _Seen) -> int:
    """Give 1 where a finding is worse, -1 where it is better, 0 where it is the same as far as known."""
    rise = SEVERITIES.index(after[0]["severity"]) - SEVERITIES.index(before[0]["severity"])
    if rise:
        return 1 if rise > 0 else -1
    then = _interval(*before)
    now = _interval(*after)
    if then is None or now is None:
        return 0
    return (now[0] > then[1]) - (now[1] < then[0])


def _interval(finding: FindingRecord, report: Report) -> tuple[float, float] | None:
    figure = _FIGURES.get(finding["code"])
    hop = next((hop for hop in report.hops if hop["direction"] == finding["direction"]), None)
    if figure is None or hop is None:
        return None
    if figure == "lost" and hop["low"] is not None and hop["high"] is not None:
        return hop["low"], hop["high"]
    counts = {"reordered": hop["reordered"], "duplicated": hop["duplicated"], "corrupted": hop["corrupted"]}
    if figure in counts and hop["delivered"]:
        return loss_interval(counts[figure], hop["delivered"], counts[figure])
    return None


def _unsure(finding: FindingRecord, after: Report) -> str:
    """A finding that could not be checked again is not known to be gone."""
    for entry in after.not_assessed:
        if entry["code"] == finding["code"] and entry["direction"] in (None, finding["direction"]):
            return f" (now not assessed: {entry['reason']})"
    return "" if finding["code"] in after.diagnostics else " (not checked now)"
