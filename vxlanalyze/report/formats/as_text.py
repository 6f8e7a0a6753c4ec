"""The report as text, to be read in half a minute, in 80 columns, by someone just woken up.

First the verdict, then the path with its figures, then each cause with remedy, evidence and consequences; at
the end what was not assessed, and the quality of the captures. An average fault fits on one screen of 50
lines; ``--verbose`` shows everything.
"""

from collections.abc import Sequence
from pathlib import Path

from vxlanalyze.analysis.tcp.connections import MOST_CONNECTIONS
from vxlanalyze.report import frame_classes, path_picture
from vxlanalyze.report.formats import text_findings
from vxlanalyze.report.model import (
    CaptureRecord,
    ClockRecord,
    QuestionRecord,
    Report,
    ServiceRecord,
)
from vxlanalyze.report.page import Page
from vxlanalyze.report.renderer import Judgement
from vxlanalyze.report.unassessed import by_reason, counted
from vxlanalyze.text import formatting, words

_QUESTIONS_SHOWN = 3
_SERVICES_SHOWN = 3
_LONG_TAIL = 2  # multiples of the median from which a tail is mentioned


def render(
    report: Report,
    judgement: Judgement | None = None,
    *,
    width: int = 80,
    colour: bool = False,
    ascii_only: bool = False,
    verbose: bool = False,
) -> str:
    """Write the report as text.

    Parameters
    ----------
    judgement : Judgement, optional
        Differences from a baseline or an expectation.
    width : int
        Columns; at least 40 are used.
    colour : bool
        Whether to colour severities and arrows.
    ascii_only : bool
        Whether to draw with ASCII only.
    verbose : bool
        Whether to show everything: evidence in full, all requests, each check that was not assessed.
    """
    page = Page(max(width, 40), ascii_only=ascii_only)
    page.paragraph((report.verdict, "bold"))
    if report.hops:
        page.heading("Path")
        path_picture.draw(page, report, verbose=verbose)
    text_findings.write(page, report, verbose=verbose)
    if judgement is not None:
        _section(page, "Since the baseline", judgement.changes, "nothing changed")
        _section(page, "Not as expected", judgement.differences or None, "")
    _broken(page, report)
    notes = text_findings.notes(report)
    if not verbose and (notes or report.not_assessed or report.services):
        page.blank()
    text_findings.write_notes(page, notes, verbose=verbose)
    _not_assessed(page, report, verbose=verbose)
    _services(page, report, verbose=verbose)
    _captures(page, report, verbose=verbose)
    return page.render(colour=colour)


def _section(page: Page, title: str, lines: Sequence[str] | None, otherwise: str) -> None:
    if lines is None:
        return
    page.heading(title)
    for line in lines or (otherwise,):
        page.paragraph(("- ", ""), (line, ""), indent=2, hanging=2)


def _broken(page: Page, report: Report) -> None:
    if not report.broken:
        return
    page.heading("Broken diagnostics (a fault of ours; please report it)")
    for entry in report.broken:
        page.paragraph(("- ", ""), (f"{entry.get('code')}: {entry.get('error')}", ""), indent=2, hanging=2)


def _not_assessed(page: Page, report: Report, *, verbose: bool) -> None:
    if not report.not_assessed:
        return
    if not verbose:
        known = "may hide a fault; --verbose says why"
        page.paragraph(("Not assessed: ", "bold"), (f"{counted(report.not_assessed)} ({known})", ""))
        return
    page.heading("Not assessed (may hide a fault)")
    for checks, reason in by_reason(report.not_assessed):
        page.paragraph(("- ", ""), (f"{checks}: {reason}", ""), indent=2, hanging=2)


