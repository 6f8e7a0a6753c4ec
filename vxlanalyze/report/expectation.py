"""What a stored pair of captures must and must not show, as a TOML file.

    must = ["path-blocked@node1>node2"]    # these are found
    must_not = ["mtu-blackhole"]           # these are not
    allow = ["reordering"]                 # these may be; any other warning or worse may not
    allow_unassessed = ["node2"]           # these may be not assessed (codes of must_not), or hold no frame

    [bounds."node1>node2"]
    loss_ratio = { max = 0.01 }
    "delay_ns.p99" = { max = 5_000_000 }

In a pyproject.toml, all of it is in the table ``[tool.vxlanalyze.expect]``.

A code without a direction means all directions. Bounds apply to the figures of `hops`. A code assessed in no
direction was not shown to be absent; an empty capture, and two that do not overlap, prove nothing: none of
these passes unless allowed (captures by name, or as `windows-disjoint`).

Source: TOML v1.0.0.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any, get_type_hints

from vxlanalyze.errors import UsageError
from vxlanalyze.report import proof
from vxlanalyze.report.model import DelayRecord, FindingRecord, HopRecord, Report, key_of
from vxlanalyze.text import toml
from vxlanalyze.text.nearest import nearest

_LISTS = ("must", "must_not", "allow")
_UNASSESSED = "allow_unassessed"
_LIMITS = ("min", "max")
_NUMBERS = (int, float, int | None, float | None)

FIGURES = (
    *(name for name, kind in get_type_hints(HopRecord).items() if kind in _NUMBERS),
    *(f"delay_ns.{name}" for name in get_type_hints(DelayRecord)),
)
"""Every figure of a hop that may be bounded."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Inclusive limits of one figure of one direction; None where there is none."""

    direction: str
    figure: str
    least: float | None
    most: float | None


@dataclass(frozen=True, slots=True)
class Expectation:
    """An expectation file, read and checked; entries are ``code`` or ``code@direction``."""

    path: str
    must: tuple[str, ...]
    must_not: tuple[str, ...]
    allow: tuple[str, ...]
    bounds: tuple[Bound, ...]
    allow_unassessed: tuple[str, ...] = ()  # codes, and names of captures


def parse(text: str, path: str) -> Expectation:
    """Read an expectation.

    Parameters
    ----------
    text : str
        TOML.
    path : str
        Its name in errors.

    Raises
    ------
    UsageError
        It is not TOML, or contains an unknown key, code or figure; the nearest known one is named.
    """
    if os.path.basename(path) != toml.PROJECT:
        return from_table(toml.parse(text, path), path)
    table = toml.project_table(text, path).get("expect")
    if not isinstance(table, dict) or not table:
        raise UsageError(f"{path}: no table [tool.vxlanalyze.expect]")
    return from_table(table, path)


def from_table(table: Mapping[str, Any], path: str = "expectation") -> Expectation:
    """Check an expectation from parsed TOML; raises as `parse` does."""
    for key in table:
        if key not in (*_LISTS, _UNASSESSED, "bounds"):
            raise UsageError(f"{path}: no key {key}{nearest(key, (*_LISTS, _UNASSESSED, 'bounds'))}")
    lists = {name: _entries(table.get(name, []), name, path) for name in _LISTS}
    bounds = tuple(_bounds(table.get("bounds", {}), path))
    unassessed = _strings(table.get(_UNASSESSED, []), _UNASSESSED, path)
    return Expectation(path, lists["must"], lists["must_not"], lists["allow"], bounds, unassessed)


def _entries(given: object, name: str, path: str) -> tuple[str, ...]:
    from vxlanalyze.diagnostics import require_codes  # numpy, and every diagnostic

    entries = _strings(given, name, path)
    try:
        require_codes(entry.partition("@")[0] for entry in entries)
    except UsageError as error:
        raise UsageError(f"{path}: {name}: {error}") from error
    return entries


def _strings(given: object, name: str, path: str) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(entry, str) for entry in given):
        raise UsageError(f'{path}: {name} is to be a list of codes, as in {name} = ["packet-loss"]')
    return tuple(given)


def _bounds(given: object, path: str) -> Iterator[Bound]:
    for direction, figures in _table(given, f"{path}: bounds").items():
        where = f'{path}: bounds."{direction}"'
        for figure, limits in _figures(_table(figures, where), ""):
            if figure not in FIGURES:
                raise UsageError(f"{where}: no figure {figure}{nearest(figure, FIGURES)}")
            table = _table(limits, f"{where}: {figure}")
            for key, value in table.items():
                if key not in _LIMITS:
                    raise UsageError(f"{where}: {figure}: no limit {key}{nearest(key, _LIMITS)}")
                if isinstance(value, bool) or not isinstance(value, int | float) or isnan(value):
                    raise UsageError(f"{where}: {figure}: {key} is to be a number")
            yield Bound(direction, figure, table.get("min"), table.get("max"))


