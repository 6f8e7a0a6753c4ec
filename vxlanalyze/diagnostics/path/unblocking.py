"""What to do where no packet of a direction arrives, by what carries them and since when.

Sources: Cilium documentation, "Installation on Broadcom VMware ESXi / NSX" (tunnel port 8223); RFC 7348
section 8.1 and Linux Documentation/networking/vxlan.rst (ports).
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.loss.picture import Explanation, Picture
from vxlanalyze.analysis.underlay import between_captures, routed_pods, underlay
from vxlanalyze.analysis.underlay.underlay import Underlay
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.places import node_name
from vxlanalyze.text.words import moment
from vxlanalyze.wire.model import Tunnel

_VXLANS = (Tunnel.VXLAN, Tunnel.VXLAN_GPE)
_RESERVED_PORTS = (4789, 8472)  # IANA's, and the Linux kernel's default, which hypervisors' overlays use too


def remedy(pair: Comparison, picture: Picture, blocked: Explanation, lost: NDArray[np.bool_]) -> str:
    """Say what to allow and how to tell the explanations apart, with commands one per line."""
    direction = picture.direction
    receiver = direction.receiver.name
    if direction.receiver.routed:
        below = underlay.of(direction, pair.cluster, lost)
        return written(
            "" if blocked.from_ns is None else _worked_before(direction, blocked.from_ns),
            routed_pods.not_carried(direction, below, blocked.from_ns is not None),
            between_captures.not_its_firewall(receiver),
            between_captures.program(receiver, below.near),
        )
    if not direction.receiver.encapsulated:
        return _inside_the_node(receiver, node_name(receiver))
    below = underlay.of(direction, pair.cluster, lost)
    return written(
        "" if blocked.from_ns is None else _worked_before(direction, blocked.from_ns),
        f"{'If a rule drops them, allow' if blocked.from_ns is not None else 'Allow'} {below.ports_text} "
        f"{below.ends_text}. Add an inbound rule to the security group or network security group, or to the "
        "firewall or access list between the nodes, for all nodes and both directions.",
        between_captures.not_its_firewall(receiver),
        between_captures.program(receiver, below.near),
        "" if blocked.from_ns is not None else _other_port(below),
        "" if picture.others_delivered else _payload_or_port(direction, below),
    )


def _worked_before(direction: Direction, from_ns: int) -> str:
    since = f"journalctl --utc --since '{moment(from_ns)[:19].replace('T', ' ')} UTC'"
    return written(
        f"It worked before: find what changed at {moment(from_ns)} (a firewall or security group rule, a "
        f"route, a link, {direction.receiver.name} itself):",
        on(direction.sender.name, since),
        on(direction.receiver.name, since),
    )


def _other_port(below: Underlay) -> str:
    """Say when the overlay must move to another port; "" where nothing suggests it."""
    port = below.ports[0] if below.ports else 0
    if below.is_vmware:
        return (
            "The nodes' MAC addresses are VMware's: ESXi with NSX swallows valid VXLAN on 4789 and 8472. "
            f"Move the overlay to another port, such as 8223 ({below.port_setting}), or switch to Geneve."
        )
    if port in _RESERVED_PORTS and below.tunnel in _VXLANS:
        return (
            f"If it is allowed already, the platform may reserve {port} for its own overlay (VMware NSX and "
            "other software-defined networks do): move yours to another port, such as 8223 "
            f"({below.port_setting})."
        )
    return ""


def _payload_or_port(direction: Direction, below: Underlay) -> str:
    """Distinguish a filter for the port from one for VXLAN."""
    if below.tunnel not in _VXLANS or not below.dst or not below.ports:
        return ""
    near, far, port = direction.sender.name, direction.receiver.name, below.ports[0]
    return written(
        "To distinguish a filter on the port from one that matches VXLAN, send something else to the same "
        f"port while capturing on {far}; if that arrives, the filter looks at the payload:",
        on(far, f"tcpdump -ni any -c 3 '{below.capture_rule}'"),
        on(near, f"echo x | nc -u -w1 {below.far} {port}"),
    )


def _inside_the_node(receiver: str, node: str) -> str:
    return written(
        "The packets reach the node and are dropped inside it: look at its firewall, routes and reverse path "
        f"filter between its network card and {receiver}:",
        on(node, "iptables -L FORWARD -nv", "nft list ruleset", "sysctl net.ipv4.conf.all.rp_filter"),
    )
