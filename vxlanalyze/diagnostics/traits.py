"""What packets of a direction have in common, so that it can be asked whether loss follows it.

A trait sorts the flows of a direction into classes: by inner protocol, service, port, address, outer source
port or tunnel endpoint. Each packet belongs to the class of its flow.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.wire.model import Flows

ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
_ICMP_TYPE_SHIFT = 8


class Trait(Enum):
    """By what flows are sorted; the value says it in words."""

    PROTOCOL = "inner protocol"
    SERVICE = "service"  # server address, protocol, server port
    PORT = "port"  # protocol and server port, at any address
    DESTINATION = "inner destination"
    SOURCE = "inner source"
    OUTER_PORT = "outer source port"
    TUNNEL_ENDPOINT = "tunnel endpoint"  # outer destination address and port


@dataclass(frozen=True, slots=True)
class Classes:
    """The flows of a direction sorted by one trait.

    Parameters
    ----------
    of_flow : NDArray[np.intp]
        Class of each flow, shape ``(f,)``; -1 for flows that the direction has not.
    example : NDArray[np.intp]
        One flow of each class, shape ``(k,)``.
    """

    trait: Trait
    of_flow: NDArray[np.intp]
    example: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.example)


def classes(flows: Flows, active: NDArray[np.intp]) -> dict[Trait, Classes]:
    """Sort the active flows (rows of `flows`) by every trait."""
    return {trait: _sorted(trait, _key(trait, flows, active), len(flows), active) for trait in Trait}


def serves_at_source(flows: Flows, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Whether a flow comes from the server, shape of `rows`: the smaller port serves.

    Ports that systems give to clients start at 32768 (Linux) or 49152 (RFC 6335 section 6).
    """
    ports = np.isin(flows.protocol[rows], (TCP, UDP))
    smaller: NDArray[np.bool_] = flows.sport[rows] < flows.dport[rows]
    return ports & smaller


def server_port(flows: Flows, rows: NDArray[np.intp]) -> NDArray[np.uint16]:
    """Port of the serving side, shape of `rows`; for ICMP the message type, else 0."""
    at_source = serves_at_source(flows, rows)
    icmp = np.isin(flows.protocol[rows], (ICMP, ICMPV6))
    port = np.where(at_source, flows.sport[rows], flows.dport[rows])
    return np.where(icmp, flows.sport[rows] >> _ICMP_TYPE_SHIFT, port)


def _sorted(trait: Trait, key: NDArray[np.void], flows: int, active: NDArray[np.intp]) -> Classes:
    _, example, member = np.unique(key, return_index=True, return_inverse=True)
    of_flow = np.full(flows, -1, np.intp)
    of_flow[active] = member.reshape(-1)
    return Classes(trait, of_flow, active[example])


def _key(trait: Trait, flows: Flows, rows: NDArray[np.intp]) -> NDArray[np.void]:
    at_source = serves_at_source(flows, rows)
    protocol, port = flows.protocol[rows], server_port(flows, rows)
    src, dst = flows.src[rows], flows.dst[rows]
    server = np.where(at_source[:, None], src, dst)
    parts = {
        Trait.PROTOCOL: (protocol,),
        Trait.SERVICE: (server, protocol, port, at_source),
        Trait.PORT: (protocol, port, at_source),
        Trait.DESTINATION: (dst,),
        Trait.SOURCE: (src,),
        Trait.OUTER_PORT: (flows.outer_sport[rows],),
        Trait.TUNNEL_ENDPOINT: (flows.outer_dst[rows], flows.outer_dport[rows]),
    }
    return _packed(parts[trait], len(rows))


def _packed(parts: tuple[NDArray[np.generic], ...], rows: int) -> NDArray[np.void]:
    """Put columns side by side as bytes, so that rows can be compared whole."""
    wide = [np.ascontiguousarray(p).reshape(rows, -1).view(np.uint8).reshape(rows, -1) for p in parts]
    joined = np.ascontiguousarray(np.concatenate(wide, axis=1))
    return joined.view(np.dtype((np.void, joined.shape[1]))).reshape(-1)
