"""Packets are lost without a more specific explanation.

What it checks
    Are packets of a direction lost beyond those explained by a blocked path, protocol, service or source
    port, a size limit, lost fragments or an outage?
Why it matters
    One percent of loss halves the throughput of a TCP connection over a long distance, and each lost DNS
    query costs its client seconds.
How it decides
    Every unexplained packet that the sender's capture shows and the receiver's should show, but does not,
    counts. One is enough for a report. Where a capture shows several interfaces of a node, packets that reach
    one of them but not the next are lost inside that node, and are reported with that hop's direction. The
    ratio is given as a 95 % interval, widened where losses come in bursts. Where one class of packets is lost
    more often than others beyond chance, the finding says so, as for loss that only affects first packets of
    conversations, or SYNs. Where a rule (one dead path, one blocked service, an outage) is at least ten times
    likelier than random loss, without being proved, it is named with "perhaps".
When it cannot tell
    All such packets were sent before the first or after the last frame of the receiver's capture: then the
    capture may have begun later or ended earlier. Loss on the wire and loss inside the capturing program look
    alike, except for packets that the receiver answered, which never count as lost.
What looks like it
    A capture that dropped packets (`capture-loss`), a receiver's capture with a filter, packets that never
    left the node after the capture point.
What to do
    Where only new conversations are affected, check connection tracking: conntrack, firewalls, NAT. Otherwise
    follow the drop counters along the path: queue discipline and network card of the sender, switches,
    network card, ring and socket buffers of the receiver.
Sources
    RFC 2680 (one-way loss); E. B. Wilson, JASA 22 (1927); Mathis et al., "The macroscopic behavior of the TCP
    congestion avoidance algorithm" (1997).
"""

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis import drop_counts, exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.loss import (
    affected,
    concentration,
    idle,
    inside_finding,
    loss,
    new_conversations,
    super_packets,
    suspicion,
)
from vxlanalyze.analysis.loss.concentration import Runs
from vxlanalyze.analysis.loss.missed_alike import missed_alike
from vxlanalyze.analysis.loss.picture import LossKind, Picture
from vxlanalyze.analysis.requests.taken_requests import taken
from vxlanalyze.analysis.statistics import evidence
from vxlanalyze.analysis.tcp import loss_limit
from vxlanalyze.analysis.underlay import between_captures, underlay
from vxlanalyze.analysis.underlay.underlay import Underlay
from vxlanalyze.pairing.model import Comparison, Direction
from vxlanalyze.pairing.sorting import counted, present
from vxlanalyze.text.commands import written
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.protocols import TCP

CODE = "packet-loss"


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Report each direction with unexplained loss."""
    pictures, not_assessed = loss.pictures(pair, CODE)
    results: list[DiagnosticResult] = list(not_assessed)
    for picture in pictures:
        if len(picture.unexplained) == 0:
            continue
        edge = _outside_of_receiver(pair, picture)
        results.append(edge if edge is not None else _finding(pair, picture))
    return [*results, *inside_finding.findings(pair, CODE)]


def _outside_of_receiver(pair: Comparison, picture: Picture) -> NotAssessed | None:
    """State where all of it is before the receiver's first frame or after its last."""
    direction = picture.direction
    times = direction.receiver.index.time_ns
    if len(times) == 0:
        return None
    arrival = _due_ns(pair, picture)
    early = int(np.count_nonzero(arrival < times.min()))
    late = int(np.count_nonzero(arrival > times.max()))
    if early + late < len(arrival):
        return None
    why = (
        f"{count(len(arrival), 'packet')} not seen at {direction.receiver.name} were sent before the first "
        "or after the last frame of its capture, which may have begun later or ended earlier"
    )
    return NotAssessed(CODE, why, direction.label)


def _due_ns(pair: Comparison, picture: Picture) -> NDArray[np.int64]:
    """Send times of the unexplained losses, by the receiver's clock, shape ``(k,)``."""
    direction = picture.direction
    clock, sent_ns = loss.hop_of(pair, direction).clock, direction.sent_ns(picture.unexplained)
    shift = clock.offset_at(sent_ns)
    return sent_ns + (shift if clock.from_ == direction.sender.name else -shift)


