"""A node addresses its peer's tunnel device by a MAC that the peer does not use.

What it checks
    Is the inner destination MAC of packets to a node one that this node never sends from, and are these
    packets unanswered?
Why it matters
    flannel and Calico write a static neighbour entry for each node's tunnel device. If the device is
    recreated with another MAC (a restart, systemd's MACAddressPolicy) and one node keeps the old entry, the
    other receives its packets, finds a frame for another MAC and drops it silently.
How it decides
    Requests to a MAC that the receiver does not send from (or, where the cluster's files name the MACs of its
    tunnel device, that is not among these) stay unanswered, so many that a working node would be this silent
    with a probability below `chance`. There must be evidence that tunnel devices are addressed by MAC at all:
    the receiver addresses the sender by the MAC that the sender uses, and either the same inner address is
    seen with both MACs, or one MAC is used for several inner addresses, unlike a pod's own. Where both
    entries are stale, port and VNI must be those of flannel or Calico, and one of the two MACs, each
    addressed in one direction only, must represent several inner addresses.
When it cannot tell
    No packet of the receiver was seen and nothing names its MAC; several VNIs in a direction or files that
    name Cilium (it ignores this MAC); too few requests; no proof that the MAC is a tunnel device's.
What looks like it
    A pod's own MAC in an overlay of layer 2, where the pod is silent; virtual router MACs (OVN, Antrea),
    which nothing ever sends from.
What to do
    Refresh the entry: restart the CNI's agent on the sending node; prevent MAC changes with
    `MACAddressPolicy=none` for the device.
Sources
    flannel issues 1155, 1795 and pull request 1485 (systemd 242 and later change the MAC); calico pull
    request 8924; systemd.link(5), MACAddressPolicy; RFC 7348 section 4.1.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.integrity import alone
from vxlanalyze.analysis.requests import answers
from vxlanalyze.analysis.requests.answers import Answers
from vxlanalyze.analysis.underlay import tunnel_ends, underlay
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.addresses import mac_text

CODE = "stale-tunnel-mac"


class _Stale(NamedTuple):
    """Packets to a MAC that the receiver does not use."""

    mac: int
    used: list[str]
    source: str
    flows: NDArray[np.bool_]
    responses: Answers


class _Pod(NamedTuple):
    """A pod with a MAC of its own that was addressed by another one."""

    address: str
    used: str


def check(pair: Comparison, *, chance: float = 1e-6) -> list[DiagnosticResult]:
    """Compare each direction's destination MACs with the source MACs of the opposite one.

    `chance` is the false alarm probability accepted for a direction.
    """
    return alone.run_directions(
        pair, CODE, lambda looked_at, direction: _direction(looked_at, direction, chance)
    )


def _direction(pair: Comparison, direction: Direction, chance: float) -> DiagnosticResult | None:
    back = answers.opposite(pair, direction)
    there, here = tunnel_ends.of(direction), tunnel_ends.of(back)
    if not there.dst_macs:
        return None if there.packets else NotAssessed(CODE, "no packet to look at", direction.label)
    named = _macs_of_node(pair, direction)
    used = named or {mac_text(m) for m in here.src_macs}
    if not used:
        why = f"{direction.receiver.name} sent no tunnel packet that would show its MAC"
        return NotAssessed(CODE, why, direction.label)
    strange = [m for m in there.dst_macs if mac_text(m) not in used]
    if not strange:
        return None
    if tunnel_ends.is_cilium(pair.cluster) or max(len(there.vnis), len(here.vnis)) > 1:
        why = "several VNIs in a direction, or files that name Cilium: the inner MAC has no meaning there"
        return NotAssessed(CODE, why, direction.label)
    responses = answers.of(direction)
    flows = direction.sender.flows
    silent = [m for m in strange if responses.silent(chance, flows.inner_dst_mac == m)]
    if not silent:
        return _too_few(direction, responses, strange)
    mac = silent[0]
    chosen = responses.used & (flows.inner_dst_mac == mac)
    if not named and not _device(direction, back, mac, chosen) and not _both_stale(pair, direction, back):
        why = f"nothing proves that {mac_text(mac)} is meant for a tunnel device and not for a pod"
        return NotAssessed(CODE, why, direction.label)
    source = "the cluster's own record shows" if named else "its own packets show"
    used = used if named else _of_same_tunnel(direction, back, chosen) or used
    return _finding(pair, direction, _Stale(mac, sorted(used), source, chosen, responses))


def _of_same_tunnel(direction: Direction, back: Direction, chosen: NDArray[np.bool_]) -> set[str]:
    """MACs that the receiver uses in the tunnel of some flows: of the same outer family and VNI."""
    flows, returning = direction.sender.flows, back.sender.flows
    same = np.isin(returning.outer_family, flows.outer_family[chosen]) & np.isin(
        returning.vni, flows.vni[chosen]
    )
    same &= tunnel_ends.packets_of(back.sender, back.sent_row) > 0
    return {mac_text(int(mac)) for mac in np.unique(returning.inner_src_mac[same])}


def _macs_of_node(pair: Comparison, direction: Direction) -> set[str]:
    """MACs of the receiver's tunnel device, as named in the user's files."""
    nodes = {pair.cluster.node_of(a) for a in direction.receiver.addresses}
    found = [pair.cluster.node(name) for name in nodes if name is not None]
    return {mac.lower() for node in found if node is not None for mac in node.tunnel_macs}


def _too_few(direction: Direction, responses: Answers, strange: list[int]) -> NotAssessed | None:
    chosen = responses.used & np.isin(direction.sender.flows.inner_dst_mac, np.array(strange, np.uint64))
    arrived = int(responses.unanswered(chosen).sum())
    if (responses.answered & chosen).any() or not arrived:
        return None
    why = f"only {count(arrived, 'request')} went to a MAC that {direction.receiver.name} does not use"
    return NotAssessed(CODE, why, direction.label)


def _device(direction: Direction, back: Direction, mac: int, chosen: NDArray[np.bool_]) -> bool:
    """Whether a MAC is meant for a tunnel device: these are addressed by MAC, and it is not a pod's."""
    flows, returning = direction.sender.flows, back.sender.flows
    back_used = tunnel_ends.packets_of(back.sender, back.sent_row) > 0
    used = tunnel_ends.packets_of(direction.sender, direction.sent_row) > 0
    right = np.isin(returning.inner_dst_mac[back_used], flows.inner_src_mac[used])
    if not right.any():
        return False
    addressed = tunnel_ends.inner_addresses(flows, flows.dst, chosen)
    answering = tunnel_ends.inner_addresses(returning, returning.src, back_used)
    if addressed & answering:
        return True
    # A router's or a tunnel device's MAC represents several addresses; a pod's own represents one.
    senders = returning.inner_src_mac[back_used]
    return len(np.unique(senders)) == 1 and (len(addressed) > 1 or len(answering) > 1)


