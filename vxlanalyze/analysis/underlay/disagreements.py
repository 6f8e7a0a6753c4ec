"""Suspicions from what the two ends of a tunnel do not have in common: kind, VNI, addresses, port, MACs."""

from dataclasses import dataclass, field

from vxlanalyze.analysis.finding import Quantity
from vxlanalyze.analysis.requests import answers
from vxlanalyze.analysis.underlay import tunnel_ends, underlay
from vxlanalyze.analysis.underlay.tunnel_ends import TunnelEnds
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text.commands import on
from vxlanalyze.text.words import listed
from vxlanalyze.wire.addresses import mac_text
from vxlanalyze.wire.tunnels import title

_KIND_SETTINGS = "Cilium: the Helm value tunnelProtocol; Antrea: tunnelType; OVN: external_ids:ovn-encap-type"


@dataclass(frozen=True, slots=True)
class Disagreement:
    """What is odd, and how to fix it.

    Parameters
    ----------
    verdict, words : str
        The same as a clause for the summary, and as sentences.
    cure : str
        The remedy.
    evidence : dict
        Its figures.
    conclusive : bool
        Whether it leaves nothing else to check inside the node.
    """

    verdict: str
    words: str
    cure: str
    evidence: dict[str, Quantity] = field(default_factory=dict)
    conclusive: bool = False


def found(pair: Comparison, direction: Direction, there: TunnelEnds, here: TunnelEnds) -> list[Disagreement]:
    """Compare the identifiers of a direction with those of the opposite one, the most telling first."""
    suspected = (
        other_kind(pair, direction, there, here),
        _other_vni(pair, direction, there, here),
        _other_source(direction, there, here),
        _odd_port(pair, direction, there, here),
        _strange_mac(pair, direction, there, here),
    )
    return [suspicion for suspicion in suspected if suspicion is not None]


def other_kind(
    pair: Comparison, direction: Direction, there: TunnelEnds, here: TunnelEnds
) -> Disagreement | None:
    """Each node sends another kind of tunnel: neither has a device for what it receives."""
    if not tunnel_ends.differ_in_kind(there, here):
        return None
    near, far = direction.sender.name, direction.receiver.name
    sent, own = (listed(_titles(ends)) for ends in (there, here))
    opposite = underlay.of(answers.opposite(pair, direction), pair.cluster)
    words = (
        f"{near} sends {sent}, {far} itself sends {own}: a node decapsulates only the kind of tunnel that it "
        "has a device for."
    )
    cure = (
        f"Use one kind of tunnel on both nodes ({_KIND_SETTINGS}), then restart the network plugin's agent "
        "where it changed. What each node has now:"
        + on(near, underlay.of(direction, pair.cluster).listing)
        + on(far, opposite.listing)
    )
    evidence = {"tunnel": Quantity(sent), "own_tunnel": Quantity(own)}
    return Disagreement(f"they are {sent}, {far} uses {own}", words, cure, evidence, conclusive=True)


def _titles(ends: TunnelEnds) -> list[str]:
    """Name the kinds of tunnel of a direction, with the port where there is one."""
    if len(ends.tunnels) == len(ends.ports) == 1:
        return [f"{title(next(iter(ends.tunnels)))} (UDP port {next(iter(ends.ports))})"]
    return [title(tunnel) for tunnel in ends.tunnels]


def _other_vni(
    pair: Comparison, direction: Direction, there: TunnelEnds, here: TunnelEnds
) -> Disagreement | None:
    """Each direction has one VNI, and they differ."""
    if len(there.vnis) != 1 or len(here.vnis) != 1 or there.vnis.keys() == here.vnis.keys():
        return None
    if tunnel_ends.is_cilium(pair.cluster):
        return None
    near, far = direction.sender.name, direction.receiver.name
    sent, own = next(iter(there.vnis)), next(iter(here.vnis))
    words = (
        f"They carry VNI {sent}, while {far} itself sends with VNI {own}: it may have no device for {sent}."
    )
    listing = underlay.of(direction, pair.cluster).listing
    cure = f"Compare the VNIs of {near} and {far}:{on(near, listing)}{on(far, listing)}"
    return Disagreement(
        f"they carry VNI {sent}, {far} sends with {own}", words, cure, {"own_vni": Quantity(own)}
    )


