"""The rule that lets a tunnel into a node, for the addresses and ports at hand, and how to remove it."""

from vxlanalyze.analysis.underlay.underlay import Underlay
from vxlanalyze.text import commands
from vxlanalyze.wire.model import Tunnel

_PROTOCOLS = {Tunnel.GRE: "-p gre", Tunnel.NVGRE: "-p gre", Tunnel.IPIP: "-p ipencap"}


def allow(below: Underlay, node: str) -> str:
    """Commands for a node on lines of their own, one for each peer address, and how to undo them."""
    port = f"-p udp --dport {below.ports[0]}" if below.ports else ""
    what = port or _PROTOCOLS.get(below.tunnel, "")
    return commands.allow(node, below.src, what).lstrip()
