"""Judge a report: by severity, against an earlier report, or against an expectation."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from vxlanalyze.errors import UsageError
from vxlanalyze.report import proof
from vxlanalyze.report.model import SEVERITIES, FindingRecord, Report, key_of
from vxlanalyze.report.renderer import Judgement

Judge = Callable[[Report], Judgement]


def judging(
    fail_on: str = "never",
    baseline: str | None = None,
    expect: str | None = None,
    unassessed: Sequence[str] = (),
) -> Judge:
    """Read the criteria for judging a report, before any work is done.

    Parameters
    ----------
    fail_on : str
        Least severity that counts, or ``never``.
    baseline, expect : str or None
        Paths of an earlier JSON report and of a TOML file of expectations.
    unassessed : sequence of str
        Codes that must be assessed.

    Returns
    -------
    callable
        From a Report to its Judgement; raises UsageError if the expectation refers to something that the
        report does not have.

    Raises
    ------
    UsageError
        A file cannot be read or is invalid.
    """
    before = None if baseline is None else _read_baseline(baseline)
    differences = None if expect is None else _read_expectation(expect)
    _require_codes(unassessed)
    gated = fail_on != "never" or differences is not None or bool(unassessed)

    def judge(report: Report) -> Judgement:
        counting: Sequence[FindingRecord] = report.findings
        changes = None
        if before is not None:
            from vxlanalyze.report.baseline import compare  # the only one that needs numpy

            counting, changes = compare(before, report)
        found = () if differences is None else differences(report)
        found += tuple(_left_open(report, unassessed))
        failed = failing(counting, fail_on)
        if fail_on != "never" and differences is None:
            found += tuple(_unproved(report, failed))
        return Judgement(frozenset(failed), found, changes, gated)

    return judge


def _require_codes(codes: Sequence[str]) -> None:
    if codes:
        from vxlanalyze.diagnostics import require_codes  # numpy, and every diagnostic

        require_codes(codes)


def _left_open(report: Report, codes: Sequence[str]) -> Iterator[str]:
    """State which of some diagnostics were not assessed, and why."""
    for entry in report.not_assessed:
        if entry["code"] in codes:
            where = f" {entry['direction']}" if entry["direction"] else ""
            yield f"{entry['code']}{where} was not assessed: {entry['reason']}"


def _unproved(report: Report, failed: Sequence[str]) -> Iterator[str]:
    """State which captures prove nothing, unless a failing finding already does."""
    gaps = [*proof.without_frames(report.captures)]
    if not any(key.partition("@")[0] == proof.DISJOINT for key in failed):
        gaps += proof.without_common_time(report.captures, report.hops)
    return (gap.sentence for gap in gaps)


def _read_expectation(path: str) -> Callable[[Report], tuple[str, ...]]:
    """Read an expectation; the result gives the differences of a report from it."""
    from vxlanalyze.report import expectation

    return partial(expectation.differences, expectation.parse(read_text(path), path))


def _read_baseline(path: str) -> Report:
    """Read an earlier report; a finding unknown to this version would be reported as gone."""
    from vxlanalyze.diagnostics import require_codes  # numpy, and every diagnostic
    from vxlanalyze.report.formats import as_json

    report = as_json.from_json(read_text(path), path)
    try:
        require_codes(finding["code"] for finding in report.findings)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    return report


def read_text(path: str) -> str:
    """Read a text file that the user named.

    Raises
    ------
    UsageError
        It cannot be read, or is not text.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}, byte {error.start}: not UTF-8 text") from error


def failing(findings: Sequence[FindingRecord], fail_on: str) -> list[str]:
    """Give the keys of the findings at least as severe as `fail_on`."""
    if fail_on == "never":
        return []
    counted = SEVERITIES[SEVERITIES.index(fail_on) :]
    return [key_of(finding) for finding in findings if finding["severity"] in counted]
