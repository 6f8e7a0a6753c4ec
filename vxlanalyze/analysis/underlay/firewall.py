"""The rule that lets a tunnel into a node, for the addresses and ports at hand, and how to remove it."""

from vxlanalyze.analysis.underlay.underlay import Underlay
from vxlanalyze.wire.model import Tunnel

_PROTOCOLS = {Tunnel.GRE: "-p gre", Tunnel.NVGRE: "-p gre", Tunnel.IPIP: "-p ipencap"}


def allow(below: Underlay) -> str:
    """Commands on lines of their own, one for each peer address, and how to undo them."""
    port = f"-p udp --dport {below.ports[0]}" if below.ports else ""
    what = port or _PROTOCOLS.get(below.tunnel, "")
    rules = [f"{_command(peer)} -I INPUT {what} -s {peer} -j ACCEPT".replace("  ", " ") for peer in below.src]
    return "\n".join([*rules, "To undo it, run the same with -D in place of -I."])


def _command(peer: str) -> str:
    return "ip6tables" if ":" in peer else "iptables"
