"""Which flows are DNS: those from or to its ports, unless a client merely uses such a port as its source.

Source: RFC 1035 section 4.1.1 (the QR bit distinguishes queries from responses).
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.model import Point
from vxlanalyze.pairing.tuples import among
from vxlanalyze.wire.model import Flows
from vxlanalyze.wire.numbers import DNS_PORTS, DNS_RESPONSE
from vxlanalyze.wire.protocols import UDP


def of(point: Point) -> NDArray[np.bool_]:
    """Mark the flows of DNS messages in a point's capture, shape ``(f,)``."""
    flows = point.flows
    udp = (flows.protocol == UDP) & (flows.encryption == 0)
    from_port, to_port = np.isin(flows.sport, DNS_PORTS), np.isin(flows.dport, DNS_PORTS)
    dns: NDArray[np.bool_] = udp & (from_port | to_port)
    other = _of_clients(point, udp & from_port & ~to_port)
    if other.any():
        dns &= ~(other | among(_ends(flows, reverse=True), _ends(flows)[other]))
    return dns


def _of_clients(point: Point, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark flows from a DNS port to another port whose first message is no response, shape ``(f,)``."""
    usage = point.decoded.usage
    result = chosen & usage.used
    if result.any():
        first = point.index.seq[usage.first_row[result]]  # 0 where the snap length left nothing of it
        result[result] = (first != 0) & (first & DNS_RESPONSE == 0)
    return result


def _ends(flows: Flows, *, reverse: bool = False) -> NDArray[np.uint8]:
    """Addresses and ports of each flow as bytes, shape ``(f, 37)``."""
    ends = [(flows.src, flows.sport), (flows.dst, flows.dport)]
    (src, sport), (dst, dport) = ends[::-1] if reverse else ends
    ports = np.column_stack([sport, dport]).astype(">u2").view(np.uint8).reshape(-1, 4)
    return np.column_stack([flows.family, src, dst, ports]).astype(np.uint8)
