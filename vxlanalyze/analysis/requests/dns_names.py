r"""The names in DNS queries, sanitised, since the sender of a query chooses its bytes.

Source: RFC 1035 sections 2.3.4, 4.1 and 5.1 (unprintable octets are written as ``\DDD``).
"""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.wire.rows import columns

_MOST_MESSAGES = 200
_LONGEST = 100
_HEADER_BYTES = 12
_TYPES = {
    1: "A",
    2: "NS",
    5: "CNAME",
    6: "SOA",
    12: "PTR",
    15: "MX",
    16: "TXT",
    28: "AAAA",
    33: "SRV",
    65: "HTTPS",
}
_LONGEST_LABEL_BYTES, _LONGEST_NAME_BYTES = 63, 255


def names(comparison: Comparison, point: Point, rows: NDArray[np.int32]) -> list[str]:
    """Read the names in the first of some queries, each once, in the order of the rows."""
    found = (name_of(message) for message in _messages(comparison, point, rows))
    return list(dict.fromkeys(name for name in found if name is not None))


def names_of(comparison: Comparison, some: Iterable[Requests]) -> list[str]:
    """Read the names in the first of some queries of several clients or servers, each once."""
    found = (name for r in some for name in names(comparison, r.point, r.first_row))
    return list(dict.fromkeys(found))


def types(comparison: Comparison, point: Point, rows: NDArray[np.int32]) -> dict[str, int]:
    """Count the types in the first of some queries (A, AAAA, ...)."""
    found = [type_of(message) for message in _messages(comparison, point, rows)]
    return {kind: found.count(kind) for kind in sorted({f for f in found if f is not None})}


def questions(
    comparison: Comparison, point: Point, rows: NDArray[np.int32]
) -> list[tuple[str | None, str] | None]:
    """Read name and type of each query; the name is None if it is not text, the entry if it is cut."""
    messages = _payloads(comparison, point, rows)
    types_ = (type_of(message) for message in messages)
    return [None if t is None else (name_of(m), t) for m, t in zip(messages, types_, strict=True)]


def _messages(comparison: Comparison, point: Point, rows: NDArray[np.int32]) -> Iterator[bytes]:
    """Read the first of some messages, without those that were cut off before they begin."""
    return filter(None, _payloads(comparison, point, rows[:_MOST_MESSAGES]))


def _payloads(comparison: Comparison, point: Point, rows: NDArray[np.int32]) -> list[bytes]:
    """Read the transport payload of each row; empty where it was cut off."""
    if len(rows) == 0:
        return []
    source = comparison.captures[point.capture].source
    frames = source.fetch(point.index.place[rows])
    found = columns(frames, source.interfaces, ports=comparison.ports)
    ends = zip(found["payload_start"].tolist(), found["payload_captured"].tolist(), strict=True)
    return [frames.data[start : start + length].tobytes() if start >= 0 else b"" for start, length in ends]


def type_of(message: bytes) -> str | None:
    """Read the type of the first question of a message; None where it is cut or malformed."""
    at = _HEADER_BYTES
    while at < len(message) and 0 < message[at] <= _LONGEST_LABEL_BYTES:
        at += 1 + message[at]
    if int.from_bytes(message[4:6]) == 0 or message[at : at + 1] != b"\0" or at + 3 > len(message):
        return None
    number = int.from_bytes(message[at + 1 : at + 3])
    return _TYPES.get(number, f"type {number}")


def name_of(message: bytes) -> str | None:
    """Read the name in the first question of a message; None where it is cut or malformed.

    No earlier name exists that it could point to, so it consists of labels only.
    """
    questions, at = int.from_bytes(message[4:6]), _HEADER_BYTES
    labels = []
    while at < len(message) and 0 < message[at] <= _LONGEST_LABEL_BYTES:
        labels.append(message[at + 1 : at + 1 + message[at]])
        at += 1 + message[at]
    if questions == 0 or message[at : at + 1] != b"\0" or at + 1 - _HEADER_BYTES > _LONGEST_NAME_BYTES:
        return None
    try:
        name = b".".join(labels).decode()
    except UnicodeDecodeError:
        return None
    written = "".join(c if c.isprintable() and c != " " else f"\\{ord(c):03d}" for c in name)
    return written if len(written) <= _LONGEST else written[: _LONGEST - 1] + "…"
