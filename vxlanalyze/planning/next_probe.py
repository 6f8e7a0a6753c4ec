"""Derive the next probe from a report: what each finding leaves open, what to test first, and why."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from vxlanalyze.kubernetes.model import address_text, parse_endpoint
from vxlanalyze.planning.probes import Case, Observation, Probe, Question, best
from vxlanalyze.planning.questions import QUESTIONS
from vxlanalyze.report import still_open
from vxlanalyze.report.model import FindingRecord, OpenRecord, OutcomeRecord, ProbeRecord, Report, key_of
from vxlanalyze.text.escaping import plain
from vxlanalyze.text.places import node_name
from vxlanalyze.text.words import in_minutes

_ADDRESSES = re.compile(r"\bip(?:v6)?\.src == ([0-9a-f.:]+) && ip(?:v6)?\.dst == ([0-9a-f.:]+)")
_PORT = re.compile(r"\budp\.dstport == (\d{1,5})\b")


def with_open(report: Report) -> Report:
    """Add to each finding what it leaves open, and the next probe."""
    return replace(report, findings=[{**f, "open": open_in(report, f)} for f in report.findings])


def open_in(report: Report, finding: FindingRecord) -> OpenRecord | None:
    """Give what a finding leaves open; None if nothing, or if another finding explains it."""
    case = case_of(report, finding)
    question, keys = _question(case)
    if question is None:
        return None
    explanations = [question.explanations[key] for key in keys]
    probe = best(question, keys, case)
    return {"explanations": explanations, "probe": _record(question, case, keys, probe) if probe else None}


def _question(case: Case) -> tuple[Question | None, Sequence[str]]:
    """Choose the question that fits a finding, with the keys of the open explanations."""
    decided = case.finding["because"] is not None or case.value("fact_1") is not None
    for question in () if decided else QUESTIONS:
        if question.code == case.finding["code"] and len(keys := question.still_open(case)) > 1:
            return question, keys
    return None, ()


def _record(question: Question, case: Case, keys: Sequence[str], probe: Probe) -> ProbeRecord:
    steps = probe.steps(case)
    return {
        "title": probe.title,
        "minutes": probe.minutes,
        "steps": [{"node": where, "command": s.command, "purpose": s.purpose} for where, s in steps],
        "outcomes": list(_outcomes(question, case, keys, probe.outcomes)),
    }


def _outcomes(
    question: Question, case: Case, keys: Sequence[str], outcomes: Sequence[Observation]
) -> Iterator[OutcomeRecord]:
    for outcome in outcomes:
        left = [key for key in keys if key in outcome.leaves]
        if left:
            following = best(question, left, case)
            leaves = [question.explanations[key] for key in left]
            yield {"seen": outcome.seen, "leaves": leaves, "next": following.title if following else None}


def render(report: Report) -> str:
    """Write the next probe for the first finding that leaves something open.

    Findings are in causal order, so the first one's question decides most.
    """
    for finding in report.findings:
        left = open_in(report, finding)
        if left is not None and finding["severity"] != "info":
            return "\n".join([*_heading(finding), *_body(left)]) + "\n"
    nothing = "No finding of this report leaves anything open that a test here decides."
    return f"{plain(report.verdict)}\n{nothing}\n"


def case_of(report: Report, finding: FindingRecord) -> Case:
    """Give what a report says about the two ends of a finding."""
    near, _, far = (finding["direction"] or "").partition(">")
    own, same = _ends(report, finding, near, far)
    port = _PORT.search(finding["display_filter"])
    silent = [s for s in report.services if not s["answered"]]
    endpoint = next((a for a in (_address(s["server"]) for s in silent) if a), "")
    client = next((a for a in (_address(s["client"]) for s in silent) if a), "")
    points = tuple(capture["name"] for capture in report.captures)
    return Case(finding, near, far, own, same, int(port[1]) if port else None, endpoint, client, points)


def _ends(report: Report, finding: FindingRecord, near: str, far: str) -> tuple[str, str]:
    """Give the tunnel addresses of both nodes, in one family, from the frames' filter or the captures."""
    shown = _ADDRESSES.search(finding["display_filter"])
    if shown is not None and address_text(shown[1]) and address_text(shown[2]):
        return shown[1], shown[2]
    addresses = {c["name"]: [a for a in c["node_addresses"] if address_text(a)] for c in report.captures}
    from_, to = (addresses.get(node_name(name), []) for name in (near, far))
    pairs = [(a, b) for a in from_ for b in to if (":" in a) == (":" in b)]
    return pairs[0] if pairs else ("", "")


def _address(text: str) -> str | None:
    parsed = parse_endpoint(text)
    return parsed[0] if parsed and address_text(text) is None else address_text(text)


def _heading(finding: FindingRecord) -> Iterator[str]:
    yield f"{key_of(finding)}: {plain(finding['summary'])}"
    yield "Nothing of this has been run."


def _body(left: OpenRecord) -> Iterator[str]:
    yield ""
    yield "Still open:"
    yield from (f"  - {explanation}" for explanation in left["explanations"])
    yield ""
    probe = left["probe"]
    if probe is None:
        yield "No test here tells them apart."
        return
    yield f"Next probe: {probe['title']} (about {in_minutes(probe['minutes'])})"
    if len({step["node"] for step in probe["steps"]}) > 1:
        yield "  Start these in this order, the second while the first still runs."
    for step in probe["steps"]:
        where = f"On {plain(step['node'])}" if step["node"] else "Where the cluster can be reached"
        purpose = f" # {step['purpose']}" if step["purpose"] else ""
        yield f"  {where}:{purpose}"
        yield f"    {step['command']}"
    yield "  Its output is read with --facts NODE=FILE: save it below its command, as the terminal shows it."
    yield ""
    yield "What it means:"
    for outcome in probe["outcomes"]:
        yield f"  - {outcome['seen']}: {still_open.joined(outcome['leaves'])}"
        if outcome["next"]:
            yield f"    then: {outcome['next']}"
