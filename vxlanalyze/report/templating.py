"""Shared by the HTML outputs: the template engine with escaping, and its asset files."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vxlanalyze.report import frame_classes, still_open, unassessed
from vxlanalyze.text.escaping import plain
from vxlanalyze.text.formatting import FILTERS

_LONGEST_TEXT = 4000  # characters; an explanation has a few hundred, a hostile name 65,535


@cache
def environment() -> Environment:
    """The templates of this package; every string is made plain and escaped."""
    made = Environment(
        loader=PackageLoader("vxlanalyze.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    made.filters.update(FILTERS)
    made.filters["counted"] = unassessed.counted
    made.filters["still_open"] = still_open.explanations
    made.filters["next_probe"] = still_open.next_probe
    made.filters["probe_commands"] = still_open.commands
    made.filters["probe_outcomes"] = still_open.outcomes
    made.filters["frame_classes"] = frame_classes.line
    made.filters["undecoded"] = frame_classes.undecoded
    return made


def asset(name: str) -> Markup:
    """A file of this package (style, script) to be embedded in a page verbatim."""
    loader = environment().loader
    assert loader is not None
    return Markup(loader.get_source(environment(), name)[0].strip())


def _harmless(value: Any) -> Any:
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    line = plain(value)
    return line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}…"
