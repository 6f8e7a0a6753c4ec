"""What texts and pages say of a figure of the JSON report; each figure is put in words here anew."""

import re
from collections.abc import Iterator
from typing import Any

from tests.agreement.world import World
from vxlanalyze.report.both_directions import merged
from vxlanalyze.text.escaping import plain

UNITS_NS = {"ns": 1, "µs": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3600 * 10**9}
NUMBER = r"(?<![\d.])\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?"
SPAN = rf"-?{NUMBER} (?:ns|µs|ms|s|min|h)(?: \d+ (?:min|s))*"


def nanoseconds(said: str) -> float:
    """Read a duration as texts write it: ``1.3 ms``, ``2 min 5 s``."""
    sign = -1 if said.startswith("-") else 1
    parts = re.findall(rf"({NUMBER}) (ns|µs|ms|s|min|h)\b", said)
    return sign * sum(float(number.replace(",", "")) * UNITS_NS[unit] for number, unit in parts)


def near(said: str, duration_ns: float) -> bool:
    """Whether a duration in words is that of nanoseconds, but for rounding."""
    return abs(nanoseconds(said) - duration_ns) <= max(0.006 * abs(duration_ns), 1)


def verdict_everywhere(world: World) -> Iterator[str]:
    """One sentence, the same in every output."""
    verdict = plain(world.saved["verdict"])
    for name in ("text", "short_text", "page", "notebook", "github"):
        if verdict not in getattr(world, name):
            yield f"{name}: lacks the verdict"
    if verdict != plain(world.result.verdict):
        yield "the verdict of the comparison is another"


def hops_in_texts(world: World) -> Iterator[str]:
    """Text, page, notebook and Markdown give the counts of `hops`, and the delays but for rounding."""
    for hop in world.between:
        counts = [f"{hop[name]:,}" for name in ("sent", "delivered", "lost", "unknown")]
        sent, delivered, lost, unknown = counts
        if hop["sent"] and hop["not_assessed"] is None:
            wanted = f"{sent} sent, {delivered} delivered, {lost} lost"
            if not re.search(rf"{re.escape(wanted)}(?! \d)", world.text):
                yield f"text: lacks {wanted}"
        arrow = hop["direction"].replace(">", " → ")
        yield from _row(world.page, arrow, [lost, sent, delivered, unknown], hop, "page")
        yield from _row(world.notebook, arrow, [sent, delivered, lost], hop, "notebook")
        row = f"| {' | '.join(counts)} |"
        if row not in world.markdown:
            yield f"markdown: lacks {row}"
        for name in ("reordered", "duplicated", "corrupted"):
            if hop[name] and f"{hop[name]:,} {name}" not in world.text:
                yield f"text: {hop['direction']}: lacks {hop[name]} {name}"


def _row(words: str, arrow: str, counts: list[str], hop: dict[str, Any], where: str) -> Iterator[str]:
    """Find the row of a direction in a table of a page, and read its counts and delays."""
    rows = [part for part in words.split(f"|{arrow}|")[1:] if set(counts) <= set(part.split("|")[:16])]
    if not rows:
        yield f"{where}: no row of {arrow} has {counts}"
        return
    cells = rows[0].split("|")[:16]
    delays = [cell for cell in cells if re.fullmatch(SPAN, cell)]
    for name in ("p50", "p99"):
        value = hop["delay_ns"][name]
        if value is not None and not any(near(cell, value) for cell in delays):
            yield f"{where}: {arrow}: delay {name} of {value} ns is not among {delays}"


def findings_in_texts(world: World) -> Iterator[str]:
    """Each finding, its severity, summary and every figure of its evidence."""
    for shown in merged(world.report.findings):
        for part in shown.parts:
            summary = plain(part["summary"].rstrip(". "))
            for name in ("text", "page", "notebook", "github"):
                if summary not in getattr(world, name).replace("%25", "%"):
                    yield f"{name}: lacks the summary of {part['code']}"
        if shown.finding["severity"] != "info" and shown.finding["because"] is None:
            yield from _evidence(world.text, shown.finding, ": ", "text")
        yield from _evidence(world.page, shown.finding, "|", "page")
        title = f"{shown.finding['code']}|" if shown.finding["direction"] else shown.finding["code"]
        if title not in world.page:
            yield f"page: lacks {title}"
        if shown.finding["code"] not in world.junit:
            yield f"junit: lacks {shown.finding['code']}"


def _evidence(words: str, finding: Any, between: str, where: str) -> Iterator[str]:
    for name, quantity in finding["evidence"].items():
        if quantity["value"] is None:
            continue
        label = f"{'|' * (between == '|')}{plain(name.replace('_', ' '))}{between}"
        said = [part.split("|")[0].split("\n")[0] for part in words.split(label)[1:]]
        if not any(_says(text, quantity) for text in said):
            yield f"{where}: {finding['code']}: {name} {quantity} is not among {said[:3]}"


def _says(said: str, quantity: dict[str, Any]) -> bool:
    """Whether words give a value in its unit."""
    value, unit = quantity["value"], quantity["unit"]
    if value is None:
        return said == "not known"
    if isinstance(value, str):
        return plain(value) in said
    if unit == "ns":
        return bool(re.fullmatch(SPAN, said)) and near(said, value)
    number = re.match(rf"-?{NUMBER}", said)
    if number is None:
        return False
    read = float(number[0].replace(",", ""))
    if unit == "ratio":
        read /= 100 if "%" in said else 1
        rest = ""
    else:
        rest = (
            unit.split(" ")[0].rstrip("s").removesuffix("ie").removesuffix("e")
        )  # queries, addresses, bytes
    return rest in said and abs(read - value) <= (0 if isinstance(value, int) else 0.05 * abs(value))


