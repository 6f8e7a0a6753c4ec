"""The verdict: one sentence that answers "what is wrong?", with numbers, or says why it cannot."""

from collections.abc import Sequence

from vxlanalyze.diagnostics import words
from vxlanalyze.report.model import CaptureRecord, FindingRecord, HopRecord, NotAssessedRecord

# For findings whose own sentence tells what happens and not what is behind it.
_REASONS = {
    "path-blocked": "most probably a firewall, security group or hypervisor between them drops the tunnel",
    "protocol-blocked": "most probably a network card or hypervisor that mishandles encapsulated packets",
    "flow-blocked": "most probably a rule on the way that matches that service",
    "burst-outage": "most probably a link or device on the way was down meanwhile",
    "packet-loss": "most probably a congested or faulty link on the way",
}


def verdict(
    captures: Sequence[CaptureRecord],
    hops: Sequence[HopRecord],
    findings: Sequence[FindingRecord],
    not_assessed: Sequence[NotAssessedRecord],
) -> str:
    """Say what is wrong: the first finding; else what was examined and found in order; else why not."""
    faults = [f for f in findings if f["severity"] != "info"]
    if faults:
        return _sentence(faults)
    judged = [h for h in hops if h["delivered"] + h["lost"] and h["not_assessed"] is None]
    if judged:
        return _without_fault(judged, len(hops), len(not_assessed))
    if hops:
        reasons = [h["not_assessed"] for h in hops if h["not_assessed"]]
        reasons += [entry["reason"] for entry in not_assessed] + ["no packet is in both captures"]
        return f"Cannot tell: {reasons[0]}."
    return _alone(captures)


def _sentence(faults: Sequence[FindingRecord]) -> str:
    """Put the first finding in words, and count what stands beside it with a cause of its own."""
    parts = [faults[0]["summary"].rstrip(". ")]
    if faults[0]["code"] in _REASONS:
        parts.append(_REASONS[faults[0]["code"]])
    others = [f"{f['code']} {f['direction'] or ''}".strip() for f in faults[1:] if f["because"] is None]
    if others:
        parts.append(f"also found: {words.listed(others, 3)}")
    return "; ".join(parts) + "."


def _without_fault(judged: Sequence[HopRecord], hops: int, not_assessed: int) -> str:
    sent = [f"{_part(hop)} {hop['direction']}" for hop in judged]
    whole = not any(hop["lost"] for hop in judged)
    begin = (
        "Nothing is wrong in what the captures show"
        if whole
        else "No fault was named, though packets were lost"
    )
    parts = [f"{begin}: {words.listed(sent, 8)} arrived"]
    if len(judged) < hops:
        parts.append(f"{hops - len(judged)} of {hops} directions could not be judged")
    if not_assessed:
        parts.append(f"{words.count(not_assessed, 'question')} could not be assessed")
    return "; ".join(parts) + "."


def _part(hop: HopRecord) -> str:
    return words.share(hop["delivered"], hop["delivered"] + hop["lost"]) + " packets"


def _alone(captures: Sequence[CaptureRecord]) -> str:
    names = " and ".join(capture["name"] for capture in captures)
    packets = words.count(sum(capture["packets"] for capture in captures), "packet")
    return f"No fault shows in {names} alone ({packets}); what was lost takes a second capture to tell."
