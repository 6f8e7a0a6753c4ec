"""Which finding explains which, and in what order they are told.

A finding is a consequence where its diagnostic names a code as its cause (`Diagnostic.explained_by`)
and that code was found in the same direction, or in none. A question that needs its answer to arrive
(`Diagnostic.round_trip`) fails by a fault anywhere on the way there or back, so a cause in any direction
explains it; the same direction is tried first. A finding that knows more of its own case than its
diagnostic in general names its possible causes itself (`Finding.explained_by`). Where packets can tell
whether a cause took what the symptom is about, they do: a blocked service explains its own silence only.
"""

from collections.abc import Sequence
from dataclasses import replace

from vxlanalyze.diagnostics import blame
from vxlanalyze.diagnostics.base import Diagnostic, Finding
from vxlanalyze.pairing.model import Comparison


def order(
    findings: Sequence[Finding], diagnostics: Sequence[Diagnostic], comparison: Comparison
) -> tuple[Finding, ...]:
    """Findings with their causes named: root causes first, then by severity, then as registered."""
    rank = {d.code: i for i, d in enumerate(diagnostics)}
    by_code = {d.code: d for d in diagnostics}
    place = {d.label: i for i, d in enumerate(comparison.directions)}
    told = sorted(findings, key=lambda f: (rank[f.code], place.get(f.direction or "", -1), f.key))
    linked = [replace(f, because=_cause(f, by_code[f.code], told, comparison)) for f in told]
    return tuple(sorted(linked, key=lambda f: (f.because is not None, -f.severity)))


def _cause(
    finding: Finding, diagnostic: Diagnostic, findings: Sequence[Finding], comparison: Comparison
) -> str | None:
    """Name the finding that explains this one.

    The own direction comes first, then what took most of its packets, then the causal order.
    """
    causes = diagnostic.explained_by if finding.explained_by is None else finding.explained_by
    candidates = [f for f in findings if f.code in causes and f.key != finding.key]
    near = [f for f in candidates if f.direction in (finding.direction, None) or finding.direction is None]
    shares = {f.key: blame.share(comparison, f, finding) for f in near}
    # What cannot be told from packets is believed as much as what took all of them.
    proved = [(1.0 if shares[f.key] is None else shares[f.key] or 0.0, f) for f in near]
    proved = [(s, f) for s, f in proved if s > 0]
    if proved:
        return max(proved, key=lambda p: p[0])[1].key
    far = [f for f in candidates if f not in near] if diagnostic.round_trip else []
    return far[0].key if far else None
