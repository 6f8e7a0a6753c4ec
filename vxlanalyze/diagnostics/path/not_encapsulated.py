"""Packets seen unencapsulated at a pod or bridge never enter the tunnel.

What it checks
    Do packets that a pod sends to a pod on another node leave this node inside the tunnel?
Why it matters
    Packets that never leave cannot be lost on the path: investigating the network between the nodes is
    pointless. The fault is a missing route, forwarding entry or neighbour on the sending node, or disabled
    encapsulation.
How it decides
    By captures that show both sides of the encapsulation: an `any` capture, or one of a pod next to one of
    its node. A destination counts if it is on another node (by `--kube`, `--facts`, or because it was seen
    with another node's outer address). It is reported if all its packets are unencapsulated and none is
    tunnelled, with so many packets that a node which misroutes one in fifty would do so with a probability
    below `chance`. In captures of network cards only: packets between pods that pass one card without a
    tunnel and never appear at their destination node. These are requests to pods there that get no answer,
    answers to requests that came from there without a tunnel, and requests that pass both cards without a
    tunnel and are never answered (a second address family). Also requests to pods elsewhere that leave one
    card without a tunnel and are never answered, where nothing in that network answers without one; and
    answers without a tunnel to TCP connections that came through it, if the clients react to none of them.
    Where no capture shows a tunnel packet: packets that a pod sends through two captured nodes to addresses
    that stay silent. In an `any` capture without
    such knowledge: packets of pods to several destinations that the node forwards to an interface from which
    nothing ever returns.
When it cannot tell
    No capture shows packets before the tunnel.
What looks like it
    Traffic to service addresses (translated before encapsulation), the Internet, pods of the same node and
    nodes' own addresses is not meant for the tunnel. Nor are answers in direct server return, which go to
    clients outside of the cluster by design, although one node forwards those clients' requests through the
    tunnel. Native routing, where unencapsulated packets do arrive, is not reported. If only some of a
    destination's packets are missing, that is loss inside the node: `packet-loss`.
What to do
    On the sending node: `ip route get POD`, `bridge fdb show dev flannel.1`, `ip -s link show` (TX dropped
    on the tunnel device).
Sources
    flannel issues 592, 623, 1009; Calico "CrossSubnet" and the source/destination check of EC2; calico issue
    13191; cilium pull request 23890 (direct server return).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.requests import silence
from vxlanalyze.analysis.underlay.homes import InnerHomes, homes_of
from vxlanalyze.analysis.underlay.unencapsulated_traffic import Stuck, ends, out_of_a_pod
from vxlanalyze.diagnostics.path import (
    unencapsulated_on_wire,
    unencapsulated_requests,
    unencapsulated_unanswered,
)
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.pairing.sorting import present
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.places import node_name
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import NO_FLOW, Tunnel

CODE = "not-encapsulated"
_MOST_NAMED = 3
_TO_US, _OUTGOING = 0, 4  # LINKTYPE_LINUX_SLL2, packet type


def check(pair: Comparison, *, chance: float = 1e-6) -> list[DiagnosticResult]:
    """Look for destinations on another node whose packets do not leave in the tunnel.

    `chance` is the false alarm probability accepted for a destination.
    """
    entering = [
        d
        for hop in (*pair.hops, *pair.inside)
        for d in hop.directions
        if not d.sender.encapsulated and d.receiver.encapsulated
    ]
    cards = [p for p in pair.points if p.encapsulated]
    inside = [p for p in pair.points if not p.encapsulated and p.name != pair.captures[p.capture].name]
    homes = homes_of(pair)
    answers: list[DiagnosticResult] = []
    for direction in entering:
        stuck = list(_before_tunnel(pair, direction, homes, chance))
        if stuck:
            answers.append(_finding(pair, direction.label, direction.sender, stuck))
    if not answers:
        answers += unencapsulated_on_wire.findings(pair, chance)
    if not answers:
        answers += unencapsulated_unanswered.findings(pair, chance)
    if not answers:
        answers += unencapsulated_requests.findings(pair, chance)
    for point in inside:
        stuck = list(_into_nothing(pair, point, homes, chance)) or _for_others(pair, point, homes, chance)
        if stuck and not answers:
            answers.append(_finding(pair, _label(pair, point), point, stuck))
    if not answers:
        answers += _no_tunnel_at_all(pair, chance)
    if not entering and not inside and not answers and cards:
        why = (
            "no capture shows packets before they enter the tunnel; one of a pod, or with -i any, would. "
            "No unencapsulated pod packet that fails to arrive passes a network card"
        )
        return [NotAssessed(CODE, why)]
    return answers


def _no_tunnel_at_all(pair: Comparison, chance: float) -> Iterator[Finding]:
    """Packets that a pod sends through two nodes, where no capture shows a tunnel or encryption."""
    tunnelled = any(facts.tunnel_packets for facts in pair.captures)
    encrypted = any((p.flows.encryption > 0).any() for p in pair.points)
    matched = len(pair.hops) > 1 and any(d.delivered.any() for d in pair.hops[-1].directions)
    if len(pair.hops) < 2 or tunnelled or encrypted or matched:
        return
    first, second = pair.hops[0].forward.sender, pair.hops[0].forward.receiver
    stuck = list(out_of_a_pod(pair, first, chance))
    if first.encapsulated or not stuck:
        return
    left = np.isin(second.flows.identity, first.flows.identity).any()
    yield _finding(pair, pair.hops[0].forward.label, first, stuck, on_wire=bool(left))


def _before_tunnel(
    pair: Comparison, direction: Direction, homes: InnerHomes, chance: float
) -> Iterator[Stuck]:
    """Destinations on other nodes whose packets all stop before the tunnel."""
    own = _own_addresses(pair, direction.sender.capture)
    if not own or not direction.assessed or not direction.lost.any():
        return
    judged = np.flatnonzero(direction.judged)
    flows, flow = direction.sender.flows, direction.flow[judged]
    names, of = ends(flows.family[flow], flows.dst[flow])
    packets = np.bincount(of, minlength=len(names))
    stopped = np.bincount(of[direction.lost[judged]], minlength=len(names))
    nodes = _node_addresses(pair)
    for i in np.flatnonzero(stopped == packets):
        address = names[i]
        if silence.chance(int(packets[i]), int(packets[i])) >= chance or address in nodes:
            continue
        home = homes.of(address)
        if home is not None and not own & set(home.addresses):
            yield Stuck(address, home.words, direction.sent_row[judged[of == i]])


def _into_nothing(pair: Comparison, point: Point, homes: InnerHomes, chance: float) -> Iterator[Stuck]:
    """Packets forwarded to an interface that returns nothing and passes nothing to the tunnel.

    One destination may be a deleted pod of this node, with its own interface; several share a device.
    """
    index, flows = point.index, point.flows
    rows = np.arange(len(index)) if point.rows is None else point.rows.astype(np.int64)
    rows = rows[index.flow[rows] != NO_FLOW]
    flow = index.flow[rows]
    if not len(rows) or (flows.packet_type[flow] != _OUTGOING).any():
        return
    if _encrypts(point):
        return
    of_capture = np.flatnonzero(point.decoded.usage.used)
    tunnelled = of_capture[flows.tunnel[of_capture] != Tunnel.NONE]
    rows = rows[(flows.family[flow] > 0) & ~np.isin(flows.identity[flow], flows.identity[tunnelled])]
    flow = index.flow[rows]
    coming = of_capture[flows.packet_type[of_capture] == _TO_US]
    arriving = set(text(flows.src[coming], flows.family[coming]))
    sources = set(text(flows.src[present(flow)], flows.family[present(flow)]))
    names, of = ends(flows.family[flow], flows.dst[flow])
    unseen = [i for i, address in enumerate(names) if address not in arriving]
    chosen = np.isin(of, unseen)
    known = all(homes.of(names[i]) is not None for i in unseen)
    packets = int(chosen.sum())
    if (
        not sources & arriving
        or (len(unseen) < 2 and not known)
        or silence.chance(packets, packets) >= chance
    ):
        return
    for i in unseen:
        home = homes.of(names[i])
        lives = home.words if home else f"{names[i]} is at {point.name}, which only receives and never sends"
        yield Stuck(names[i], lives, rows[of == i].astype(np.int32))


def _for_others(pair: Comparison, point: Point, homes: InnerHomes, chance: float) -> list[Stuck]:
    """Packets between pods of different nodes, where the node's capture shows no tunnel packet at all."""
    own = _own_addresses(pair, point.capture)
    if not own or point.rows is None or pair.captures[point.capture].tunnel_packets or _encrypts(point):
        return []
    rows = point.rows[point.index.flow[point.rows] != NO_FLOW]
    rows = rows[~np.isin(point.flows.identity[point.index.flow[rows]], _seen_outside(pair, point))]
    flow = point.index.flow[rows]
    names, of = ends(point.flows.family[flow], point.flows.dst[flow])
    nodes = _node_addresses(pair)
    elsewhere = {i: homes.of(name) for i, name in enumerate(names) if name not in nodes}
    stuck = [
        Stuck(names[i], home.words, rows[of == i])
        for i, home in elsewhere.items()
        if home is not None and not own & set(home.addresses)
    ]
    packets = sum(len(s.rows) for s in stuck)
    return stuck if silence.chance(packets, packets) < chance else []


