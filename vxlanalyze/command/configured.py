"""Options that a project sets in the table ``[tool.vxlanalyze]`` of its pyproject.toml.

    [tool.vxlanalyze]
    kube = "captures/cluster.json"
    port = [8473]
    fail-on = "warning"

    [tool.vxlanalyze.expect]             # or expect = "expect.toml"
    must = ["path-blocked@node1>node2"]

Only a pyproject.toml in the current directory counts. Options that write files cannot be set there: a folder
of captures may come from somebody else.
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
    """Give the options set by the current directory's project, as command line arguments.

    Parameters
    ----------
    pair : bool
        Whether one pair is compared: criteria for a pair do not apply to a matrix.

    Raises
    ------
    UsageError
        The table contains an unknown option, or a value of the wrong type.
    """
    chosen = {name: value for name, value in _table().items() if pair or name not in _OF_A_PAIR}
    return [word for name, value in chosen.items() for word in _words(name, value)]


def _table() -> Mapping[str, object]:
    """Read the project's table; empty if there is none."""
    try:
        text = Path(PROJECT).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return {}  # not related to this program
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
