"""The tunnels this package decodes: for each member of `Tunnel`, the entry of the module with its name."""

from importlib import import_module

from vxlanalyze.wire.model import Tunnel
from vxlanalyze.wire.tunnels.encapsulation import Encapsulation


def _encapsulation(tunnel: Tunnel) -> Encapsulation:
    module = import_module(f"{__name__}.{tunnel.name.lower()}")
    entry: Encapsulation = module.ENCAPSULATION
    return entry


BY_TUNNEL: dict[Tunnel, Encapsulation] = {tunnel: _encapsulation(tunnel) for tunnel in Tunnel if tunnel}
TUNNELS: tuple[Encapsulation, ...] = tuple(sorted(BY_TUNNEL.values(), key=lambda entry: entry.priority))
"""In the order in which their contents are examined."""
KNOWN_PORTS: tuple[int, ...] = tuple(port for entry in TUNNELS for port in entry.udp_ports)
NAMES: dict[int, str] = {int(entry.tunnel): entry.name for entry in TUNNELS}
"""Names in the tables, by number; there is none for packets without a tunnel."""


def title(tunnel: int) -> str:
    """Give the name of a kind of tunnel for use in sentences."""
    return BY_TUNNEL[Tunnel(tunnel)].title
