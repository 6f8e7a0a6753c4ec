"""Compact long tables: a column is one string, so 100,000 rows fit into a report.

Numbers are comma-separated, null is empty; each string is stored once, and columns refer to it by index.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from vxlanalyze.report.series.model import Packed

TEXTS = ("direction", "protocol", "src", "dst", "service", "flags", "client", "server")
"""Columns that hold strings."""

_NUMBERS = re.compile(r"(?:-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)?(?:,(?:-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)?)*")


def pack(columns: Mapping[str, Sequence[Any]]) -> Packed:
    """Pack columns of the same length; those in `TEXTS` hold str or None, the others int, float or None."""
    places: dict[str, int] = {}
    packed = {
        name: ",".join(_places(values, places) if name in TEXTS else map(_number, values))
        for name, values in columns.items()
    }
    rows = len(next(iter(columns.values()), ()))
    return {"rows": rows, "texts": list(places), "columns": packed}


def _places(values: Iterable[str | None], places: dict[str, int]) -> Iterator[str]:
    return ("" if value is None else str(places.setdefault(value, len(places))) for value in values)


def _number(value: float | None) -> str:
    return "" if value is None else repr(value)


def unpack(packed: Packed, most: int | None = None) -> list[dict[str, Any]]:
    """Give the first rows as dicts; an invalid string reference becomes null."""
    if not packed["rows"]:
        return []
    columns = {name: list(_values(name, packed, most)) for name in packed["columns"]}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _values(name: str, packed: Packed, most: int | None) -> Iterator[Any]:
    texts = packed["texts"]
    for cell in islice(packed["columns"][name].split(","), most):
        value: Any = None if cell == "" else float(cell) if "." in cell or "e" in cell else int(cell)
        if name in TEXTS and value is not None:
            value = texts[value] if isinstance(value, int) and 0 <= value < len(texts) else None
        yield value


def is_sound(packed: Packed) -> bool:
    """Whether columns have the stated length and only contain numbers, as the table may come from a file."""
    commas = max(packed["rows"] - 1, 0)
    return all(
        column.count(",") == commas and _NUMBERS.fullmatch(column) for column in packed["columns"].values()
    )
