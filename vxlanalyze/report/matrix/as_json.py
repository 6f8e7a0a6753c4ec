"""The complete matrix as deterministic JSON.

Non-ASCII characters are escaped (RFC 8259 section 7), as in the report of one pair.
"""

import json
from dataclasses import fields

from vxlanalyze.report.matrix.model import Matrix
from vxlanalyze.text.escaping import inert

_FIRST = ("schema",)


def render(matrix: Matrix) -> str:
    """Write a matrix as JSON."""
    names = [*_FIRST, *(field.name for field in fields(matrix) if field.name not in _FIRST)]
    written = json.dumps({name: getattr(matrix, name) for name in names}, indent=1, allow_nan=False)
    return inert(written + "\n", "\\u{:04x}")
