"""The report as text, to be read in half a minute, in 80 columns, by somebody who was woken up.

The verdict first, then the path with its figures, then each cause with its proof and its remedy, its
consequences under it; at the end what could not be told, and how good the captures are.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from vxlanalyze.report import frame_classes, path_picture
from vxlanalyze.report.model import (
    CaptureRecord,
    ClockRecord,
    FindingRecord,
    Report,
    ServiceRecord,
    key_of,
)
from vxlanalyze.report.page import Page, Span
from vxlanalyze.report.renderer import Judgement
from vxlanalyze.report.unassessed import by_reason
from vxlanalyze.text import formatting, words

_STYLES = {"critical": "bold red", "warning": "bold yellow", "info": "bold cyan"}
_FRAMES_SHOWN = 8
_SERVICES_SHOWN = 12
_LEAST_PPM = 0.001  # less is what arithmetic leaves of no drift at all


def render(
    report: Report,
    judgement: Judgement | None = None,
    *,
    width: int = 80,
    colour: bool = False,
    ascii_only: bool = False,
) -> str:
    """Write the report as text.

    Parameters
    ----------
    judgement : Judgement, optional
        What is different from a baseline or an expectation.
    width : int
        Columns; no fewer than 40 are used.
    colour : bool
        Whether to colour severities and arrows.
    ascii_only : bool
        Whether to draw with ASCII alone.
    """
    page = Page(max(width, 40), ascii_only=ascii_only)
    page.paragraph((report.verdict, "bold"))
    if report.hops:
        page.heading("Path")
        path_picture.draw(page, report)
    _findings(page, report)
    if judgement is not None:
        _section(page, "Since the baseline", judgement.changes, "nothing changed")
        _section(page, "Not as expected", judgement.differences or None, "")
    _broken(page, report)
    _not_assessed(page, report)
    _services(page, report)
    _captures(page, report)
    return page.render(colour=colour)


def _section(page: Page, title: str, lines: Sequence[str] | None, otherwise: str) -> None:
    if lines is None:
        return
    page.heading(title)
    for line in lines or (otherwise,):
        page.paragraph(("- ", ""), (line, ""), indent=2, hanging=2)


def _findings(page: Page, report: Report) -> None:
    """Number the faults, each with what follows from it; what is merely worth knowing comes in short."""
    stories = _stories(report.findings)
    faults = [story for story in stories if any(f["severity"] != "info" for f in (story[0], *story[1]))]
    if faults:
        page.heading("Findings")
    for number, (cause, effects) in enumerate(faults, 1):
        if number > 1:
            page.blank()
        _finding(page, number, cause, report.verdict)
        if effects:
            page.paragraph(("Hence:", "bold"), indent=3)
        for effect in effects:
            _in_short(page, effect, indent=3)
    notes = [finding for story in stories if story not in faults for finding in (story[0], *story[1])]
    if notes:
        page.heading("Worth knowing")
    for note in notes:
        _in_short(page, note, indent=2)


def _in_short(page: Page, finding: FindingRecord, indent: int) -> None:
    code = (finding["code"], _STYLES[finding["severity"]])
    page.paragraph(("- ", ""), code, (f": {finding['summary']}", ""), indent=indent, hanging=2)


def _stories(findings: Sequence[FindingRecord]) -> list[tuple[FindingRecord, list[FindingRecord]]]:
    """Put each cause together with all that follows from it; every finding is told once."""
    keys = {key_of(finding) for finding in findings}
    effects: dict[str, list[FindingRecord]] = defaultdict(list)
    for finding in findings:
        effects[finding["because"] or ""].append(finding)
    causes = [finding for finding in findings if finding["because"] not in keys]
    told: set[str] = set()
    stories = []
    # Behind the causes stand all others: one that blames itself by a detour has none.
    for finding in (*causes, *findings):
        if key_of(finding) not in told:
            told.add(key_of(finding))
            stories.append((finding, list(_effects(finding, effects, told))))
    return stories


def _effects(
    cause: FindingRecord, effects: Mapping[str, Sequence[FindingRecord]], told: set[str]
) -> Iterator[FindingRecord]:
    for finding in effects.get(key_of(cause), ()):
        if key_of(finding) not in told:
            told.add(key_of(finding))
            yield finding
            yield from _effects(finding, effects, told)


def _finding(page: Page, number: int, finding: FindingRecord, verdict: str) -> None:
    """Tell one fault in full; its summary is left out where the verdict has just said it."""
    mark = f"{number}."
    title: list[Span] = [(f"{mark} ", "bold"), (finding["severity"].upper(), _STYLES[finding["severity"]])]
    title.append((f" {finding['code']}", "bold"))
    if finding["direction"] is not None:
        title.append((f" {finding['direction']}", ""))
    page.paragraph(*title)
    if not verdict.startswith(finding["summary"].rstrip(". ")):
        page.paragraph((finding["summary"], ""), indent=3)
    if finding["explanation"]:
        page.paragraph(("Proof: ", "bold"), (finding["explanation"], ""), indent=3, hanging=2)
    if finding["remedy"]:
        page.remedy(finding["remedy"], indent=3)
    if finding["ruled_out"]:
        why = "; ".join(f"{entry['code']} ({entry['why'].rstrip('.')})" for entry in finding["ruled_out"])
        page.paragraph(("It is not: ", "bold"), (why, ""), indent=3, hanging=2)
    if finding["frames"]:
        page.paragraph(("Frames: ", "bold"), (_frames(finding), ""), indent=3, hanging=2)
    if finding["display_filter"]:
        page.whole("Filter: ", finding["display_filter"], indent=3)


def _frames(finding: FindingRecord) -> str:
    """Name the first frames of each capture: ``node1 3-9, 12; node2 4 (17 in all)``."""
    parts = []
    for name, numbers in finding["frames"].items():
        runs = formatting.runs(numbers).split(", ")
        more = ", ..." if len(runs) > _FRAMES_SHOWN else ""
        parts.append(f"{name} {', '.join(runs[:_FRAMES_SHOWN])}{more}")
    return f"{'; '.join(parts)} ({finding['frame_count']:,} in all)"


def _broken(page: Page, report: Report) -> None:
    if not report.broken:
        return
    page.heading("Broken diagnostics (a fault of ours; please report it)")
    for entry in report.broken:
        page.paragraph(("- ", ""), (f"{entry.get('code')}: {entry.get('error')}", ""), indent=2, hanging=2)


def _not_assessed(page: Page, report: Report) -> None:
    if not report.not_assessed:
        return
    page.heading("Not assessed (which does not mean healthy)")
    for questions, reason in by_reason(report.not_assessed):
        page.paragraph(("- ", ""), (f"{questions}: {reason}", ""), indent=2, hanging=2)


def _services(page: Page, report: Report) -> None:
    """Who asked whom, and what came back; the worst first."""
    if not report.services:
        return
    page.heading("Requests and answers")
    ordered = sorted(report.services, key=lambda s: -(s["unanswered"] + s["refused"]))
    for service in ordered[:_SERVICES_SHOWN]:
        page.paragraph((_service(service, report.names), ""), indent=2, hanging=2)
    if len(ordered) > _SERVICES_SHOWN:
        page.paragraph((f"and {len(ordered) - _SERVICES_SHOWN} more, in the JSON report", "dim"), indent=2)


def _service(service: ServiceRecord, names: dict[str, str]) -> str:
    client, server = (_named(service[end], names) for end in ("client", "server"))
    of = f", {service['service']}" if service["service"] and service["service"] not in server else ""
    counts = [f"{service['answered']:,} of {service['requests']:,} answered"]
    if service["refused"]:
        counts.append(f"{service['refused']:,} refused")
    middle = service["latency_ns"]["p50"]
    if middle is not None:
        counts.append(f"in {words.span(middle)} (median)")
    return f"{service['protocol']} {client} > {server}{of}: {', '.join(counts)}"


def _named(address: str, names: dict[str, str]) -> str:
    name = names.get(address)
    return address if name is None else f"{address} ({name})"


def _captures(page: Page, report: Report) -> None:
    page.heading("Captures")
    for capture in report.captures:
        page.paragraph((f"{capture['name']}: ", "bold"), (_capture(capture), ""), indent=2, hanging=2)
        if capture.get("accounting"):
            where = f"all frames accounted for: {frame_classes.line(capture['accounting'])}"
            page.paragraph((where, ""), indent=4, hanging=2)
    for clock in report.clock:
        page.paragraph((_clock(clock), ""), indent=2, hanging=2)
    windows = dict.fromkeys(hop["window"]["by"] for hop in report.hops if hop["window"] is not None)
    for by in windows:
        if by:
            page.paragraph((f"common time: {by}", ""), indent=2, hanging=2)
    left = [fact for fact in report.facts if fact["kind"] == "unknown"]
    for fact in left:
        page.paragraph((f"not understood, and left: {fact['path']}", ""), indent=2, hanging=2)


def _capture(capture: CaptureRecord) -> str:
    files = capture["files"]
    said = [files[0]["path"] if len(files) == 1 else f"{len(files)} files from {files[0]['path']} on"]
    said.append(f"{words.count(capture['packets'], 'packet')} ({capture['tunnel_packets']:,} in the tunnel)")
    if capture["first"] and capture["last"]:
        said.append(f"{capture['first'][:23]}Z to {capture['last'][11:23]}Z")
    if capture["snaplen"] is not None:
        said.append(f"cut to {capture['snaplen']:,} bytes each")
    dropped = capture["dropped_by_kernel"]
    said.append("drops unknown" if dropped is None else f"{dropped:,} dropped while capturing")
    return ", ".join(said)


def _clock(clock: ClockRecord) -> str:
    to, from_ = clock["to"], clock["from"]
    offset = clock["offset_ns"]
    if offset is None:
        why = f"({clock['method']}); delays count from the smallest"
        return f"clock of {to} against {from_}: not to be told {why}"
    ahead = "ahead of" if offset >= 0 else "behind"
    said = f"clock of {to}: {words.span(abs(offset))} {ahead} {from_}"
    if clock["uncertainty_ns"] is not None:
        said += f" ± {words.span(clock['uncertainty_ns'])}"
    if clock["drift_ppm"] is not None:
        drift_ppm = clock["drift_ppm"] if abs(clock["drift_ppm"]) >= _LEAST_PPM else 0.0
        said += f", drift {drift_ppm:.3g} ppm"
    return said
