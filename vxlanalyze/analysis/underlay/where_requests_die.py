"""Requests that die inside a node: what to check before and after its tunnel device."""

from vxlanalyze.analysis.underlay import firewall
from vxlanalyze.analysis.underlay.underlay import Underlay
from vxlanalyze.pairing.model import Direction
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import listed


def lowered(sentences: str) -> str:
    """Write sentences as the continuation of another."""
    return sentences[0].lower() + sentences[1:]


def before_the_tunnel(direction: Direction, below: Underlay) -> str:
    """State what may keep packets from the tunnel device."""
    near, far = direction.sender.name, direction.receiver.name
    return written(
        f"Allow {below.ports_text} from {listed(list(below.src))} in the host firewall:",
        firewall.allow(below, far),
        "Also compare the tunnel devices of both nodes (id, dstport, local):",
        on(far, below.listing),
        on(near, below.listing),
    )


def after_the_tunnel(far: str, below: Underlay) -> str:
    """State what may drop packets after the tunnel device has accepted them."""
    cilium = ("In the Cilium pod of that node:", on(far, "cilium-dbg monitor --type drop"))
    return written(
        "Compare the counters of the reverse path filter and of drop rules before and after a test:",
        on(far, "nstat -az TcpExtIPReversePathFilter", "iptables -L FORWARD -nv", "nft list ruleset"),
        "If the first rises, set the filter to loose (to undo it, restore the value printed first):",
        on(far, "sysctl net.ipv4.conf.all.rp_filter", "sysctl -w net.ipv4.conf.all.rp_filter=2"),
        "If a rule's counter rises, accept the pod networks above it (firewalld: zone trusted; ufw: route "
        "allow).",
        *(cilium if below.cni in ("cilium", None) else ()),
    )


def rejected(far: str) -> str:
    """Say how to find the rule that rejects them."""
    return written(
        "Find the rejecting rule by its counter while sending, and accept the pod networks above it "
        "(firewalld: zone trusted; ufw: route allow):",
        on(far, "iptables -L FORWARD -nv", "nft list ruleset"),
    )
