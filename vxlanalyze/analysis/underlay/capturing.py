"""The tcpdump command that captures this traffic again, for remedies that need another capture.

Sources: pcap-filter(7); tcpdump(8).
"""

from shlex import quote

import numpy as np

from vxlanalyze.pairing.model import CaptureFacts, Comparison
from vxlanalyze.text import commands
from vxlanalyze.wire.model import Tunnel
from vxlanalyze.wire.tunnels import KNOWN_PORTS

PROTOCOL_RULES = {Tunnel.GRE: "proto 47", Tunnel.NVGRE: "proto 47", Tunnel.IPIP: "proto 4"}
"""Capture filters for tunnels without ports, over IPv4 and IPv6."""
_NEEDLESS = ("any",)
_MOST_PORTS = 4


def on_both(pair: Comparison, captures: list[CaptureFacts], options: str = "", seconds: int = 0) -> str:
    """Write the commands that capture on several nodes, each on its own line."""
    return "".join(commands.on(f.name, command(pair, f, options, seconds)) for f in captures)


def command(pair: Comparison, facts: CaptureFacts, options: str = "", seconds: int = 0) -> str:
    """Write the command that repeats a capture: its interface, and the tunnels seen anywhere.

    Parameters
    ----------
    options : str
        Further options of tcpdump.
    seconds : int
        How long it runs; 0: until stopped.
    """
    names = {interface.name for interface in facts.interfaces} - {None, *_NEEDLESS}
    device = quote(str(names.pop())) if len(names) == 1 else "NIC"
    words = [f"timeout {seconds}"] * bool(seconds) + [
        "tcpdump -i",
        device,
        options,
        "-w",
        quote(f"{facts.name}.pcap"),
    ]
    return " ".join(filter(None, (*words, quote(tunnel_filter(pair)))))


def tunnel_filter(pair: Comparison) -> str:
    """Write the capture filter for the tunnels of a comparison, or for the usual ones if none is seen.

    Where pods talk without a tunnel, only the administrator's own session is left out.
    """
    if any(point.routed for point in pair.points):
        return "not port 22"
    ports: set[int] = set()
    kinds: set[Tunnel] = set()
    for point in pair.points:
        flows = point.flows
        used = np.flatnonzero(point.decoded.usage.used)
        tunnelled = used[flows.tunnel[used] != Tunnel.NONE]
        kinds |= {Tunnel(int(kind)) for kind in np.unique(flows.tunnel[tunnelled])}
        ports |= {int(port) for port in np.unique(flows.outer_dport[tunnelled]) if port}
    rules = [f"udp port {port}" for port in sorted(ports)[:_MOST_PORTS]]
    rules += dict.fromkeys(PROTOCOL_RULES[kind] for kind in sorted(kinds) if kind in PROTOCOL_RULES)
    return " or ".join(rules or [f"udp port {port}" for port in KNOWN_PORTS])
