"""The tables as Parquet files and as DataFrames.

Files are written batch by batch, so memory holds one batch however large the captures.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from vxlanalyze.errors import UsageError, writing
from vxlanalyze.export import flow_table, packets
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.text.nearest import nearest
from vxlanalyze.wire import frame_columns, table

Rewrite = Callable[[str], str]

TABLES: dict[str, Any] = {"packets": packets, "flows": flow_table}
"""Modules with the `SCHEMA` and the `batches` of a comparison's tables; single ones are its `parts`."""

# Dictionary-encoded columns with the program's words, not the captures'.
_OWN_WORDS = frozenset(
    (
        *("outcome", "reason", "tunnel", "encryption", "protocol_name"),
        *("sent_outer_checksum", "sent_inner_checksum", "received_outer_checksum", "received_inner_checksum"),
        *(
            "outer_checksum_state",
            "outer_ip_checksum_state",
            "inner_checksum_state",
            "inner_ip_checksum_state",
        ),
    )
)
_NULLABLE = {
    pa.int64(): pd.Int64Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


def write(comparison: Comparison, directory: Path, rewrite: Rewrite | None = None) -> None:
    """Write `packets.parquet`, `flows.parquet` and a `frames-NAME.parquet` for each capture.

    Parameters
    ----------
    rewrite : callable, optional
        Applied to every name and address, as for `--redact`.
    """
    frames = (
        (facts.name, table.frame_batches(facts.source, ports=comparison.ports))
        for facts in comparison.captures
    )
    write_all(
        {name: module.batches(comparison) for name, module in TABLES.items()}, frames, directory, rewrite
    )


def write_all(
    tables: Mapping[str, Iterable[Any]],
    frames: Iterable[tuple[str, Iterable[Any]]],
    directory: Path,
    rewrite: Rewrite | None = None,
) -> None:
    """Write tables from record batches, wherever they come from.

    Parameters
    ----------
    tables : mapping
        Batches of each of `TABLES`.
    frames : iterable
        Names of the captures, and batches of the table of their frames.
    """
    for name, batches in tables.items():
        _write_rewritten(directory / f"{name}.parquet", TABLES[name].SCHEMA, batches, rewrite)
    for name, batches in frames:
        own = name if rewrite is None else rewrite(name)
        _write_rewritten(directory / f"frames-{own}.parquet", frame_columns.SCHEMA, batches, rewrite)


def _write_rewritten(path: Path, schema: Any, batches: Iterable[Any], rewrite: Rewrite | None) -> None:
    rewritten = batches if rewrite is None else (_rewritten(batch, rewrite) for batch in batches)
    write_parquet(path, schema, rewritten)


def _rewritten(batch: Any, rewrite: Rewrite) -> Any:
    """Rewrite the names and addresses of a batch: each once, in the dictionaries of its columns."""
    columns = []
    for column, field in zip(batch.columns, batch.schema, strict=True):
        if pa.types.is_dictionary(field.type) and field.name not in _OWN_WORDS:
            words = [rewrite(word) for word in column.dictionary.to_pylist()]
            changed = pa.array(words, field.type.value_type)
            column = pa.DictionaryArray.from_arrays(column.indices, changed).cast(field.type)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def write_parquet(path: Path, schema: Any, batches: Iterable[Any]) -> None:
    """Write record batches to one Parquet file, compressed with zstd; raises OutputError."""
    with writing(path), pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


def to_arrow(name: str, batches: Callable[[str], Iterable[Any]]) -> Any:
    """Give a table as a pyarrow.Table.

    Parameters
    ----------
    batches : callable
        Gives the record batches of a table.

    Raises
    ------
    UsageError
        There is no such table.
    """
    if name not in TABLES:
        raise UsageError(f"{name} is not a table{nearest(name, TABLES)}")
    return pa.Table.from_batches(batches(name), schema=TABLES[name].SCHEMA).unify_dictionaries()


def packets_frame(comparison: Comparison) -> pd.DataFrame:
    """Give the table `packets` as a DataFrame: names categorical, optional numbers nullable."""
    return to_frame(packets.SCHEMA, packets.batches(comparison))


def flows_frame(comparison: Comparison) -> pd.DataFrame:
    """Give the table `flows` as a DataFrame."""
    return to_frame(flow_table.SCHEMA, flow_table.batches(comparison))


def to_frame(schema: Any, batches: Iterable[Any]) -> pd.DataFrame:
    """Combine record batches into one DataFrame."""
    whole = pa.Table.from_batches(batches, schema=schema).unify_dictionaries()
    frame: pd.DataFrame = whole.to_pandas(types_mapper=_NULLABLE.get)
    for name in frame.select_dtypes("category"):  # groupby would list unused ones
        frame[name] = frame[name].cat.remove_unused_categories()
    return frame
