"""Decide which finding explains which, and in what order they are shown.

A finding is a consequence where its diagnostic names a code as its cause (`Diagnostic.explained_by`) and that
code was found in the same direction, or in none. A check that needs responses (`Diagnostic.round_trip`) fails
with a fault anywhere on the path or the return path, so a cause in any direction explains it; the same
direction is tried first. A finding that is more specific than its diagnostic names its possible causes itself
(`Finding.explained_by`). Where packets show whether a cause affected the symptom, they decide: a blocked
service only explains its own silence. Loss between two interfaces of a node explains symptoms at that node if
it affected their packets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vxlanalyze.analysis.finding import Diagnostic, Finding, Severity
from vxlanalyze.analysis.loss import blame, inside_words
from vxlanalyze.pairing.model import Comparison

_INSIDE = (*inside_words.KINDS, "packet-loss")
_OF_INSIDE = (
    *("answer-not-accepted", "dns-unanswered", "endpoint-silent", "not-answered", "source-unanswered"),
    "tcp-stalled",
)


def order(
    findings: Sequence[Finding], diagnostics: Sequence[Diagnostic], comparison: Comparison
) -> tuple[Finding, ...]:
    """Findings with their causes named: root causes first, then by severity, then as registered.

    A note is not a cause unless it explains something, and comes last.
    """
    rank = {d.code: i for i, d in enumerate(diagnostics)}
    by_code = {d.code: d for d in diagnostics}
    place = {d.label: i for i, d in enumerate(comparison.directions)}
    ordered = sorted(findings, key=lambda f: (rank[f.code], place.get(f.direction or "", -1), f.key))
    linked = [replace(f, because=_cause(f, by_code, ordered, comparison)) for f in ordered]
    explaining = {f.because for f in linked}

    def is_root(finding: Finding) -> bool:
        worth_knowing = finding.severity is Severity.INFO and finding.key not in explaining
        return finding.because is None and not worth_knowing

    return tuple(sorted(linked, key=lambda f: (not is_root(f), -f.severity)))


def _cause(
    finding: Finding, by_code: Mapping[str, Diagnostic], ordered: Sequence[Finding], comparison: Comparison
) -> str | None:
    """Name the finding that explains this one.

    Its own direction comes first, then the cause that took most of its packets, then the causal order.
    """
    place = {c.key: i for i, c in enumerate(ordered)}
    causes = _causes(finding, by_code)
    candidates = [c for c in ordered if {c.code, c.key} & set(causes) and c.key != finding.key]
    # Of two that name each other, the later one in causal order is the consequence.
    candidates = [
        c for c in candidates if place[c.key] < place[finding.key] or finding.code not in _causes(c, by_code)
    ]
    candidates += [c for c in ordered if c not in candidates and _dies_inside(c, finding, comparison)]
    near = [
        c
        for c in candidates
        if _is_near(c, finding) or c.key in causes or _dies_inside(c, finding, comparison)
    ]
    shares = [blame.share(comparison, c, finding) for c in near]
    # A cause that packets cannot confirm counts as if it took all of them.
    proved = [(1.0 if s is None else s, c) for s, c in zip(shares, near, strict=True) if s != 0]
    if proved:
        return max(proved, key=lambda p: p[0])[1].key
    far = [c.key for c in candidates if all(c is not n for n in near)]
    return far[0] if far and by_code[finding.code].round_trip else None


def _is_near(cause: Finding, finding: Finding) -> bool:
    """Whether both are about one direction, or one of them about none."""
    return cause.direction in (finding.direction, None) or finding.direction is None


def _dies_inside(cause: Finding, finding: Finding, comparison: Comparison) -> bool:
    """Whether a cause is loss inside a node where a symptom's direction begins or ends."""
    if finding.code not in _OF_INSIDE or cause.code not in _INSIDE or finding.direction is None:
        return False
    directions = (d for hop in comparison.inside for d in hop.directions)
    inside = next((d for d in directions if d.label == cause.direction), None)
    if inside is None:
        return False
    return comparison.captures[inside.sender.capture].name in finding.direction.split(">")


def _causes(finding: Finding, by_code: Mapping[str, Diagnostic]) -> tuple[str, ...]:
    """Codes and keys that may explain a finding; a layer stands for all of its codes."""
    own = finding.explained_by
    named = by_code[finding.code].explained_by if own is None else own
    in_layers = (d.code for d in by_code.values() if d.layer in named and d.code != finding.code)
    return (*named, *in_layers)
