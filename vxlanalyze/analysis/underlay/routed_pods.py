"""What to do where the network does not carry packets of pods that go from node to node without a tunnel.

Sources: Amazon EC2 documentation, "source/destination checking"; Google Cloud documentation, "Enable IP
forwarding for instances" (canIpForward); Azure documentation, "IP forwarding" of network interfaces;
OpenStack Networking API, allowed-address-pairs; flannel Documentation/backends.md (DirectRouting, host-gw);
Calico `vxlanMode`, `ipipMode`; Cilium `routingMode`.
"""

from vxlanalyze.analysis.underlay.underlay import Underlay
from vxlanalyze.pairing.model import Direction
from vxlanalyze.text.commands import anywhere, on, written

_ALWAYS = {
    "calico": "Calico: vxlanMode or ipipMode Always instead of CrossSubnet in the IPPool",
    "cilium": "Cilium: routingMode tunnel",
    "flannel": 'flannel: "DirectRouting": false in the Backend of net-conf.json',
}
_OWNERS = "Google Cloud: canIpForward; Azure: IP forwarding of the card; OpenStack: allowed-address-pairs"


def not_carried(direction: Direction, below: Underlay, worked_before: bool) -> str:
    """Say what to allow, and where to look, with commands one per line."""
    near, far = direction.sender.name, direction.receiver.name
    if worked_before:
        return written(
            "Packets of pods go between these nodes as they are, without a tunnel: see whether all routers "
            "between them still have a route to the networks of the pods, "
            "and compare the next hops of the two nodes:",
            on(near, f"ip route get {below.far}"),
            on(far, f"ip route get {below.near}"),
        )
    setting = _ALWAYS.get(below.cni or "") or "; ".join(_ALWAYS.values())
    return written(
        "Packets of pods go between these nodes as they are, without a tunnel. A cloud drops what has a "
        "source address that is not the machine's own: switch off its source/destination check "
        f"(anti-spoofing) for every node ({_OWNERS}; EC2: what follows):",
        anywhere("aws ec2 modify-instance-attribute --instance-id ID --no-source-dest-check"),
        "Let routers and firewalls between the nodes know and allow the networks of the pods, or encapsulate "
        f"always ({setting}). Compare the next hops of the two nodes:",
        on(near, f"ip route get {below.far}"),
        on(far, f"ip route get {below.near}"),
    )


def mtu(bytes_: int) -> str:
    """Say where to lower the MTU of pods whose packets are not encapsulated between these nodes."""
    return (
        f"Set the MTU of the pods to {bytes_:,} on all nodes (Calico: mtu: {bytes_} under calicoNetwork of "
        f"the Installation; Cilium: the Helm value MTU={bytes_}; others: the MTU in the CNI configuration), "
        "then restart the pods: they keep the old MTU until then."
    )
