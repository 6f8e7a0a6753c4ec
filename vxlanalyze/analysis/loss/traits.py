"""Traits that packets of a direction share, to test whether loss follows them.

A trait sorts the flows of a direction into classes: by inner address family, protocol, service, port,
address, outer source port or tunnel endpoint. Each packet belongs to the class of its flow.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.tuples import distinct, number_rows
from vxlanalyze.wire import hashing
from vxlanalyze.wire.model import Flows
from vxlanalyze.wire.protocols import ICMP, ICMPV6, TCP, UDP

_ICMP_TYPE_SHIFT = 8
_MANY_TIMES = 3  # a client using one port for two servers is common, for more it is not
# Odd multipliers of xxHash64: they spread bits well.


class Trait(Enum):
    """The trait by which flows are sorted; the value is its text."""

    FAMILY = "inner address family"
    PROTOCOL = "inner protocol"
    SERVICE = "service"  # server address, protocol, server port
    PORT = "port"  # protocol and server port, at any address
    DESTINATION = "inner destination"
    SOURCE = "inner source"
    OUTER_PORT = "outer source port"  # of tunnels without ports: the inner flow, which devices hash instead
    TUNNEL_ENDPOINT = "tunnel endpoint"  # outer destination address and port


@dataclass(frozen=True, slots=True)
class Classes:
    """The flows of a direction sorted by one trait.

    Parameters
    ----------
    of_flow : NDArray[np.intp]
        Class of each flow, shape ``(f,)``; -1 for flows not in the direction.
    example : NDArray[np.intp]
        One flow of each class, shape ``(k,)``.
    from_server : NDArray[np.bool_]
        Whether each flow comes from the serving end, shape ``(f,)``.
    """

    trait: Trait
    of_flow: NDArray[np.intp]
    example: NDArray[np.intp]
    from_server: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.example)


def classes(flows: Flows, active: NDArray[np.intp]) -> dict[Trait, Classes]:
    """Sort the active flows (rows of `flows`) by every trait."""
    from_server = serves_at_source(flows)
    keys = _keys(flows, active, from_server[active])
    return {
        trait: _sorted(trait, _packed(parts, len(active)), from_server, active)
        for trait, parts in keys.items()
    }


def serves_at_source(flows: Flows) -> NDArray[np.bool_]:
    """Whether each flow comes from the server, shape ``(f,)``.

    The smaller port is the server's: ephemeral ports start at 32768 (Linux) or 49152 (RFC 6335 section 6). An
    end shared by many times more flows than the other is the server whatever its port, since each client uses
    a port of its own.
    """
    ends = np.concatenate(
        (_end(flows.src, flows.protocol, flows.sport), _end(flows.dst, flows.protocol, flows.dport))
    )
    end, _ = number_rows(ends[:, np.newaxis])
    source, destination = np.bincount(end)[end].reshape(2, len(flows))
    from_server: NDArray[np.bool_] = flows.sport < flows.dport
    from_server &= destination < _MANY_TIMES * source
    from_server |= source >= _MANY_TIMES * destination
    return from_server & np.isin(flows.protocol, (TCP, UDP))


def _end(
    address: NDArray[np.uint8], protocol: NDArray[np.uint8], port: NDArray[np.uint16]
) -> NDArray[np.uint64]:
    """Number the ends of flows by a hash, which may very rarely collide."""
    halves = np.ascontiguousarray(address).view(np.uint64).reshape(-1, 2)
    last = protocol.astype(np.uint64) << np.uint64(16) | port
    hashed: NDArray[np.uint64] = (
        halves[:, 0] * hashing.PRIMES[0] ^ halves[:, 1] * hashing.PRIMES[1] ^ last * hashing.PRIMES[2]
    )
    return hashed ^ hashed >> np.uint64(29)


def server_port(flows: Flows, rows: NDArray[np.intp], at_source: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Port of the serving side, shape of `rows`; for ICMP the message type, else 0."""
    icmp = np.isin(flows.protocol[rows], (ICMP, ICMPV6))
    port = np.where(at_source, flows.sport[rows], flows.dport[rows])
    return np.where(icmp, flows.sport[rows] >> _ICMP_TYPE_SHIFT, port)


def _sorted(
    trait: Trait, key: NDArray[np.uint8], from_server: NDArray[np.bool_], active: NDArray[np.intp]
) -> Classes:
    names, member = distinct(key)
    example = np.empty(len(names), np.intp)
    example[member[::-1]] = np.arange(len(key))[::-1]  # the last of equal indices wins: the first flow
    of_flow = np.full(len(from_server), -1, np.intp)
    of_flow[active] = member
    return Classes(trait, of_flow, active[example], from_server)


def _keys(
    flows: Flows, rows: NDArray[np.intp], at_source: NDArray[np.bool_]
) -> dict[Trait, tuple[NDArray[np.generic], ...]]:
    """Give the columns that determine each trait, for some flows."""
    protocol, port = flows.protocol[rows], server_port(flows, rows, at_source)
    src, dst = flows.src[rows], flows.dst[rows]
    server = np.where(at_source[:, None], src, dst)
    return {
        Trait.FAMILY: (flows.family[rows],),
        Trait.PROTOCOL: (protocol,),
        Trait.SERVICE: (server, protocol, port, at_source),
        Trait.PORT: (protocol, port, at_source),
        Trait.DESTINATION: (dst,),
        Trait.SOURCE: (src,),
        Trait.OUTER_PORT: (
            flows.outer_sport[rows],
            np.where(has_no_ports(flows, rows), flows.identity[rows], 0),
        ),
        Trait.TUNNEL_ENDPOINT: _tunnel_endpoints(flows, rows),
    }


def has_no_ports(flows: Flows, rows: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Flows in a tunnel without ports (IP in IP, GRE), shape of `rows`."""
    result: NDArray[np.bool_] = (flows.outer_family[rows] > 0) & (flows.outer_dport[rows] == 0)
    return result


def _tunnel_endpoints(flows: Flows, rows: NDArray[np.intp]) -> tuple[NDArray[np.generic], ...]:
    """Outer destination and port; encrypted packets count with the tunnel next to them that goes there."""
    dst, port = flows.outer_dst[rows], flows.outer_dport[rows]
    bare = flows.outer_family[rows] == 0
    if not bare.any() or bare.all():
        return dst, port
    dst = np.where(bare[:, np.newaxis], flows.dst[rows], dst)
    ends, member = distinct(dst)
    ports = np.zeros(len(ends), port.dtype)
    ports[member[~bare]] = port[~bare]
    return dst, np.where(bare, ports[member], port)


def _packed(parts: tuple[NDArray[np.generic], ...], rows: int) -> NDArray[np.uint8]:
    """Put columns side by side as bytes, so that whole rows can be compared."""
    wide = [np.ascontiguousarray(p).reshape(rows, -1).view(np.uint8).reshape(rows, -1) for p in parts]
    return np.concatenate(wide, axis=1)
