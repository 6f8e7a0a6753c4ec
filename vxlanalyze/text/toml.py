"""TOML that a user wrote, and this program's table in a project's file; what is wrong is said with its place.

Source: TOML v1.0.0; PEP 518, "tool table".
"""

from collections.abc import Mapping
from typing import Any

from vxlanalyze.errors import UsageError

PROJECT = "pyproject.toml"
_LONGEST_LINE = 4_000  # of dotted keys, the parser takes time by the square


def parse(text: str, path: str) -> Mapping[str, Any]:
    """Read TOML; `path` is what an error calls it.

    Raises
    ------
    UsageError
        It is no TOML, or a line is too long to be read in time.
    """
    import tomllib  # the command starts without it

    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > _LONGEST_LINE:
            raise UsageError(
                f"{path}, line {number}: {len(line):,} characters; put each entry on a line of its own"
            )
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: no TOML ({error})") from error


def project_table(text: str, path: str) -> Mapping[str, Any]:
    """Give the table ``[tool.vxlanalyze]`` of a pyproject.toml; empty where there is none.

    Raises
    ------
    UsageError
        It is no TOML, or holds something else in that place.
    """
    table: object = parse(text, path).get("tool", {})
    table = table.get("vxlanalyze", {}) if isinstance(table, dict) else {}
    if not isinstance(table, dict):
        raise UsageError(f'{path}: tool.vxlanalyze is to be a table, as in fail-on = "warning"')
    return table
