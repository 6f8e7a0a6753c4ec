"""Everything in a direction is lost for a time, and passes before and after.

What it checks
    Is there a time in which no packet of a direction arrives although packets are being sent?
Why it matters
    A link or route that fails and recovers, a node that stalls, a migration of the virtual machine: users see
    a freeze of seconds and broken connections, and find nothing wrong when they check.
How it decides
    Losses without a delivery in between are one run. A run is an outage if it is the best explanation of the
    losses, taking its position and length into account, and if losses in bursts of about 10 ms, as full
    queues cause them, would look like this at most once in ten thousand directions. In a steady stream that
    takes about a quarter of a second.
When it cannot tell
    Sparse traffic: a handful of lost pings may be random. Shorter gaps are `packet-loss`, which says how
    they cluster. An outage that lasts to the end of the captures is `path-blocked` from some moment on.
What looks like it
    A blocked service that happens to be alone on the wire at that time; a capture that paused (then the node
    answered packets that the capture lacks); delay without loss (`delay-spike`).
What to do
    Look for what happened at that moment: link and route changes on the path, the node's kernel log, a
    restart of the network plugin's agent, a live migration, a reload of firewall rules.
Sources
    E. N. Gilbert, "Capacity of a burst-noise channel", Bell System Technical Journal 39 (1960).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, Quantity, RuledOut, Severity
from vxlanalyze.analysis.loss import affected, inside_finding, loss
from vxlanalyze.analysis.loss.picture import Explanation, LossKind, Picture
from vxlanalyze.analysis.underlay import next_hop, renumbered, underlay
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.text.commands import anywhere, on, written
from vxlanalyze.text.words import count, listed, moment, span
from vxlanalyze.wire.addresses import mac_text
from vxlanalyze.wire.model import Tunnel

CODE = "burst-outage"
_NEARLY_ALL = 0.9


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Report each direction that was interrupted."""
    pictures, not_assessed = loss.pictures(pair, CODE)
    found = [_finding(pair, p) for p in pictures if p.of(LossKind.INTERRUPTION)]
    return [*not_assessed, *found, *inside_finding.findings(pair, CODE)]


def _finding(pair: Comparison, picture: Picture) -> Finding:
    direction = picture.direction
    outages = sorted(picture.of(LossKind.INTERRUPTION), key=lambda e: e.rule.first)
    lost = picture.packets_of(outages)
    lasted_ns = sum(_lasted_ns(picture, o) for o in outages)
    shown = exhibits.of_packets(pair, direction, lost)
    first, last = _edges(picture, outages[0])[0], _edges(picture, outages[-1])[1]
    found = _next_hop(pair, direction, lost), _new_address(pair, direction, lost)
    suspicions = [each for each in found if each is not None]
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=_summary(picture, outages, int(lost.sum()), lasted_ns)
        + "".join(f": {each.why}" for each in suspicions[:1]),
        explanation=_explanation(picture, outages, lost),
        remedy=written(
            *(each.remedy for each in suspicions),
            inside_finding.remedy_of(direction, CODE, lost) or _remedy(direction, first),
        ),
        evidence={
            "outages": Quantity(len(outages), "outages"),
            "from": Quantity(moment(first)),
            "until": Quantity(moment(last)),
            "lasted": Quantity(lasted_ns, "ns"),
            "lost": Quantity(int(lost.sum()), "packets"),
            "delivered": Quantity(int(np.count_nonzero(direction.delivered)), "packets"),
            "chance": Quantity(max(o.chance for o in outages), "ratio"),
            **(suspicions[0].evidence if suspicions else {}),
            **inside_finding.evidence_of(direction),
        },
        ruled_out=_ruled_out(direction, lost),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


class _Suspicion(NamedTuple):
    """What the lost packets have in their outer headers that others have not, and what to do about it."""

    why: str
    evidence: dict[str, Quantity]
    remedy: str


def _next_hop(pair: Comparison, direction: Direction, lost: NDArray[np.bool_]) -> _Suspicion | None:
    """Compare the MACs that the lost packets and the others were sent to, if they differ in nearly all."""
    stray = next_hop.astray(direction) & lost if direction.sender.encapsulated else lost & False
    if np.count_nonzero(stray) < _NEARLY_ALL * np.count_nonzero(lost):
        return None
    macs = direction.sender.flows.outer_dst_mac
    gone, kept = (
        listed([mac_text(int(mac)) for mac in np.unique(macs[direction.flow[each]])], 3)
        for each in (stray, direction.delivered)
    )
    near, below = direction.sender.name, underlay.of(direction, pair.cluster)
    remedy = written(
        f"Meanwhile {near} sent to another next hop: a neighbour entry or route that was wrong. See which it "
        "has now, and which address had that MAC:",
        on(
            near,
            f"ip route get {below.far}",
            f"ip neigh show | grep -iE '{gone.replace(', ', '|').replace(' and ', '|')}'",
        ),
    )
    evidence = {"suspected": Quantity(f"next hop {gone}"), "usual": Quantity(kept)}
    return _Suspicion(f"they went to the MAC {gone}, what arrives to {kept}", evidence, remedy)


