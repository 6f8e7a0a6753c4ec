"""The tunnels this package understands: for each member of `Tunnel`, the module of its name."""

from importlib import import_module

from vxlanalyze.wire.model import Tunnel
from vxlanalyze.wire.tunnels.encapsulation import Encapsulation


def _encapsulation(tunnel: Tunnel) -> Encapsulation:
    module = import_module(f"{__name__}.{tunnel.name.lower()}")
    entry: Encapsulation = module.ENCAPSULATION
    return entry


TUNNELS: tuple[Encapsulation, ...] = tuple(_encapsulation(tunnel) for tunnel in Tunnel if tunnel)
KNOWN_PORTS: tuple[int, ...] = tuple(port for entry in TUNNELS for port in entry.udp_ports)
TITLES: dict[Tunnel, str] = {entry.tunnel: entry.title for entry in TUNNELS}
