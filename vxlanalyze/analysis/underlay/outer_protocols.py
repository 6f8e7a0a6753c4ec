"""IP protocols that carry other packets between nodes, and how to allow them in a firewall.

Security groups list what they allow by protocol: rules for TCP, UDP and ICMP leave out ESP, IP in IP and GRE,
which have no ports.

Sources: IANA protocol numbers; RFC 3948 (ESP over UDP 4500); libreswan ipsec.conf(5) `encapsulation`;
strongSwan swanctl.conf(5) `encap`; Calico documentation, "Overlay networking".
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.underlay import between_captures
from vxlanalyze.analysis.underlay.underlay import Underlay
from vxlanalyze.pairing.model import Direction
from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.text.words import listed
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import Tunnel
from vxlanalyze.wire.protocols import AH, ESP, GRE, IPIP, IPV6

_OVER_UDP = (
    "Where {title} cannot be allowed, let IPsec use NAT traversal, which carries ESP over UDP 4500 "
    "(libreswan: encapsulation=yes, strongSwan: encap = yes for the connection, on all nodes), and allow "
    "UDP 500 and 4500."
)
_VXLAN_INSTEAD = (
    "Where {title} cannot be allowed (Azure's networks do not carry it), use a tunnel over UDP (Calico: "
    "ipipMode: Never, vxlanMode: Always in the IPPool)."
)


@dataclass(frozen=True, slots=True)
class OuterProtocol:
    """A protocol as rules name it: in words, for iptables, and the alternative if it cannot be allowed."""

    name: str
    number: int
    instead: str

    @property
    def title(self) -> str:
        """Name and number: ``ESP (IP protocol 50)``."""
        return f"{self.name} (IP protocol {self.number})"


_KNOWN = {
    IPIP: OuterProtocol("IP in IP", IPIP, _VXLAN_INSTEAD),
    IPV6: OuterProtocol("IPv6 in IP", IPV6, ""),
    GRE: OuterProtocol("GRE", GRE, ""),
    ESP: OuterProtocol("ESP", ESP, _OVER_UDP),
    AH: OuterProtocol("AH", AH, ""),
}


def of(direction: Direction, lost: NDArray[np.bool_]) -> list[OuterProtocol]:
    """Give the protocols of packets without a tunnel; none if any of them has another protocol."""
    flows, rows = direction.sender.flows, np.unique(direction.flow[lost])
    numbers = np.unique(flows.protocol[rows]).tolist()
    if (flows.tunnel[rows] != Tunnel.NONE).any() or not all(n in _KNOWN for n in numbers):
        return []
    return [_KNOWN[n] for n in numbers]


def remedy(direction: Direction, lost: list[OuterProtocol], below: Underlay) -> str:
    """Allow some protocols of a direction, between its nodes."""
    flows = direction.sender.flows
    rows = np.unique(direction.flow)
    rows = rows[(rows >= 0) & np.isin(flows.protocol[rows], [p.number for p in lost])]
    peers, ends = (_addresses(a[rows], flows.family[rows]) for a in (flows.src, flows.dst))
    titles, far = listed([p.title for p in lost]), direction.receiver.name
    instead = [p.instead.format(title=p.title) for p in lost if p.instead]
    return (
        f"Allow {titles} from {listed(peers)} to {listed(ends)}, and in the other direction. Add a rule "
        "for it to the security group or network security group, or to the firewall or access list between "
        f"the nodes.\n{between_captures.not_its_firewall(far)}"
        + between_captures.program(far, peers[0] if peers else below.near)
        + "".join(f"\n{text}" for text in instead)
    )


def _addresses(rows: NDArray[np.uint8], family: NDArray[np.uint8]) -> list[str]:
    both, _ = distinct(np.column_stack((family, rows)))
    return list(text(both[:, 1:], both[:, 0]))
