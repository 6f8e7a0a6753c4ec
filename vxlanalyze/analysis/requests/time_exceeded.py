"""ICMP and ICMPv6 "time exceeded", which quotes the packet that expired: in transit, or in reassembly.

Errors outside of the tunnel quote outer packets, errors inside it quote packets of pods.

Sources: RFC 792 (type 11: code 0 in transit, 1 fragment reassembly), RFC 4443 section 3.3 (type 3), RFC 1122
section 3.3.2 (reassembly time-out: the error is sent only where fragment zero has arrived, and quotes it).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.pairing.rows import rows_of
from vxlanalyze.pairing.sorting import present
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import Flows, Tunnel
from vxlanalyze.wire.protocols import ICMP, ICMPV6
from vxlanalyze.wire.rows import columns

Kind = tuple[int, int]  # protocol, and type << 8 | code
IN_TRANSIT: tuple[Kind, ...] = ((ICMP, 11 << 8), (ICMPV6, 3 << 8))
REASSEMBLY: tuple[Kind, ...] = ((ICMP, 11 << 8 | 1), (ICMPV6, 3 << 8 | 1))
_MOST_ERRORS = 2000  # read per capture; more of the same add nothing new
_ANY_ID = -1


class Quotes(NamedTuple):
    """Errors inside the tunnel in a capture, and the packets that they quote; shape ``(e,)``.

    `senders` are the addresses that sent the errors; `ip_id` is -1 where the quoted packet has none.
    """

    point: Point
    row: NDArray[np.int32]
    family: NDArray[np.int64]
    src: NDArray[np.uint8]
    dst: NDArray[np.uint8]
    protocol: NDArray[np.int64]
    ip_id: NDArray[np.int64]
    senders: tuple[str, ...]

    def only(self, which: NDArray[np.bool_]) -> "Quotes":
        """Choose some of them."""
        rows = self.row[which]
        return Quotes(
            self.point, rows, self.family[which], self.src[which], self.dst[which], self.protocol[which],
            self.ip_id[which], tuple(senders_of(self.point, rows)),
        )  # fmt: skip


def inside(pair: Comparison, direction: Direction, kinds: tuple[Kind, ...]) -> list[Quotes]:
    """Read the errors inside the tunnel that quote packets of a direction, at each of its points."""
    points = {p.capture: p for p in (direction.sender, direction.receiver) if p.encapsulated}
    found = [_at(pair, point, direction, kinds) for point in points.values()]
    return [quotes for quotes in found if len(quotes.row)]


def senders_of(point: Point, rows: NDArray[np.int32]) -> list[str]:
    """Addresses that sent some errors, each once."""
    flows, flow = point.flows, np.unique(point.index.flow[rows])
    return list(dict.fromkeys(text(flows.src[flow], flows.family[flow])))


def quoted(direction: Direction, quotes: Quotes) -> NDArray[np.bool_]:
    """Mark the packets of a direction that errors quote, all fragments of them, shape ``(m,)``."""
    flows = direction.sender.flows
    ends = _keys(flows.family, flows.src, flows.dst, flows.protocol)
    known = quotes.ip_id >= 0
    keys = _keys(quotes.family, quotes.src, quotes.dst, quotes.protocol)
    near = np.isin(ends, keys)[direction.flow]
    result = np.zeros(len(direction), np.bool_)
    chosen = np.flatnonzero(near)
    if not len(chosen):
        return result
    ids = direction.ip_id[chosen].astype(np.int64)
    mine = ends[direction.flow[chosen]]
    by_id = np.isin(_with_id(mine, ids), _with_id(keys[known], quotes.ip_id[known] & 0xFFFF))
    result[chosen] = by_id | np.isin(mine, keys[~known])
    return result


def ends_of(flows: Flows) -> NDArray[np.void]:
    """Family, addresses and protocol of each flow as one key, shape ``(f,)``."""
    return _keys(flows.family, flows.src, flows.dst, flows.protocol)


def quoted_ends(pair: Comparison, point: Point, kinds: tuple[Kind, ...]) -> NDArray[np.void]:
    """Keys, as of `ends_of`, of the packets that errors inside the tunnel quote in a capture."""
    every = _read(pair, point, kinds)
    return np.unique(_keys(every.family, every.src, every.dst, every.protocol))


def ttl_of(
    pair: Comparison, point: Point, rows: NDArray[np.integer], column: str = "ttl"
) -> NDArray[np.int64]:
    """Read the TTL (hop limit) of some rows of a point, negative where there is none."""
    source = pair.captures[point.capture].source
    frames = source.fetch(point.index.place[rows])
    return columns(frames, source.interfaces, ports=pair.ports)[column]


def _at(pair: Comparison, point: Point, direction: Direction, kinds: tuple[Kind, ...]) -> Quotes:
    every = _read(pair, point, kinds)
    if not len(every.row):
        return every
    ends = ends_of(direction.sender.flows)[present(direction.flow)]
    return every.only(np.isin(_keys(every.family, every.src, every.dst, every.protocol), ends))


def _read(pair: Comparison, point: Point, kinds: tuple[Kind, ...]) -> Quotes:
    flows, index = point.flows, point.index
    wanted = np.zeros(len(flows), np.bool_)
    for protocol, icmp_type in kinds:
        wanted |= (flows.protocol == protocol) & (flows.sport == icmp_type) & (flows.tunnel != Tunnel.NONE)
    rows = rows_of(index.flow, wanted & point.decoded.usage.used)[:_MOST_ERRORS]
    if not len(rows):
        none = np.empty(0, np.int64)
        octets = np.empty((0, 16), np.uint8)
        return Quotes(point, rows, none, octets, octets, none, none, ())
    source = pair.captures[point.capture].source
    found = columns(source.fetch(index.place[rows]), source.interfaces, ports=pair.ports)
    return Quotes(
        point,
        rows,
        found["quoted_family"],
        found["quoted_src"],
        found["quoted_dst"],
        found["quoted_protocol"],
        np.where(found["quoted_family"] == 4, found["quoted_ip_id"], _ANY_ID),
        (),
    )


def _keys(
    family: NDArray[np.integer], src: NDArray[np.uint8], dst: NDArray[np.uint8], protocol: NDArray[np.integer]
) -> NDArray[np.void]:
    rows = np.column_stack([family & 0xFF, src, dst, protocol & 0xFF]).astype(np.uint8)
    return np.ascontiguousarray(rows).view(np.dtype((np.void, rows.shape[1]))).ravel()


def _with_id(keys: NDArray[np.void], ids: NDArray[np.int64]) -> NDArray[np.void]:
    if not len(keys):
        return np.empty(0, np.dtype((np.void, 36)))
    octets = ids.astype(">u2").view(np.uint8).reshape(-1, 2)
    rows = np.ascontiguousarray(np.column_stack([keys.view(np.uint8).reshape(len(keys), -1), octets]))
    return rows.view(np.dtype((np.void, rows.shape[1]))).ravel()
