r"""The report as Markdown, for pull requests, issues and job summaries.

All foreign text is escaped, so a pod named ``<img>`` or ``[x](y)`` is shown literally, and an at sign in a
name notifies nobody.

Source: CommonMark 0.31 section 2.4 (backslash escapes), section 5.2 (list markers); GitHub Flavored
Markdown section 4.10 (tables), section 6.9 (autolinks).
"""

import re

from vxlanalyze.report import inside_hops, still_open
from vxlanalyze.report.model import FindingRecord, HopRecord, Report, key_of
from vxlanalyze.report.renderer import Judgement
from vxlanalyze.text import commands, formatting, words
from vxlanalyze.text.escaping import inert, plain

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&$])")
_LIST_MARK = re.compile(r"^([-+]|\d+[.)])(?=\s)")
# GitHub turns these into links after unescaping; an empty comment separates the parts.
_REFERENCE = re.compile(r"([@#])(?=\w)|(?<=www)(\.)|(?<=:)(//)")
_CODE = re.compile(r"`([^`]*)`")
_FRAMES_SHOWN = 20


def render(report: Report, judgement: Judgement | None = None) -> str:
    """Write the report as GitHub Flavored Markdown."""
    parts = [f"**{escaped(report.verdict)}**", *_path(report), *_findings(report)]
    if judgement is not None:
        parts += _listed("Since the baseline", judgement.changes or ())
        parts += _listed("Not as expected", judgement.differences)
    parts += _listed("Broken diagnostics", [f"{e.get('code')}: {e.get('error')}" for e in report.broken])
    unsure = [f"{e['code']} {e['direction'] or ''}: {e['reason']}" for e in report.not_assessed]
    parts += _listed("Not assessed (may hide a fault)", unsure)
    return inert("\n\n".join(parts) + "\n")


def _path(report: Report) -> list[str]:
    if not report.hops:
        return []
    head = ("direction", "sent", "delivered", "lost", "unknown", "loss", "delay p50", "delay p99")
    rows = [" | ".join(head), " | ".join(["---", *["---:"] * (len(head) - 1)])]
    rows += [" | ".join(_cells(hop)) for hop in (*report.hops, *inside_hops.losing(report))]
    return ["\n".join(f"| {row} |" for row in rows)]


def _cells(hop: HopRecord) -> list[str]:
    counts = (hop["sent"], hop["delivered"], hop["lost"], hop["unknown"])
    delays = (hop["delay_ns"]["p50"], hop["delay_ns"]["p99"])
    return [
        escaped(hop["direction"]),
        *(f"{count:,}" for count in counts),
        formatting.percent(hop["loss_ratio"]),
        *(formatting.span(delay) for delay in delays),
    ]


def _findings(report: Report) -> list[str]:
    if not report.findings:
        return []
    return ["## Findings", *(part for f in report.findings for part in _finding(f))]


def _finding(finding: FindingRecord) -> list[str]:
    because = f" (because of {code(finding['because'])})" if finding["because"] else ""
    parts = [f"### {finding['severity']}: {code(key_of(finding))}{because}", escaped(finding["summary"])]
    if finding["remedy"]:
        parts.append(f"**Remedy:** {remedy(finding['remedy'])}")
    if finding["explanation"]:
        parts.append(f"**Evidence:** {escaped(finding['explanation'])}")
    if finding["ruled_out"]:
        why = "; ".join(f"{entry['code']} ({entry['why'].rstrip('.')})" for entry in finding["ruled_out"])
        parts.append(f"**Ruled out:** {escaped(why)}")
    left = still_open.of(finding)
    if left is not None:
        parts.append(f"**Still open:** {escaped(still_open.explanations(left))}")
    if left is not None and left["probe"] is not None:
        steps = f"{still_open.next_probe(left)}\n{still_open.commands(left['probe'])}"
        parts.append(f"**Next probe:** {remedy(steps)}")
    if finding["frames"]:
        shown = "; ".join(
            f"{name} {formatting.runs(numbers[:_FRAMES_SHOWN])}"
            for name, numbers in finding["frames"].items()
        )
        parts.append(f"**Frames:** {escaped(shown)} ({words.count(finding['frame_count'], 'frame')} in all)")
    if finding["display_filter"]:
        parts.append(f"**Filter:** {code(finding['display_filter'])}")
    return parts


def _listed(title: str, lines: "list[str] | tuple[str, ...]") -> list[str]:
    return [f"## {title}", "\n".join(f"- {escaped(line)}" for line in lines)] if lines else []


def escaped(text: str) -> str:
    """Escape Markdown syntax, except pairs of backticks, which mark commands."""
    pieces = _CODE.split(plain(text))
    return "".join(code(piece) if number % 2 else _prose(piece) for number, piece in enumerate(pieces))


def remedy(text: str) -> str:
    """Write a remedy: sentences, and commands as a numbered list."""
    lines: list[str] = []
    number = 0
    for step in commands.merged_steps(text):
        number += bool(step.command)
        where = f"on {escaped(step.node)}: " if step.node else ""
        lines.append(
            f"{number}. {where}{code(step.command)}" if step.command else f"\n{escaped(step.text)}\n"
        )
    return "\n".join(lines).strip()


def _prose(text: str) -> str:
    harmless = _SPECIAL.sub(r"\\\1", _LIST_MARK.sub(r"\\\1", text))
    return _REFERENCE.sub(lambda match: f"{match[0]}<!-- -->", harmless)


def code(text: str) -> str:
    """Write text for copying; the fence is longer than any run of backticks in it."""
    line = plain(text, longest_word=None)
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    fence = "`" * (longest + 1)
    gap = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{gap}{line}{gap}{fence}"