def _both_stale(pair: Comparison, direction: Direction, back: Direction) -> bool:
    """Whether a plugin that addresses devices by MAC is in use, and neither end knows the other's."""
    if not {underlay.of(each, pair.cluster).cni for each in (direction, back)} <= {"flannel", "calico"}:
        return False
    there, here = tunnel_ends.of(direction), tunnel_ends.of(back)
    if tunnel_ends.device_macs(there, here) or there.dst_macs.keys() & here.dst_macs.keys():
        return False
    return any(_stands_for_several(each) for each in (direction, back))


def _stands_for_several(direction: Direction) -> bool:
    """Whether a direction has one inner destination MAC for several inner addresses."""
    flows = direction.sender.flows
    used = tunnel_ends.packets_of(direction.sender, direction.sent_row) > 0
    used &= tunnel_ends.is_device(flows.inner_dst_mac)
    several = len(tunnel_ends.inner_addresses(flows, flows.dst, used)) > 1
    return several and len(np.unique(flows.inner_dst_mac[used])) == 1


def _finding(pair: Comparison, direction: Direction, stale: _Stale) -> Finding:
    near, far = direction.sender.name, direction.receiver.name
    unanswered = stale.responses.unanswered(stale.flows)
    requests = int(unanswered.sum())
    old, pod = mac_text(stale.mac), _pod(pair, direction, stale)
    used = pod.used if pod else listed(stale.used)
    whom, who = (pod.address, f"{pod.address} itself") if pod else (f"the tunnel device of {far}", far)
    shown = exhibits.of_packets(pair, direction, unanswered)
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=f"{near} addresses {whom} by {old}, but {who} uses {used}: "
        f"none of {count(requests, 'request')} that arrived was answered",
        explanation=f"Inside the tunnel, packets from {near} carry the destination MAC {old}; {who} "
        f"sends from {used}, as {stale.source}. {far} takes the outer packet, finds a frame that is "
        f"not for {'a port of its bridge' if pod else 'its tunnel device'}, and drops it. "
        f"{count(requests, 'request')} reached the wire of {far}, "
        f"and nothing came back.{_outer(pair, direction)}",
        remedy=_remedy_for_pod(near, old, pod) if pod else _remedy(near, far, stale),
        evidence={
            "addressed_mac": Quantity(old),
            "used_mac": Quantity(used),
            "unanswered_requests": Quantity(requests, "packets"),
            "outer_source": Quantity(_most(tunnel_ends.of(direction).sources)),
            "outer_destination": Quantity(_most(tunnel_ends.of(direction).destinations)),
        },
        ruled_out=(
            RuledOut("path-blocked", f"all {requests:,} requests counted here were seen on arrival"),
            RuledOut("vni-mismatch", "one VNI, the same both ways or in the only direction there is"),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.only(f"eth.dst == {old}"),
    )


