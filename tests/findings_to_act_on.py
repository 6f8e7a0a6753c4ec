"""What every finding needs before somebody can act on it: a remedy whose commands run, evidence, frames."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vxlanalyze.text.commands import steps

# Notes that ask for nothing: they explain what looks like a fault, or describe the traffic.
WITHOUT_REMEDY = {"service-translation", "outer-address-rewritten", "clock-offset"}
# About whole captures or their absence: no frame shows these.
WITHOUT_FRAMES = {
    "clock-offset",
    "clock-step",
    "windows-disjoint",
    "no-tunnel-traffic",
    "no-common-traffic",
    "same-capture",
    "capture-damaged",
    "capture-loss",
    "truncated-capture",
    "mirrored-capture",
    "encrypted-underlay",
}


def shortcomings(report: Mapping[str, Any]) -> list[str]:
    """Name the findings of a report, as JSON, that cannot be acted on, and commands that no shell reads."""
    found = [lack for finding in report["findings"] for lack in _lacking(finding)]
    commands = [step.command for f in report["findings"] for step in steps(f["remedy"]) if step.command]
    return [*found, *unreadable(commands)]


def _lacking(finding: Mapping[str, Any]) -> Iterator[str]:
    code = finding["code"]
    if not finding["remedy"].strip() and code not in WITHOUT_REMEDY:
        yield f"{code} has no remedy"
    if not finding["evidence"]:
        yield f"{code} has no evidence"
    if not finding["frame_count"] and code not in WITHOUT_FRAMES:
        yield f"{code} shows no frames"


def unreadable(commands: Sequence[str]) -> list[str]:
    """Name the commands that bash cannot parse; nothing is run."""
    unique = list(dict.fromkeys(commands))
    if not unique or _parses("\n".join(unique)):
        return []
    return [f"bash cannot parse: {command}" for command in unique if not _parses(command)]


def _parses(script: str) -> bool:
    return (
        subprocess.run(["bash", "-n"], check=False, input=script, text=True, capture_output=True).returncode
        == 0
    )
