"""The `frames` table: every frame's fields as an Arrow table, null where a layer is absent.

Built chunk by chunk, so a capture of any length can be written to Parquet in bounded memory.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vxlanalyze.capture.model import PLACE_FILE_SHIFT, File, Readable
from vxlanalyze.wire.addresses import mac_text, text
from vxlanalyze.wire.frame_columns import ADDRESS, ANOMALIES, CHECKSUM_NAMES, MAC, NAME, SCHEMA, TIME
from vxlanalyze.wire.model import FACTS, Anomaly, Encryption, Tunnel
from vxlanalyze.wire.rows import Columns, check_link_types, columns
from vxlanalyze.wire.tunnels import NAMES

_ENCRYPTION_NAMES = {int(kind): kind.name.lower() for kind in Encryption if kind is not Encryption.NONE}
_NAMES = {
    "tunnel": NAMES,
    "encryption": _ENCRYPTION_NAMES,
    "outer_checksum_state": CHECKSUM_NAMES,
    "outer_ip_checksum_state": CHECKSUM_NAMES,
    "inner_checksum_state": CHECKSUM_NAMES,
    "inner_ip_checksum_state": CHECKSUM_NAMES,
}
# `columns` gives these for the innermost packet even if unencapsulated; the table does not.
_ONLY_TUNNELLED = ("tcp_seq", "tcp_ack", "tcp_flags", "tcp_window", "payload_length")


def frame_batches(source: Readable, *, ports: Sequence[int] = ()) -> Iterator[pa.RecordBatch]:
    """Build the table of all frames of a capture, chunk by chunk.

    Parameters
    ----------
    source : Readable
        The capture, or a part of it.
    ports : sequence of int
        UDP ports that carry tunnels, in addition to the known ones.

    Yields
    ------
    pyarrow.RecordBatch
        The frames of one chunk, with the columns of `SCHEMA`.

    Raises
    ------
    CaptureError
        A file cannot be read, or no interface has a supported link type.
    """
    for frames in source.chunks():
        table = columns(frames, source.interfaces, ports=ports)
        table["frame"] = frames.numbers
        native = table["tunnel"] == Tunnel.NONE
        for name in _ONLY_TUNNELLED:
            table[name][native] = -1
        table["file"] = frames.place >> PLACE_FILE_SHIFT
        arrays = [_array(table, column, source.files) for column in SCHEMA]
        yield pa.record_batch(arrays, schema=SCHEMA)
    check_link_types(source)


def _array(table: Columns, column: pa.Field, files: Sequence[File]) -> pa.Array:
    """Convert one column of numbers to an Arrow array."""
    values = table[column.name]
    if column.name == "file":
        return _files(values, files)
    if column.name == "anomalies":
        return _anomalies(values)
    if column.type == ADDRESS:
        return _addresses(values, _family(table, column.name))
    if column.type == MAC:
        return _macs(values)
    if column.type == NAME:
        return _names(values, _NAMES[column.name])
    if column.type == TIME:
        return pa.array(values, pa.int64()).cast(TIME)
    if column.type == pa.bool_():
        return pa.array(values > 0, pa.bool_(), mask=values < 0)
    return pa.array(values.astype(column.type.to_pandas_dtype()), column.type, mask=values < 0)


def _family(table: Columns, name: str) -> NDArray[np.int64]:
    """Give the version of each address in a column, 0 where there is none."""
    if name.startswith("arp_"):
        return np.where(table["arp_operation"] >= 0, 4, 0)
    if name == "nd_target":
        return np.where(table[name].any(axis=1), 6, 0)
    family: NDArray[np.int64] = table[name.removesuffix("src").removesuffix("dst") + "family"]
    return family


def _addresses(values: NDArray[np.uint8], family: NDArray[np.int64]) -> pa.Array:
    """Format each address once and refer to it."""
    there = family > 0
    keys = np.concatenate((family[:, np.newaxis].astype(np.uint8), values), axis=1)
    rows = np.ascontiguousarray(keys).view(np.dtype((np.void, keys.shape[1]))).ravel()
    distinct, index = np.unique(rows[there], return_inverse=True)
    octets = distinct.view(np.uint8).reshape(len(distinct), keys.shape[1])
    return _dictionary(index, there, text(octets[:, 1:], octets[:, 0]), ADDRESS)


def _macs(values: NDArray[np.int64]) -> pa.Array:
    there = values >= 0
    distinct, index = np.unique(values[there], return_inverse=True)
    return _dictionary(index, there, [mac_text(int(mac)) for mac in distinct], MAC)


def _files(values: NDArray[np.int64], files: Sequence[File]) -> pa.Array:
    """Store the path of each file once; octets that are not text are escaped."""
    words = [file.path.encode(errors="backslashreplace").decode() for file in files]
    return pa.DictionaryArray.from_arrays(pa.array(values, pa.int32()), pa.array(words, pa.string()))


def _names(values: NDArray[np.int64], names: dict[int, str]) -> pa.Array:
    """Name numbers; those without a name are null."""
    words = sorted(set(names.values()))
    index = np.full(max(names) + 1, -1)
    for number, name in names.items():
        index[number] = words.index(name)
    chosen = index[values]
    return _dictionary(chosen[chosen >= 0], chosen >= 0, words, NAME)


def _dictionary(
    index: NDArray[np.intp], there: NDArray[np.bool_], words: list[str], kind: pa.DictionaryType
) -> pa.Array:
    """Build a dictionary-encoded array from the entries of the rows that have one."""
    places = np.zeros(len(there), kind.index_type.to_pandas_dtype())
    places[there] = index
    return pa.DictionaryArray.from_arrays(
        pa.array(places, kind.index_type, mask=~there), pa.array(words, kind.value_type)
    )


def _anomalies(values: NDArray[np.int64]) -> pa.Array:
    """List the names of the bits; most rows have none, and equal rows share the work."""
    distinct, index = np.unique(values & ~int(FACTS), return_inverse=True)
    lists = [[kind.name.lower() for kind in Anomaly if kind & int(bits) and kind.name] for bits in distinct]
    return pa.array(lists, ANOMALIES).take(pa.array(index))
