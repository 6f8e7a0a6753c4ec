"""What a finding leaves open, and the next probe, in words for the report's formats."""

from collections.abc import Iterable, Iterator

from vxlanalyze.report.model import FindingRecord, OpenRecord, ProbeRecord
from vxlanalyze.text.words import in_minutes


def of(finding: FindingRecord) -> OpenRecord | None:
    """Give what a finding leaves open; None if nothing, and for reports of earlier versions."""
    return finding.get("open")


def explanations(left: OpenRecord) -> str:
    """Write the remaining explanations."""
    return joined(left["explanations"])


def joined(explanations: Iterable[str]) -> str:
    """Write explanations as alternatives."""
    return "; or ".join(explanations)


def next_probe(left: OpenRecord) -> str:
    """Name the next probe; "" if none distinguishes the remaining explanations."""
    probe = left["probe"]
    return f"{probe['title']} ({in_minutes(probe['minutes'])})" if probe else ""


def commands(probe: ProbeRecord) -> str:
    """Write the commands of a probe as in remedies, one per line with its node."""
    return "\n".join(
        f"{s['node']}# {s['command']}" if s["node"] else f"$ {s['command']}" for s in probe["steps"]
    )


def outcomes(probe: ProbeRecord) -> Iterator[str]:
    """Write what each outcome of a probe means."""
    for outcome in probe["outcomes"]:
        then = f" (then: {outcome['next']})" if outcome["next"] else ""
        yield f"{outcome['seen']}: {joined(outcome['leaves'])}{then}"
