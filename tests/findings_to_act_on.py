"""What every finding needs before somebody can act on it: a remedy whose commands run, evidence, frames."""

import re
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

_WORDS = (
    "aws bash bpftool bridge calicoctl cat chronyc cilium cilium-dbg conntrack date dig dmesg docker ethtool "
    "firewall-cmd grep ip ip6tables ip6tables-save iptables iptables-save journalctl kubectl modprobe "
    "mpstat nc nft nstat openssl ping rm sha256sum show ss sudo sysctl systemctl tc tcpdump timedatectl "
    "timeout tracepath traceroute ufw vxlanalyze"
)
_COMMAND = rf"(?:{'|'.join(map(re.escape, _WORDS.split()))}) "
QUOTED = re.compile(rf"(?<!`)`{_COMMAND}[^`]*`(?!`)")
UNPROMPTED = re.compile(rf"{_COMMAND}(?=[-a-z]*[-=|./\d])")


def shortcomings(report: Mapping[str, Any]) -> list[str]:
    """Name the findings of a report, as JSON, that cannot be acted on, and commands that no shell reads."""
    found = [lack for finding in report["findings"] for lack in _lacking(finding)]
    commands = [step.command for f in report["findings"] for step in steps(f["remedy"]) if step.command]
    found += [
        f"on no line of its own: {hidden}"
        for f in report["findings"]
        for hidden in hidden_commands(f["remedy"])
    ]
    return [*found, *unreadable(commands)]


def _lacking(finding: Mapping[str, Any]) -> Iterator[str]:
    code = finding["code"]
    if not finding["remedy"].strip() and code not in WITHOUT_REMEDY:
        yield f"{code} has no remedy"
    if not finding["evidence"]:
        yield f"{code} has no evidence"
    if not finding["frame_count"] and code not in WITHOUT_FRAMES:
        yield f"{code} shows no frames"


def hidden_commands(text: str) -> list[str]:
    """Name commands that stand inside of a sentence, or on a line without the node that they run on."""
    quoted = [match[0] for match in QUOTED.finditer(text)]
    return quoted + [line for line in text.splitlines() if UNPROMPTED.match(line)]


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
