"""The findings of the text report: the remedy first, then the reasons."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from vxlanalyze.report import still_open
from vxlanalyze.report.both_directions import Shown
from vxlanalyze.report.model import FindingRecord, Report
from vxlanalyze.report.page import Page, Span
from vxlanalyze.report.printed_remedies import PrintedRemedies
from vxlanalyze.report.stories import stories
from vxlanalyze.text import formatting

STYLES = {"critical": "bold red", "warning": "bold yellow", "info": "bold cyan"}
_FRAMES_SHOWN = 8
_EFFECTS_SHOWN = 5
# In 80 columns: four lines of evidence, three of what is ruled out, two of what is open.
_EVIDENCE_SHOWN, _RULED_OUT_SHOWN, _OPEN_SHOWN = 300, 210, 110
_SENTENCE_END = re.compile(r"(?<=[.!?]) +(?=[A-Z\d])")


def write(page: Page, report: Report, *, verbose: bool) -> None:
    """Number the faults, each with its consequences."""
    faults = [story for story in stories(report.findings) if story.is_fault]
    if faults:
        page.heading("Findings")
    printed = PrintedRemedies()
    for number, (cause, effects) in enumerate(faults, 1):
        if number > 1:
            page.blank()
        _title(page, number, cause, report.verdict)
        if cause.finding["remedy"]:
            page.remedy(printed.add(number, cause.finding["remedy"]), indent=3)
        _reasons(page, cause, first=number == 1, verbose=verbose)
        _consequences(page, effects, verbose=verbose)


def notes(report: Report) -> list[Shown]:
    """Give what is no fault."""
    found = (story for story in stories(report.findings) if not story.is_fault)
    return [shown for story in found for shown in (story.cause, *story.effects)]


def write_notes(page: Page, notes: Sequence[Shown], *, verbose: bool) -> None:
    """Write notes, each kind on one line; if `verbose` each in full."""
    if not verbose:
        for code, parts in _by_code(notes):
            times = f" ({len(parts)} times)" if len(parts) > 1 else ""
            style = STYLES[parts[0]["severity"]]
            page.line(("Note: ", "bold"), (code, style), (f"{times}: {parts[0]['summary']}", ""))
        return
    if notes:
        page.heading("Notes")
    for note in notes:
        for part in note.parts:
            _in_short(page, part, None, indent=2)


def _title(page: Page, number: int, shown: Shown, verdict: str) -> None:
    """Write what is wrong, without a summary that the verdict has just given."""
    finding = shown.finding
    style = STYLES[finding["severity"]]
    title: list[Span] = [(f"{number}. ", "bold"), (finding["severity"].upper(), style)]
    title.append((f" {finding['code']}", "bold"))
    if finding["direction"] is not None:
        title.append((f" {finding['direction']}", ""))
    page.paragraph(*title)
    for part in shown.parts:
        if not verdict.startswith(part["summary"].rstrip(". ")):
            page.paragraph((part["summary"], ""), indent=3)


def _reasons(page: Page, shown: Shown, *, first: bool, verbose: bool) -> None:
    """Write the evidence, what is ruled out, and for the first fault what is still open."""
    finding = shown.finding
    _proof(page, shown, verbose=verbose)
    if finding["ruled_out"]:
        entries = finding["ruled_out"]
        if not verbose:  # of both directions
            entries = list({entry["code"]: entry for entry in reversed(entries)}.values())[::-1]
        why = [f"{entry['code']} ({entry['why'].rstrip('.')})" for entry in entries]
        why = why if verbose else _fitting(why, _RULED_OUT_SHOWN, "more")
        page.paragraph(("Ruled out: ", "bold"), ("; ".join(why), ""), indent=3, hanging=2)
    if first or verbose:
        _open(page, finding, verbose=verbose)


def _open(page: Page, finding: FindingRecord, *, verbose: bool) -> None:
    """Write the open explanations and what would distinguish them, with its commands if --verbose."""
    left = still_open.of(finding)
    if left is None:
        return
    explanations = left["explanations"]
    shown = explanations if verbose else _fitting(explanations, _OPEN_SHOWN, "more")
    page.paragraph(("Still open: ", "bold"), (still_open.joined(shown), ""), indent=3, hanging=2)
    if left["probe"] is not None and not verbose:
        page.paragraph(
            ("Next probe (steps: --verbose): ", "bold"),
            (still_open.next_probe(left), ""),
            indent=3,
            hanging=2,
        )
    if left["probe"] is not None and verbose:
        steps = f"{still_open.next_probe(left)}\n{still_open.commands(left['probe'])}"
        page.remedy(steps, indent=3, label="Next probe: ")
        for line in still_open.outcomes(left["probe"]):
            page.paragraph(("- ", ""), (line, ""), indent=5, hanging=2)


def _proof(page: Page, shown: Shown, *, verbose: bool) -> None:
    """Write the evidence: the explanation, every figure if --verbose, and the frames."""
    finding = shown.finding
    texts = [part["explanation"] for part in shown.parts] if verbose else [shown.parts[0]["explanation"]]
    for text in filter(None, dict.fromkeys(texts)):
        text_shown = text if verbose else " ".join(_fitting(_SENTENCE_END.split(text), _EVIDENCE_SHOWN))
        page.paragraph(("Evidence: ", "bold"), (text_shown, ""), indent=3, hanging=2)
    if verbose:
        for name, quantity in finding["evidence"].items():
            figure = f"{name.replace('_', ' ')}: {formatting.quantity(quantity)}"
            page.paragraph(("- ", ""), (figure, ""), indent=5, hanging=2)
    if finding["frames"]:
        page.paragraph(("Frames: ", "bold"), (_frames(finding, page.width - 12), ""), indent=3, hanging=2)
    if finding["display_filter"]:
        page.whole("Filter: ", finding["display_filter"], indent=3)


def _fitting(parts: Sequence[str], characters: int, rest: str = "") -> list[str]:
    """Take as many parts as fit, at least one; `rest` names those left out."""
    kept: list[str] = []
    for part in parts:
        if kept and sum(map(len, kept)) + len(part) > characters:
            break
        kept.append(part)
    left = len(parts) - len(kept)
    return [*kept, f"{left} {rest}"] if left and rest else kept


def _consequences(page: Page, effects: Sequence[Shown], *, verbose: bool) -> None:
    """Write the consequences, a single one next to its label."""
    parts = [
        (part, effect.finding["direction"])
        for effect in effects
        for part in (effect.parts if verbose else effect.parts[:1])
    ]
    if len(parts) == 1:
        _in_short(page, *parts[0], label="Consequence: ", indent=3)
        return
    if parts:
        page.paragraph(("Consequences:", "bold"), indent=3)
    shown = parts if verbose else parts[:_EFFECTS_SHOWN]
    for part, direction in shown:
        _in_short(page, part, direction, indent=3)
    if len(parts) > len(shown):
        page.paragraph((f"- {len(parts) - len(shown)} more (--verbose lists them)", "dim"), indent=3)


def _in_short(
    page: Page, finding: FindingRecord, direction: str | None, *, indent: int, label: str = "- "
) -> None:
    where = f" {direction}" if direction and direction not in finding["summary"] else ""
    page.paragraph(
        (label, "" if label == "- " else "bold"),
        (finding["code"], STYLES[finding["severity"]]),
        (f"{where if ' and ' in where else ''}: {finding['summary']}", ""),
        indent=indent,
        hanging=2,
    )


def _by_code(notes: Sequence[Shown]) -> Iterator[tuple[str, list[FindingRecord]]]:
    parts: dict[str, list[FindingRecord]] = defaultdict(list)
    for note in notes:
        parts[note.finding["code"]].extend(note.parts)
    yield from parts.items()


def _frames(finding: FindingRecord, room: int) -> str:
    """Name the first frames of each capture, as many as fit: ``node1 3-9, 12; node2 4 (17 in all)``."""
    in_all = f" ({finding['frame_count']:,} in all)"
    runs_of = {name: formatting.runs(numbers).split(", ") for name, numbers in finding["frames"].items()}
    texts = (_first_runs(runs_of, shown) + in_all for shown in range(_FRAMES_SHOWN, 1, -1))
    return next((text for text in texts if len(text) <= room), _first_runs(runs_of, 1) + in_all)


def _first_runs(runs_of: Mapping[str, Sequence[str]], shown: int) -> str:
    return "; ".join(
        f"{name} {', '.join(runs[:shown])}{', ...' if len(runs) > shown else ''}"
        for name, runs in runs_of.items()
    )