def _new_address(pair: Comparison, direction: Direction, lost: NDArray[np.bool_]) -> _Suspicion | None:
    """Find that the receiver had another address by then than the lost packets were sent to."""
    moved = renumbered.of(direction, lost)
    if moved is None:
        return None
    near, far, below = direction.sender.name, direction.receiver.name, underlay.of(direction, pair.cluster)
    entries = [f"bridge fdb show | grep -w {moved.old}"] if below.tunnel == Tunnel.VXLAN else []
    if below.cni == "cilium":
        entries = [f"cilium-dbg bpf ipcache list | grep -w {moved.old}"]
    remedy = written(
        f"{far} sends from {moved.new} since {moment(moved.since_ns)}, and {near} went "
        f"on to send to {moved.old}. See what the cluster and {near} have for it; restart the plugin's agent "
        "on both if one is out of date, and let nodes keep their addresses (a DHCP reservation):",
        anywhere("kubectl get nodes -o wide"),
        on(near, *entries) if entries else "",
    )
    evidence = {"suspected": Quantity(f"address {moved.old}"), "usual": Quantity(moved.new)}
    return _Suspicion(f"they went to {moved.old}, and {far} had become {moved.new}", evidence, remedy)


def _edges(picture: Picture, outage: Explanation) -> tuple[int, int]:
    """When the first and the last of its packets were sent."""
    times = picture.direction.sent_ns(outage.packets)
    return int(times.min()), int(times.max())


def _lasted_ns(picture: Picture, outage: Explanation) -> int:
    first, last = _edges(picture, outage)
    return last - first


def _summary(picture: Picture, outages: list[Explanation], lost: int, lasted_ns: int) -> str:
    direction = picture.direction
    route = f"from {direction.sender.name} to {direction.receiver.name}"
    if len(outages) > 1:
        return (
            f"{len(outages)} times nothing {route} arrives: {span(lasted_ns)} and {count(lost, 'packet')} in "
            f"all, first at {moment(_edges(picture, outages[0])[0])}"
        )
    first, last = _edges(picture, outages[0])
    begin = "the beginning" if outages[0].from_ns is None else moment(first)
    return (
        f"Nothing {route} arrives from {begin} until {moment(last)} ({span(lasted_ns)}): "
        f"{count(lost, 'packet')} lost"
    )


def _explanation(picture: Picture, outages: list[Explanation], lost: NDArray[np.bool_]) -> str:
    direction = picture.direction
    kinds = affected.packets(affected.protocols(direction, lost))
    text = (
        f"{kinds} of {affected.sizes(direction, lost)} and {_flows(direction, lost)} were sent in "
        "that time, and none arrived; packets "
    )
    began = outages[0].from_ns is not None
    text += "arrive before and after. " if began else "arrive afterwards; none was seen to arrive before. "
    times = [f"{moment(a)} to {moment(b)} ({span(b - a)})" for a, b in (_edges(picture, o) for o in outages)]
    if len(times) > 1:
        text += f"The outages: {listed(times)}. "
    return text + loss.by_chance(outages)


def _flows(direction: Direction, lost: NDArray[np.bool_]) -> str:
    return count(len(np.unique(direction.flow[lost])), "flow")


def _ruled_out(direction: Direction, lost: NDArray[np.bool_]) -> tuple[RuledOut, ...]:
    rest = direction.judged & ~lost
    gone = int(np.count_nonzero(rest & direction.lost))
    return (
        RuledOut("path-blocked", "packets arrive again afterwards"),
        RuledOut(
            "packet-loss", f"outside of that time {gone:,} of {count(int(rest.sum()), 'packet')} are lost"
        ),
        *affected.not_by_size(direction, lost),
        RuledOut("capture-loss", f"both captures cover that time: {direction.window_by}"),
    )


def _remedy(direction: Direction, first_ns: int) -> str:
    near, far = direction.sender.name, direction.receiver.name
    log = f"journalctl --utc --since '{moment(first_ns)[:19].replace('T', ' ')} UTC'"
    return written(
        f"Look for what happened at {moment(first_ns)} by the clock of {near}:",
        on(near, log),
        on(far, log),
        anywhere("kubectl get events -A --sort-by=.lastTimestamp"),
        "Candidates: link and route changes (switch and router logs), a restart of the network plugin's "
        "agent, a live migration, a reload of firewall rules. If both directions failed at the same time, "
        "look at the link; if one did, at filters and at queues.",
    )


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check, explained_by=("duplicate-address",))