def _pod(pair: Comparison, direction: Direction, stale: _Stale) -> _Pod | None:
    """The one pod that is addressed, where pods and not a tunnel device have MACs of their own."""
    flows, back = direction.sender.flows, answers.opposite(pair, direction).sender
    addressed = tunnel_ends.inner_addresses(flows, flows.dst, stale.flows)
    if len(stale.used) == 1 or len(addressed) != 1:
        return None
    (address,) = addressed
    mine = (back.flows.family == address[0]) & (back.flows.src == np.frombuffer(address[1], np.uint8)).all(
        axis=1
    )
    macs = np.unique(back.flows.inner_src_mac[mine & back.decoded.usage.used])
    own = [mac_text(int(mac)) for mac in macs if mac_text(int(mac)) in stale.used]
    return _Pod(tunnel_ends.address_text(address), listed(own)) if own else None


def _remedy_for_pod(near: str, old: str, pod: _Pod) -> str:
    """Clear a stale neighbour entry, which stands where the packets come from."""
    return written(
        f"{pod.address} was recreated with another MAC, or its address went to another pod. The senders on "
        f"{near} hold the old MAC in their neighbour tables; in the network namespace of each:",
        on(near, f"ip neigh show {pod.address}", f"ip neigh flush to {pod.address}"),
        "If a forwarding entry for the old MAC is left, it is stale as well:",
        on(near, f"bridge fdb show | grep -i {old}"),
    )


def _remedy(near: str, far: str, stale: _Stale) -> str:
    old = mac_text(stale.mac)
    return written(
        f"See which neighbour and forwarding entries hold the MAC {old}:",
        on(near, f"ip neigh show | grep -i {old}", f"bridge fdb show | grep -i {old}"),
        f"To have them rewritten, restart the network plugin's agent on {near} (flannel: delete its "
        f"kube-flannel pod). Keep the MAC of {far} from changing: a .link file for the device with "
        "MACAddressPolicy=none (systemd 242 and later), or a version of the plugin that fixes it.",
    )


def _outer(pair: Comparison, direction: Direction) -> str:
    """Name the outer addresses of both directions."""
    directions = [(d, tunnel_ends.of(d)) for d in (direction, answers.opposite(pair, direction))]
    parts = [
        f"{each.sender.name} sends from {listed(list(ends.sources))} to {listed(list(ends.destinations))}"
        for each, ends in directions
        if ends.sources
    ]
    return f" Outer addresses: {'; '.join(parts)}." if parts else ""


def _most(addresses: dict[str, int]) -> str | None:
    return next(iter(addresses), None)


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
