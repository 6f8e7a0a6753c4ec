"""The report as JSON, and back: every other format can be produced from this one.

The structure is published in ``schema.json`` next to this module (JSON Schema 2020-12,
"vxlanalyze.report/1"). Non-ASCII characters are escaped (RFC 8259 section 7), so a report is the same in
every locale.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from importlib.resources import files
from typing import Any, cast, get_type_hints

from vxlanalyze.errors import UsageError
from vxlanalyze.report.model import SCHEMA, SEVERITIES, Report
from vxlanalyze.report.renderer import Judgement
from vxlanalyze.report.shape import ShapeError, demand, slip
from vxlanalyze.text.escaping import inert
from vxlanalyze.text.nearest import nearest

_RENAMED = {"asked": "diagnostics"}  # keys of reports saved before 1.0.0
_ADDED = ("connections", "connections_total", "impact")  # missing from reports saved earlier
_ORDER = (
    "schema",
    "tool",
    "verdict",
    "impact",
    "captures",
    "clock",
    "hops",
    "findings",
    "not_assessed",
    "services",
    "connections",
    "connections_total",
    "broken",
    "diagnostics",
    "names",
    "facts",
    "plots",
)


def render(report: Report, judgement: Judgement | None = None) -> str:
    """Write a report as JSON, deterministically. A judgement is not included."""
    del judgement
    whole = {name: getattr(report, name) for name in _ORDER}
    whole["hops"] = [*report.hops, *report.inside]
    return inert(json.dumps(whole, indent=1, allow_nan=False) + "\n", "\\u{:04x}")


def from_json(text: str, path: str = "report") -> Report:
    """Read a report that `render` wrote.

    Parameters
    ----------
    text : str
        The JSON.
    path : str
        Its name in errors.

    Raises
    ------
    UsageError
        It is not JSON, or not a report of this version; the message says where.
    """
    try:
        whole = json.loads(text)
    except json.JSONDecodeError as error:
        place = f"{path}, line {error.lineno}, column {error.colno}"
        raise UsageError(f"{place}: not JSON ({error.msg}); give a report of --format json") from error
    except (RecursionError, ValueError) as error:
        raise UsageError(f"{path}: not a report ({error}); give a report of --format json") from error
    if not isinstance(whole, dict) or whole.get("schema") != SCHEMA:
        found = whole.get("schema") if isinstance(whole, dict) else None
        raise UsageError(f"{path}: its schema is {json.dumps(found)[:80]}; {SCHEMA!r} can be read")
    whole = {_RENAMED.get(name, name): value for name, value in whole.items()}
    try:
        _require_report(whole)
    except ShapeError as error:
        raise UsageError(f"{path}: {error}; give a report of --format json") from error
    # Names of captures contain no slash; those of places inside a node do.
    within = ["/" in hop["from"] + hop["to"] for hop in whole["hops"]]
    inside = [hop for hop, is_inside in zip(whole["hops"], within, strict=True) if is_inside]
    whole["hops"] = [hop for hop, is_inside in zip(whole["hops"], within, strict=True) if not is_inside]
    return Report(**{name: whole[name] for name in _fields() if name in whole}, inside=inside)


def _fields() -> list[str]:
    """Fields of a Report that appear in the JSON under their own name."""
    return [field.name for field in fields(Report) if field.name != "inside"]


def _require_report(whole: Mapping[str, Any]) -> None:
    types = get_type_hints(Report)
    for name in _fields():
        if name not in whole and name in _ADDED:
            continue
        if name not in whole:
            raise ShapeError(f"lacks {name!r}{slip(name, whole.keys() - types.keys())}")
        demand(whole[name], types[name], name)
    for number, finding in enumerate(whole["findings"]):
        if finding["severity"] not in SEVERITIES:
            hint = nearest(finding["severity"], SEVERITIES)
            raise ShapeError(f"findings[{number}].severity: {finding['severity'][:40]} is none{hint}")


def schema() -> dict[str, Any]:
    """Give the JSON Schema of the report."""
    text = files("vxlanalyze.report").joinpath("schema.json").read_text(encoding="utf-8")
    return cast("dict[str, Any]", json.loads(text))