def _encrypts(point: Point) -> bool:
    """Whether a capture shows encryption that may contain the tunnel."""
    return bool((point.flows.encryption[point.decoded.usage.used] > 0).any())


def _node_addresses(pair: Comparison) -> set[str]:
    return {address for node in pair.cluster.nodes for address in node.addresses}


def _seen_outside(pair: Comparison, point: Point) -> NDArray[np.uint64]:
    """Identities of the flows that the node's network card or another capture shows: native routing."""
    seen = []
    for p in pair.points:
        if p.capture != point.capture or p.name == pair.captures[p.capture].name:
            shown = p.index.flow if p.rows is None else p.index.flow[p.rows]
            seen.append(p.flows.identity[present(shown[shown != NO_FLOW])])
    return np.concatenate(seen)


def _own_addresses(pair: Comparison, capture: int) -> set[str]:
    """Outer addresses of the node that a capture (or the next one on its node) belongs to."""
    own = {a for p in pair.points if p.capture == capture and p.encapsulated for a in p.addresses}
    if own:
        return own
    for hop in pair.hops:
        points = (hop.forward.sender, hop.forward.receiver)
        for outside, tunnel in (points, points[::-1]):
            if outside.capture == capture and not outside.encapsulated and tunnel.encapsulated:
                return set(tunnel.addresses)
    return set()


