"""Records of a report as a list that can be converted to a DataFrame."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    import pandas as pd

_Record = TypeVar("_Record")
_UNITS = ("_ns", "_ppm", "_bytes", "_ratio")
_COUNTS = ("exchanges",)  # figures without the unit of those next to them


class Records(list[_Record]):
    """A list of records, each a dictionary as in the JSON report."""

    def to_frame(self) -> "pd.DataFrame":
        """Give a row for each record.

        Nested figures become separate columns, with the unit last: ``delay_ns: {p99: ...}`` is
        `delay_p99_ns`.
        """
        import pandas as pd

        nested = {name for record in self for name, value in _items(record) if isinstance(value, Mapping)}
        rows = [
            {name: value for name, value in _items(record) if value is not None or name not in nested}
            for record in self
        ]
        frame = pd.DataFrame([dict(_flat(row)) for row in rows])
        return frame.astype({name: kind for name in frame if (kind := _kind(str(name), frame[name]))})


def _items(record: object) -> Iterable[tuple[str, Any]]:
    return cast("Mapping[str, Any]", record).items()


def _kind(name: str, values: "pd.Series[Any]") -> str | None:
    """Give the nullable type of a column of numbers; None for other columns."""
    there = [value for value in values if value is not None and value == value]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in there):
        return None
    if name.endswith("_ns"):
        return "Int64"
    if name.endswith(("_ratio", "_ppm")) or any(isinstance(value, float) for value in there):
        return "Float64"
    return "Int64" if there else None


def _flat(record: Mapping[str, Any], prefix: str = "", unit: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        ending = next((u for u in _UNITS if name.endswith(u)), "")
        stem = f"{prefix}{name.removesuffix(ending)}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{stem}_", ending or unit)
        else:
            yield f"{stem}{ending or ('' if name in _COUNTS else unit)}", value