_SHARE = r"(?<!port )\b(\d[\d,]*) of (?:the )?(\d[\d,]*)\b(?![.:]\w)"  # not "port 53 of 10.0.0.1"


def figures_of_summaries(world: World) -> Iterator[str]:
    """``n of m`` of a summary stands in its evidence, or is counted in another table of the report."""
    hops, services = world.saved["hops"], world.saved["services"]
    tables = [hop[name] for hop in hops for name in ("sent", "delivered", "lost", "unknown")]
    tables += [hop["delivered"] + hop["lost"] for hop in hops]
    tables += [s[name] for s in services for name in ("requests", "answered", "unanswered", "refused")]
    for finding in world.saved["findings"]:
        values = [q["value"] for q in finding["evidence"].values()]
        for a, b in re.findall(_SHARE, finding["summary"]):
            for number in (int(a.replace(",", "")), int(b.replace(",", ""))):
                if number not in values and number not in tables and str(number) not in str(values):
                    yield f"{finding['code']}: {number} of its summary is in no table: {finding['summary']}"


def requests_in_texts(world: World) -> Iterator[str]:
    """Who asked whom, with counts and latency."""
    services = world.saved["services"]
    if not services:
        return
    answered, total = (sum(s[name] for s in services) for name in ("answered", "requests"))
    if f"Requests: {answered:,} of {total:,} answered" not in world.short_text:
        yield f"short text: lacks {answered:,} of {total:,} answered"
    for s in services:
        said = f"{s['answered']:,} of {s['requests']:,} answered"
        lines = [line for line in world.text.splitlines() if s["client"] in line and said in line]
        if not lines:
            yield f"text: {s['client']} > {s['server']}: lacks {said}"
        median = s["latency_ns"]["p50"]
        spans = [m for line in lines for m in re.findall(rf"in ({SPAN}) \(median", line)]
        if median is not None and not any(near(span, median) for span in spans):
            yield f"text: {s['client']} > {s['server']}: latency {median} ns is not among {spans}"
        row = "|".join(f"{s[n]:,}" for n in ("requests", "answered", "refused", "unanswered"))
        if f"|{row}|" not in world.page:
            yield f"page: {s['client']} > {s['server']}: lacks {row}"


def captures_in_texts(world: World) -> Iterator[str]:
    """Frames, frames in the tunnel, drops, and the classes of frames."""
    for capture in world.saved["captures"]:
        in_all = f"{capture['packets']:,} packet{'' if capture['packets'] == 1 else 's'}"
        said = f"{in_all} ({capture['tunnel_packets']:,} in the tunnel)"
        if said not in world.text:
            yield f"text: {capture['name']}: lacks {said}"
        if f"|{capture['packets']:,}|{capture['tunnel_packets']:,} in a tunnel|" not in world.page:
            yield f"page: {capture['name']}: lacks {capture['packets']}, {capture['tunnel_packets']}"


def clocks_in_texts(world: World) -> Iterator[str]:
    """Offset, uncertainty and drift, in text and page."""
    for clock in world.saved["clock"]:
        for name in ("text", "page"):
            words = getattr(world, name)
            said = re.findall(r"[Cc]lock of [^;|\n]*", words)
            yield from _clock(clock, said, name)


def _clock(clock: dict[str, Any], said: list[str], where: str) -> Iterator[str]:
    mine = [line for line in said if plain(clock["to"]) in line]
    if clock["offset_ns"] is None:
        if not any("cannot be determined" in line for line in mine):
            yield f"{where}: an unknown clock is given: {mine}"
        return
    for name in ("offset_ns", "uncertainty_ns"):
        value = clock[name]
        spans = [s for line in mine for s in re.findall(SPAN, line)]
        if value is not None and not any(near(s.lstrip("-"), abs(value)) for s in spans):
            yield f"{where}: {name} {value} is not among {spans}"
    drift = clock["drift_ppm"]
    drifts = [float(d) for line in mine for d in re.findall(r"drift (\S+) ppm", line)]
    if drift is not None and not any(abs(d - drift) <= max(0.006 * abs(drift), 1e-3) for d in drifts):
        yield f"{where}: drift {drift} ppm is not among {drifts}"


def unassessed_everywhere(world: World) -> Iterator[str]:
    """How many questions were not assessed: one number in text, page, notebook and verdict."""
    counted = {
        "text": re.findall(r"Not assessed: (\d+) check", world.short_text),
        "page": re.findall(r"Not assessed: (\d+) check", world.page),
        "notebook": re.findall(r"Not assessed \((\d+) check", world.notebook),
        "verdict": re.findall(r"(\d+) checks? could not be done", world.saved["verdict"]),
        "summary": [str(world.result.summary()["not_assessed"])] if world.saved["not_assessed"] else [],
    }
    numbers = {name: found[0] for name, found in counted.items() if found}
    if len(set(numbers.values())) > 1:
        yield f"not assessed: {numbers}"


CHECKS = (
    verdict_everywhere,
    hops_in_texts,
    findings_in_texts,
    figures_of_summaries,
    requests_in_texts,
    captures_in_texts,
    clocks_in_texts,
    unassessed_everywhere,
)
