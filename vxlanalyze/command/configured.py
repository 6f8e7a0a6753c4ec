"""Options that a project sets for itself, in the table ``[tool.vxlanalyze]`` of its pyproject.toml.

    [tool.vxlanalyze]
    kube = "captures/cluster.json"
    port = [8473]
    fail-on = "warning"

    [tool.vxlanalyze.expect]             # or expect = "expect.toml"
    must = ["path-blocked@node1>node2"]

Only a pyproject.toml of the current directory counts. What writes files cannot be set there: a folder of
captures may be somebody else's.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from vxlanalyze.errors import UsageError
from vxlanalyze.text.nearest import nearest
from vxlanalyze.text.toml import PROJECT, project_table

_VALUES = (
    "kube", "facts", "port", "since", "until", "only", "select", "ignore", "format", "fail-on", "baseline",
    "expect", "fail-on-unassessed", "jobs", "memory", "color",
)  # fmt: skip
_FLAGS = ("redact", "verbose", "quiet")
_OF_A_PAIR = ("expect", "baseline")


def arguments(*, pair: bool) -> list[str]:
    """Give the options that the current directory's project sets, as words of a command line.

    Parameters
    ----------
    pair : bool
        Whether one pair is compared: what judges a pair says nothing of a matrix.

    Raises
    ------
    UsageError
        The table holds what is no option, or a value of the wrong type.
    """
    chosen = {name: value for name, value in _table().items() if pair or name not in _OF_A_PAIR}
    return [word for name, value in chosen.items() for word in _words(name, value)]


def _table() -> Mapping[str, object]:
    """Read the project's table; empty where there is none."""
    try:
        text = Path(PROJECT).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return {}  # no business of this program
    if "tool.vxlanalyze" not in text:
        return {}
    return project_table(text, PROJECT)


def _words(name: str, value: object) -> Iterator[str]:
    if name == "expect" and isinstance(value, dict):
        yield from ("--expect", PROJECT)
    elif name in _FLAGS:
        if not isinstance(value, bool):
            raise UsageError(f"{PROJECT}: tool.vxlanalyze.{name} is to be true or false")
        yield from (f"--{name}",) if value else ()
    elif name in _VALUES:
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, bool) or not isinstance(each, str | int):
                raise UsageError(f"{PROJECT}: tool.vxlanalyze.{name} is to be a string, a number or a list")
            yield f"--{name}={each}"
    else:
        known = (*_VALUES, *_FLAGS)
        raise UsageError(f"{PROJECT}: tool.vxlanalyze: {name} cannot be set there{nearest(name, known)}")
