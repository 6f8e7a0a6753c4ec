"""Requests that die inside a node: what to check before and after its tunnel device."""

from vxlanalyze.analysis.underlay import firewall
from vxlanalyze.analysis.underlay.underlay import Underlay
from vxlanalyze.pairing.model import Direction
from vxlanalyze.text.commands import on, written
from vxlanalyze.wire.model import Tunnel

_SETTINGS = {
    Tunnel.VXLAN: "id, dstport, local",
    Tunnel.VXLAN_GPE: "id, dstport, local",
    Tunnel.GENEVE: "id, dstport",
    Tunnel.GRE: "local, remote, key",
    Tunnel.NVGRE: "local, remote, key",
}
"""What must fit on both nodes, as ``ip -d link show`` names it."""


def lowered(sentences: str) -> str:
    """Write sentences as the continuation of another."""
    return sentences[0].lower() + sentences[1:]


def before_the_tunnel(direction: Direction, below: Underlay) -> str:
    """State what may keep packets from the tunnel device."""
    near, far = direction.sender.name, direction.receiver.name
    return written(
        f"Allow {below.ports_text} from the other node in the host firewall:",
        firewall.allow(below, far),
        f"Also compare the tunnel devices of both nodes ({_SETTINGS.get(below.tunnel, 'local, remote')}):",
        on(far, below.listing),
        on(near, below.listing),
    )


def after_the_tunnel(far: str, below: Underlay, *, ipv6: bool) -> str:
    """State what may drop packets after the tunnel device has accepted them, by the family of these."""
    return written(
        _ipv6_rules(far) if ipv6 else _ipv4_rules(far),
        "If a rule's counter rises, accept the pod networks above it (firewalld: zone trusted; ufw: route "
        "allow).",
        "Where Cilium runs, in its pod on that node:" if below.cni in ("cilium", None) else "",
        on(far, "cilium-dbg monitor --type drop") if below.cni in ("cilium", None) else "",
    )


def _ipv6_rules(far: str) -> str:
    return written(
        "Compare the counters of drop rules before and after a test (firewalld's IPv6_rpfilter is one):",
        on(far, "ip6tables -L FORWARD -nv", "nft list ruleset"),
    )


def _ipv4_rules(far: str) -> str:
    return written(
        "Compare the counters of the reverse path filter and of drop rules before and after a test:",
        on(far, "nstat -az TcpExtIPReversePathFilter", "iptables -L FORWARD -nv", "nft list ruleset"),
        "If the first rises, set the filter to loose (to undo it, restore the value printed first):",
        on(far, "sysctl net.ipv4.conf.all.rp_filter", "sysctl -w net.ipv4.conf.all.rp_filter=2"),
    )


def rejected(far: str, *, ipv6: bool) -> str:
    """Say how to find the rule that rejects them."""
    return written(
        "Find the rejecting rule by its counter while sending, and accept the pod networks above it "
        "(firewalld: zone trusted; ufw: route allow):",
        on(far, f"{'ip6tables' if ipv6 else 'iptables'} -L FORWARD -nv", "nft list ruleset"),
    )