def _services(page: Page, report: Report, *, verbose: bool) -> None:
    """Write the requests by client and server, and their outcomes; only the worst without --verbose."""
    if not report.services:
        return
    ordered = sorted(report.services, key=lambda s: -_failed(s))
    if verbose:
        page.heading("Requests and responses")
    shown = ordered if verbose else _worst(ordered)
    if not verbose:
        more = "" if len(shown) == len(ordered) else f" (all {len(ordered)} client-server pairs: --verbose)"
        page.paragraph(("Requests: ", "bold"), (_all_requests(ordered) + more, ""))
    for service in shown:
        if verbose:
            page.paragraph((_service(service, report.names), ""), indent=2, hanging=2)
        else:
            _in_one_line(page, service, report.names)
        queries = service.get("questions", []) if verbose else _that_fail_apart(service)
        for query in queries:
            page.paragraph((_question(query), ""), indent=4, hanging=2)
    if report.connections_total > MOST_CONNECTIONS:
        of = f"{MOST_CONNECTIONS:,} of {report.connections_total:,} TCP connections"
        page.paragraph((f"Time was divided for {of}, those with most packets.", ""))


def _worst(ordered: Sequence[ServiceRecord]) -> list[ServiceRecord]:
    """Give the pairs with most failures; none where every request of all of them fails alike."""
    if len(ordered) > 1 and not any(service["answered"] + service["refused"] for service in ordered):
        return []
    return [service for service in ordered if _failed(service)][:_SERVICES_SHOWN]


def _in_one_line(page: Page, service: ServiceRecord, names: dict[str, str]) -> None:
    """Write a client and server with their counts, and with times where these fit."""
    line = _service(service, names)
    if len(line) + 2 > page.width:
        line = _service(service, names, timed=False)
    page.paragraph((line, ""), indent=2, hanging=2)


def _all_requests(services: Sequence[ServiceRecord]) -> str:
    answered, refused, total = (
        sum(s["answered"] for s in services),
        sum(s["refused"] for s in services),
        sum(s["requests"] for s in services),
    )
    more = f", {refused:,} refused" if refused else ""
    untaken = sum(s.get("not_taken", 0) for s in services)
    return f"{answered:,} of {total:,} answered{more}{_untaken(untaken)}"


def _failed(service: ServiceRecord) -> int:
    """Count the requests of no use to the client."""
    return service["unanswered"] + service["refused"] + service.get("not_taken", 0)


def _untaken(number: int) -> str:
    return f", {words.count(number, 'answer')} not taken" if number else ""


def _that_fail_apart(service: ServiceRecord) -> list[QuestionRecord]:
    """Questions at a server that answers some and leaves others unanswered."""
    queries = service.get("questions", [])
    silent = [query for query in queries if query["unanswered"]]
    return silent[:_QUESTIONS_SHOWN] if len(silent) < len(queries) else []


def _question(query: QuestionRecord) -> str:
    name = query["name"] or "a name that is not text"
    return f"{query['type']} {name}: {query['answered']:,} of {query['requests']:,} answered"


def _service(service: ServiceRecord, names: dict[str, str], *, timed: bool = True) -> str:
    client, server = (_named(service[end], names) for end in ("client", "server"))
    of = f", {service['service']}" if service["service"] and service["service"] not in server else ""
    counts = [f"{service['answered']:,} of {service['requests']:,} answered"]
    if service["refused"]:
        counts.append(f"{service['refused']:,} refused")
    middle, tail = service["latency_ns"]["p50"], service["latency_ns"]["p99"]
    if middle is not None and timed:
        late = "" if tail is None or tail < _LONG_TAIL * middle else f", p99 {words.span(tail)}"
        counts.append(f"in {words.span(middle)} (median{late}){_at_server(service)}")
    untaken = _untaken(service.get("not_taken", 0))
    return f"{service['protocol']} {client} > {server}{of}: {', '.join(counts)}{untaken}"


def _at_server(service: ServiceRecord) -> str:
    """State the server's own share of the median request time; for TCP, of data rather than the SYN."""
    divided = service.get("time_ns")
    if not divided or divided["server"]["p50"] is None:
        return ""
    own = words.span(divided["server"]["p50"])
    return (
        f"; requests take {own} at the server" if service["protocol"] == "tcp" else f", {own} at the server"
    )


def _named(address: str, names: dict[str, str]) -> str:
    name = names.get(address)
    return address if name is None else f"{address} ({name})"


