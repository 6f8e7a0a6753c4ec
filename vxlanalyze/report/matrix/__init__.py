"""Which nodes of a cluster have trouble with each other: all pairs of nodes, as one matrix.

A format is one module with ``render(matrix) -> str`` and one entry in `FORMATS`, under the same name as for
the report of one pair.
"""

from collections.abc import Callable
from importlib import import_module
from typing import cast

from vxlanalyze.errors import UsageError
from vxlanalyze.report.matrix.model import Matrix

FORMATS = ("text", "json", "html", "markdown")


def require_format(name: str) -> None:
    """Check that a matrix can be written in a format.

    Raises
    ------
    UsageError
        It cannot.
    """
    if name not in FORMATS:
        raise UsageError(f"a matrix is written as {', '.join(FORMATS)}; {name} is for single comparisons")


def render(matrix: Matrix, format_: str) -> str:
    """Write a matrix in a format; never fails on its content."""
    require_format(format_)
    module = import_module(f"vxlanalyze.report.matrix.as_{format_}")
    return cast("Callable[[Matrix], str]", module.render)(matrix)