def _figures(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Give full names of figures: unquoted ``delay_ns.p99 = {...}`` creates a nested table."""
    for key, value in table.items():
        deeper = isinstance(value, dict) and any(isinstance(entry, dict) for entry in value.values())
        if deeper:
            yield from _figures(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _table(given: object, where: str) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise UsageError(f"{where} is to be a table, as in loss_ratio = {{ max = 0.01 }}")
    return given


def differences(expected: Expectation, report: Report) -> tuple[str, ...]:
    """Describe where a report is not as expected, in one sentence each.

    Raises
    ------
    UsageError
        The expectation names a direction that the report does not have.
    """
    _require_directions(expected, report)
    found = report.findings
    result = [
        f"{entry} must be found, and is not{_why_not(entry, report)}"
        for entry in expected.must
        if not any(_matches(entry, finding) for finding in found)
    ]
    for finding in found:
        name = key_of(finding)
        if any(_matches(entry, finding) for entry in expected.must_not):
            result.append(f"{name} must not be found, and is: {finding['summary']}")
        elif finding["severity"] != "info" and not any(
            _matches(entry, finding) for entry in (*expected.must, *expected.allow)
        ):
            result.append(f"{name} ({finding['severity']}) is not expected: {finding['summary']}")
    result += _unassessed(expected, report)
    result += [difference for bound in expected.bounds for difference in _outside(bound, report)]
    return tuple(result)


def _require_directions(expected: Expectation, report: Report) -> None:
    known = {hop["direction"] for hop in (*report.hops, *report.inside)}
    known |= {finding["direction"] for finding in report.findings if finding["direction"] is not None}
    entries = (*expected.must, *expected.must_not, *expected.allow)
    named = [entry.partition("@")[2] for entry in entries if "@" in entry]
    for direction in (*named, *(bound.direction for bound in expected.bounds)):
        if direction not in known:
            raise UsageError(f"{expected.path}: no direction {direction}{nearest(direction, sorted(known))}")


def _matches(entry: str, finding: FindingRecord) -> bool:
    code, _, direction = entry.partition("@")
    return finding["code"] == code and direction in ("", finding["direction"])


def _unassessed(expected: Expectation, report: Report) -> Iterator[str]:
    """List the forbidden codes that were not assessed, and the captures that prove nothing."""
    for entry in expected.must_not:
        code, _, direction = entry.partition("@")
        if {entry, code} & set(expected.allow_unassessed):
            continue
        left = {n["direction"] for n in report.not_assessed if n["code"] == code}
        everywhere = {hop["direction"] for hop in report.hops} <= left and bool(left)
        if None in left or (direction in left if direction else everywhere):
            yield f"{entry} must not be found, and cannot be excluded{_why_not(entry, report)}"
    gaps = [*proof.without_frames(report.captures)]
    if not any(finding["code"] == proof.DISJOINT for finding in report.findings):
        gaps += proof.without_common_time(report.captures, report.hops)
    for gap in gaps:
        if not set(gap.names) & set(expected.allow_unassessed):
            yield f'{gap.sentence}; where that is meant, {_UNASSESSED} = ["{gap.names[0]}"] allows it'


def _why_not(entry: str, report: Report) -> str:
    code, _, direction = entry.partition("@")
    reasons = [
        left["reason"]
        for left in report.not_assessed
        if left["code"] == code and (not direction or left["direction"] in (None, direction))
    ]
    return f" (not assessed: {reasons[0]})" if reasons else ""


def _outside(bound: Bound, report: Report) -> Iterator[str]:
    name = f"{bound.direction}: {bound.figure}"
    hops = [hop for hop in (*report.hops, *report.inside) if hop["direction"] == bound.direction]
    value = _figure(hops[0], bound.figure) if hops else None
    if value is None:
        yield f"{name} was not measured"
    elif bound.least is not None and value < bound.least:
        yield f"{name} is {value:,.12g}, less than {bound.least:,.12g}"
    elif bound.most is not None and value > bound.most:
        yield f"{name} is {value:,.12g}, more than {bound.most:,.12g}"


def _figure(hop: HopRecord, figure: str) -> float | None:
    """Give a figure by its name; None where it is unknown, or the report is of an earlier version."""
    value: Any = hop
    for key in figure.split("."):
        value = value.get(key)
    return value if isinstance(value, int | float) else None
