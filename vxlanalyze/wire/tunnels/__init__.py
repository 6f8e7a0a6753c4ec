"""The tunnels this package understands."""

from vxlanalyze.wire.model import Tunnel
from vxlanalyze.wire.tunnels import geneve, gre, gue, ipip, nvgre, vxlan, vxlan_gpe
from vxlanalyze.wire.tunnels.encapsulation import Encapsulation

TUNNELS: tuple[Encapsulation, ...] = (
    vxlan.ENCAPSULATION,
    vxlan_gpe.ENCAPSULATION,
    geneve.ENCAPSULATION,
    nvgre.ENCAPSULATION,  # before GRE: it is the special case
    gre.ENCAPSULATION,
    ipip.ENCAPSULATION,
    gue.ENCAPSULATION,
)

KNOWN_PORTS: tuple[int, ...] = tuple(port for entry in TUNNELS for port in entry.udp_ports)
TITLES: dict[Tunnel, str] = {entry.tunnel: entry.title for entry in TUNNELS}
