"""Identify the tunnel by port, protocol number or content. Built from ``TUNNELS`` at import.

numba cannot call through a list of functions and inline them, so the registered readers are composed into one
compiled function, each link of the chain calling the next.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire.fields import ANOMALIES, STOP, TUNNEL_GUESSED, Record
from vxlanalyze.wire.model import Tunnel
from vxlanalyze.wire.octets import Octets
from vxlanalyze.wire.protocols import UDP
from vxlanalyze.wire.tunnels import TUNNELS
from vxlanalyze.wire.tunnels.encapsulation import Encapsulation

# The value in `bindings` for a port, or for 65536 + an IP protocol: a Tunnel; or this offset plus a Tunnel
# where content decides and that tunnel (possibly NONE) is the fallback.
ASK_CONTENT = 128
NOTHING_BOUND = 0
_PORTS = 65536
_PROTOCOLS = 256

_NO_TUNNEL = int(Tunnel.NONE)


def bindings(ports: Sequence[int] = ()) -> NDArray[np.uint8]:
    """Build the table from port or protocol numbers to tunnels, from the entries of ``TUNNELS``.

    Parameters
    ----------
    ports : sequence of int
        Further UDP ports that carry tunnels.

    Returns
    -------
    ndarray of uint8, shape (65536 + 256,)
        For each UDP port, then for each IP protocol.
    """
    table = np.zeros(_PORTS + _PROTOCOLS, np.uint8)
    for entry in TUNNELS:
        for number in (*entry.udp_ports, *(_PORTS + protocol for protocol in entry.ip_protocols)):
            table[number] = ASK_CONTENT if table[number] else entry.tunnel
    for port in ports:
        if table[port] == NOTHING_BOUND:
            table[port] = ASK_CONTENT + Tunnel.VXLAN
    return table


def _chain_of_readers(entries: Sequence[Encapsulation]) -> Callable[..., Any]:
    """Compose the registered readers into one compiled choice by tunnel number."""
    if not entries:

        @compiled
        def nothing(tunnel: int, data: Octets, found: Record) -> int:
            return STOP

        return nothing
    number = int(entries[0].tunnel)
    read = entries[0].read
    others = _chain_of_readers(entries[1:])

    @compiled
    def choose(tunnel: int, data: Octets, found: Record) -> int:
        if tunnel == number:
            return read(data, found)
        following: int = others(tunnel, data, found)
        return following

    return choose


def _chain_of_recognisers(entries: Sequence[Encapsulation]) -> Callable[..., Any]:
    """Compose the registered recognisers into one compiled check, in order."""
    if not entries:

        @compiled
        def nobody(data: Octets, found: Record, carrier: int) -> int:
            return _NO_TUNNEL

        return nobody
    number = int(entries[0].tunnel)
    recognise = entries[0].recognise
    others = _chain_of_recognisers(entries[1:])

    @compiled
    def ask(data: Octets, found: Record, carrier: int) -> int:
        if recognise(data, found, carrier):
            return number
        tunnel: int = others(data, found, carrier)
        return tunnel

    return ask


def _chain_of_fits(entries: Sequence[Encapsulation]) -> Callable[..., Any]:
    """Compose the tunnels' checks of a header on their own port into one compiled check."""
    if not entries:

        @compiled
        def anything(tunnel: int, data: Octets, found: Record) -> bool:
            return True

        return anything
    others = _chain_of_fits(entries[1:])
    if entries[0].fits is None:
        return others
    number = int(entries[0].tunnel)
    its_own = entries[0].fits

    @compiled
    def ask(tunnel: int, data: Octets, found: Record) -> bool:
        if tunnel == number:
            return its_own(data, found)
        answer: bool = others(tunnel, data, found)
        return answer

    return ask


read_tunnel = _chain_of_readers(TUNNELS)
recognise = _chain_of_recognisers(TUNNELS)
fits = _chain_of_fits(TUNNELS)


@compiled
def by_port(data: Octets, found: Record, port: int, bound_to: NDArray[np.uint8]) -> int:
    """Give the tunnel that a UDP destination port announces for the header at `AT`.

    Ports are configurable: where the header cannot be that of the port's usual tunnel but the content matches
    another, it is the other (VXLAN on Geneve's 6081, Geneve on Linux's 8472).
    """
    known: Any = np.int64(bound_to[port])
    if known == _NO_TUNNEL or (known < ASK_CONTENT and fits(known, data, found)):
        return known
    tunnel: int = recognise(data, found, UDP)
    if tunnel == _NO_TUNNEL:
        return known % ASK_CONTENT
    if known < ASK_CONTENT:
        found[ANOMALIES] |= TUNNEL_GUESSED
    return tunnel


@compiled
def by_protocol(data: Octets, found: Record, protocol: int, bound_to: NDArray[np.uint8]) -> int:
    """Give the tunnel that an IP protocol number announces for the header at `AT`."""
    known: Any = np.int64(bound_to[_PORTS + protocol])
    if known >= ASK_CONTENT:
        answer: int = recognise(data, found, protocol)
        return answer
    return known
