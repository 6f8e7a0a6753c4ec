"""From a report to its next probe, as text: what is open, what to test first, and what it means."""

import re
from collections.abc import Iterator, Sequence

from vxlanalyze.kubernetes.model import address_text, parse_endpoint
from vxlanalyze.planning.probes import Case, Outcome, Probe, Question, best
from vxlanalyze.planning.questions import QUESTIONS
from vxlanalyze.report.model import FindingRecord, Report, key_of
from vxlanalyze.text.escaping import plain

_ADDRESSES = re.compile(r"\bip(?:v6)?\.src == ([0-9a-f.:]+) && ip(?:v6)?\.dst == ([0-9a-f.:]+)")
_PORT = re.compile(r"\budp\.dstport == (\d{1,5})\b")


def render(report: Report) -> str:
    """Write the next probe for the first finding that leaves something open.

    Findings come in the order of their causes, so the first one's question decides most.
    """
    questions = {question.code: question for question in QUESTIONS}
    for finding in report.findings:
        question = questions.get(finding["code"])
        if question is None or finding["because"] is not None:
            continue
        case = case_of(report, finding)
        keys = tuple(question.still_open(case))
        if keys:
            return "\n".join([*_heading(finding), *_body(question, case, keys)]) + "\n"
    nothing = "No finding of this report leaves anything open that a test here decides."
    return f"{plain(report.verdict)}\n{nothing}\n"


def case_of(report: Report, finding: FindingRecord) -> Case:
    """Give what a report says of the two ends of a finding."""
    near, _, far = (finding["direction"] or "").partition(">")
    own, same = _ends(report, finding, near, far)
    port = _PORT.search(finding["display_filter"])
    silent = [s for s in report.services if not s["answered"]]
    endpoint = next((a for a in (_address(s["server"]) for s in silent) if a), "")
    client = next((a for a in (_address(s["client"]) for s in silent) if a), "")
    return Case(finding, near, far, own, same, int(port[1]) if port else None, endpoint, client)


def _ends(report: Report, finding: FindingRecord, near: str, far: str) -> tuple[str, str]:
    """Give the tunnel addresses of both nodes, of one family: from the frames' filter, else the captures."""
    shown = _ADDRESSES.search(finding["display_filter"])
    if shown is not None and address_text(shown[1]) and address_text(shown[2]):
        return shown[1], shown[2]
    addresses = {c["name"]: [a for a in c["node_addresses"] if address_text(a)] for c in report.captures}
    from_, to = (addresses.get(name.partition("/")[0], []) for name in (near, far))
    pairs = [(a, b) for a in from_ for b in to if (":" in a) == (":" in b)]
    return pairs[0] if pairs else ("", "")


def _address(text: str) -> str | None:
    parsed = parse_endpoint(text)
    return parsed[0] if parsed and address_text(text) is None else address_text(text)


def _heading(finding: FindingRecord) -> Iterator[str]:
    yield f"{key_of(finding)}: {plain(finding['summary'])}"
    yield "Nothing of this has been run."


def _body(question: Question, case: Case, keys: Sequence[str]) -> Iterator[str]:
    yield ""
    yield "Still open:"
    yield from (f"  - {question.explanations[key]}" for key in keys)
    probe = best(question, keys)
    yield ""
    if probe is None:
        yield "This one alone is left; no test here tells more."
        return
    yield f"Next probe: {probe.title} (about {_time(probe.minutes)})"
    steps = probe.steps(case)
    if len({where for where, _ in steps}) > 1:
        yield "  Start these in this order, the second while the first still runs."
    for where, step in steps:
        yield f"  On {plain(where)}:{f' # {step.purpose}' if step.purpose else ''}"
        yield f"    {step.command}"
    yield ""
    yield "What it means:"
    for outcome in probe.outcomes:
        left = [key for key in keys if key in outcome.leaves]
        if left:
            yield from _meaning(question, outcome, left)


def _meaning(question: Question, outcome: Outcome, left: Sequence[str]) -> Iterator[str]:
    yield f"  - {outcome.seen}: {'; or '.join(question.explanations[key] for key in left)}"
    following: Probe | None = best(question, left)
    if following is not None:
        yield f"    then: {following.title}"


def _time(minutes: float) -> str:
    return f"{minutes:g} min" if minutes >= 1 else f"{round(minutes * 60)} s"
