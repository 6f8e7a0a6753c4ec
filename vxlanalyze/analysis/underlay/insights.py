"""What the headers of unanswered packets rule out, and what they make suspect."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.finding import Quantity, RuledOut
from vxlanalyze.analysis.requests import answers
from vxlanalyze.analysis.requests.answers import Answers
from vxlanalyze.analysis.underlay import tunnel_ends, underlay, underlay_errors
from vxlanalyze.analysis.underlay.tunnel_ends import Ends
from vxlanalyze.pairing.model import NO_ROW, Comparison, Direction, Point
from vxlanalyze.text.commands import on
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.addresses import mac_text
from vxlanalyze.wire.model import CHECK_MASK, INNER_L4_SHIFT, OUTER_L4_SHIFT, Checksum, Tunnel
from vxlanalyze.wire.rows import columns

_RIGHT = (Checksum.OK, Checksum.ABSENT, Checksum.NONE)
_IPV6 = 6
_SAMPLE = 200


@dataclass(frozen=True, slots=True)
class Insights:
    """Lookalikes that are ruled out, sentences about anomalies, how to fix them, and the figures.

    `verdict` is the worst suspicion as a clause for the summary, "" where there is none.
    """

    ruled_out: tuple[RuledOut, ...]
    suspicions: tuple[str, ...] = ()
    cures: tuple[str, ...] = ()
    evidence: dict[str, Quantity] = field(default_factory=dict)
    verdict: str = ""


def gather(pair: Comparison, direction: Direction, responses: Answers) -> Insights:
    """Check everything that could make a node discard the unanswered requests of a direction."""
    requests = int(responses.unanswered().sum())
    ruled_out = [RuledOut("path-blocked", f"all {requests:,} requests counted here were seen on arrival")]
    if not direction.receiver.encapsulated:
        return Insights(tuple(ruled_out))
    there = tunnel_ends.of(direction)
    here = tunnel_ends.of(answers.opposite(pair, direction))
    if here.packets:
        ruled_out += _names_agree(there, here)
        unknown = ""
    else:
        far = direction.receiver.name
        unknown = f"{far} sends no tunnel packet itself, so its VNI, MAC and port stay unknown."
    suspected = [_other_vni(pair, direction, there, here), _other_source(direction, there, here)]
    suspected += [_odd_port(pair, direction, there, here), _zero_over_ipv6(pair, direction, responses)]
    suspected += [_nobody_there(pair, direction, there), _group_policy(pair, direction, responses)]
    suspected += [_strange_mac(pair, direction, there, here)]
    found = [s for s in suspected if s is not None]
    return Insights(
        (*ruled_out, *_checksums(direction, responses)),
        tuple([s.words for s in found] + [unknown] * bool(unknown)),
        tuple(s.cure for s in found),
        {"vni": Quantity(listed(list(there.vnis))), **{k: v for s in found for k, v in s.evidence.items()}},
        found[0].verdict if found else "",
    )


class _Suspicion(NamedTuple):
    verdict: str
    words: str
    cure: str
    evidence: dict[str, Quantity]


def _checksums(direction: Direction, responses: Answers) -> list[RuledOut]:
    rows = direction.received_row[responses.unanswered()]
    checks = direction.receiver.index.checks[rows]
    found = []
    for code, shift in (("outer-checksum-bad", OUTER_L4_SHIFT), ("inner-checksum-bad", INNER_L4_SHIFT)):
        state = checks >> shift & CHECK_MASK
        right, absent = int((state == Checksum.OK).sum()), int((state == Checksum.ABSENT).sum())
        if np.isin(state, _RIGHT).all() and right + absent:
            found.append(
                RuledOut(code, f"{right:,} arrive valid, {absent:,} without a checksum, none invalid")
            )
    return found


def _names_agree(there: Ends, here: Ends) -> list[RuledOut]:
    found = []
    if len(there.vnis) == 1 and there.vnis.keys() == here.vnis.keys():
        found.append(RuledOut("vni-mismatch", f"VNI {next(iter(there.vnis))} both ways"))
    elif max(len(there.vnis), len(here.vnis)) > 1:
        found.append(RuledOut("vni-mismatch", "several VNIs in a direction are identities, not networks"))
    if there.dst_macs and there.dst_macs.keys() <= here.src_macs.keys():
        found.append(RuledOut("stale-tunnel-mac", "the inner destination MAC is one that the receiver uses"))
    return found


def _other_vni(pair: Comparison, direction: Direction, there: Ends, here: Ends) -> _Suspicion | None:
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
    return _Suspicion(
        f"they carry VNI {sent}, {far} sends with {own}", words, cure, {"own_vni": Quantity(own)}
    )


def _other_source(direction: Direction, there: Ends, here: Ends) -> _Suspicion | None:
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
        f"Let {near} send from {local}: as the local address of its tunnel device (Docker Swarm: join with "
        f"--data-path-addr {local}), or as the source of the route. The route now, then with that source "
        "(GATEWAY as the first command shows):"
        + on(near, f"ip route get {to}", f"ip route replace {to} via GATEWAY src {local}")
    )
    evidence = {"outer_source": Quantity(source), "known_to_receiver": Quantity(known)}
    return _Suspicion(f"they come from {source}, {far} knows {near} as {known}", words, cure, evidence)


def _odd_port(pair: Comparison, direction: Direction, there: Ends, here: Ends) -> _Suspicion | None:
    if not there.ports or not here.ports or there.ports.keys() & here.ports.keys():
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
    return _Suspicion(verdict, words, cure, {"own_port": Quantity(own)})


def _zero_over_ipv6(pair: Comparison, direction: Direction, responses: Answers) -> _Suspicion | None:
    """RFC 6935 and 6936: a receiver discards zero checksums over IPv6 unless configured to accept them."""
    unanswered = responses.unanswered()
    rows = direction.received_row[unanswered]
    state = direction.receiver.index.checks[rows] >> OUTER_L4_SHIFT & CHECK_MASK
    over_ipv6 = direction.sender.flows.outer_family[responses.flow[unanswered]] == _IPV6
    if not len(rows) or not (over_ipv6 & (state == Checksum.ABSENT)).all():
        return None
    words = (
        "All come over IPv6 with an outer UDP checksum of zero, which Linux discards unless the receiving "
        "tunnel device has `udp6zerocsumrx`."
    )
    listing = underlay.of(direction, pair.cluster).listing
    cure = (
        "Set `udp6zerocsumtx` and `udp6zerocsumrx` on the tunnel devices of both nodes, or neither. What "
        "they "
        "have now:" + on(direction.sender.name, listing) + on(direction.receiver.name, listing)
    )
    return _Suspicion(
        "their outer UDP checksum is zero over IPv6",
        words,
        cure,
        {"zero_checksums": Quantity(len(rows), "packets")},
    )


def _group_policy(pair: Comparison, direction: Direction, responses: Answers) -> _Suspicion | None:
    """VXLAN Group Policy in one direction only: a Linux device without `gbp` drops what has its flag.

    Sources: draft-smith-vxlan-group-policy section 2.1; Linux, drivers/net/vxlan: packets with flags that the
    device does not parse are dropped.
    """
    far, near = direction.receiver, direction.sender
    requests = _groups(pair, far, direction.received_row[responses.unanswered()])
    opposite = answers.opposite(pair, direction)
    own = _groups(pair, far, opposite.sent_row)
    if not len(requests) or (requests < 0).any() or not len(own) or (own >= 0).any():
        return None
    groups = listed([str(g) for g in np.unique(requests).tolist()], 3)
    words = (
        f"{near.name} sends them with the VXLAN Group Policy extension (flags 0x88, group {groups}), "
        f"{far.name} sends plain VXLAN: a Linux device that was made without `gbp` drops them."
    )
    listing = underlay.of(direction, pair.cluster).listing
    cure = "Make the tunnel devices of both nodes with `gbp`, or neither. What they have now:"
    return _Suspicion(
        f"they carry VXLAN Group Policy, which {far.name} does not use",
        words,
        cure + on(near.name, listing) + on(far.name, listing),
        {"group_policy": Quantity(groups)},
    )


def _groups(pair: Comparison, point: Point, rows: NDArray[np.int32]) -> NDArray[np.int64]:
    """Group of each of some VXLAN packets in a capture, negative where they have none."""
    chosen = np.unique(rows[rows != NO_ROW])[:_SAMPLE]
    source = pair.captures[point.capture].source
    found = columns(source.fetch(point.index.place[chosen]), source.interfaces, ports=pair.ports)
    groups: NDArray[np.int64] = found["group_policy"][found["tunnel"] == Tunnel.VXLAN]
    return groups


def _nobody_there(pair: Comparison, direction: Direction, there: Ends) -> _Suspicion | None:
    found = underlay_errors.about(pair, direction, underlay_errors.NO_SUCH_HOST)
    gone = max((len(e.row) for e in found), default=0)
    if not gone:
        return None
    outer = listed(list(there.destinations))
    words = (
        f"{count(gone, 'ICMP error')} say that no host has the outer address {outer}: the tunnel map of "
        f"{direction.sender.name} may be stale" + ("." if pair.cluster.nodes else "; --kube would show it.")
    )
    cure = f"Restart the CNI agent on {direction.sender.name}: it rebuilds its tunnel map."
    evidence = {"host_unreachable": Quantity(gone, "packets")}
    return _Suspicion(f"no host has the address {outer}", words, cure, evidence)


def _strange_mac(pair: Comparison, direction: Direction, there: Ends, here: Ends) -> _Suspicion | None:
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
    return _Suspicion(
        f"they go to the MAC {to}, {far} sends from {own}", words, cure, {"own_mac": Quantity(own)}
    )
