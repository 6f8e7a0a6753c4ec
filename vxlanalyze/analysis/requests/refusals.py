"""ICMP errors that come back through the tunnel and refuse requests.

An error names the packet it refuses by quoting its beginning, so the packet's 5-tuple is certain.

Sources: RFC 792 and RFC 1812 section 5.2.7.1 (codes of destination unreachable), RFC 4443 section 3.1,
RFC 1122 section 3.2.2 (what is quoted).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import Comparison, Point
from vxlanalyze.pairing.numbered import NO_TUPLE
from vxlanalyze.wire.model import NO_FLOW, Anomaly, Flows
from vxlanalyze.wire.numbers import ECHO_REQUEST, ECHO_REQUEST_V6
from vxlanalyze.wire.protocols import ICMP, ICMPV6
from vxlanalyze.wire.rows import Columns, columns

_UNREACHABLE, _UNREACHABLE_V6 = 3, 1
_NO_PORT = 0xFFFF  # what an absent port becomes in 16 bits
_MOST_ERRORS = 2000  # read per point; more of the same add nothing new

# What an error says, by family and code; other codes are about the path, not the endpoint.
MEANING = {
    (4, 0): "no route to its network",
    (4, 1): "no such host",
    (4, 2): "protocol unreachable",
    (4, 3): "port unreachable",
    (4, 9): "administratively prohibited",
    (4, 10): "administratively prohibited",
    (4, 13): "administratively prohibited",
    (6, 0): "no route to it",
    (6, 1): "administratively prohibited",
    (6, 3): "no such host",
    (6, 4): "port unreachable",
    (6, 5): "refused by a policy for sources",
    (6, 6): "route that rejects",
}


@dataclass(frozen=True, eq=False)
class Refusals:
    """The `e` errors that a point saw, shape ``(e,)``.

    Parameters
    ----------
    row : NDArray[np.int32]
        Index row of the error.
    tuple_of : NDArray[np.int32]
        The 5-tuple that it quotes: the client's.
    code : NDArray[np.uint8]
        Key of `MEANING` together with its `family`.
    by_server : NDArray[np.bool_]
        Whether the server itself sent it, rather than a device on the path.
    """

    row: NDArray[np.int32]
    tuple_of: NDArray[np.int32]
    family: NDArray[np.uint8]
    code: NDArray[np.uint8]
    by_server: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.row)


class _FiveTuples(NamedTuple):
    """Inner 5-tuples in columns, shape ``(k,)``; addresses ``(k, 16)``."""

    family: NDArray[Any]
    src: NDArray[Any]
    dst: NDArray[Any]
    protocol: NDArray[Any]
    sport: NDArray[Any]
    dport: NDArray[Any]

    def packed(self) -> NDArray[np.uint8]:
        """Give each as the octets of a row."""
        ports = np.column_stack([self.sport, self.dport]).astype(">u2").view(np.uint8).reshape(-1, 4)
        return np.column_stack([self.family, self.src, self.dst, self.protocol, ports]).astype(np.uint8)


def find(comparison: Comparison, point: Point, tuple_of: NDArray[np.int32]) -> Refusals:
    """Read the errors of a point; `tuple_of`, shape ``(f,)``, numbers the flows of its capture."""
    rows = _errors(point)
    if len(rows) == 0:
        none = np.empty(0, np.int32)
        return Refusals(none, none, none.astype(np.uint8), none.astype(np.uint8), none.astype(np.bool_))
    source = comparison.captures[point.capture].source
    found = columns(source.fetch(point.index.place[rows]), source.interfaces, ports=comparison.ports)
    quoted = _number_of(found, point.flows, tuple_of)
    known = quoted != NO_TUPLE
    flow = point.index.flow[rows]
    by_server = (point.flows.src[flow] == found["quoted_dst"]).all(axis=1)
    return Refusals(
        rows[known].astype(np.int32),
        quoted[known],
        point.flows.family[flow][known],
        (point.flows.sport[flow] & 0xFF).astype(np.uint8)[known],
        by_server[known],
    )


def _errors(point: Point) -> NDArray[np.int64]:
    """The first rows of a point with permanent "unreachable" errors."""
    flows, index = point.flows, point.index
    kind, code = flows.sport >> 8, flows.sport & 0xFF
    refuses = np.zeros(len(flows), np.bool_)
    for family, protocol, unreachable in ((4, ICMP, _UNREACHABLE), (6, ICMPV6, _UNREACHABLE_V6)):
        codes = [c for f, c in MEANING if f == family]
        refuses |= (flows.protocol == protocol) & (kind == unreachable) & np.isin(code, codes)
    refuses &= point.own_flows
    if not (refuses & point.decoded.usage.used).any():
        return np.empty(0, np.int64)
    rows = np.arange(len(index)) if point.rows is None else point.rows.astype(np.int64)
    rows = rows[(index.flow[rows] != NO_FLOW) & (index.anomalies[rows] & Anomaly.ICMP_ERROR.value != 0)]
    chosen: NDArray[np.int64] = rows[refuses[index.flow[rows]]]
    return chosen[:_MOST_ERRORS]


def _number_of(found: Columns, flows: Flows, tuple_of: NDArray[np.int32]) -> NDArray[np.int32]:
    """Number of the quoted 5-tuples among those of the capture's flows; NO_TUPLE where none matches."""
    quoted = _FiveTuples._make(found[f"quoted_{name}"] for name in _FiveTuples._fields).packed()
    # Echoes have no ports, and their identifier is not known.
    echo = (flows.protocol == ICMP) & (flows.sport == ECHO_REQUEST)
    echo |= (flows.protocol == ICMPV6) & (flows.sport == ECHO_REQUEST_V6)
    sport, dport = np.where(echo, _NO_PORT, flows.sport), np.where(echo, _NO_PORT, flows.dport)
    own = _FiveTuples(flows.family, flows.src, flows.dst, flows.protocol, sport, dport).packed()
    near = np.flatnonzero(np.isin(dport, found["quoted_dport"] & _NO_PORT))
    number = {own[flow].tobytes(): int(tuple_of[flow]) for flow in near}
    return np.array([number.get(row.tobytes(), NO_TUPLE) for row in quoted], np.int32)
