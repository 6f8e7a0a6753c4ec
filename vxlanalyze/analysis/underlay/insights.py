"""What the headers of unanswered packets rule out, and what they make suspect."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.finding import Quantity, RuledOut
from vxlanalyze.analysis.requests import answers
from vxlanalyze.analysis.requests.answers import Answers
from vxlanalyze.analysis.underlay import disagreements, tunnel_ends, underlay, underlay_errors
from vxlanalyze.analysis.underlay.disagreements import Disagreement
from vxlanalyze.analysis.underlay.tunnel_ends import TunnelEnds
from vxlanalyze.pairing.model import NO_ROW, Comparison, Direction, Point
from vxlanalyze.text.commands import anywhere, on, written
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.model import CHECK_MASK, INNER_L4_SHIFT, OUTER_L4_SHIFT, Checksum, Tunnel
from vxlanalyze.wire.rows import columns

_RIGHT = (Checksum.OK, Checksum.ABSENT, Checksum.NONE)
_IPV6 = 6
_SAMPLE = 200
_FEW = 2
_ENTRIES = {"cilium": "cilium-dbg bpf tunnel list", Tunnel.VXLAN: "bridge fdb show"}


@dataclass(frozen=True, slots=True)
class Insights:
    """Lookalikes that are ruled out, sentences about anomalies, how to fix them, and the figures.

    `verdict` is the worst suspicion as a clause for the summary, "" where there is none. `conclusive`: it
    leaves nothing else to check inside the node.
    """

    ruled_out: tuple[RuledOut, ...]
    suspicions: tuple[str, ...] = ()
    cures: tuple[str, ...] = ()
    evidence: dict[str, Quantity] = field(default_factory=dict)
    verdict: str = ""
    conclusive: bool = False


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
    odd = (
        _zero_over_ipv6(pair, direction, responses),
        _nobody_there(pair, direction, there),
        _group_policy(pair, direction, responses),
    )
    found = [*disagreements.found(pair, direction, there, here), *(s for s in odd if s is not None)]
    found.sort(key=lambda suspicion: not suspicion.conclusive)
    return Insights(
        (*ruled_out, *_checksums(direction, responses)),
        tuple([s.words for s in found] + [unknown] * bool(unknown)),
        tuple(s.cure for s in found),
        {"vni": Quantity(listed(list(there.vnis))), **{k: v for s in found for k, v in s.evidence.items()}},
        found[0].verdict if found else "",
        any(s.conclusive for s in found),
    )


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


def _names_agree(there: TunnelEnds, here: TunnelEnds) -> list[RuledOut]:
    found = []
    if len(there.vnis) == 1 and there.vnis.keys() == here.vnis.keys():
        found.append(RuledOut("vni-mismatch", f"VNI {next(iter(there.vnis))} both ways"))
    elif max(len(there.vnis), len(here.vnis)) > 1:
        found.append(RuledOut("vni-mismatch", "several VNIs in a direction are identities, not networks"))
    if there.dst_macs and there.dst_macs.keys() <= here.src_macs.keys():
        found.append(RuledOut("stale-tunnel-mac", "the inner destination MAC is one that the receiver uses"))
    return found


def _zero_over_ipv6(pair: Comparison, direction: Direction, responses: Answers) -> Disagreement | None:
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
    return Disagreement(
        "their outer UDP checksum is zero over IPv6",
        words,
        cure,
        {"zero_checksums": Quantity(len(rows), "packets")},
    )


def _group_policy(pair: Comparison, direction: Direction, responses: Answers) -> Disagreement | None:
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
    return Disagreement(
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


def _nobody_there(pair: Comparison, direction: Direction, there: TunnelEnds) -> Disagreement | None:
    found = underlay_errors.about(pair, direction, underlay_errors.NO_SUCH_HOST)
    gone = max((len(e.row) for e in found), default=0)
    if not gone:
        return None
    outer = listed(list(there.destinations))
    words = (
        f"{count(gone, 'ICMP error')} say that no host has the outer address {outer}: the tunnel map of "
        f"{direction.sender.name} may be stale" + ("." if pair.cluster.nodes else "; --kube would show it.")
    )
    near = direction.sender.name
    below = underlay.of(direction, pair.cluster)
    listing = _ENTRIES.get("cilium" if below.cni == "cilium" else below.tunnel)
    entries = [f"{listing} | grep -wF {to}" for to in list(there.destinations)[:_FEW] if listing]
    cure = written(
        f"Restart the CNI agent on {near}: it rebuilds its tunnel map. To see the entries that lead to that "
        "address, and the nodes of the cluster:",
        on(near, *entries),
        anywhere("kubectl get nodes -o wide"),
    )
    evidence = {"host_unreachable": Quantity(gone, "packets")}
    return Disagreement(f"no host has the address {outer}", words, cure, evidence, conclusive=True)
