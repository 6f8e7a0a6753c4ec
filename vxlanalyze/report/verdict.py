"""The verdict: one sentence that answers "what is wrong?", with numbers, or says why it is unknown."""

from collections import Counter
from collections.abc import Sequence

from vxlanalyze.report import proof
from vxlanalyze.report.model import (
    CaptureRecord,
    FindingRecord,
    HopRecord,
    NotAssessedRecord,
    ServiceRecord,
)
from vxlanalyze.report.unassessed import counted
from vxlanalyze.report.unsettled import open_points
from vxlanalyze.text import words

# For findings whose own sentence describes the effect but not the cause.
_REASONS = {
    "path-blocked": "most probably a firewall, security group or hypervisor between them drops the tunnel",
    "protocol-blocked": "most probably a network card or hypervisor that mishandles encapsulated packets",
    "flow-blocked": "most probably a rule on the path that matches that service",
    "burst-outage": "most probably a link or device on the path was down meanwhile",
    "packet-loss": "most probably a full queue or a bad link between the two",
}

_NEW_ONES = "most probably a stateful device on the path (firewall or NAT)"
_NOT_ALLOWED = "most probably the network between them drops the addresses of pods (source/destination check)"
_NO_ROUTE = "most probably the network between them no longer has a route to these addresses"
_FILTERED = "most probably a filter on the path that inspects the inner packet"

# Info findings that limit the meaning of "nothing is wrong".
_LIMITS = ("capture-damaged", "truncated-capture", "capture-loss", "clock-step")
UNKNOWN_BECAUSE = {
    "window": "outside the observation window",
    "capture-loss": "missing from a capture",
    "ambiguous": "ambiguous: not distinguishable from each other",
    "other-peer": "with nodes that were not captured",
}
"""Why the fate of packets is unknown, in words, by the name of the reason."""


def verdict(
    captures: Sequence[CaptureRecord],
    hops: Sequence[HopRecord],
    findings: Sequence[FindingRecord],
    not_assessed: Sequence[NotAssessedRecord],
    services: Sequence[ServiceRecord] = (),
) -> str:
    """State what is wrong: the first finding; else what was examined without a finding; else why not.

    Nothing counts as healthy as long as a table of the same report leaves something open.
    """
    faults = [f for f in findings if f["severity"] != "info"]
    if faults:
        return _sentence(faults, captures)
    judged = [h for h in hops if h["delivered"] + h["lost"] and h["not_assessed"] is None]
    if judged:
        return _without_fault(hops, findings, not_assessed, open_points(captures, services, hops))
    if hops:
        return f"Not determined: {_why_not(captures, hops, not_assessed)}."
    return _alone(captures)


def _sentence(faults: Sequence[FindingRecord], captures: Sequence[CaptureRecord]) -> str:
    """Describe the first finding, and count the others with separate causes."""
    parts = [faults[0]["summary"].rstrip(". ")]
    if (reason := _reason(faults[0])) is not None:
        parts.append(reason)
    roots: dict[str, list[str]] = {}
    for fault in faults:
        if fault["because"] is None:
            roots.setdefault(fault["code"], []).append(fault["direction"] or "")
    if same := roots.pop(faults[0]["code"], [])[1:]:
        parts.append(f"likewise {words.listed(same, 3)}")
    others = [f"{code} {words.listed(directions, 3)}".strip() for code, directions in roots.items()]
    if others:
        parts.append(f"also found: {words.listed(others, 3)}")
    if len(captures) == 1:
        parts.append(
            f"only {captures[0]['name']} was captured: a second capture would show where packets die"
        )
    return "; ".join(parts) + "."