def _captures(page: Page, report: Report, *, verbose: bool) -> None:
    by_drops = _by_drops(report.captures)
    same = "" if verbose or len(by_drops) != 1 else f" ({_drops(*by_drops)})"
    page.heading(f"Captures{same}")
    for capture in report.captures:
        text = _capture(capture, verbose=verbose)
        page.paragraph((f"{capture['name']}: ", "bold"), (text, ""), indent=2, hanging=2)
        if verbose and capture.get("accounting"):
            where = f"all frames accounted for: {frame_classes.line(capture['accounting'])}"
            page.paragraph((where, ""), indent=4, hanging=2)
        if unread := frame_classes.undecoded(capture.get("undecoded", {})):
            unread += "; what follows such a header is not analysed"
            page.paragraph((unread, ""), indent=4, hanging=2)
    for dropped, names in by_drops.items() if not verbose and not same else ():
        page.paragraph((f"{', '.join(names)}: {_drops(dropped)}", ""), indent=2, hanging=2)
    for clock in report.clock:
        page.paragraph((_clock(clock, verbose=verbose), ""), indent=2, hanging=2)
    windows = dict.fromkeys(hop["window"]["by"] for hop in report.hops if hop["window"] is not None)
    for by in windows if verbose else ():
        if by:
            page.paragraph((f"observation window: {by}", ""), indent=2, hanging=2)
    _unused_facts(page, report)


def _unused_facts(page: Page, report: Report) -> None:
    for fact in report.facts:
        if fact["kind"] == "unknown":
            page.paragraph((f"not understood, and ignored: {fact['path']}", ""), indent=2, hanging=2)
        if fact["kind"] == "other-cluster":
            why = "none of its addresses occurs in the captures (another cluster?), so it is not used"
            page.paragraph((f"{fact['path']}: {why}", ""), indent=2, hanging=2)


def _capture(capture: CaptureRecord, *, verbose: bool) -> str:
    """Describe a capture: its files, unless one is named as the capture is; packets, times, length."""
    path, *others = (file["path"] for file in capture["files"])
    parts = [f"{1 + len(others)} files from {path} on"] if others else []
    if not others and (verbose or Path(path).name.partition(".")[0] != capture["name"]):
        parts = [path]
    parts.append(f"{words.count(capture['packets'], 'packet')} ({capture['tunnel_packets']:,} in the tunnel)")
    if capture["first"] and capture["last"]:
        end = 23 if verbose else 19  # of "2026-01-31T10:20:30.123456789Z": milliseconds or seconds
        parts.append(f"{capture['first'][:end]}Z to {capture['last'][11:end]}Z")
    if capture["snaplen"] is not None:
        parts.append(f"cut to {capture['snaplen']:,} bytes each")
    if verbose:
        parts.append(_drops(capture["dropped_by_kernel"]))
    return ", ".join(parts)


def _drops(dropped: int | None) -> str:
    return "drops unknown" if dropped is None else f"{dropped:,} dropped while capturing"


def _by_drops(captures: Sequence[CaptureRecord]) -> dict[int | None, list[str]]:
    """Names of the captures by how many packets each itself dropped."""
    by_drops: dict[int | None, list[str]] = {}
    for capture in captures:
        by_drops.setdefault(capture["dropped_by_kernel"], []).append(capture["name"])
    return by_drops


def _clock(clock: ClockRecord, *, verbose: bool) -> str:
    to, from_ = clock["to"], clock["from"]
    offset = clock["offset_ns"]
    if offset is None:
        why = f" ({clock['method']}); delays are relative to the smallest" if verbose else ""
        return f"clock of {to} against {from_}: cannot be determined{why}"
    ahead = "ahead of" if offset >= 0 else "behind"
    text = f"clock of {to}: {words.span(abs(offset))} {ahead} {from_}"
    if clock["uncertainty_ns"] is not None:
        text += f" ± {words.span(clock['uncertainty_ns'])}"
    if clock["drift_ppm"] is not None:
        text += f", drift {formatting.drift(clock['drift_ppm'])}"
    return text
