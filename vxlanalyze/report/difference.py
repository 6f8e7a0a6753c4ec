"""Compare two saved reports, before and after a change: fixed, new, worse, better, or undecided.

A share differs if the 95 % intervals of both do not overlap; a delay or a rate differs if it changed by more
than a quarter and by more than the clock uncertainty of both reports. A finding that the later report could
not check is not known to be fixed; nor is one whose traffic is nearly absent from the later report.
"""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from vxlanalyze.report import baseline
from vxlanalyze.report.model import FindingRecord, HopRecord, Report, key_of
from vxlanalyze.text.escaping import plain
from vxlanalyze.text.words import bit_rate, count, span

KINDS = ("not fixed", "new", "worse", "better", "fixed", "not known")
"""In the order in which they are reported."""

_LEAST_CHANGE = 0.25  # of a median; less is day-to-day variation
_LEAST_DELAY_NS = 100_000
_FEW_PACKETS = 20
_LEAST_BYTES = 100_000  # of a service's connections, for a meaningful rate


@dataclass(frozen=True, slots=True)
class Change:
    """One item that changed or stayed; `about` is a finding's key, a direction, or a service."""

    kind: str
    about: str
    text: str


@dataclass(frozen=True, slots=True)
class Difference:
    """The changes from one report to another."""

    verdict: str
    changes: tuple[Change, ...]
    counting: tuple[FindingRecord, ...]

    def of(self, kind: str) -> list[Change]:
        """Give the changes of one kind."""
        return [change for change in self.changes if change.kind == kind]

    def text(self, width: int = 100) -> str:
        """Format it for one screen of a given width."""
        lines = textwrap.wrap(plain(self.verdict), width)
        for kind in KINDS:
            chosen = self.of(kind)
            lines += ["", kind.capitalize()] if chosen else []
            for change in chosen:
                words = plain(f"{change.about}: {change.text}")
                lines += textwrap.wrap(words, width, initial_indent="  ", subsequent_indent="    ")
        return "\n".join(lines) + "\n"

    def __str__(self) -> str:
        return self.text()


def difference(before: Report, after: Report) -> Difference:
    """Compare two reports, without their captures."""
    counting, _ = baseline.compare(before, after)
    changes = [
        *_findings(before, after),
        *_hops(before, after),
        *_connections(before, after),
    ]
    ordered = tuple(sorted(changes, key=lambda change: KINDS.index(change.kind)))
    return Difference(_verdict(before, after, ordered), ordered, tuple(counting))


def _faults(report: Report) -> dict[str, FindingRecord]:
    return {key_of(f): f for f in report.findings if f["severity"] != "info"}


def _findings(before: Report, after: Report) -> Iterator[Change]:
    earlier, later = _faults(before), _faults(after)
    for key, finding in later.items():
        if key not in earlier:
            yield Change("new", key, f"{finding['severity']}. {finding['summary']}")
            continue
        change = baseline.change((earlier[key], before), (finding, after))
        kind = {1: "worse", 0: "not fixed", -1: "better"}[change]
        was = earlier[key]["summary"]
        yield Change(
            kind, key, finding["summary"] + ("" if was == finding["summary"] else f" (before: {was})")
        )
    for key, finding in earlier.items():
        if key not in later:
            doubt = _doubt(finding, before, after)
            yield Change("not known" if doubt else "fixed", key, doubt or f"was: {finding['summary']}")


def _doubt(finding: FindingRecord, before: Report, after: Report) -> str:
    """Explain why a finding that is gone is not known to be fixed; empty if it is."""
    for entry in after.not_assessed:
        if entry["code"] == finding["code"] and entry["direction"] in (None, finding["direction"]):
            return f"could not be checked in the later report: {entry['reason']}"
    if finding["code"] not in after.diagnostics:
        return "was not checked in the later report"
    if finding["direction"] is None:
        return ""
    then, now = (_hop(report, finding["direction"]) for report in (before, after))
    if then is None:
        return ""
    if now is None:
        return f"the later report has no direction {finding['direction']}: do the captures have other names?"
    judged = now["delivered"] + now["lost"]
    if judged < _FEW_PACKETS and judged < then["sent"]:
        return f"the later captures hold {count(judged, 'packet')} of that direction: too few to decide"
    return ""


def _hop(report: Report, direction: str) -> HopRecord | None:
    return next((hop for hop in report.hops if hop["direction"] == direction), None)


def _hops(before: Report, after: Report) -> Iterator[Change]:
    for now in after.hops:
        then = _hop(before, now["direction"])
        if then is not None:
            yield from _loss(then, now)
            yield from _delay(then, now)