def _finding(pair: Comparison, picture: Picture) -> Finding:
    direction = picture.direction
    lost = np.zeros(len(direction), np.bool_)
    lost[picture.unexplained] = True
    gone, delivered = int(lost.sum()), int(np.count_nonzero(direction.delivered))
    judged = gone + delivered
    runs = concentration.runs(picture)
    low, high = evidence.loss_interval(gone, judged, runs.runs, direction.maybe_lost)
    again, could = _sent_again(direction, lost)
    missed = missed_alike(direction, lost)
    dropped = drop_counts.stated(pair, pair.captures[direction.receiver.capture])
    shown = exhibits.of_packets(pair, direction, lost)
    heavier = concentration.heaviest(picture, pair.cluster)
    looks_like = suspicion.of(picture, pair.cluster)
    opens = new_conversations.of(picture) or idle.of(picture) or super_packets.of(picture, pair.cluster)
    slowed = loss_limit.of(pair, direction, gone / judged)
    perhaps = f"; {looks_like.perhaps}" if looks_like and looks_like.perhaps else ""
    return Finding(
        code=CODE,
        severity=Severity.WARNING,
        direction=direction.label,
        summary=f"{gone:,} of {count(judged, 'packet')} from {direction.sender.name} to "
        f"{direction.receiver.name} {'is' if gone == 1 else 'are'} lost "
        f"({100 * gone / judged:.3g} %, between {100 * low:.3g} % and {100 * high:.3g} %)"
        + ("" if not picture.explanations else ", in addition to what other findings explain")
        + (f": only {opens.which}" if opens else "")
        + ("" if opens and opens.cause else perhaps),
        explanation=_who(
            direction, lost, runs, opens.text if opens else heavier.text if heavier else _held(picture)
        )
        + (looks_like.text if looks_like else "")
        + (missed or _really_lost(direction, again, could, dropped))
        + (slowed.text if slowed else ""),
        remedy=written(
            opens.remedy if opens else "",
            looks_like.remedy if looks_like else "",
            "" if opens and opens.cause else _remedy(direction, underlay.of(direction, pair.cluster)),
        ),
        evidence={
            "lost": Quantity(gone, "packets"),
            "judged": Quantity(judged, "packets"),
            "loss_ratio": Quantity(gone / judged, "ratio"),
            "loss_ratio_low": Quantity(low, "ratio"),
            "loss_ratio_high": Quantity(high, "ratio"),
            "runs": Quantity(runs.runs, "runs"),
            "longest_run": Quantity(runs.longest, "packets"),
            "heavier_for": Quantity(heavier.who if heavier else None),
            "only": Quantity(opens.which if opens else None),
            "cause": Quantity(opens.cause or None if opens else None),
            "suspected": Quantity(looks_like.code if perhaps and looks_like else None),
            "dropped_by_capture": Quantity(dropped, "packets"),
            "inside": Quantity(inside_finding.node_of(direction)),
            **_tcp_evidence(again, could),
            "connections_slowed": Quantity(slowed.connections if slowed else None, "connections"),
            "tcp_allowed": Quantity(round(slowed.allowed_bits_per_s) if slowed else None, "bit/s"),
            "tcp_reached": Quantity(round(slowed.reached_bits_per_s) if slowed else None, "bit/s"),
        },
        ruled_out=_ruled_out(picture, lost),
        explained_by=("capture-loss",) if missed else _causes(pair, picture),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _causes(pair: Comparison, picture: Picture) -> tuple[str, ...] | None:
    """Name a cause that explains all of it: a device that answers in the target's name, or an outage back."""
    hop = loss.hop_of(pair, picture.direction)
    reverse = hop.backward if picture.direction.label == hop.forward.label else hop.forward
    if np.isin(picture.unexplained, taken(pair, reverse)).all():
        return (f"foreign-reset@{reverse.label}",)
    back = loss.explain(reverse)
    outages = back.of(LossKind.INTERRUPTION)
    arrived_ns = back.direction.sent_ns(back.direction.delivered)
    due_ns = _due_ns(pair, picture)
    during = np.zeros(len(due_ns), np.bool_)
    for outage in outages:  # each lies between two deliveries, and includes everything due in between
        times = back.direction.sent_ns(outage.packets)
        before, after = arrived_ns[arrived_ns <= times.min()][-1:], arrived_ns[arrived_ns >= times.max()][:1]
        during |= (due_ns >= before.max(initial=due_ns.min()) - loss.EDGE_NS) & (
            due_ns <= after.min(initial=due_ns.max()) + loss.EDGE_NS
        )
    return (f"burst-outage@{back.direction.label}",) if during.all() else None


def _who(direction: Direction, lost: NDArray[np.bool_], runs: Runs, whom: str) -> str:
    """Describe what was lost, how it clusters, and which traffic it affects."""
    were = "was" if np.count_nonzero(lost) == 1 else "were"
    return (
        f"{affected.packets(affected.protocols(direction, lost))} of {affected.sizes(direction, lost)} "
        f"{were} sent and not seen at {direction.receiver.name}. {runs.text}"
        + (f"{whom.rstrip()} " if whom else "")
    )


def _held(picture: Picture) -> str:
    """State what was tested and makes no difference; "" where nothing could be."""
    tested = concentration.held(picture)
    return (
        f"Loss does not depend on {listed(tested)}: all kinds that were sent lose alike. " if tested else ""
    )


def _tcp_evidence(again: int, could: int) -> dict[str, Quantity]:
    return {"tcp_lost": Quantity(could, "packets"), "tcp_sent_again": Quantity(again, "packets")}


def _sent_again(direction: Direction, lost: NDArray[np.bool_]) -> tuple[int, int]:
    """Count lost TCP packets with payload: those with a retransmitted sequence number, and all."""
    tcp = direction.sender.flows.protocol[direction.flow] == TCP
    data = tcp & (direction.payload_length > 0)
    mine = np.flatnonzero(data & lost)
    if len(mine) == 0:
        return 0, 0
    concerned = np.zeros(len(direction.sender.flows), np.bool_)
    concerned[direction.flow[mine]] = True
    rows = np.flatnonzero(data & concerned[direction.flow])
    keys = direction.flow[rows].astype(np.uint64) << np.uint64(32) | direction.seq_of(rows).astype(np.uint64)
    values, counts = counted(keys)
    own = keys[np.searchsorted(rows, mine)]
    return int(np.count_nonzero(counts[np.searchsorted(values, own)] > 1)), len(mine)


def _really_lost(direction: Direction, again: int, could: int, dropped: int | None) -> str:
    """State the evidence for loss in the network, and what the capture itself may have dropped."""
    receiver = direction.receiver.name
    text = ""
    if could:
        text += f"{_of_all(again, could)} retransmitted{', which indicates real loss' if again else ''}. "
    if dropped:
        return text + (
            f"{receiver}'s capture states that it dropped {count(dropped, 'packet')}; as many of the "
            f"missing "
            "ones count as unknown, and these are lost in addition."
        )
    if dropped == 0:
        return text + f"{receiver}'s capture dropped none, so they were lost before it."
    return text + (
        f"{receiver}'s capture does not say whether it dropped packets; those that it missed although "
        "the node answered them are not counted."
    )


def _of_all(again: int, could: int) -> str:
    if could == 1:
        return f"The one lost TCP packet with data was {'' if again else 'not '}"
    which = "All" if again == could else "None of" if again == 0 else f"{again:,} of"
    return f"{which} {could:,} lost TCP packets with data {'was' if again == 1 else 'were'} "


def _remedy(direction: Direction, below: Underlay) -> str:
    near, far = direction.sender, direction.receiver
    inside = inside_finding.remedy_of(direction)
    if inside is not None:
        return inside
    return written(
        "Compare the drop counters of both cards before and after a test (NIC, the device named in "
        "the route):",
        *between_captures.counters(near.name, far.name, below),
        "A counter with “exceeded” in its name shows drops by a cloud's allowance (AWS); the second column "
        "of softnet_stat, drops by a kernel that could not keep up. Then look at the ports of the switches "
        "between the nodes. To exclude the capture itself, read tcpdump's count of packets dropped by the "
        "kernel, or capture with a larger buffer (-B 65536).",
    )


def _ruled_out(picture: Picture, lost: NDArray[np.bool_]) -> tuple[RuledOut, ...]:
    direction = picture.direction
    ruled_out = list(affected.not_by_size(direction, lost))
    delivered = direction.delivered
    if delivered.any():
        flows = present(direction.flow[lost])
        reached = int(np.isin(flows, present(direction.flow[delivered])).sum())
        if reached:
            why = f"{reached:,} of {len(flows):,} flows that lose packets also deliver some"
            if len(flows) == 1:
                why = "the only flow that loses packets also delivers some"
            ruled_out.append(RuledOut("flow-blocked", why))
    return tuple(ruled_out)


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check, explained_by=("duplicate-address",), slow=True)
