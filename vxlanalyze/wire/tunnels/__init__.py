"""The tunnels this package understands."""

from vxlanalyze.wire.tunnels import geneve, gre, ipip, nvgre, vxlan, vxlan_gpe
from vxlanalyze.wire.tunnels.encapsulation import Encapsulation

TUNNELS: tuple[Encapsulation, ...] = (
    vxlan.ENCAPSULATION,
    vxlan_gpe.ENCAPSULATION,
    geneve.ENCAPSULATION,
    nvgre.ENCAPSULATION,  # before GRE: it is the special case
    gre.ENCAPSULATION,
    ipip.ENCAPSULATION,
)
