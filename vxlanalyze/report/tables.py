"""The tables as Parquet files and as DataFrames.

Files are written batch by batch, so that memory holds one batch whatever the captures hold.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from vxlanalyze.pairing.model import Comparison
from vxlanalyze.report import flow_table, packets
from vxlanalyze.wire import table

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


def write(comparison: Comparison, directory: Path) -> None:
    """Write `packets.parquet`, `flows.parquet` and a `frames-NAME.parquet` for each capture."""
    write_parquet(directory / "packets.parquet", packets.SCHEMA, packets.batches(comparison))
    write_parquet(directory / "flows.parquet", flow_table.SCHEMA, flow_table.batches(comparison))
    for facts in comparison.captures:
        frames = table.frame_batches(facts.source, ports=comparison.ports)
        write_parquet(directory / f"frames-{facts.name}.parquet", table.SCHEMA, frames)


def write_parquet(path: Path, schema: Any, batches: Iterable[Any]) -> None:
    """Write record batches to one Parquet file, compressed with zstd."""
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


def packets_frame(comparison: Comparison) -> pd.DataFrame:
    """Give the table `packets` as a DataFrame: names categorical, numbers that may be missing nullable."""
    return to_frame(packets.SCHEMA, packets.batches(comparison))


def flows_frame(comparison: Comparison) -> pd.DataFrame:
    """Give the table `flows` as a DataFrame."""
    return to_frame(flow_table.SCHEMA, flow_table.batches(comparison))


def to_frame(schema: Any, batches: Iterable[Any]) -> pd.DataFrame:
    """Put record batches into one DataFrame."""
    whole = pa.Table.from_batches(batches, schema=schema).unify_dictionaries()
    frame: pd.DataFrame = whole.to_pandas(types_mapper=_NULLABLE.get)
    return frame
