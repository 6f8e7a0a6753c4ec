"""ICMP errors outside of any tunnel that quote its outer packets: what the underlay says about them.

Outer packets are those of tunnels, with or without ports, and encrypted ones (ESP, WireGuard).

Sources: RFC 792, RFC 1812 sections 5.2.7.1 and 5.2.7.2 (codes of destination unreachable, redirect), RFC 4443
section 3.1; RFC 1122 section 3.2.2 (what is quoted).
"""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.requests.time_exceeded import Kind
from vxlanalyze.analysis.underlay.tunnel_ends import packets_of
from vxlanalyze.pairing.model import NO_ROW, Comparison, Direction, Point
from vxlanalyze.wire.model import Tunnel
from vxlanalyze.wire.protocols import ICMP, ICMPV6, UDP
from vxlanalyze.wire.rows import columns

_MOST_ERRORS = 20_000  # read per point: a fraction of a second


PORT_UNREACHABLE: tuple[Kind, ...] = ((ICMP, 3 << 8 | 3), (ICMPV6, 1 << 8 | 4))
NO_SUCH_HOST: tuple[Kind, ...] = (
    (ICMP, 3 << 8 | 0),
    (ICMP, 3 << 8 | 1),
    (ICMPV6, 1 << 8 | 0),
    (ICMPV6, 1 << 8 | 3),
)
TOO_BIG: tuple[Kind, ...] = ((ICMP, 3 << 8 | 4), (ICMPV6, 2 << 8))
PROHIBITED: tuple[Kind, ...] = (
    (ICMP, 3 << 8 | 9),
    (ICMP, 3 << 8 | 10),
    (ICMP, 3 << 8 | 13),
    (ICMPV6, 1 << 8 | 1),
    (ICMPV6, 1 << 8 | 5),
)


class Errors(NamedTuple):
    """The `e` errors that a point saw about outer packets of a direction.

    `port` is the destination port of the packet quoted; `by_target` says whether the error came from the
    address that it was sent to; `mtu` is the MTU of the next hop in bytes (RFC 1191 section 4, RFC 4443
    section 3.2), 0 or less where unknown. All have shape ``(e,)``, as `row`, index rows of the
    errors.
    """

    point: Point
    row: NDArray[np.int32]
    port: NDArray[np.int64]
    by_target: NDArray[np.bool_]
    mtu: NDArray[np.int64]


def about(pair: Comparison, direction: Direction, kinds: Collection[Kind]) -> list[Errors]:
    """Read the errors of some kinds about a direction's packets, at each of its points that saw any."""
    # A single capture is both points: it is read once.
    points = {p.capture: p for p in (direction.sender, direction.receiver)}
    found = [_at(pair, point, direction, kinds) for point in points.values()]
    return [errors for errors in found if len(errors.row)]


def _at(pair: Comparison, point: Point, direction: Direction, kinds: Collection[Kind]) -> Errors:
    flows, index = point.flows, point.index
    wanted = np.zeros(len(flows) + 1, np.bool_)  # one more: NO_FLOW is the last
    for protocol, icmp_type in kinds:
        wanted[:-1] |= (
            (flows.protocol == protocol) & (flows.sport == icmp_type) & (flows.tunnel == Tunnel.NONE)
        )
    if not (wanted[:-1] & point.decoded.usage.used).any():
        return _none(point)
    headers = _outer_headers(point, direction)
    rows = np.flatnonzero(wanted[index.flow])[:_MOST_ERRORS].astype(np.int32)
    if len(rows) == 0 or len(headers) == 0:
        return _none(point)
    source = pair.captures[point.capture].source
    found = columns(source.fetch(index.place[rows]), source.interfaces, ports=pair.ports)
    of = found["quoted_protocol"]
    ports = np.where(of == UDP, found["quoted_dport"], 0)
    quoted = _key(found["quoted_family"], found["quoted_src"], found["quoted_dst"], of, ports)
    meant = (found["quoted_family"] > 0) & np.isin(quoted, headers)
    by_target = (flows.src[index.flow[rows]] == found["quoted_dst"]).all(axis=1)
    return Errors(point, rows[meant], ports[meant], by_target[meant], found["icmp_mtu"][meant])


def _none(point: Point) -> Errors:
    numbers = np.empty(0, np.int64)
    return Errors(point, np.empty(0, np.int32), numbers, np.empty(0, np.bool_), numbers)


def _outer_headers(point: Point, direction: Direction) -> NDArray[np.void]:
    """Outer addresses, protocol and destination port of a direction's packets, as a point saw them."""
    rows = direction.sent_row if point.capture == direction.sender.capture else direction.received_row
    flows = point.flows
    used = packets_of(point, rows[rows != NO_ROW]) > 0
    tunnelled, encrypted = used & (flows.outer_family > 0), used & (flows.encryption > 0)
    outer = np.where(flows.outer_protocol == UDP, flows.outer_dport, 0)
    own = np.where(flows.protocol == UDP, flows.dport, 0)
    headers = (
        _key(flows.outer_family, flows.outer_src, flows.outer_dst, flows.outer_protocol, outer)[tunnelled],
        _key(flows.family, flows.src, flows.dst, flows.protocol, own)[encrypted & (flows.outer_family == 0)],
    )
    return np.unique(np.concatenate(headers))


def _key(
    family: NDArray[np.integer],
    src: NDArray[np.uint8],
    dst: NDArray[np.uint8],
    protocol: NDArray[np.integer],
    port: NDArray[np.integer],
) -> NDArray[np.void]:
    octets = (port & 0xFFFF).astype(">u2").view(np.uint8).reshape(-1, 2)
    numbers = family.astype(np.uint8), src, dst, (protocol & 0xFF).astype(np.uint8)
    rows = np.ascontiguousarray(np.column_stack([*numbers, octets]).astype(np.uint8))
    return rows.view(np.dtype((np.void, rows.shape[1]))).ravel()
