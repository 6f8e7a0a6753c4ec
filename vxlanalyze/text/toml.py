"""Read a user's TOML, and this program's table in a project's file; errors name their position.

Source: TOML v1.0.0; PEP 518, "tool table".
"""

from collections.abc import Mapping
from typing import Any

from vxlanalyze.errors import UsageError

PROJECT = "pyproject.toml"
_LONGEST_LINE = 4_000  # the parser's time is quadratic in the length of dotted keys


def parse(text: str, path: str) -> Mapping[str, Any]:
    """Read TOML; `path` is its name in errors.

    Raises
    ------
    UsageError
        It is not TOML, or a line is too long to be parsed in time.
    """
    import tomllib  # imported late: the command starts without it

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
    """Give the table ``[tool.vxlanalyze]`` of a pyproject.toml; empty if there is none.

    Raises
    ------
    UsageError
        It is not TOML, or that key is not a table.
    """
    table: object = parse(text, path).get("tool", {})
    table = table.get("vxlanalyze", {}) if isinstance(table, dict) else {}
    if not isinstance(table, dict):
        raise UsageError(f'{path}: tool.vxlanalyze is to be a table, as in fail-on = "warning"')
    return table
