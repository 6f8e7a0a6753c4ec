"""The firewall rule that admits a tunnel to a node, for these addresses and ports, and how to undo it."""

from vxlanalyze.analysis.underlay.underlay import Underlay
from vxlanalyze.text import commands
from vxlanalyze.wire.model import Tunnel

_PROTOCOLS = {Tunnel.GRE: "-p gre", Tunnel.NVGRE: "-p gre", Tunnel.IPIP: "-p ipencap"}


def allow(below: Underlay, node: str) -> str:
    """Commands for a node, one line per peer address, and how to undo them."""
    port = f"-p udp --dport {below.ports[0]}" if below.ports else ""
    what = port or ("-p esp" if below.has_esp else _PROTOCOLS.get(below.tunnel, ""))
    return commands.allow(node, below.src, what).lstrip()
