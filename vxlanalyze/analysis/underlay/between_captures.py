"""What may drop a packet between the captures of two network cards.

A capture sees what leaves after netfilter, tc egress and the queueing discipline, and what arrives before tc
ingress and netfilter. So the rules of neither node are to blame. What is left is the sender's driver and
card, the network and its filters (a hypervisor's and a cloud's security groups among them), the receiver's
card, a program on that card (XDP), and the receiver's backlog (softnet).

Source: Linux, net/core/dev.c: `__dev_queue_xmit`, `dev_hard_start_xmit`, `__netif_receive_skb_core`.
"""

from vxlanalyze.analysis.underlay.underlay import Underlay
from vxlanalyze.text.commands import on, written

_COUNTERS = "ethtool -S NIC | grep -iE 'drop|err|miss|exceeded'"
_PROGRAM = "ip -d link show dev NIC | grep -w xdp"


def not_its_firewall(receiver: str) -> str:
    """Exclude the receiver's own rules."""
    return (
        f"The firewall of {receiver} itself is not the cause: tcpdump sees packets before it does. A "
        "program on its network card (XDP) would act earlier (NIC, the device named in the route):"
    )


def program(receiver: str, peer: str) -> str:
    """Commands that show a program on the card towards a peer, one per line."""
    return on(receiver, f"ip route get {peer}", _PROGRAM)


def filters(near: str, far: str, below: Underlay, what: str) -> str:
    """Where to look for a filter of `what`, with commands one per line."""
    return written(
        f"Look for what filters or mishandles {what} between the network cards of {near} and {far}: security "
        "groups, appliances, access lists and hypervisors that look into the packets. Rules of the nodes "
        "themselves (nftables, tc, network policies) act before the one capture and after the other; only "
        f"a program on the card of {far} (XDP) does not (NIC, the device named in the route):",
        program(far, below.near),
    )


def counters(near: str, far: str, below: Underlay) -> tuple[str, str]:
    """Commands that show what the cards and the receiver's backlog dropped, one per line."""
    return (
        on(near, f"ip route get {below.far}", _COUNTERS),
        on(far, f"ip route get {below.near}", _COUNTERS, "cat /proc/net/softnet_stat"),
    )
