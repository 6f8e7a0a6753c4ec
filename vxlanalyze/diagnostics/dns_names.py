r"""The names that DNS queries ask for, made harmless: whoever sends a query chooses its bytes.

Source: RFC 1035 sections 4.1.2 and 5.1 (unprintable octets are written as ``\DDD``).
"""

import struct

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.wire.rows import columns

_MOST_MESSAGES = 200
_LONGEST = 100


def names(comparison: Comparison, point: Point, rows: NDArray[np.int32]) -> list[str]:
    """Read the names that the first of some queries ask for, each once, in the order of the rows."""
    rows = rows[:_MOST_MESSAGES]
    if len(rows) == 0:
        return []
    source = comparison.captures[point.capture].source
    frames = source.fetch(point.index.place[rows])
    found = columns(frames, source.interfaces, ports=comparison.ports)
    asked: dict[str, None] = {}
    for start, length in zip(found["payload_start"], found["payload_captured"], strict=True):
        name = name_of(frames.data[start : start + length].tobytes()) if start >= 0 else None
        if name is not None:
            asked[name] = None
    return list(asked)


def name_of(message: bytes) -> str | None:
    """Read the name in the first question of a message; None where it is cut or broken."""
    import dpkt  # takes a tenth of a second; most captures hold no query

    try:
        question = dpkt.dns.DNS(message).qd
    except (dpkt.Error, IndexError, ValueError, struct.error):
        return None
    if not question:
        return None
    written = "".join(c if c.isprintable() and c != " " else f"\\{ord(c):03d}" for c in question[0].name)
    return written if len(written) <= _LONGEST else written[: _LONGEST - 1] + "…"