def _reason(finding: FindingRecord) -> str | None:
    """Give the most probable cause of a finding, unless its summary already names one, or a suspicion."""
    evidence = {name: quantity["value"] for name, quantity in finding["evidence"].items()}
    if any(evidence.get(name) is not None for name in ("fact_1", "suspected", "inside", "said_by")):
        return None
    if evidence.get("only"):
        cause = evidence.get("cause")
        return f"most probably {cause}" if cause else _NEW_ONES
    if evidence.get("heavier_for") is not None:
        return f"it is heavier for {evidence['heavier_for']}"
    if evidence.get("outer_protocols") is not None:
        return "most probably a firewall or security group between them does not allow that IP protocol"
    if (lasts := evidence.get("unencapsulated")) is not None:
        return _NOT_ALLOWED if lasts == "always" else _NO_ROUTE
    lost = evidence.get("lost_protocols")
    if isinstance(lost, str) and not {"TCP", "UDP"} & set(lost.split(", ")):
        return _FILTERED  # network cards do not handle the checksums of these
    return _REASONS.get(finding["code"])


def _without_fault(
    hops: Sequence[HopRecord],
    findings: Sequence[FindingRecord],
    not_assessed: Sequence[NotAssessedRecord],
    left_open: Sequence[str],
) -> str:
    judged = [h for h in hops if h["delivered"] + h["lost"] and h["not_assessed"] is None]
    sent = [f"{_part(hop)} {hop['direction']}" for hop in judged]
    parts = [f"Nothing is wrong in what the captures show: {words.listed(sent, 8)} arrived"]
    if left_open:
        parts = [f"No cause was found, but not all is well: {left_open[0]}", *left_open[1:]]
        parts.append(f"between the captures, {words.listed(sent, 8)} arrived")
    lossy = [hop for hop in judged if hop["lost"]]
    if lossy:
        parts = [f"The cause cannot be determined: {_left_open(hop, not_assessed)}" for hop in lossy[:1]]
        parts += [*(_left_open(hop, not_assessed) for hop in lossy[1:]), *left_open]
    if len(judged) < len(hops):
        parts.append(f"{len(hops) - len(judged)} of {len(hops)} directions could not be judged")
    parts += _unknown(judged)
    parts += [_within(f["summary"]) for f in findings if f["code"] in _LIMITS]
    if not_assessed:
        parts.append(f"{counted(not_assessed)} could not be done")
    return "; ".join(parts) + "."


def _within(summary: str) -> str:
    """Embed a sentence in another; names of captures keep their case."""
    text = summary.rstrip(". ")
    return f"the {text[4:]}" if text.startswith("The ") else text


def _left_open(hop: HopRecord, not_assessed: Sequence[NotAssessedRecord]) -> str:
    """For a direction with losses but no finding, state how many there are and why none is reported."""
    reasons = {n["code"]: n["reason"] for n in not_assessed if n["direction"] == hop["direction"]}
    why = reasons.get("path-blocked", reasons.get("packet-loss", "no diagnostic explains it"))
    judged = words.count(hop["delivered"] + hop["lost"], "packet")
    return f"{hop['lost']:,} of {judged} {hop['direction']} did not arrive ({why})"


def _unknown(hops: Sequence[HopRecord]) -> list[str]:
    """Packets of unknown fate, by reason."""
    counts: Counter[str] = Counter()
    for hop in hops:
        counts.update(hop["unknown_reasons"])
    return [f"{words.count(n, 'packet')} {UNKNOWN_BECAUSE.get(why, why)}" for why, n in counts.items()]


def _why_not(
    captures: Sequence[CaptureRecord], hops: Sequence[HopRecord], not_assessed: Sequence[NotAssessedRecord]
) -> str:
    reasons = [gap.sentence for gap in proof.without_common_time(captures, hops)]
    reasons += [hop["not_assessed"] for hop in hops if hop["not_assessed"]]
    reasons += [f"no packet has a known fate: {what}" for what in _unknown(hops)]
    reasons += [entry["reason"] for entry in not_assessed if entry["code"] == "path-blocked"]
    return [*reasons, "no packet is in both captures"][0]


def _part(hop: HopRecord) -> str:
    delivered, judged = hop["delivered"], hop["delivered"] + hop["lost"]
    if delivered == judged == 1:
        return "the only packet"
    return words.share(delivered, judged) + " packets"


def _alone(captures: Sequence[CaptureRecord]) -> str:
    names = " and ".join(capture["name"] for capture in captures)
    packets = words.count(sum(capture["packets"] for capture in captures), "packet")
    return f"No fault shows in {names} alone ({packets}); loss can only be determined with a second capture."