def _other_source(direction: Direction, there: TunnelEnds, here: TunnelEnds) -> Disagreement | None:
    """The sender uses addresses that the receiver never sends to: the receiver's entries name another one.

    Linux drops packets from an address other than that of a static entry (vxlan_snoop in
    drivers/net/vxlan/vxlan_core.c).
    """
    if not here.destinations or there.sources.keys() & here.destinations.keys():
        return None
    near, far = direction.sender.name, direction.receiver.name
    source, known = listed(list(there.sources)), listed(list(here.destinations))
    to = next(iter(there.destinations))
    words = (
        f"{near} sends them from {source}, but {far} sends to {known} for the same node: where its "
        f"forwarding entries are static, Linux drops what arrives from another address ({near} sends to "
        f"{listed(list(there.destinations))}, {far} sends from {listed(list(here.sources))})."
    )
    local = next(iter(here.destinations))
    cure = (
        f"Let {near} send from {local}. Set it as the local address of the tunnel device (Docker Swarm: "
        "docker swarm join --data-path-addr), or as the source of the route (GATEWAY as the first command "
        "shows):" + on(near, f"ip route get {to}", f"ip route replace {to} via GATEWAY src {local}")
    )
    evidence = {"outer_source": Quantity(source), "known_to_receiver": Quantity(known)}
    return Disagreement(f"they come from {source}, {far} knows {near} as {known}", words, cure, evidence)


def _odd_port(
    pair: Comparison, direction: Direction, there: TunnelEnds, here: TunnelEnds
) -> Disagreement | None:
    if (
        not there.ports
        or not here.ports
        or there.ports.keys() & here.ports.keys()
        or tunnel_ends.differ_in_kind(there, here)
    ):
        return None
    to, far = listed(list(there.ports)), direction.receiver.name
    own = listed(list(here.ports))
    words = (
        f"{direction.sender.name} sends to UDP port {to}, {far} to {own}: a node usually listens where it "
        "sends to."
    )
    below = underlay.of(direction, pair.cluster)
    near = direction.sender.name
    cure = (
        f"Give both nodes the same port ({below.port_setting}). To compare the devices:"
        + on(near, below.listing)
        + on(far, below.listing)
    )
    verdict = f"they go to UDP port {to}, {far} uses {own}"
    return Disagreement(verdict, words, cure, {"own_port": Quantity(own)})


def _strange_mac(
    pair: Comparison, direction: Direction, there: TunnelEnds, here: TunnelEnds
) -> Disagreement | None:
    """A MAC that the receiver never sends from; one used in both directions is a router's virtual MAC."""
    strange = there.dst_macs.keys() - here.src_macs.keys() - here.dst_macs.keys()
    several = max(len(there.vnis), len(here.vnis)) > 1
    if not here.src_macs or strange != there.dst_macs.keys() or not strange:
        return None
    if several or tunnel_ends.is_cilium(pair.cluster):
        return None
    near, far = direction.sender.name, direction.receiver.name
    to, own = (listed([mac_text(m) for m in macs]) for macs in (there.dst_macs, here.src_macs))
    words = (
        f"Inside the tunnel they go to the MAC {to}, but {far} sends from {own}: where nodes address each "
        "other's tunnel device (flannel, Calico), the entry for it is stale."
    )
    listing = underlay.of(direction, pair.cluster).listing
    cure = (
        f"Compare the neighbour entry of {near} with the MAC of {far}'s tunnel device; restarting the CNI "
        f"agent on {near} rewrites the entry."
        + on(near, f"ip neigh show | grep -iE '{'|'.join(mac_text(m) for m in list(there.dst_macs)[:3])}'")
        + on(far, listing)
    )
    return Disagreement(
        f"they go to the MAC {to}, {far} sends from {own}", words, cure, {"own_mac": Quantity(own)}
    )
