"""The rule that lets a tunnel into a node, for the addresses and ports at hand, with how to take it back."""

from vxlanalyze.analysis.underlay.underlay import Underlay

_PROTOCOLS = {"gre": 47, "ipip": 4}


def allow(below: Underlay) -> str:
    """Commands, one a line, each for one peer address: ``iptables -I INPUT -s PEER ... -j ACCEPT``."""
    port = below.ports[0] if below.ports else None
    what = f"-p udp --dport {port}" if port else "-p 47"
    return "\n".join(_rule(source, what) for source in below.src)


def _rule(source: str, what: str) -> str:
    command = "ip6tables" if ":" in source else "iptables"
    rule = f"INPUT {what} -s {source} -j ACCEPT"
    return f"{command} -I {rule}    # undo: {command} -D {rule}"