def _label(pair: Comparison, point: Point) -> str | None:
    for direction in pair.directions:
        if direction.sender.capture == point.capture:
            return direction.label
    return None


def _finding(
    pair: Comparison, label: str | None, point: Point, stuck: list[Stuck], *, on_wire: bool = False
) -> Finding:
    stuck = sorted(stuck, key=lambda s: (-len(s.rows), s.address))
    packets = sum(len(s.rows) for s in stuck)
    pods = listed([pair.cluster.named(s.address) for s in stuck], at_most=_MOST_NAMED)
    shown = exhibits.of_rows(pair, [(point, s.rows) for s in stuck])
    where = "leaves its node unencapsulated" if on_wire else "never enters the tunnel"
    lives = f"{stuck[0].lives[0].upper()}{stuck[0].lives[1:]}"
    nowhere = " Nor did the other node see them, or anything come back." if on_wire else ""
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=label,
        summary=f"{point.name}: what is sent to {pods} {where}: none of {count(packets, 'packet')} got "
        "through",
        explanation=f"{count(packets, 'packet')} to {count(len(stuck), 'destination')} appear "
        f"unencapsulated at "
        f"{point.name}, and none of them in the tunnel. {lives}, so they have to be encapsulated.{nowhere}",
        remedy=_remedy(point.name, stuck[0].address, on_wire),
        evidence={
            "packets": Quantity(packets, "packets"),
            "destinations": Quantity(len(stuck), "addresses"),
        },
        ruled_out=(
            RuledOut("path-blocked", "what never left in the tunnel cannot be lost between the nodes"),
            RuledOut("packet-loss", "all packets to these destinations are missing, not some"),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _remedy(place: str, address: str, on_wire: bool) -> str:
    node = node_name(place)
    if on_wire:
        return written(
            f"The node routes to {address} without encapsulation (Calico: vxlanMode: CrossSubnet; Cilium: "
            "routingMode native). Let the network pass pod addresses (EC2: disable the source/destination "
            "check), or encapsulate always (vxlanMode: Always; routingMode tunnel). Its route now:",
            on(node, f"ip route get {address}"),
        )
    return written(
        "The route must name the tunnel device, and its neighbour and forwarding entries the far node; look "
        "also at the dropped packets (TX) of that device:",
        on(node, f"ip route get {address}", "ip neigh show", "bridge fdb show", "ip -s link show"),
        "Restarting the CNI's agent there rewrites routes and entries.",
    )


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
