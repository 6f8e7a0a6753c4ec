"""Build the Report from a Comparison and its Diagnosis: every number and name that any output shows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vxlanalyze import __version__
from vxlanalyze.analysis.finding import Finding
from vxlanalyze.analysis.requests import answers, one_way
from vxlanalyze.analysis.requests.acceptance import not_taken_by_pair
from vxlanalyze.analysis.requests.dns_questions import DnsQuestion, questions
from vxlanalyze.analysis.requests.services import ServiceFigures, services
from vxlanalyze.analysis.tcp.unanswered_data import unanswered_by_pair
from vxlanalyze.analysis.underlay.accounting import accounts
from vxlanalyze.diagnostics import Diagnosis
from vxlanalyze.pairing.model import CaptureFacts, Clock, Comparison, Direction
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.report.connection_records import connection_records, connections_total
from vxlanalyze.report.figures import hop_record
from vxlanalyze.report.impact import impact
from vxlanalyze.report.model import (
    CaptureRecord,
    ClockRecord,
    DividedRecord,
    FactRecord,
    FindingRecord,
    NotAssessedRecord,
    Report,
    ServiceRecord,
)
from vxlanalyze.report.service_times import service_times
from vxlanalyze.report.unencapsulated_services import unencapsulated
from vxlanalyze.report.verdict import verdict
from vxlanalyze.text.times import rfc3339
from vxlanalyze.wire import link
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.shims import undecoded

_FRAMES_SHOWN = 100

Digests = Mapping[str, Sequence[str]]


def build(
    comparison: Comparison,
    diagnosis: Diagnosis,
    *,
    digests: Digests | None = None,
    plots: bool = True,
) -> Report:
    """Build the report.

    Parameters
    ----------
    comparison : Comparison
        The fate of each packet.
    diagnosis : Diagnosis
        The diagnosis of it.
    digests : mapping, optional
        SHA-256 of each capture's files, by capture name, in hexadecimal.
    plots : bool
        Whether to compute the series for plots.
    """
    captures = [_capture_record(facts, comparison, digests or {}) for facts in comparison.captures]
    times = service_times(comparison)
    queries = questions(comparison)
    untaken = not_taken_by_pair(comparison)
    unanswered = unanswered_by_pair(comparison)
    services_ = [
        _service_record(
            _with_data(figures, unanswered.get(figures.pair, 0)),
            times.get(figures.pair),
            queries.get(figures.pair, ()),
            untaken.get(figures.pair, 0),
        )
        for figures in services(comparison)
    ]
    services_ += unencapsulated(comparison, services_)
    hops = [
        hop_record(d, comparison.clock_of(d), _not_captured(comparison, d)) for d in comparison.directions
    ]
    findings = [_finding_record(finding) for finding in diagnosis.findings]
    not_assessed: list[NotAssessedRecord] = [
        {"code": entry.code, "direction": entry.direction, "reason": _printable(entry.reason)}
        for entry in diagnosis.not_assessed
    ]
    return Report(
        tool={"name": "vxlanalyze", "version": __version__},
        impact=impact(comparison, findings),
        verdict=verdict(captures, hops, findings, not_assessed, services_),
        captures=captures,
        clock=[_clock_record(hop.clock) for hop in comparison.hops],
        hops=hops,
        findings=findings,
        not_assessed=not_assessed,
        services=services_,
        connections=connection_records(comparison),
        connections_total=connections_total(comparison),
        names=_names(comparison, findings, not_assessed),
        plots=_series(comparison, diagnosis.findings) if plots else {},
        broken=[{"code": entry.code, "error": _printable(entry.error)} for entry in diagnosis.broken],
        diagnostics=list(diagnosis.ran),
        facts=_fact_records(comparison),
        inside=[hop_record(d, hop.clock) for hop in comparison.inside for d in hop.directions if len(d)],
    )


def _not_captured(comparison: Comparison, direction: Direction) -> str:
    """Say why a direction is empty although packets were sent; empty where none may have been."""
    to = answers.opposite(comparison, direction)
    return one_way.why(to) if one_way.holds(comparison, to) else ""


def _series(comparison: Comparison, findings: Sequence[Finding]) -> dict[str, Any]:
    from vxlanalyze.report.series import series  # the text report has no plots

    return dict(series(comparison, findings))


def _capture_record(facts: CaptureFacts, comparison: Comparison, digests: Digests) -> CaptureRecord:
    point = next(p for p in comparison.points if p.name == facts.name)
    account = next(a for a in accounts(comparison) if a.capture == facts.name)
    sums: Sequence[str | None] = digests.get(facts.name) or [None] * len(facts.files)
    kinds = dict.fromkeys(interface.link_type for interface in facts.interfaces)
    first_ns, last_ns = facts.stated_ns or (facts.first_ns, facts.last_ns)
    return {
        "name": facts.name,
        "files": [
            {
                "path": _printable(file.path),
                "bytes": file.bytes,
                "sha256": digest,
                "format": file.format,
                "compression": file.compression,
            }
            for file, digest in zip(facts.files, sums, strict=True)
        ],
        "link_types": [link.SUPPORTED.get(kind, str(kind)) for kind in kinds],
        "packets": facts.packets,
        "tunnel_packets": facts.tunnel_packets,
        "first": None if first_ns is None else rfc3339(first_ns),
        "last": None if last_ns is None else rfc3339(last_ns),
        "snaplen": facts.snaplen_bytes,
        "dropped_by_kernel": facts.dropped_by_kernel,
        "node_addresses": list(point.addresses),
        "node_addresses_by": point.addresses_by,
        "accounting": {place.code: frames for place, frames in account.frames.items()},
        "undecoded": undecoded(point.index.anomalies),
    }


def _clock_record(clock: Clock) -> ClockRecord:
    return {
        "from": clock.from_,
        "to": clock.to,
        "offset_ns": clock.offset_ns,
        "drift_ppm": clock.drift_ppm,
        "uncertainty_ns": clock.uncertainty_ns,
        "method": clock.method,
    }


def _finding_record(finding: Finding) -> FindingRecord:
    return {
        "code": finding.code,
        "severity": finding.severity.name.lower(),
        "direction": finding.direction,
        "summary": _printable(finding.summary),
        "explanation": _printable(finding.explanation),
        "remedy": "\n".join(filter(None, map(_printable, finding.remedy.split("\n")))),
        "evidence": {
            name: {"value": _plain_value(quantity.value), "unit": quantity.unit}
            for name, quantity in finding.evidence.items()
        },
        "ruled_out": [{"code": entry.code, "why": _printable(entry.why)} for entry in finding.ruled_out],
        "because": finding.because,
        "frames": {
            name: [int(number) for number in numbers[:_FRAMES_SHOWN]]
            for name, numbers in finding.frames.items()
        },
        "frame_count": finding.frame_count,
        "display_filter": _printable(finding.display_filter),
    }


def _plain_value(value: float | str | None) -> int | float | str | None:
    """Convert numpy's numbers to Python's, and values that JSON cannot represent to None."""
    if value is None:
        return None
    if isinstance(value, str):
        return _printable(value)
    if isinstance(value, int | np.integer):
        return int(value)
    return float(value) if np.isfinite(value) else None


def _printable(text_: str) -> str:
    """Replace lone surrogates (from undecodable file names) by escapes, since UTF-8 has none."""
    return text_.encode("utf-8", "backslashreplace").decode("utf-8")


def _with_data(figures: ServiceFigures, unanswered: int) -> ServiceFigures:
    """Count the requests over accepted connections to which the server sent no data."""
    if not unanswered:
        return figures
    return replace(
        figures, requests=figures.requests + unanswered, unanswered=figures.unanswered + unanswered
    )


def _service_record(
    figures: ServiceFigures, time_ns: DividedRecord | None, queries: Sequence[DnsQuestion], not_taken: int
) -> ServiceRecord:
    record: ServiceRecord = {
        "protocol": figures.protocol,
        "client": figures.client,
        "server": figures.server,
        "service": None if figures.service is None else _printable(figures.service),
        "requests": figures.requests,
        "answered": figures.answered,
        "refused": figures.refused,
        "unanswered": figures.unanswered,
        "latency_ns": {"p50": figures.latency_p50_ns, "p99": figures.latency_p99_ns},
        "time_ns": time_ns,
    }
    if not_taken:
        record["not_taken"] = not_taken
    if figures.protocol == "dns":
        record["questions"] = [
            {
                "name": q.name,
                "type": q.type,
                "requests": q.requests,
                "answered": q.answered,
                "unanswered": q.unanswered,
            }
            for q in queries
        ]
    return record


def _names(
    comparison: Comparison, findings: Sequence[FindingRecord], not_assessed: Sequence[NotAssessedRecord]
) -> dict[str, str]:
    """The cluster's names of all addresses in the captures or in the report.

    A saved report is redacted with them: every name in a sentence must be among them.
    """
    if not (comparison.cluster.nodes or comparison.cluster.pods or comparison.cluster.services):
        return {}
    texts = [f[part] for f in findings for part in ("summary", "explanation", "remedy")]
    texts += [entry["reason"] for entry in not_assessed]
    seen = comparison.cluster.addresses_named_in(" ".join(texts))
    for point in comparison.points:
        flows = point.flows
        ends = ((flows.outer_src, flows.outer_family), (flows.outer_dst, flows.outer_family))
        for rows, family in (*ends, (flows.src, flows.family), (flows.dst, flows.family)):
            known = family != 0
            unique, _ = distinct(np.column_stack([rows[known], family[known]]))
            seen.update(text(unique[:, :16], unique[:, 16]))
    named = ((address, comparison.cluster.name_of(address)) for address in sorted(seen))
    return {address: _printable(name) for address, name in named if name is not None}


def _fact_records(comparison: Comparison) -> list[FactRecord]:
    tables = {fact.path for fact in comparison.cluster.facts}
    whole = [path for path in comparison.cluster.sources if path not in tables]
    kube: list[FactRecord] = [{"capture": None, "kind": "kube", "path": _printable(path)} for path in whole]
    return kube + [
        {"capture": fact.capture or None, "kind": fact.kind, "path": _printable(fact.path)}
        for fact in comparison.cluster.facts
    ]
