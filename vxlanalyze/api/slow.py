"""The division of connections as a DataFrame."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vxlanalyze.report.model import ConnectionRecord

if TYPE_CHECKING:
    import pandas as pd

_NESTED = ("waited_ns", "rtt_ns", "think_ns", "window_bytes")
_COLUMNS = ("client", "server", "service", "limit", "gain_ns", "active_ns", "idle_ns")


def slow_frame(records: Sequence[ConnectionRecord]) -> "pd.DataFrame":
    """Build one row per connection; nested values become columns such as ``waited_server_ns``."""
    import pandas as pd

    rows = [_flat(record) for record in records]
    return pd.DataFrame(rows, columns=None if rows else list(_COLUMNS))


def _flat(record: ConnectionRecord) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, value in record.items():
        if name in _NESTED and isinstance(value, dict):
            stem, _, unit = name.rpartition("_")
            row |= {f"{stem}_{key}_{unit}": each for key, each in value.items()}
        else:
            row[name] = value
    return row