def _loss(then: HopRecord, now: HopRecord) -> Iterator[Change]:
    bounds = (then["low"], then["high"], now["low"], now["high"])
    if None in bounds:
        return
    worse, better = now["low"] > then["high"], now["high"] < then["low"]  # type: ignore[operator]
    if worse or better:
        yield Change(
            "worse" if worse else "better", now["direction"], f"loss {_share(then)} -> {_share(now)}"
        )


def _share(hop: HopRecord) -> str:
    low, high = hop["low"] or 0.0, hop["high"] or 0.0
    return f"{100 * (hop['loss_ratio'] or 0):.3g} % ({100 * low:.2g} to {100 * high:.2g} %)"


def _delay(then: HopRecord, now: HopRecord) -> Iterator[Change]:
    old, new = then["delay_ns"]["p50"], now["delay_ns"]["p50"]
    if old is None or new is None:
        return
    unsure = sum(hop["delay_ns"]["uncertainty"] or 0 for hop in (then, now))
    if abs(new - old) <= max(_LEAST_CHANGE * abs(old), unsure, _LEAST_DELAY_NS):
        return
    words = f"median delay {span(old)} -> {span(new)} (each ± the clocks' {span(unsure / 2)})"
    yield Change("worse" if new > old else "better", now["direction"], words)


def _connections(before: Report, after: Report) -> Iterator[Change]:
    """Compare connection rates and server times by service."""
    earlier, later = _by_server(before), _by_server(after)
    for server, now in later.items():
        then = earlier.get(server)
        if then is None:
            continue
        if min(then.octets, now.octets) >= _LEAST_BYTES and then.bits_per_s and now.bits_per_s:
            ratio = now.bits_per_s / then.bits_per_s
            if not 1 - _LEAST_CHANGE <= ratio <= 1 / (1 - _LEAST_CHANGE):
                words = f"throughput {bit_rate(then.bits_per_s)} -> {bit_rate(now.bits_per_s)}"
                limit = f" ({then.limit} -> {now.limit} limits it)" if then.limit != now.limit else ""
                yield Change("better" if ratio > 1 else "worse", f"tcp {server}", words + limit)
        if then.think_ns and now.think_ns:
            apart = abs(now.think_ns - then.think_ns)
            if apart > max(_LEAST_CHANGE * then.think_ns, 10_000_000):
                words = f"slowest median answer of the server {span(then.think_ns)} -> {span(now.think_ns)}"
                yield Change("worse" if now.think_ns > then.think_ns else "better", f"tcp {server}", words)


@dataclass(frozen=True, slots=True)
class _Server:
    octets: int
    bits_per_s: float
    think_ns: int
    limit: str


def _by_server(report: Report) -> dict[str, _Server]:
    groups: dict[str, _Server] = {}
    for record in report.connections:
        octets = record["client_bytes"] + record["server_bytes"]
        think = record["think_ns"]["p50"] or 0
        known = groups.get(record["server"])
        mine = _Server(octets, record["bits_per_s"], think, record["limit"])
        if known is not None:
            larger = mine if octets > known.octets else known
            mine = _Server(larger.octets, larger.bits_per_s, max(think, known.think_ns), larger.limit)
        groups[record["server"]] = mine
    return groups


def _verdict(before: Report, after: Report, changes: tuple[Change, ...]) -> str:
    """Answer "is it fixed?" in one sentence."""
    findings = {*_faults(before), *_faults(after)}
    kinds = {kind: [c for c in changes if c.kind == kind and c.about in findings] for kind in KINDS}
    open_ = [*kinds["not fixed"], *kinds["worse"], *kinds["better"]]
    if not _faults(before) and not _faults(after):
        return "Nothing was wrong before, and nothing is wrong now."
    parts = []
    if kinds["fixed"]:
        parts.append(f"{len(kinds['fixed'])} fixed")
    if open_:
        parts.append(f"{len(open_)} still there")
    if kinds["new"]:
        parts.append(f"{len(kinds['new'])} new")
    if kinds["not known"]:
        parts.append(f"{len(kinds['not known'])} not known")
    if not open_ and not kinds["new"] and not kinds["not known"]:
        return f"Fixed: {_what(kinds['fixed'])}; nothing new."
    answer = "Not fixed" if open_ else "Not known" if kinds["not known"] and not kinds["new"] else "Changed"
    return f"{answer}: {', '.join(parts)}."


def _what(fixed: list[Change]) -> str:
    names = [change.about for change in fixed]
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} findings"
